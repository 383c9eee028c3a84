"""Collective operations on tensors (torch.distributed).

All ranks of the group make the same calls in the same order. Ranks that call something else, or
with other shapes or dtypes, raise DesyncError, which names them and their lines; a rank that raised
or exited instead is a RankFailedError. Sums are taken in one order, which depends on the number of
ranks alone: the same bits in each run. Ranks (`src`, `dst`) are numbers in the world; `group_src`
and `group_dst` are numbers in the group. With ``async_op=True`` a call returns a `Work`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from dtrain.autograd import Tensor
from dtrain.backend import Array, array_module, on_device_of, to_host
from dtrain.distributed.comm.blocks import copy_from_rank, empty_for_ranks, gather_rows
from dtrain.distributed.comm.communicator import Communicator
from dtrain.distributed.process_group import Group, ProcessGroup, require_member
from dtrain.distributed.reduce_op import (
    ReduceOp,
    reduce_flat,
    reduce_slices,
    require_op_takes,
)
from dtrain.distributed.work import Work


def all_reduce(
    tensor: Tensor,
    op: ReduceOp | str = ReduceOp.SUM,
    group: Group = None,
    async_op: bool = False,
) -> Any:
    """Reduce the ranks' tensors by `op`, into `tensor` on every rank (torch's all_reduce).

    Parameters
    ----------
    tensor : any shape and dtype, the same on every rank
    op : a ReduceOp, or its value, such as "sum"

    Returns
    -------
    `tensor` itself, a Work with ``async_op=True``

    Raises
    ------
    ValueError
        If `op` is unknown, or not defined for the dtype.

    Examples
    --------
    >>> import dtrain
    >>> from dtrain.distributed import all_reduce
    >>> all_reduce(dtrain.tensor([1.0, 2.0]))  # in a world of one
    tensor([1., 2.])
    """
    found, op = require_member(group, "all_reduce"), ReduceOp(op)
    if found is None:
        return None
    require_op_takes(op, tensor.dtype, "all_reduce")

    def call(comm: Communicator) -> None:
        _agree(comm, f"all_reduce ({op.name}) of {describe(tensor)}")
        with on_device_of(tensor.array):
            flat = array_module(tensor.array).ascontiguousarray(tensor.array).reshape(-1)
            reduce_flat(comm, flat, op)
            if not tensor.array.flags.c_contiguous:  # `flat` is a copy
                tensor.array[...] = flat.reshape(tensor.shape)
        tensor._version[0] += 1

    work = found.run(call, async_op, [tensor])
    return work if async_op else tensor


def reduce(
    tensor: Tensor,
    dst: int | None = None,
    op: ReduceOp | str = ReduceOp.SUM,
    group: Group = None,
    async_op: bool = False,
    group_dst: int | None = None,
) -> Work | None:
    """Reduce the ranks' tensors by `op`, into `tensor` on rank `dst` alone (torch's reduce)."""
    found, op = require_member(group, "reduce"), ReduceOp(op)
    if found is None:
        return None
    require_op_takes(op, tensor.dtype, "reduce")
    root = find_group_rank(found, dst, group_dst, "reduce")

    def call(comm: Communicator) -> None:
        _agree(comm, f"reduce ({op.name}) of {describe(tensor)} to rank {root}")
        with on_device_of(tensor.array):
            flat = tensor.array.flatten()
            reduce_flat(comm, flat, op)
            if comm.rank == root:
                write_values(tensor, flat)

    return found.run(call, async_op, [tensor])


def broadcast(
    tensor: Tensor,
    src: int | None = None,
    group: Group = None,
    async_op: bool = False,
    group_src: int | None = None,
) -> Work | None:
    """Overwrite `tensor` by the tensor of rank `src` (torch.distributed.broadcast)."""
    found = require_member(group, "broadcast")
    if found is None:
        return None
    root = find_group_rank(found, src, group_src, "broadcast")

    def call(comm: Communicator) -> None:
        _agree(comm, f"broadcast of {describe(tensor)} from rank {root}")
        copy_from_rank(comm, [tensor.array], root)
        tensor._version[0] += 1

    return found.run(call, async_op, [tensor])


def all_gather(
    tensor_list: Sequence[Tensor], tensor: Tensor, group: Group = None, async_op: bool = False
) -> Work | None:
    """Write every rank's `tensor` into `tensor_list`, in rank order (torch.distributed.all_gather).

    For Python objects there is `all_gather_object`.
    """
    found = require_member(group, "all_gather")
    if found is None:
        return None
    _require_list("all_gather", "tensor_list", tensor_list, tensor, found)

    def call(comm: Communicator) -> None:
        _agree(comm, f"all_gather of {describe(tensor)}")
        for out, part in zip(tensor_list, _gather_rows(comm, tensor)):
            write_values(out, part)

    return found.run(call, async_op, [*tensor_list])


def all_gather_into_tensor(
    output_tensor: Tensor, input_tensor: Tensor, group: Group = None, async_op: bool = False
) -> Work | None:
    """Write every rank's tensor into one, concatenated along dimension 0 or stacked (torch's)."""
    found = require_member(group, "all_gather_into_tensor")
    if found is None:
        return None
    _require_whole("all_gather_into_tensor", "output_tensor", output_tensor, input_tensor, found)

    def call(comm: Communicator) -> None:
        _agree(comm, f"all_gather_into_tensor of {describe(input_tensor)}")
        rows = _gather_rows(comm, input_tensor)
        write_values(output_tensor, rows.reshape(-1))

    return found.run(call, async_op, [output_tensor])


def gather(
    tensor: Tensor,
    gather_list: Sequence[Tensor] | None = None,
    dst: int | None = None,
    group: Group = None,
    async_op: bool = False,
    group_dst: int | None = None,
) -> Work | None:
    """Write every rank's `tensor` into `gather_list` on rank `dst` (torch.distributed.gather)."""
    found = require_member(group, "gather")
    if found is None:
        return None
    root = find_group_rank(found, dst, group_dst, "gather")
    outs = gather_list if gather_list is not None else []
    if found.rank() == root:
        _require_list("gather", "gather_list", outs, tensor, found)

    def call(comm: Communicator) -> None:
        _agree(comm, f"gather of {describe(tensor)} to rank {root}")
        rows = _gather_rows(comm, tensor)
        if comm.rank == root:
            for out, part in zip(outs, rows):
                write_values(out, part)

    return found.run(call, async_op, [*outs], tensor)


