"""One bucket of a sharded model: in host memory values once on each machine, on GPUs this rank's
part of them, and its part of gradients and state."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate
from typing import Any

import numpy as np

from dtrain.autograd import Tensor
from dtrain.autograd.bucket import Bucket, GradBuffer
from dtrain.autograd.bucket_hooks import Sharding
from dtrain.autograd.tensor import wrap
from dtrain.backend import Array, array_module, device, is_cupy, is_writable, on_device_of
from dtrain.distributed.comm.communicator import Communicator
from dtrain.distributed.comm.tree_reduce import equal_bounds
from dtrain.functions.inplace import copy_values
from dtrain.optim.flat_state import own_slices
from dtrain.parallel.shard import Shard
from dtrain.parallel.sharding.device_values import (
    DeviceValues,
    cut_values,
    order_after_all_ranks,
    wait_for_all_ranks,
)
from dtrain.parallel.sharding.gathered_values import GatheredValues
from dtrain.parallel.sharding.offloaded_values import OffloadedValues
from dtrain.parallel.sharding.sharded_parameter import (
    allow_writes,
    drop_own_values,
    has_own_values,
    make_sharded,
)


class GradPart(GradBuffer):
    """The gradients in this rank's part of a bucket.

    Parameters
    ----------
    bucket : the bucket
    part : its elements from `bucket.update_range.start` on; taken over
    """

    def __init__(self, bucket: Bucket, part: Array):
        super().__init__(lambda: part, bucket.params)
        self.start: int = bucket.update_range.start
        self._starts = bucket.starts

    def _make_views(self) -> list[Tensor]:
        """What is here of each parameter's gradient, flat; of most parameters nothing."""
        bounds = [(start, start + p.numel()) for start, p in zip(self._starts, self._params)]
        first, last = self.start, self.start + len(self.flat)
        clipped = [[min(max(i, first), last) - first for i in pair] for pair in bounds]
        return [wrap(self.flat[low:high]) for low, high in clipped]


