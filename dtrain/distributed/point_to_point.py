"""Messages from one rank to another (torch.distributed.send, recv, isend, irecv).

Messages from one rank to another with the same tag arrive in the order of the sends. Device arrays
pass through host memory.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dtrain.autograd import Tensor
from dtrain.distributed.collectives import find_group_rank, flatten_to_host, write_values
from dtrain.distributed.process_group import Group, ProcessGroup, require_member
from dtrain.distributed.work import MessageWork, Work

_LARGEST_TAG = 31_999  # MPI has at least 32,767; those above are dtrain's own
_OBJECT_TAG = 32_001


def send(
    tensor: Tensor,
    dst: int | None = None,
    group: Group = None,
    tag: int = 0,
    group_dst: int | None = None,
) -> None:
    """Send a tensor to rank `dst`, and wait until it has left (torch.distributed.send)."""
    work = isend(tensor, dst, group, tag, group_dst)
    if work is not None:
        work.wait()


def recv(
    tensor: Tensor,
    src: int | None = None,
    group: Group = None,
    tag: int = 0,
    group_src: int | None = None,
) -> int:
    """Receive a tensor from rank `src`, or from any (torch.distributed.recv).

    Returns
    -------
    the rank that has sent it; -1 on ranks that are not in the group
    """
    work = irecv(tensor, src, group, tag, group_src)
    return -1 if work is None else work.source_rank()


def isend(
    tensor: Tensor,
    dst: int | None = None,
    group: Group = None,
    tag: int = 0,
    group_dst: int | None = None,
) -> Work | None:
    """Begin to send a tensor, which may change at once (torch.distributed.isend)."""
    found = require_member(group, "isend")
    if found is None:
        return None
    to = _find_peer(found, dst, group_dst, "send")
    if to is None:
        raise ValueError("send: expected dst, the rank that receives the tensor")
    _require_tag(tag)
    return MessageWork(found.comm.isend(flatten_to_host(tensor), to, tag))


def irecv(
    tensor: Tensor,
    src: int | None = None,
    group: Group = None,
    tag: int = 0,
    group_src: int | None = None,
) -> Work | None:
    """Begin to receive a tensor; it is there after `wait()` (torch.distributed.irecv)."""
    found = require_member(group, "irecv")
    if found is None:
        return None
    source = _find_peer(found, src, group_src, "recv")
    _require_tag(tag)
    inbox = np.empty(tensor.numel(), tensor.dtype)
    return MessageWork(
        found.comm.irecv(inbox, source, tag),
        lambda: write_values(tensor, inbox),
        lambda rank: found.ranks[rank],
    )


@dataclass
class P2POp:
    """A message for `batch_isend_irecv` (torch.distributed.P2POp).

    Parameters
    ----------
    op : `isend` or `irecv`
    tensor, peer, group, tag, group_peer : its arguments
    """

    op: Callable[..., Work | None]
    tensor: Tensor
    peer: int | None = None
    group: Group = None
    tag: int = 0
    group_peer: int | None = None

    def __post_init__(self) -> None:
        if self.op not in (isend, irecv):
            raise ValueError(f"P2POp: expected op isend or irecv, got {self.op!r}")


def batch_isend_irecv(p2p_op_list: Sequence[P2POp]) -> list[Work]:
    """Begin several messages; wait for all of the works (torch.distributed.batch_isend_irecv)."""
    if not p2p_op_list or not all(isinstance(op, P2POp) for op in p2p_op_list):
        raise ValueError("batch_isend_irecv: expected a list of P2POp, at least one")
    works = [op.op(op.tensor, op.peer, op.group, op.tag, op.group_peer) for op in p2p_op_list]
    return [work for work in works if work is not None]


def send_object_list(
    object_list: list[Any],
    dst: int | None = None,
    group: Group = None,
    device: Any = None,
    group_dst: int | None = None,
    use_batch: bool = False,
) -> None:
    """Send pickled objects to rank `dst` (torch.distributed.send_object_list)."""
    found = require_member(group, "send_object_list")
    if found is None:
        return
    to = _find_peer(found, dst, group_dst, "send_object_list")
    if to is None:
        raise ValueError("send_object_list: expected dst, the rank that receives the objects")
    data = np.frombuffer(pickle.dumps(object_list, pickle.HIGHEST_PROTOCOL), np.uint8)
    length = found.comm.isend(np.array([len(data)]), to, _OBJECT_TAG)
    message = found.comm.isend(data, to, _OBJECT_TAG)
    length.wait()
    message.wait()


def recv_object_list(
    object_list: list[Any],
    src: int | None = None,
    group: Group = None,
    device: Any = None,
    group_src: int | None = None,
    use_batch: bool = False,
) -> int:
    """Receive the objects of a list from rank `src`, or from any (torch's); returns the rank."""
    found = require_member(group, "recv_object_list")
    if found is None:
        return -1
    source = _find_peer(found, src, group_src, "recv_object_list")
    length = np.empty(1, np.int64)
    sender = found.comm.irecv(length, source, _OBJECT_TAG).wait()
    data = np.empty(length[0], np.uint8)
    found.comm.irecv(data, sender, _OBJECT_TAG).wait()
    received = pickle.loads(data.data)
    if len(received) != len(object_list):
        raise ValueError(
            f"recv_object_list: rank {found.ranks[sender]} has sent {len(received)} objects, the "
            f"list has {len(object_list)}: give lists of one length"
        )
    object_list[:] = received
    return found.ranks[sender]


def _find_peer(
    group: ProcessGroup, rank: int | None, group_rank: int | None, call: str
) -> int | None:
    """The number in the group of the other rank; None for any."""
    if rank is None and group_rank is None:
        return None
    peer = find_group_rank(group, rank, group_rank, call)
    if peer == group.rank():
        raise ValueError(f"{call}: rank {group.ranks[peer]} is this rank itself")
    return peer


def _require_tag(tag: int) -> None:
    if not 0 <= tag <= _LARGEST_TAG:
        raise ValueError(f"expected a tag from 0 to {_LARGEST_TAG}, got {tag}")