def scatter(
    tensor: Tensor,
    scatter_list: Sequence[Tensor] | None = None,
    src: int | None = None,
    group: Group = None,
    async_op: bool = False,
    group_src: int | None = None,
) -> Work | None:
    """Write the r-th tensor of rank `src` into `tensor` on rank r (torch.distributed.scatter)."""
    found = require_member(group, "scatter")
    if found is None:
        return None
    root = find_group_rank(found, src, group_src, "scatter")
    given = scatter_list if scatter_list is not None else []
    if found.rank() == root:
        _require_list("scatter", "scatter_list", given, tensor, found)

    def call(comm: Communicator) -> None:
        _agree(comm, f"scatter of {describe(tensor)} from rank {root}")
        with on_device_of(tensor.array):
            rows = empty_for_ranks(comm, tensor.array, comm.size * tensor.numel())
            if comm.rank == root:
                _fill(rows, given)
            copy_from_rank(comm, [rows], root)
            write_values(tensor, rows.reshape(comm.size, -1)[comm.rank])

    return found.run(call, async_op, [tensor])


def reduce_scatter(
    output: Tensor,
    input_list: Sequence[Tensor],
    op: ReduceOp | str = ReduceOp.SUM,
    group: Group = None,
    async_op: bool = False,
) -> Work | None:
    """Reduce the ranks' lists tensor by tensor by `op`; rank r gets the r-th result (torch's)."""
    found = require_member(group, "reduce_scatter")
    if found is None:
        return None
    _require_list("reduce_scatter", "input_list", input_list, output, found)
    return _reduce_scatter("reduce_scatter", output, input_list, ReduceOp(op), found, async_op)


