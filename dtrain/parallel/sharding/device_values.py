"""The values of a bucket on GPUs: each rank has its part, and all of them while a unit runs."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any

from dtrain.autograd import Tensor
from dtrain.autograd.bucket import Bucket
from dtrain.backend import Array, array_module, on_device_of
from dtrain.backend.side_stream import record_event, side_stream, wait_event
from dtrain.distributed.comm.communicator import Communicator
from dtrain.distributed.comm.peer_memory import (
    PeerArrays,
    empty_for_peers,
    free_for_peers,
    open_peers,
)


class WholeValues:
    """A copy of all values of a bucket, made of the ranks' parts beside other work.

    Its memory is free when nobody refers to it or to its arrays.
    """

    def __init__(self, bucket: Bucket, parts: Sequence[Array], borders: Sequence[int]):
        own = bucket.data
        self._params, self._starts = bucket.params, bucket.starts
        self._views: dict[int, Array] = {}
        with on_device_of(own):
            self._flat = array_module(own).empty(borders[-1], own.dtype)
        # After this stream's work so far, which may still use that memory for something else.
        with side_stream(own, after=record_event(own)):
            for part, low, high in zip(parts, borders, borders[1:]):
                _copy(part, self._flat[low:high])
            self._copied: Any = record_event(own)

    def flat(self) -> Array:
        """The values, (size,); what is queued from now on waits for them."""
        if self._copied is not None:
            wait_event(self._flat, self._copied)
            self._copied = None
        return self._flat

    def view(self, index: int) -> Array:
        """The values of a parameter, in its shape."""
        if index not in self._views:
            param, start = self._params[index], self._starts[index]
            view = self.flat()[start : start + param.numel()].reshape(param.shape)
            self._views[index] = view
        return self._views[index]


class DeviceValues:
    """The values of a bucket in parts, and the whole ones that a rank gathers.

    A rank copies the other ranks' parts from their memory, on a stream of its own. All ranks call
    `synchronize` between writing a part and reading it.

    Parameters
    ----------
    bucket : its `data` is this rank's part
    comm : the ranks, all of one machine
    peers : all ranks' parts; taken over
    borders : where the parts begin, and where the last one ends
    """

    def __init__(
        self, bucket: Bucket, comm: Communicator, peers: PeerArrays, borders: Sequence[int]
    ):
        self._bucket, self._comm = bucket, comm
        self._peers, self._borders = peers, borders
        #: kept while a unit runs, or until it begins to
        self._kept: WholeValues | None = None
        self._holds = 0
        #: those that somebody has, a unit or values saved for the backward pass
        self._last: weakref.ref[WholeValues] | None = None
        #: copies of single parameters that somebody has
        self._reads: weakref.WeakValueDictionary[int, Array] = weakref.WeakValueDictionary()

    def find_whole(self) -> WholeValues | None:
        """The whole values, if somebody has them."""
        return None if self._last is None else self._last()

    def prefetch(self) -> None:
        """Begin to gather, and keep the whole values for the next one who asks for them."""
        if self._kept is None:
            self._kept = self._find_or_gather()

    def gather(self) -> WholeValues:
        """The whole values."""
        whole = self._kept or self._find_or_gather()
        if not self._holds:
            self._kept = None
        return whole

    def hold(self) -> None:
        """Keep the whole values until `release`."""
        self.prefetch()
        self._holds += 1

    def release(self) -> None:
        """End a `hold`."""
        self._holds -= 1
        if not self._holds:
            self._kept = None

    def _find_or_gather(self) -> WholeValues:
        whole = self.find_whole()
        if whole is None:
            whole = WholeValues(self._bucket, self._peers.arrays, self._borders)
            self._last = weakref.ref(whole)
        return whole

    def read(self, param: Tensor) -> Array:
        """The values of a parameter: a copy, unless somebody has the whole values."""
        whole, index = self.find_whole(), param._bucket_index
        if whole is not None:
            return whole.view(index)
        if (read := self._reads.get(index)) is not None:
            return read  # a view of a parameter is known by the memory that both have
        own, start = self._bucket.data, self._bucket.starts[index]
        stop = start + param.numel()
        with on_device_of(own):
            out = array_module(own).empty(stop - start, own.dtype)
        for part, low, high in zip(self._peers.arrays, self._borders, self._borders[1:]):
            first, last = max(low, start), min(high, stop)
            if first < last:
                _copy(part[first - low : last - low], out[first - start : last - start])
        self._reads[index] = out = out.reshape(param.shape)
        return out

    def forget(self) -> None:
        """Gather anew the next time: parts are about to change."""
        if self._kept is not None:
            self._kept.flat()  # a copy in progress reads the parts as they are
            self._kept = None
        self._last = None
        self._reads.clear()

    def cut(self, borders: Sequence[int]) -> None:
        """Cut other parts; every rank calls it."""
        whole, rank = self.gather().flat(), self._comm.rank
        own = empty_for_peers(borders[rank + 1] - borders[rank], whole)
        own[...] = whole[borders[rank] : borders[rank + 1]]
        self.forget()
        wait_for_all_ranks(self._comm, own)
        self._peers.close()  # nobody reads the former parts any more
        peers = open_peers(self._comm, own)
        assert peers is not None  # the former parts could be opened, too
        free_for_peers(self._bucket.data)
        self._peers, self._borders = peers, borders
        self._bucket.take_part(own, borders[rank])


def cut_values(bucket: Bucket, comm: Communicator, borders: Sequence[int]) -> DeviceValues | None:
    """Leave this rank's part of a bucket's values to it; every rank calls it.

    None if a rank is alone, or cannot read the other ranks' parts: the bucket keeps all values.
    """
    whole, start, stop = bucket.data, borders[comm.rank], borders[comm.rank + 1]
    if comm.size == 1:
        return None
    own = empty_for_peers(stop - start, whole)
    own[...] = whole[start:stop]
    peers = open_peers(comm, own)
    if peers is None:
        free_for_peers(own)
        return None
    wait_for_all_ranks(comm, own)
    bucket.take_part(own, start)
    return DeviceValues(bucket, comm, peers, borders)


def order_after_all_ranks(comm: Communicator, like: Array) -> None:
    """Let what this rank queues from now on run after what all ranks have queued so far; every
    rank calls it. The host does not wait."""
    with on_device_of(like):
        comm.native_all_reduce(array_module(like).zeros(1, "float32"))


def wait_for_all_ranks(comm: Communicator, like: Array) -> None:
    """Wait until what all ranks have queued so far is done; every rank calls it."""
    with on_device_of(like):
        array_module(like).cuda.get_current_stream().synchronize()
    comm.barrier()


def _copy(part: Array, to: Array) -> None:
    """Copy on the current stream, also from another process's memory."""
    if len(part):
        with on_device_of(to):
            to.data.copy_from_device_async(part.data, part.nbytes)
