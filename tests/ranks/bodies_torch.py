"""PyTorch's collective calls, messages and groups; run as the bodies of `bodies.py`."""

import ml_dtypes
import numpy as np
import pytest

import dtrain
from dtrain import distributed as dist
from dtrain.distributed.comm.threads import ThreadCommunicator
from dtrain.distributed.world import communicator
from dtrain.errors import DesyncError
from tests.gathered import gathered


def _values(rank, dtype, count=37):
    """What a rank brings: a strided matrix of small numbers, or of flags."""
    rng = np.random.default_rng(rank)
    if np.dtype(dtype).kind == "b":
        return rng.random((count, 2)) < 0.5
    return (rng.normal(size=(count, 2)) * 3).astype(dtype)


_COMBINE = {
    "SUM": np.add,
    "PRODUCT": np.multiply,
    "MIN": np.minimum,
    "MAX": np.maximum,
    "BAND": np.bitwise_and,
    "BOR": np.bitwise_or,
    "BXOR": np.bitwise_xor,
}


def _combined(op, dtype):
    """All ranks' values, computed in float64 or in the integer or bool type itself."""
    ranks = [_values(rank, dtype) for rank in range(dist.get_world_size())]
    if ranks[0].dtype.kind in "biu":
        return _COMBINE[op].reduce(ranks, dtype=ranks[0].dtype)
    wide = [values.astype(np.float64) for values in ranks]
    return np.mean(wide, 0) if op == "AVG" else _COMBINE[op].reduce(wide)


def _tensor(dtype):
    """This rank's values, not contiguous."""
    return dtrain.tensor(_values(dist.get_rank(), dtype).T.copy()).T


def _require_close(found, expected, dtype):
    if np.dtype(dtype).kind in "biu":
        assert np.array_equal(found, expected)
    else:
        eps = float(ml_dtypes.finfo(dtype).eps)
        size = np.abs(expected).max() + 1
        np.testing.assert_allclose(np.float64(found), expected, atol=4 * eps * size)


def all_reduce_has_pytorchs_operations():
    floats = ("float32", "float64", "float16", ml_dtypes.bfloat16)
    rows = [(op, d) for op in ("SUM", "AVG", "PRODUCT", "MIN", "MAX") for d in floats]
    rows += [(op, d) for op in _COMBINE for d in ("int64", "uint8", "int8", "bool")]
    for op, dtype in rows:
        x = _tensor(dtype)
        assert dist.all_reduce(x, getattr(dist.ReduceOp, op)) is x
        _require_close(x.numpy(), _combined(op, dtype), dtype)


def sums_of_halves_are_rounded_once():
    """256 + 1 is 256 in bfloat16, so that adding one after another would lose all ones."""
    size = dist.get_world_size()
    x = dtrain.full((3,), 256.0 if dist.get_rank() == 0 else 1.0).bfloat16()
    dist.all_reduce(x)
    expected = float(np.float32(255 + size).astype(ml_dtypes.bfloat16))
    assert x.tolist() == [expected] * 3


def reduce_changes_one_rank():
    rank, size = dist.get_rank(), dist.get_world_size()
    for dst in {0, size - 1}:
        x = _tensor("float32")
        dist.reduce(x, dst, dist.ReduceOp.MAX)
        expected = _combined("MAX", "float32") if rank == dst else _values(rank, "float32")
        assert np.array_equal(x.numpy(), expected)


def broadcast_overwrites_in_place():
    size = dist.get_world_size()
    for dtype in ("float32", ml_dtypes.bfloat16, "int64", "bool"):
        x = _tensor(dtype)
        seen = x[0]
        dist.broadcast(x, src=size - 1)
        assert np.array_equal(x.numpy(), _values(size - 1, dtype))
        assert np.array_equal(seen.numpy(), _values(size - 1, dtype)[0])


