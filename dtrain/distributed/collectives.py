"""Collective operations on tensors, for users."""

from __future__ import annotations

import functools
from typing import Any

from dtrain.autograd import Tensor
from dtrain.backend import array_module
from dtrain.distributed import world


def all_reduce(tensor: Tensor, op: str = "sum") -> Tensor:
    """Combine `tensor` over all ranks, in place, in the same order for the same world size.

    Parameters
    ----------
    tensor : any shape and dtype, the same on every rank
    op : "sum" | "mean" | "max" | "min"

    See Also
    --------
    torch.distributed.all_reduce

    >>> import dtrain
    >>> all_reduce(dtrain.tensor([1.0, 2.0]))  # in a world of one
    tensor([1., 2.])
    """
    if op not in ("sum", "mean", "max", "min"):
        raise ValueError(f"all_reduce: expected op 'sum', 'mean', 'max' or 'min', got {op!r}")
    comm = world.communicator()
    xp = array_module(tensor.array)
    if op in ("max", "min"):
        pick = xp.maximum if op == "max" else xp.minimum
        tensor.array[...] = functools.reduce(pick, comm.allgather(tensor.array.copy()))
        return tensor
    flat = xp.ascontiguousarray(tensor.array).reshape(-1).copy()
    comm.all_reduce([flat], flat, comm.size, comm.size if op == "mean" else 1)
    tensor.array[...] = flat.reshape(tensor.shape)
    return tensor


def all_gather(value: Any) -> list[Any]:
    """Every rank's value, in rank order; any small picklable object.

    See Also
    --------
    torch.distributed.all_gather_object
    """
    return world.communicator().allgather(value)


def broadcast(value: Any, root: int = 0) -> Any:
    """The root's value on every rank; any picklable object.

    See Also
    --------
    torch.distributed.broadcast_object_list
    """
    return world.communicator().broadcast(value, root)
