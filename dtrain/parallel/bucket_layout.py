"""Which bucket each of a model's parameters is in, laid out anew when the parameters change."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dtrain.autograd import Tensor
from dtrain.autograd.bucket import Bucket, make_buckets
from dtrain.autograd.parameter_changes import parameter_changes
from dtrain.backend import Array, initial_seed
from dtrain.nn import Module, SyncBatchNorm
from dtrain.nn.deferred_updates import DeferredBufferUpdates
from dtrain.parallel.bucket_reducer import BucketReducer
from dtrain.parallel.compression.compressed_reducer import CompressedBucketReducer
from dtrain.parallel.compression.protocol import Compression
from dtrain.parallel.shard import find_shard
from dtrain.parallel.sync_batch_norm import gather_batch_statistics

#: size of the bucket that fills first: the sooner it is sent, the sooner the network is busy
_FIRST_BUCKET_BYTES = 1 << 20
_LARGEST_BUCKET_BYTES = 25 << 20
#: of buckets that are sent while the backward pass runs: a smaller message is mostly latency
_SMALLEST_BUCKET_BYTES = 2 << 20


class BucketLayout:
    """The buckets of a model, a reducer for each, and the layers that update buffers.

    Every trainable parameter is in a bucket. One that is frozen later stays there, without
    gradients. One that is added, thawed, or moved to another dtype or device is found by
    `find_changes`, and gets a bucket by `lay_out`; so do its former neighbours. Other buckets stay,
    so optimizers keep their state in place.

    Parameters
    ----------
    module : the model
    allocate : host memory of (size, dtype) that the ranks reduce without copies
    bucket_bytes : size of the buckets; None: the default
    overlap : whether buckets are reduced while the backward pass runs
    exact : whether gradients are added in the order of the tree
    compression : what is sent in place of the gradients
    torch_rules : reduce pre-existing gradients with the new ones, and let layers update their
        buffers at once, except those that update parameters or have the statistics of all ranks
    """

    def __init__(
        self,
        module: Module,
        allocate: Callable[[int, Any], Array],
        bucket_bytes: int | None,
        overlap: bool,
        exact: bool,
        compression: Compression | None,
        torch_rules: bool = False,
    ):
        self._module, self._allocate = module, allocate
        self._torch_rules = torch_rules
        self._bucket_bytes, self._overlap = bucket_bytes, overlap
        self._exact, self._compression = exact, compression
        #: the count of `parameter_changes` when the parameters were last looked at
        self.seen: int = -1
        self.names: list[str] = []
        self.params: list[Tensor] = []
        #: the version of each parameter: how often it was written to in place
        self.versions: list[list[int]] = []
        self._dtypes: list[np.dtype] = []
        self._digest = b""
        self._missing: list[str] = []
        self.reducers: list[BucketReducer] = []
        self.layers: list[DeferredBufferUpdates] = []
        self.lay_out()

    @property
    def buckets(self) -> list[Bucket]:
        """The buckets, in the order in which backward passes fill them."""
        return [reducer.bucket for reducer in self.reducers]

    # --- what has changed ---

    def find_changes(self) -> list[str]:
        """The names of trainable parameters that no bucket holds, after a change of any kind."""
        if self.seen == parameter_changes.count:
            return self._missing
        self.seen = parameter_changes.count
        named = list(self._module.named_parameters())
        params, dtypes = [param for _, param in named], [param.dtype for _, param in named]
        is_same = len(params) == len(self.params) and all(map(_is, params, self.params))
        if not is_same or dtypes != self._dtypes:
            self.params, self._dtypes = list(params), dtypes
            self.names = [name for name, _ in named]
            self.versions = [param._version for param in params]
            self._digest = b""
        held = {id(reducer.bucket) for reducer in self.reducers}
        self._missing = [
            name
            for name, param in named
            if param._requires_grad and (param._bucket is None or id(param._bucket) not in held)
        ]
        return self._missing

    def describe(self) -> list[str]:
        """What must be the same on all ranks: each parameter, in words."""
        return [
            f"{name} {tuple(param.shape)} {param.dtype} {param.device.type}"
            + ("" if param._requires_grad else ", frozen")
            for name, param in zip(self.names, self.params)
        ]

    def fingerprint(self) -> bytes:
        """A digest of `describe()` and of the sizes of the buckets."""
        if not self._digest:
            lines = [line.removesuffix(", frozen") for line in self.describe()]
            sizes = [reducer.bucket.size for reducer in self.reducers]
            text = repr((lines, sizes)).encode()
            self._digest = hashlib.blake2b(text, digest_size=8).digest()
        flags = bytes(param._requires_grad for param in self.params)
        return self._digest + hashlib.blake2b(flags, digest_size=8).digest()

    # --- laying out ---

    def lay_out(self) -> None:
        """Put every trainable parameter into a bucket; between two steps.

        Raises
        ------
        RuntimeError
            If something that is kept for each parameter cannot follow it to another bucket: the
            error feedback of a compression, a sharded optimizer's state.
        """
        known = {id(param) for param in self.params}
        self.find_changes()
        current = {id(param) for param in self.params}
        left = [
            bucket
            for bucket in self.buckets
            if any(
                param._bucket is not bucket or id(param) in known - current
                for param in bucket.params
            )
        ]
        if self.reducers:
            self._require_movable(left)
        for bucket in left:
            bucket.before_write = bucket.before_accumulate = bucket.before_step = None
        for param in self.params:
            if param._bucket is not None and (
                param._bucket in left or not _holds_all_its_parameters(param._bucket)
            ):
                param._bucket = None
        # The last layers' gradients are ready first.
        params = [
            param
            for param in reversed(self.params)
            if param._requires_grad or param._bucket is not None
        ]
        bucket_bytes = self._bucket_bytes
        if bucket_bytes is None:
            bucket_bytes = _choose_bytes(params) if self._overlap else _LARGEST_BUCKET_BYTES
        first_bytes = _FIRST_BUCKET_BYTES if self._overlap else None
        reducers = {reducer.bucket: reducer for reducer in self.reducers}
        buckets = make_buckets(params, bucket_bytes, first_bytes)
        new = [bucket for bucket in buckets if bucket not in reducers]
        for bucket in new:
            bucket.use_memory(self._allocate)
        reducers |= zip(new, self._make_reducers(new))
        for reducer in reducers.values():
            reducer.reduces_preexisting = self._torch_rules
        self.reducers = [reducers[bucket] for bucket in buckets]
        self._missing, self._digest = [], b""
        self._defer_buffer_updates()

    def _require_movable(self, left: Sequence[Bucket]) -> None:
        """Refuse a new layout that would lose what is kept for each parameter."""
        names = ", ".join(self._missing[:3]) + (", …" if len(self._missing) > 3 else "")
        if self._compression is not None:
            raise RuntimeError(
                f"DataParallel: {names} was added, unfrozen, or moved to another dtype or device "
                f"after DataParallel took the model, but compression={self._compression!r} keeps "
                "error feedback for each parameter: make a new DataParallel of model.module"
            )
        for bucket in left:
            shard = find_shard(bucket)
            if shard is not None and shard.count > 1 and any(list(bucket.states.values())):
                raise RuntimeError(
                    f"DataParallel: {names} was added, or moved to another dtype or device, but "
                    "ZeroRedundancyOptimizer has sharded the state of these parameters over the "
                    "ranks: call consolidate_state_dict() before, make a new optimizer after the "
                    "change, and load the state into it"
                )

    def _make_reducers(self, buckets: Sequence[Bucket]) -> list[BucketReducer]:
        if self._compression is None:
            return [BucketReducer(bucket, self._exact) for bucket in buckets]
        keys = {id(param): key for key, param in enumerate(self.params)}
        if any(id(param) not in keys for bucket in buckets for param in bucket.params):
            raise ValueError(
                "DataParallel: an optimizer has put the model's parameters into one bucket with "
                "others, which compression cannot separate: make DataParallel first, then the "
                "optimizer"
            )
        seed = initial_seed()
        return [
            CompressedBucketReducer(
                bucket, self._compression, [keys[id(p)] for p in bucket.params], seed
            )
            for bucket in buckets
        ]

    def _defer_buffer_updates(self) -> None:
        """Queue the buffer updates of the model's layers from now on."""
        before = {id(layer) for layer in self.layers}
        layers: list[DeferredBufferUpdates] = []
        for layer in self._module.modules():
            if isinstance(layer, DeferredBufferUpdates) and self._is_deferred(layer):
                if id(layer) not in before or layer.pending_updates is None:
                    layer.pending_updates = []
                layers.append(layer)
            if isinstance(layer, SyncBatchNorm):
                layer.gather_statistics = gather_batch_statistics
        for former in self.layers:
            if not any(former is layer for layer in layers):
                former.pending_updates = None
        self.layers = layers

    def _is_deferred(self, layer: DeferredBufferUpdates) -> bool:
        """Whether the updates of a layer are applied at the end of the step."""
        is_shared = layer.updates_parameters or isinstance(layer, SyncBatchNorm)
        return layer.updates_buffers and (is_shared or not self._torch_rules)


def _is(a: Tensor, b: Tensor) -> bool:
    return a is b


def _holds_all_its_parameters(bucket: Bucket) -> bool:
    return all(param._bucket is bucket for param in bucket.params)


def _choose_bytes(params: Sequence[Tensor]) -> int:
    """The size of buckets that are sent while the backward pass runs."""
    part = sum(param.array.nbytes for param in params) // 16
    return min(max(part, _SMALLEST_BUCKET_BYTES), _LARGEST_BUCKET_BYTES)
