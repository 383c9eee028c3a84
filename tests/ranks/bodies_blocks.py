"""Arrays and objects of any size between the ranks, in blocks; run as the bodies of `bodies.py`."""

from contextlib import contextmanager

import ml_dtypes
import numpy as np

import dtrain
from dtrain import distributed
from dtrain.distributed import all_reduce
from dtrain.distributed.comm import blocks, inter_node, mpi
from dtrain.distributed.comm.host_staging import HostStagedCollectives
from dtrain.distributed.comm.tree_reduce import equal_bounds
from dtrain.distributed.world import communicator
from tests.gathered import gathered


@contextmanager
def _small_blocks(block_bytes=64):
    """Blocks of few bytes; yields the lengths of the arrays that this rank gives to `comm`."""
    names = ((blocks, "_BLOCK_BYTES"), (blocks, "_SMALL_BYTES"), (inter_node, "_CALL_BYTES"))
    distributed.barrier()
    before = [getattr(module, name) for module, name in names]
    distributed.barrier()
    for module, name in names:
        setattr(module, name, block_bytes)
    comm, lengths = communicator(), []
    gather, reduce = comm.all_gather_slices, comm.all_reduce
    comm.all_gather_slices = lambda flat, *a: (lengths.append(flat.nbytes), gather(flat, *a))
    comm.all_reduce = lambda parts, out, *a: (lengths.append(out.nbytes), reduce(parts, out, *a))
    distributed.barrier()
    try:
        yield lengths
    finally:
        del comm.all_gather_slices, comm.all_reduce
        distributed.barrier()
        for (module, name), value in zip(names, before):
            setattr(module, name, value)
        distributed.barrier()


def _object(rank):
    return {
        "weights": np.arange(100.0) * rank,
        "tensor": dtrain.full((3, 5), float(rank)),
        "transposed": np.full((4, 6), rank, "f4").T,
        "every other": np.arange(40)[::2] + rank,
        "half": np.full(9, rank, ml_dtypes.bfloat16),
        "none": np.empty((0, 3)),
        "words": ["a", rank, None],
    }


def _require_object(value, rank):
    for key, want in _object(rank).items():
        got = value[key]
        if isinstance(want, np.ndarray):
            assert got.dtype == want.dtype
            np.testing.assert_array_equal(got, want)
            got[...] = 0  # it may be written to
        else:
            assert np.array_equal(got.numpy(), want.numpy()) if key == "tensor" else got == want


def _check_objects():
    rank, size = distributed.rank(), distributed.world_size()
    own = _object(rank)
    values = gathered(own)
    distributed.barrier()
    for theirs, value in enumerate(values):
        _require_object(value, theirs)
    for root in {0, size - 1}:
        values = [own if rank == root else None]
        distributed.broadcast_object_list(values, root)
        value = values[0]
        distributed.barrier()
        if rank != root:
            _require_object(value, root)
        distributed.barrier()
    if size > 1:
        _require_object(own, rank)  # what others write to what came is their own


def objects_keep_their_values_whole_and_in_blocks():
    _check_objects()
    with _small_blocks() as lengths:
        _check_objects()
    if distributed.world_size() > 1:
        assert max(lengths) == 64
        assert len(lengths) > 800 * distributed.world_size() // 64


def arrays_are_reduced_in_blocks_to_the_same_bits():
    rank, size = distributed.rank(), distributed.world_size()
    rng = np.random.default_rng(3)
    ranks = rng.normal(size=(size, 7, 11)).astype("f4")
    ranks[-1, 2, 3] = np.nan
    for op, reference in (("sum", None), ("mean", None), ("max", np.max), ("min", np.min)):
        for layout in (np.ascontiguousarray, np.asfortranarray):
            whole = dtrain.from_numpy(layout(ranks[rank].copy()))
            parts = dtrain.from_numpy(layout(ranks[rank].copy()))
            assert all_reduce(whole, op) is whole
            with _small_blocks() as lengths:
                all_reduce(parts, op)
            assert max(lengths) <= max(64, 4 * size)
            assert len(lengths) >= 77 * 4 // 64
            assert parts.numpy().tobytes() == whole.numpy().tobytes()
            if reference is not None:
                np.testing.assert_array_equal(parts.numpy(), reference(ranks, 0))
    number = dtrain.tensor(rank)
    assert all_reduce(number, "max").item() == size - 1
    assert all_reduce(dtrain.empty(0)).shape == (0,)


def slices_between_machines_go_in_parts():
    rank, size = distributed.rank(), distributed.world_size()
    comm, count, n = communicator(), size, 103
    values = np.random.default_rng(4).normal(size=(size, n)).astype("f4")
    uneven = [0, *sorted(np.random.default_rng(5).integers(0, n, size - 1).tolist()), n]
    results = []
    for is_small in (False, True):
        for bounds in (equal_bounds(n, size), uneven):
            own = slice(bounds[rank], bounds[rank + 1])
            with _small_blocks(64 if is_small else 1 << 20):
                flat = values[rank].copy()
                comm.reduce_scatter([flat], flat, bounds, count)
                comm.all_gather_slices(flat, bounds)
                parts = comm.all_to_all_slices([values[rank].copy()], bounds, count)
            np.testing.assert_array_equal(np.stack(parts), values[:, own])
            results.append(flat.tobytes())
    assert len(set(results)) == 1
    np.testing.assert_allclose(np.frombuffer(results[0], "f4"), values.sum(0), 1e-4, 1e-5)


def the_native_reduction_goes_in_parts():
    size, before = distributed.world_size(), mpi._NATIVE_ELEMENTS
    distributed.barrier()
    mpi._NATIVE_ELEMENTS = 5
    distributed.barrier()
    flat = np.arange(23, dtype="f4")
    communicator().native_all_reduce(flat, size)
    distributed.barrier()
    mpi._NATIVE_ELEMENTS = before
    np.testing.assert_array_equal(flat, np.arange(23))


class _OnDevice(np.ndarray):
    """An array that is copied as CuPy's are."""

    def get(self, out):
        out[...] = self

    def set(self, host):
        self[...] = host


def device_arrays_go_through_host_memory_to_the_same_bits():
    rank, size = distributed.rank(), distributed.world_size()
    comm, bounds = communicator(), equal_bounds(23, size)
    calls = {
        "all_reduce": lambda comm, flat: comm.all_reduce([flat], flat, size, 3),
        "reduce_scatter": lambda comm, flat: comm.reduce_scatter([flat], flat, bounds, size, 3),
        "all_gather_slices": lambda comm, flat: comm.all_gather_slices(flat, bounds),
        "native_all_reduce": lambda comm, flat: comm.native_all_reduce(flat, 3),
    }
    own = slice(bounds[rank], bounds[rank + 1])
    for name, call in calls.items():
        values = np.random.default_rng(rank).normal(size=23).astype("f4")
        host, device = values.copy(), values.copy().view(_OnDevice)
        call(comm, host)
        call(HostStagedCollectives(comm), device)
        if name == "reduce_scatter":
            host[: own.start], host[own.stop :] = values[: own.start], values[own.stop :]
        assert device.tobytes() == host.tobytes()
        assert size == 1 or not np.array_equal(host, values) or name == "all_gather_slices"