def gathers_write_into_given_tensors():
    rank, size = dist.get_rank(), dist.get_world_size()
    for dtype in ("float32", ml_dtypes.bfloat16, "bool"):
        ranks = [_values(r, dtype) for r in range(size)]
        outs = [dtrain.zeros(37, 2, dtype=dtrain.tensor(ranks[0]).dtype) for _ in range(size)]
        dist.all_gather(outs, _tensor(dtype))
        assert all(np.array_equal(out.numpy(), values) for out, values in zip(outs, ranks))
        for shape in ((size * 37, 2), (size, 37, 2)):
            whole = dtrain.zeros(shape, dtype=outs[0].dtype)
            dist.all_gather_into_tensor(whole, _tensor(dtype))
            assert np.array_equal(whole.numpy(), np.reshape(ranks, shape))
        fresh = [dtrain.zeros_like(out) for out in outs]
        dist.gather(_tensor(dtype), fresh if rank == size - 1 else None, dst=size - 1)
        for out, values in zip(fresh, ranks):
            assert np.array_equal(out.numpy(), values if rank == size - 1 else 0 * values)


def scatter_gives_each_rank_its_own():
    rank, size = dist.get_rank(), dist.get_world_size()
    own = dtrain.zeros(37, 2)
    parts = [dtrain.tensor(_values(r, "float32")) for r in range(size)]
    dist.scatter(own, parts if rank == size - 1 else None, src=size - 1)
    assert np.array_equal(own.numpy(), _values(rank, "float32"))


def reduce_scatter_combines_each_part():
    rank, size = dist.get_rank(), dist.get_world_size()
    for op in ("SUM", "AVG", "MAX"):
        for dtype in ("float32", ml_dtypes.bfloat16):
            inputs = [_tensor(dtype) * 2**part for part in range(size)]
            expected = _combined(op, dtype) * 2**rank
            out = dtrain.zeros(37, 2, dtype=inputs[0].dtype)
            dist.reduce_scatter(out, inputs, getattr(dist.ReduceOp, op))
            _require_close(out.numpy(), expected, dtype)
            out.zero_()
            dist.reduce_scatter_tensor(
                out, dtrain.cat(inputs), op={"AVG": "mean"}.get(op, op.lower())
            )
            _require_close(out.numpy(), expected, dtype)


def all_to_all_exchanges_parts():
    rank, size = dist.get_rank(), dist.get_world_size()
    inputs = [dtrain.full((to + 1,), 10.0 * rank + to) for to in range(size)]
    outs = [dtrain.zeros(rank + 1) for _ in range(size)]
    dist.all_to_all(outs, inputs)
    assert [out.tolist() for out in outs] == [[10.0 * r + rank] * (rank + 1) for r in range(size)]
    whole = dtrain.zeros(size, 2)
    dist.all_to_all_single(whole, dtrain.arange(2 * size).reshape(size, 2) + 100.0 * rank)
    assert whole.tolist() == [[100.0 * r + 2 * rank, 100.0 * r + 2 * rank + 1] for r in range(size)]
    uneven = dtrain.zeros(size * (rank + 1))
    dist.all_to_all_single(
        uneven, dtrain.cat(inputs), [rank + 1] * size, [to + 1 for to in range(size)]
    )
    assert uneven.tolist() == [10.0 * r + rank for r in range(size) for _ in range(rank + 1)]


def objects_go_in_lists():
    rank, size = dist.get_rank(), dist.get_world_size()
    assert gathered({"rank": rank}) == [{"rank": r} for r in range(size)]
    places = ["kept"] * size
    dist.gather_object(("of", rank), places if rank == 0 else None)
    assert places == ([("of", r) for r in range(size)] if rank == 0 else ["kept"] * size)
    objects = [rank, "x" * rank]
    dist.broadcast_object_list(objects, src=size - 1)
    assert objects == [size - 1, "x" * (size - 1)]
    own = [None]
    dist.scatter_object_list(own, [f"for {r}" for r in range(size)] if rank == 0 else None)
    assert own == [f"for {rank}"]


