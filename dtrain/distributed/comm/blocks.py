"""Arrays, and objects that hold some, between ranks in blocks: any size, little memory beside."""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from dtrain.backend import Array, array_module, on_device_of, to_host
from dtrain.distributed.comm.communicator import Communicator

_BLOCK_BYTES = 16 << 20
#: objects up to this size go in one message
_SMALL_BYTES = 1 << 20


def copy_from_rank(
    comm: Communicator, arrays: Sequence[Array], root: int, block_bytes: int = _BLOCK_BYTES
) -> None:
    """Overwrite `arrays` by those of rank `root`; every rank gives arrays of the same shapes.

    Parameters
    ----------
    comm : the ranks
    arrays : any shapes, dtypes and devices
    root : the rank that has the values
    block_bytes : how many bytes are copied at once; one such block is allocated
    """
    total = sum(array.nbytes for array in arrays)
    if comm.size == 1 or not total:
        return
    block = comm.empty(min(block_bytes, total), np.dtype(np.uint8))
    bounds = [0] * (root + 1) + [len(block)] * (comm.size - root)  # the root has the whole block
    for parts in _split(arrays, len(block)):
        if comm.rank == root:
            for start, part in parts:
                block[start : start + len(part)] = to_host(part)
        comm.all_gather_slices(block, bounds)
        if comm.rank != root:
            for start, part in parts:
                with on_device_of(part):
                    part[...] = array_module(part).asarray(block[start : start + len(part)])


def broadcast_in_blocks(comm: Communicator, value: Any, root: int) -> Any:
    """The root's value on every rank; its arrays go in blocks, and are not pickled."""
    if comm.size == 1:
        return value
    parcel = _pack(value) if comm.rank == root else None
    label = comm.broadcast(parcel and _label(parcel), root)
    if comm.rank == root:
        _deliver(comm, label, parcel, root)
        return value
    return _unpack(_deliver(comm, label, None, root))


def allgather_in_blocks(comm: Communicator, value: Any) -> list[Any]:
    """Every rank's value, in rank order; arrays go in blocks, and are not pickled."""
    if comm.size == 1:
        return [value]
    parcel = _pack(value)
    labels = comm.allgather(_label(parcel))
    return [
        _unpack(_deliver(comm, label, parcel if root == comm.rank else None, root))
        for root, label in enumerate(labels)
    ]


def _pack(value: Any) -> list[Array]:
    """The pickled value without the memory of its arrays, and that memory, as bytes each."""
    buffers: list[pickle.PickleBuffer] = []
    text = pickle.dumps(value, 5, buffer_callback=buffers.append)
    parts: list[Any] = [text, *(buffer.raw() for buffer in buffers)]
    return [np.asarray(memoryview(part), np.uint8) for part in parts]


def _label(parcel: Sequence[Array]) -> list[Any]:
    """What goes ahead of a parcel: if it is small, all of it; else the lengths of its parts."""
    lengths = [len(part) for part in parcel]
    return [p.tobytes() for p in parcel] if sum(lengths) <= _SMALL_BYTES else lengths


def _deliver(
    comm: Communicator, label: list[Any], parcel: list[Array] | None, root: int
) -> list[Array]:
    """The root's parcel, `parcel` there, in memory of this rank's own elsewhere."""
    if not isinstance(label[0], int):
        return [np.array(memoryview(part), np.uint8) for part in label]
    if parcel is None:
        parcel = [np.empty(length, np.uint8) for length in label]
    copy_from_rank(comm, parcel, root, _BLOCK_BYTES)
    return parcel


def _unpack(parcel: Sequence[Array]) -> Any:
    text, *buffers = parcel
    own = [part if part.base is None else part.copy() for part in buffers]  # else another's memory
    return pickle.loads(text, buffers=own)


#: the function of NumPy and CuPy for operations that are taken in rank order
_COMBINE = {
    "max": "maximum",
    "min": "minimum",
    "product": "multiply",
    "band": "bitwise_and",
    "bor": "bitwise_or",
    "bxor": "bitwise_xor",
}


def all_reduce_blocks(comm: Communicator, flat: Array, op: str) -> None:
    """Combine a contiguous array of one dimension over the ranks, in place.

    `op` is "sum", "mean", or one of `_COMBINE`. Where a rank may fail, an interrupted call leaves
    the array as it was.
    """
    target = flat.copy() if comm.elastic else flat
    combine = _reduce_by_order if op in _COMBINE else _reduce_by_tree
    length = max(_BLOCK_BYTES // flat.itemsize // (comm.size if op in _COMBINE else 1), 1)
    for start in range(0, max(len(flat), 1), length):
        part = target[start : start + length]
        with on_device_of(part):
            combine(comm, part, op)
    if target is not flat:
        flat[...] = target


def empty_for_ranks(comm: Communicator, like: Array, count: int) -> Array:
    """An uninitialized array (count,) on the device of `like`, which the ranks share if they can.

    Returns
    -------
    (count,) of the dtype of `like`
    """
    if isinstance(like, np.ndarray):
        return comm.empty(count, like.dtype)
    return array_module(like).empty(count, like.dtype)


def gather_rows(comm: Communicator, row: Array) -> Array:
    """Every rank's row, on the device of `row`: (ranks, len(row))."""
    count = len(row)
    flat = empty_for_ranks(comm, row, comm.size * count)
    flat[comm.rank * count : (comm.rank + 1) * count] = row
    comm.all_gather_slices(flat, [rank * count for rank in range(comm.size + 1)])
    return flat.reshape(comm.size, count)


def _reduce_by_tree(comm: Communicator, part: Array, op: str) -> None:
    divisor = comm.size if op == "mean" else 1
    block = empty_for_ranks(comm, part, len(part))
    block[...] = part
    comm.all_reduce([block], block, comm.size, divisor)
    part[...] = block


def _reduce_by_order(comm: Communicator, part: Array, op: str) -> None:
    first, *others = gather_rows(comm, part)
    part[...] = first
    combine = getattr(array_module(part), _COMBINE[op])
    for row in others:
        combine(part, row, out=part)


def _split(arrays: Sequence[Array], size: int) -> Iterator[list[tuple[int, Array]]]:
    """The bytes of all arrays in blocks: for each block where its parts begin, and the parts."""
    parts: list[tuple[int, Array]] = []
    filled = 0
    for array in arrays:
        flat = _as_bytes(array)
        done = 0
        while done < len(flat):
            part = flat[done : done + size - filled]
            parts.append((filled, part))
            done, filled = done + len(part), filled + len(part)
            if filled == size:
                yield parts
                parts, filled = [], 0
        if not array.flags.c_contiguous:  # what came is in a copy
            yield parts
            parts, filled = [], 0
            array[...] = flat.view(array.dtype).reshape(array.shape)
    if parts:
        yield parts


def _as_bytes(array: Array) -> Array:
    """The bytes of an array, as a view if it is contiguous."""
    return array_module(array).ascontiguousarray(array).reshape(-1).view(np.uint8)
