"""Collective operations on Python objects, which overwrite lists (torch.distributed).

Objects are pickled. Arrays and tensors in them may be of any size: they are sent in blocks.
"""

from __future__ import annotations

from typing import Any

from dtrain.distributed.collectives import find_group_rank
from dtrain.distributed.comm.blocks import allgather_in_blocks, broadcast_in_blocks
from dtrain.distributed.process_group import Group, ProcessGroup, require_member


def all_gather_object(object_list: list[Any], obj: Any, group: Group = None) -> None:
    """Write every rank's object into `object_list`, in rank order (torch's).

    Parameters
    ----------
    object_list : of as many objects as the group has ranks; overwritten
    obj : this rank's object

    Examples
    --------
    >>> from dtrain import distributed
    >>> objects = [None] * distributed.get_world_size()
    >>> distributed.all_gather_object(objects, {"loss": 0.5})
    >>> objects  # in a world of one
    [{'loss': 0.5}]
    """
    found = require_member(group, "all_gather_object")
    if found is not None:
        _require_length("all_gather_object", "object_list", object_list, found)
        object_list[:] = allgather_in_blocks(found.comm, obj)


def gather_object(
    obj: Any,
    object_gather_list: list[Any] | None = None,
    dst: int | None = None,
    group: Group = None,
    group_dst: int | None = None,
) -> None:
    """Write every rank's object into `object_gather_list` on rank `dst` (torch's)."""
    found = require_member(group, "gather_object")
    if found is None:
        return
    root = find_group_rank(found, dst, group_dst, "gather_object")
    if found.rank() == root:
        _require_length("gather_object", "object_gather_list", object_gather_list, found)
    gathered = allgather_in_blocks(found.comm, obj)
    if found.rank() == root and object_gather_list is not None:
        object_gather_list[:] = gathered


def broadcast_object_list(
    object_list: list[Any],
    src: int | None = None,
    group: Group = None,
    device: Any = None,
    group_src: int | None = None,
) -> None:
    """Overwrite the objects of a list by those of rank `src` (torch's)."""
    found = require_member(group, "broadcast_object_list")
    if found is None:
        return
    root = find_group_rank(found, src, group_src, "broadcast_object_list")
    received = broadcast_in_blocks(found.comm, object_list, root)
    if len(received) != len(object_list):
        raise ValueError(
            f"broadcast_object_list: the list has {len(object_list)} objects here and "
            f"{len(received)} on rank {found.ranks[root]}: give lists of one length"
        )
    object_list[:] = received


def scatter_object_list(
    scatter_object_output_list: list[Any],
    scatter_object_input_list: list[Any] | None = None,
    src: int | None = None,
    group: Group = None,
    group_src: int | None = None,
) -> None:
    """Write the r-th object of rank `src` into the output list's element 0 on rank r (torch's)."""
    found = require_member(group, "scatter_object_list")
    if found is None:
        return
    if not scatter_object_output_list:
        raise ValueError("scatter_object_list: expected an output list of at least one object")
    root = find_group_rank(found, src, group_src, "scatter_object_list")
    if found.rank() == root:
        name = "scatter_object_input_list"
        _require_length("scatter_object_list", name, scatter_object_input_list, found)
    received = broadcast_in_blocks(found.comm, scatter_object_input_list, root)
    scatter_object_output_list[0] = received[found.rank()]


def _require_length(call: str, name: str, objects: list[Any] | None, group: ProcessGroup) -> None:
    if objects is None or len(objects) != group.size():
        got = "None" if objects is None else len(objects)
        raise ValueError(
            f"{call}: expected {name} of {group.size()} objects, one a rank, got {got}"
        )