class BucketShard(Shard, Sharding):
    """This rank's part of a bucket.

    In host memory a machine's ranks share its values. On GPUs each rank has its part of them; all
    of them where the ranks are on several machines, or GPUs cannot read each other's memory.

    Parameters
    ----------
    params : of one dtype, on one device; all ranks have the same values
    comm : the ranks
    computes_on : the GPU that computes with copies of parameters in host memory; None: each
        device computes with those that it has
    """

    def __init__(
        self, params: Sequence[Tensor], comm: Communicator, computes_on: device | None = None
    ):
        bucket = Bucket(params, comm.empty_on_node)
        bucket.use_grad_memory(comm.empty)
        self._comm = comm
        super().__init__(bucket, equal_bounds(bucket.size, comm.size), comm.rank, True)
        bucket.sharding = self
        bucket.before_write = _refuse_unprepared
        #: the values, where a GPU does not have all of them
        self.values: GatheredValues | None = None
        if computes_on is not None:
            self.values = OffloadedValues(bucket, computes_on)
        elif is_cupy(bucket.data):
            self.values = cut_values(bucket, comm, self.borders)
        if self.values is not None:
            for param in bucket.params:
                make_sharded(param, self)
        #: whether an optimizer, or this rank, may write to the values now
        self.takes_writes: bool = False
        self.protect()

    def protect(self) -> None:
        """Have the parameters read what nobody can write to."""
        for param in self.bucket.params:
            if self.values is not None:
                drop_own_values(param)
            else:
                param.array = self._shared_values(param)
                _forbid_writing(param.array)
        self.allow_writes(False)

    def unprotect(self) -> None:
        """Give the parameters values of their own, which this rank can write to."""
        for param in self.bucket.params:
            param.array = param.array.copy()
        self.allow_writes(True)

    def allow_writes(self, allowed: bool) -> None:
        """Let values in parts be written to, or refuse it; host memory is protected by itself."""
        self.takes_writes = allowed
        if self.values is not None:
            for param in self.bucket.params:
                allow_writes(param, allowed)

    def _shared_values(self, param: Tensor) -> Array:
        return self.bucket.view(self.bucket.data, param._bucket_index)

    def values_of(self, param: Tensor) -> Array:
        """A parameter's values, of `make_sharded`."""
        assert self.values is not None
        return self.values.read(param)

    def find_values(self, param: Tensor) -> Array | None:
        """A parameter's values, of `make_sharded`, if a unit runs that has them."""
        whole = None if self.values is None else self.values.find_whole()
        return None if whole is None else whole.view(param._bucket_index)

    def is_writable(self, param: Tensor) -> bool:
        if self.values is not None:
            return has_own_values(param)
        return is_writable(param.array)

    def load(self, param: Tensor, values: Tensor) -> None:
        if self.values is not None:
            self.values.forget()
        if self.bucket.has_all_values:
            copy_values(wrap(self._shared_values(param)), values)
            return
        here, there = own_slices(self.bucket, param._bucket_index)
        wait_for_all_ranks(self._comm, self.bucket.data)
        copy_values(wrap(self.bucket.own_values()[here]), values.reshape(-1)[there])
        wait_for_all_ranks(self._comm, self.bucket.data)

    def cut_between_parameters(self) -> None:
        """Let the parts end between two parameters, as near to equal parts as that gives."""
        bucket = self.bucket
        starts = np.array([*bucket.starts, bucket.size])
        equal = equal_bounds(bucket.size, self._comm.size)
        borders = [int(starts[np.abs(starts - border).argmin()]) for border in equal]
        if borders == list(self.borders):
            return
        if any(bucket.states.values()):
            raise RuntimeError(
                "an optimizer that needs whole parameters was given some that another one has "
                "updated: make all optimizers before the first step"
            )
        self.gather_gradients(self._comm)
        self._set_borders(borders)

    def _set_borders(self, borders: Sequence[int]) -> None:
        self.borders = borders
        self.gradient_bounds: Sequence[int] | None = borders
        rank = self._comm.rank
        self.bucket.update_range = slice(borders[rank], borders[rank + 1])
        if isinstance(self.values, DeviceValues):
            self.values.cut(borders)

    @property
    def shares_values(self) -> bool:
        """Whether this rank does without memory of its own for all values."""
        if is_cupy(self.bucket.data):
            return not self.bucket.has_all_values
        return self._comm.node_size > 1

    def require_all_ranks(self) -> None:
        """Raise RuntimeError if a rank has failed, whose part nobody else has."""
        ranks = len(self.borders) - 1
        if self._comm.size != ranks:
            raise RuntimeError(
                f"fully_shard: {ranks - self._comm.size} of {ranks} ranks have failed, and with "
                "them their parts of the optimizer's state: go on from a checkpoint, as "
                "dtrain run --max-restarts does"
            )

    # --- what optimizers and clip_grad_norm_ ask ---

    def agree(self, found: bool) -> bool:
        self.require_all_ranks()
        return any(self._comm.allgather(found, "whether gradients are finite"))

    def gather(self, own: Array) -> Array:
        self.require_all_ranks()
        whole = self._new_whole(self.bucket.size, own)
        whole[self.bucket.update_range] = own
        self._complete([whole], [self.borders])
        whole = whole.view()
        _forbid_writing(whole)
        return whole

    def owner(self, index: int) -> int | None:
        start = self.bucket.starts[index]
        stop = start + self.bucket.params[index].numel()
        rank = min(bisect_right(self.borders, start), self._comm.size) - 1
        return rank if stop <= self.borders[rank + 1] else None

    def gather_cut(self, own: Array) -> dict[int, Array]:
        self.require_all_ranks()
        bucket, borders = self.bucket, self.borders
        sizes = [param.numel() for param in bucket.params]
        cut = [index for index in range(len(sizes)) if self.owner(index) is None]
        *offsets, total = accumulate((sizes[index] for index in cut), initial=0)
        if not cut:
            return {}
        whole = self._new_whole(total, own)  # one parameter after the other
        slices = {}
        for index, offset in zip(cut, offsets):
            slices[index] = whole[offset : offset + sizes[index]]
            here, there = own_slices(bucket, index)
            slices[index][there] = own[here]
        bounds = [
            sum(min(max(border - bucket.starts[index], 0), sizes[index]) for index in cut)
            for border in borders
        ]
        self._complete([whole], [bounds])
        return slices

    def _new_whole(self, size: int, like: Array) -> Array:
        """Memory for the parts of all ranks, on the device of `like`; a machine's ranks share it,
        if it is in host memory."""
        if isinstance(like, np.ndarray):
            return self._comm.empty_on_node(size, like.dtype)
        with on_device_of(like):
            return array_module(like).empty(size, like.dtype)

    def _complete(self, wholes: Sequence[Array], borders: Sequence[Sequence[int]]) -> None:
        """Complete arrays of `_new_whole`, of which this rank has written its part."""
        pairs = list(zip(wholes, borders))
        on_host = [pair for pair in pairs if isinstance(pair[0], np.ndarray)]
        if on_host:
            self._comm.complete_on_nodes(*map(list, zip(*on_host)))
        for whole, slices in pairs:
            if not isinstance(whole, np.ndarray):
                self._comm.all_gather_slices(whole, slices)

    def gather_objects(self, own: dict[int, Any]) -> dict[int, Any]:
        self.require_all_ranks()
        gathered = self._comm.allgather(own, "what is kept for sharded parameters")
        return {index: value for theirs in gathered for index, value in theirs.items()}

    def gather_gradients(self, comm: Communicator) -> None:
        if self.gradients_are_scattered:
            whole = self.gather(self.bucket.grads.flat).copy()  # which this rank may write to
            filled = self.bucket.filled()
            self.bucket.use_grads(GradBuffer(lambda: whole, self.bucket.params), filled)
            self.gradients_are_scattered = False

    def map_gradients(self, fn: Callable[[list[Tensor]], Sequence[Any]]) -> dict[int, Any]:
        bucket = self.bucket
        grads = bucket.grads
        if self.gradients_are_scattered:
            whole = self.gather(grads.flat)
            grads = GradBuffer(lambda: whole, bucket.params)
        filled = [index for index, there in enumerate(bucket.filled()) if there]
        if is_cupy(bucket.data):
            return dict(zip(filled, fn([grads.views[index] for index in filled])))
        mine = filled[self._comm.rank :: self._comm.size]
        return self.gather_objects(dict(zip(mine, fn([grads.views[index] for index in mine]))))

    def end_update(self, buckets: Sequence[Bucket]) -> None:
        shards = [bucket.sharding for bucket in buckets]
        known = [shard for shard in shards if isinstance(shard, BucketShard)]
        whole = [shard for shard in known if shard.bucket.has_all_values]
        self._complete([shard.bucket.data for shard in whole], [shard.borders for shard in whole])
        order_parts(known, self._comm)
        for shard in known:
            shard.allow_writes(False)

    def _require_whole_gradients(self) -> None:
        if self.gradients_are_scattered:
            raise RuntimeError(
                "grad: the gradient is sharded over the ranks, this rank has a part of it: read it "
                "in `with summon_full_params(module, with_grads=True)` on every rank"
            )


def order_parts(shards: Iterable[BucketShard], comm: Communicator) -> None:
    """Let this rank's reads and writes of parts follow those of all ranks so far; every rank calls
    it. In host memory nothing is done: there ranks wait for each other."""
    in_parts = []
    for shard in shards:
        if shard.values is not None:
            shard.values.forget()
        if not shard.bucket.has_all_values:
            in_parts.append(shard)
    if in_parts:
        order_after_all_ranks(comm, in_parts[0].bucket.data)


def _forbid_writing(values: Array) -> None:
    """Have writes refused to memory that a machine's ranks share."""
    if isinstance(values, np.ndarray):
        values.flags.writeable = False


def _refuse_unprepared() -> None:
    raise RuntimeError(
        "backward: gradients of sharded parameters, but no module that fully_shard was given has "
        "been called: call the module itself, not its forward or one of its children"
    )
