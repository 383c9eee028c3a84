"""Collective operations on tensors and Python objects, for users."""

from __future__ import annotations

from typing import TypeVar

from dtrain.autograd import Tensor
from dtrain.backend import array_module
from dtrain.distributed import world
from dtrain.distributed.comm.blocks import (
    all_reduce_blocks,
    allgather_in_blocks,
    broadcast_in_blocks,
)

T = TypeVar("T")


def all_reduce(tensor: Tensor, op: str = "sum") -> Tensor:
    """Combine `tensor` over all ranks, in place (torch.distributed.all_reduce).

    Every rank calls it. The order of additions is the same in each run with the same world size.

    Parameters
    ----------
    tensor : any shape and dtype, the same on every rank
    op : "sum" | "mean" | "max" | "min"

    Returns
    -------
    `tensor` itself

    Raises
    ------
    ValueError
        If `op` is another.
    DesyncError
        If the ranks call different collectives, or with different sizes or dtypes.
    RankFailedError
        If a rank raised or exited instead.

    Examples
    --------
    >>> import dtrain
    >>> from dtrain.distributed import all_reduce
    >>> all_reduce(dtrain.tensor([1.0, 2.0]))  # in a world of one
    tensor([1., 2.])
    """
    if op not in ("sum", "mean", "max", "min"):
        raise ValueError(f"all_reduce: expected op 'sum', 'mean', 'max' or 'min', got {op!r}")
    flat = array_module(tensor.array).ascontiguousarray(tensor.array).reshape(-1)
    all_reduce_blocks(world.communicator(), flat, op)
    if not tensor.array.flags.c_contiguous:  # `flat` is a copy
        tensor.array[...] = flat.reshape(tensor.shape)
    return tensor


def all_gather(value: T) -> list[T]:
    """Every rank's value, in rank order (torch.distributed.all_gather_object).

    Parameters
    ----------
    value : any object that can be pickled; arrays and tensors in it may be of any size

    Returns
    -------
    list of `world_size()` values, the same on every rank

    Examples
    --------
    >>> from dtrain import distributed
    >>> distributed.all_gather({"loss": 0.5})  # in a world of one
    [{'loss': 0.5}]
    """
    return allgather_in_blocks(world.communicator(), value)


def broadcast(value: T, root: int = 0) -> T:
    """The root's value on every rank (torch.distributed.broadcast_object_list).

    Parameters
    ----------
    value : any object that can be pickled; only the root's counts. Arrays and tensors in it may
        be of any size: they are copied in blocks
    root : the rank whose value it is

    Returns
    -------
    the root's value

    Examples
    --------
    >>> from dtrain import distributed
    >>> distributed.broadcast([1, 2])  # in a world of one
    [1, 2]
    """
    return broadcast_in_blocks(world.communicator(), value, root)