def messages_arrive_in_order():
    rank, size = dist.get_rank(), dist.get_world_size()
    if size == 1:
        with pytest.raises(ValueError, match="rank 0 is this rank itself"):
            dist.send(dtrain.ones(1), 0)
        return
    right, left = (rank + 1) % size, (rank - 1) % size
    sent = [dtrain.full((2, 3), float(10 * rank + k)).T for k in range(3)]
    works = [dist.isend(x, right) for x in sent]
    other = dist.isend(dtrain.tensor([rank]), right, tag=7)
    received = [dtrain.zeros(3, 2) for _ in range(3)]
    tagged = dtrain.tensor([-1])
    assert dist.recv(tagged, left, tag=7) == left  # before those that were sent before it
    receives = [dist.irecv(x, left) for x in received]
    assert tagged.item() == left
    for work in reversed(receives):
        assert work.wait()
        assert work.is_completed()
        assert work.source_rank() == left
    assert [x[0, 0].item() for x in received] == [10.0 * left + k for k in range(3)]
    for work in (*works, other):
        work.wait()
    objects = [None, None]
    if rank == 0:
        dist.send_object_list([{"a": 1}, "b"], dst=1)
    if rank == 1:
        assert dist.recv_object_list(objects) == 0
        assert objects == [{"a": 1}, "b"]


def messages_in_a_batch():
    rank, size = dist.get_rank(), dist.get_world_size()
    if size == 1:
        return
    own, received = dtrain.full((4,), float(rank)), dtrain.zeros(4)
    works = dist.batch_isend_irecv(
        [
            dist.P2POp(dist.irecv, received, (rank - 1) % size),
            dist.P2POp(dist.isend, own, (rank + 1) % size),
        ]
    )
    for work in works:
        work.wait()
    assert received.tolist() == [float((rank - 1) % size)] * 4
    dist.barrier()
    if rank == 0:  # from any rank
        total = dtrain.zeros(4)
        sources = {dist.recv(total) for _ in range(size - 1)}
        assert sources == set(range(1, size))
    else:
        dist.send(own, 0)


def a_message_of_another_shape_is_refused():
    if dist.get_world_size() == 1:
        return
    shapes = [((3,), "3 x float32"), ((9,), "of more bytes|9 x float32")]
    for shape, sent in shapes:
        if dist.get_rank() == 0:
            dist.isend(dtrain.zeros(shape), 1)
        if dist.get_rank() == 1:
            with pytest.raises(
                DesyncError, match=rf"rank 0 has sent a tensor.*({sent}).*5 x float32"
            ):
                dist.recv(dtrain.zeros(5), 0)
        dist.barrier()


def tensors_of_other_shapes_are_named_with_their_ranks():
    size = dist.get_world_size()
    if size == 1 or not isinstance(communicator(), ThreadCommunicator):  # it ends an MPI job
        return

    def body():
        dist.all_reduce(dtrain.zeros((2, 3) if dist.get_rank() else (6,)))

    with pytest.raises(DesyncError, match=r"rank 0 in .*\(6,\) float32.*rank 1 in .*\(2, 3\) flo"):
        dist.run_ranks(size, body)


