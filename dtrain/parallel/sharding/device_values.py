"""The values of a bucket on GPUs in parts: each rank copies the other ranks' from their memory."""

from __future__ import annotations

import weakref
from collections.abc import Sequence

from dtrain.autograd import Tensor
from dtrain.autograd.bucket import Bucket
from dtrain.backend import Array, array_module, on_device_of
from dtrain.distributed.comm.communicator import Communicator
from dtrain.distributed.comm.peer_memory import (
    PeerArrays,
    empty_for_peers,
    free_for_peers,
    open_peers,
)
from dtrain.parallel.sharding.gathered_values import GatheredValues, WholeValues


class DeviceValues(GatheredValues):
    """The values of a bucket of which each rank has a part on its GPU.

    All ranks call `order_after_all_ranks` between writing a part and reading it.

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
        super().__init__(bucket)
        self._comm, self._peers, self._borders = comm, peers, borders
        #: copies of single parameters that somebody has
        self._reads: weakref.WeakValueDictionary[int, Array] = weakref.WeakValueDictionary()

    def _make_whole(self) -> WholeValues:
        own = self._bucket.data
        with on_device_of(own):
            flat = array_module(own).empty(self._bucket.size, own.dtype)
        return WholeValues(self._bucket, flat, self._copy_parts)

    def _copy_parts(self, flat: Array) -> None:
        for part, low, high in zip(self._peers.arrays, self._borders, self._borders[1:]):
            _copy(part, flat[low:high])

    def _read(self, param: Tensor) -> Array:
        index = param._bucket_index
        if (known := self._reads.get(index)) is not None:
            return known  # a view of a parameter is known by the memory that both have
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
        super().forget()
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
        self._bucket.take_part(own)


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
    bucket.take_part(own)
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