def reduce_scatter_tensor(
    output: Tensor,
    input: Tensor,
    op: ReduceOp | str = ReduceOp.SUM,
    group: Group = None,
    async_op: bool = False,
) -> Work | None:
    """Reduce the ranks' inputs by `op`; rank r gets the r-th part of the result (torch's)."""
    found = require_member(group, "reduce_scatter_tensor")
    if found is None:
        return None
    _require_whole("reduce_scatter_tensor", "input", input, output, found)
    return _reduce_scatter("reduce_scatter_tensor", output, [input], ReduceOp(op), found, async_op)


def _reduce_scatter(
    name: str,
    output: Tensor,
    inputs: Sequence[Tensor],
    op: ReduceOp,
    group: ProcessGroup,
    async_op: bool,
) -> Work | None:
    require_op_takes(op, output.dtype, name)

    def call(comm: Communicator) -> None:
        _agree(comm, f"{name} ({op.name}) to {describe(output)}")
        with on_device_of(output.array):
            flat = empty_for_ranks(comm, output.array, comm.size * output.numel())
            _fill(flat, inputs)
            out = array_module(flat).empty(output.numel(), flat.dtype)
            reduce_slices(comm, flat, out, op)
            write_values(output, out)

    return group.run(call, async_op, [output])


# --- shared by the calls ---


def find_group_rank(
    group: ProcessGroup, rank: int | None, group_rank: int | None, call: str
) -> int:
    """The number in the group of the rank that `src` or `dst`, or `group_src` …, names."""
    if rank is not None and group_rank is not None:
        raise ValueError(f"{call}: give a rank of the world or one of the group, not both")
    if group_rank is None:
        return group.group_rank(0 if rank is None else rank, call)
    if not 0 <= group_rank < group.size():
        raise ValueError(f"{call}: the group has ranks 0 to {group.size() - 1}, not {group_rank}")
    return group_rank


def describe(tensor: Tensor) -> str:
    """Shape and dtype, which are the same on all ranks."""
    return f"{tuple(tensor.shape)} {tensor.dtype}"


def _agree(comm: Communicator, call: str) -> None:
    """Compare the calls of all ranks: the operation, the root, the shape and the dtype."""
    if comm.size > 1:
        comm.allgather(None, call)


def _require_list(
    call: str, name: str, tensors: Sequence[Tensor], like: Tensor, group: ProcessGroup
) -> None:
    size = group.size()
    if not isinstance(tensors, (list, tuple)) or len(tensors) != size:
        got = len(tensors) if isinstance(tensors, (list, tuple)) else type(tensors).__name__
        raise ValueError(f"{call}: expected {name} of {size} tensors, one a rank, got {got}")
    for rank, tensor in enumerate(tensors):
        if (tensor.shape, tensor.dtype) != (like.shape, like.dtype):
            raise ValueError(
                f"{call}: {name}[{rank}] is {describe(tensor)}, the tensor is {describe(like)}: "
                "all must be alike; pad them, or use all_gather_object"
            )


def _require_whole(call: str, name: str, whole: Tensor, part: Tensor, group: ProcessGroup) -> None:
    if whole.numel() != group.size() * part.numel() or whole.dtype != part.dtype:
        raise ValueError(
            f"{call}: expected {name} with {group.size()} x {part.numel()} elements of "
            f"{part.dtype}, one part a rank, got {describe(whole)}"
        )


def write_values(tensor: Tensor, values: Array) -> None:
    """Overwrite a tensor by as many values, which are on its device or in host memory."""
    with on_device_of(tensor.array):
        on_device = array_module(tensor.array).asarray(values)
        tensor.array[...] = on_device.reshape(tensor.shape)
    tensor._version[0] += 1


def flatten_to_host(tensor: Tensor) -> np.ndarray:
    """The values in host memory, as a contiguous array of one dimension."""
    return np.ascontiguousarray(to_host(tensor.array)).reshape(-1)


def _fill(flat: Array, tensors: Iterable[Tensor]) -> None:
    """Write the values of tensors into a flat array, one after another."""
    start = 0
    for tensor in tensors:
        flat[start : start + tensor.numel()] = tensor.array.reshape(-1)
        start += tensor.numel()


def _gather_rows(comm: Communicator, tensor: Tensor) -> Array:
    """Every rank's values: (ranks, n)."""
    with on_device_of(tensor.array):
        return gather_rows(comm, tensor.array.reshape(-1))