def groups_have_ranks_of_their_own():
    rank, size = dist.get_rank(), dist.get_world_size()
    members = list(range(0, size, 2))
    evens = dist.new_group(members)
    assert dist.get_process_group_ranks(dist.group.WORLD) == list(range(size))
    if rank % 2:
        assert evens == dist.GroupMember.NON_GROUP_MEMBER
        assert dist.get_rank(evens) == dist.get_world_size(evens) == -1
        return
    assert dist.get_process_group_ranks(evens) == members
    assert (dist.get_rank(evens), dist.get_world_size(evens)) == (rank // 2, len(members))
    assert dist.get_group_rank(evens, rank) == rank // 2
    assert dist.get_global_rank(evens, rank // 2) == rank
    x = dtrain.tensor([rank, 1])
    dist.all_reduce(x, group=evens)
    assert x.tolist() == [sum(members), len(members)]
    dist.broadcast(x.fill_(rank), src=members[-1], group=evens)
    assert x.tolist() == [members[-1]] * 2
    dist.broadcast(x.fill_(rank), group=evens, group_src=0)
    assert x.tolist() == [0, 0]
    if len(members) > 1:
        after, before = members[(rank // 2 + 1) % len(members)], members[rank // 2 - 1]
        work = dist.isend(dtrain.tensor([rank]), after, evens)
        assert dist.recv(x[:1], before, evens) == before
        work.wait()
        assert x[0].item() == before
    work = dist.all_reduce(x.fill_(1), group=evens, async_op=True)
    work.wait()
    assert x.tolist() == [len(members)] * 2
    with pytest.raises(ValueError, match=r"rank 1 is not in the group of ranks \[0"):
        dist.broadcast(x, src=1, group=evens)


def calls_run_in_the_background():
    rank, size = dist.get_rank(), dist.get_world_size()
    xs = [dtrain.full((5,), float(rank + k)) for k in range(4)]
    works = [dist.all_reduce(x, async_op=True) for x in xs]
    whole = dtrain.zeros(size, 5)
    gathering = dist.all_gather_into_tensor(whole, dtrain.full((5,), float(rank)), async_op=True)
    y = dtrain.ones(1)
    dist.all_reduce(y)  # meanwhile
    assert y.item() == size
    for k, (work, x) in enumerate(zip(works, xs)):
        assert work.wait()
        assert work.is_completed()
        assert work.is_success()
        assert x.tolist() == [sum(range(size)) + size * k] * 5
        assert work.result()[0] is x
        assert work.get_future().result()[0] is x
    gathering.wait()
    assert whole[:, 0].tolist() == list(range(size))
    dist.barrier(async_op=True).wait()


def wrong_arguments_are_refused_before_any_call():
    size = dist.get_world_size()
    x = dtrain.ones(2)
    refused = [
        (lambda: dist.all_reduce(x, "median"), "expected op ReduceOp.SUM"),
        (lambda: dist.all_reduce(dtrain.tensor([1]), dist.ReduceOp.AVG), "AVG takes a floating"),
        (lambda: dist.all_reduce(x, dist.ReduceOp.BXOR), "BXOR takes an integer"),
        (lambda: dist.all_gather([x] * (size + 1), x), f"tensor_list of {size} tensors.*got"),
        (lambda: dist.all_gather([dtrain.ones(3)] * size, x), r"tensor_list\[0\] is \(3,\)"),
        (lambda: dist.all_gather_into_tensor(dtrain.ones(1), x), f"{size} x 2 elements"),
        (lambda: dist.broadcast(x, size), f"rank {size} is not in the group"),
        (lambda: dist.broadcast(x, 0, group_src=0), "not both"),
        (lambda: dist.all_to_all([x], [x] * (size + 1)), "tensors, one a rank"),
        (lambda: dist.all_gather_object([], 1), f"object_list of {size} objects"),
        (lambda: dist.isend(x, tag=1 << 20), "expected dst"),
        (lambda: dist.irecv(x, tag=1 << 20), "tag from 0 to"),
        (lambda: dist.new_group([0, 0]), "different ranks of the world"),
        (lambda: dist.P2POp(dist.send, x, 0), "expected op isend or irecv"),
    ]
    for call, message in refused:
        with pytest.raises(ValueError, match=message):
            call()
    with pytest.raises(TypeError, match="expected a process group"):
        dist.all_reduce(x, group="gloo")
    assert x.tolist() == [1.0, 1.0]


def init_process_group_follows_the_launcher():
    rank, size = dist.get_rank(), dist.get_world_size()
    assert not dist.is_initialized()
    with pytest.raises(RuntimeError, match=rf"there are {size} ranks.*dtrain run -n {size + 1}"):
        dist.init_process_group(world_size=size + 1, rank=0)
    dist.init_process_group("NCCL", "env://", world_size=size, rank=rank)
    assert dist.is_initialized()
    assert dist.get_backend() == "nccl"
    backends = [dist.get_default_backend_for_device(d) for d in ("cpu", dtrain.device("cuda", 0))]
    assert backends == ["gloo", "nccl"]
    with pytest.raises(ValueError, match="called before"):
        dist.init_process_group("gloo")
    dist.destroy_process_group()
    assert not dist.is_initialized()
    assert dist.get_node_local_rank() in range(size)
