"""`DataParallel`: one model on many ranks, with the gradients of one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dtrain.autograd import Tensor, is_grad_enabled
from dtrain.autograd.bucket import Bucket, make_buckets
from dtrain.backend import array_module, initial_seed, to_host
from dtrain.backend.profiler import span
from dtrain.distributed import world
from dtrain.distributed.step import register_step_reduction
from dtrain.errors import DesyncError
from dtrain.nn import Module, SyncBatchNorm
from dtrain.nn.deferred_updates import DeferredBufferUpdates
from dtrain.parallel.bucket_reducer import BucketReducer
from dtrain.parallel.compression.compressed_reducer import (
    CompressedBucketReducer,
    Compression,
    CompressionState,
)
from dtrain.parallel.compression.half_precision import HalfPrecisionCompression
from dtrain.parallel.compression.powersgd import PowerSGD
from dtrain.parallel.compression.topk import TopK
from dtrain.parallel.divergence_check import make_divergence_check
from dtrain.parallel.reducer import Reducer
from dtrain.parallel.sync_batch_norm import of_whole_batch

#: of the bucket that fills first: the sooner it leaves, the sooner the network has work
_FIRST_BUCKET_BYTES = 1 << 20
_LARGEST_BUCKET_BYTES = 25 << 20
#: of buckets on their way while the backward pass runs: below, a message is mostly latency
_SMALLEST_BUCKET_BYTES = 2 << 20


class DataParallel(Module):
    """Trains `module` on all ranks as if it were on one (torch's DistributedDataParallel).

    Parameters and buffers begin as rank 0's. In ``for x, y in loader`` each backward pass ends
    with the mean of the gradients over the ranks; in ``for step in loader.steps()`` the
    gradients are there when the loop over the step has ended. Without a dtrain DataLoader, each
    rank's backward pass counts as one of `world_size` equal microbatches.

    The mean is over samples: microbatches of different sizes have the weight of their size.
    Gradients are views into buckets and are overwritten by the next step.

    Parameters
    ----------
    bucket_bytes : gradients are exchanged in buckets of about this size. None is 25 MB; with
        overlap a sixteenth of the model if that is less, but 2 MB: what the network still has
        to do when the backward pass is over is the last bucket
    reduction : "exact" adds in an order that no number of ranks changes; "fast" leaves the
        order to MPI or NCCL: other bits on other ranks, and none to compare a replay with
    overlap : exchange full buckets while the backward pass still computes; None does so where
        a network is between the ranks
    compression : what to send in place of the gradients: "float16", "bfloat16", PowerSGD(...),
        TopK(...), or None for the gradients themselves. What was not sent is kept and added
        to the next step's, each microbatch's by itself: save `compression_state` with the
        model. Other gradients, but the same bits on any number of ranks. Half precision sends each
        microbatch's gradients, and their mean: with one microbatch a rank half of the bytes,
        with two three quarters, with three no less than without. Values too large for
        float16 are sent as its largest over several steps; NaN and infinity are sent as such

    Raises
    ------
    ValueError
        If gradients of this kind cannot be reduced in this way.
    DesyncError
        If the ranks' models or seeds differ; names the first parameter that does, and the ranks.

    >>> import dtrain
    >>> model = DataParallel(dtrain.nn.Linear(2, 1))
    >>> [name for name, _ in model.named_parameters()]
    ['module.weight', 'module.bias']
    """

    def __init__(
        self,
        module: Module,
        bucket_bytes: int | None = None,
        *,
        reduction: str = "exact",
        overlap: bool | None = None,
        compression: str | PowerSGD | TopK | None = None,
    ):
        super().__init__()
        if reduction not in ("exact", "fast"):
            raise ValueError(
                f"DataParallel: expected reduction 'exact' or 'fast', got {reduction!r}"
            )
        world.init()  # equal bits need a fixed number of BLAS threads
        how = _as_compression(compression, module, reduction)
        self.module = module
        _check_same_model(module)
        _take_from_rank_0(module)
        # The last layers' gradients are ready first.
        params = [p for p in module.parameters() if p.requires_grad][::-1]
        modules = [m for m in module.modules() if isinstance(m, DeferredBufferUpdates)]
        layers = [layer for layer in modules if layer.updates_buffers]
        for layer in layers:
            layer.pending_updates = []
            if isinstance(layer, SyncBatchNorm):
                layer.of_whole_batch = of_whole_batch
        comm = world.communicator()
        if overlap is None:
            overlap = comm.over_network and all(isinstance(p.array, np.ndarray) for p in params)
        if bucket_bytes is None:
            bucket_bytes = _bucket_bytes(params) if overlap else _LARGEST_BUCKET_BYTES
        buckets = make_buckets(params, bucket_bytes, _FIRST_BUCKET_BYTES if overlap else None)
        for bucket in buckets:
            bucket.use_memory(comm.empty)
        sums: Sequence[BucketReducer]
        if how is None:
            sums = [BucketReducer(bucket, exact=reduction == "exact") for bucket in buckets]
        else:
            sums = compressed = _make_compressed_reducers(how, buckets, module)
            names = {id(param): name for name, param in module.named_parameters()}
            self.compression_state = CompressionState(comm, compressed, names)
        check = make_divergence_check(comm, buckets, dict(module.named_parameters()))
        self._gradients = Reducer(comm, sums, layers, overlap, check)
        register_step_reduction(self._gradients)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        if self.training or is_grad_enabled():
            self._gradients.before_forward()
        with span("forward"):
            return self.module(*args, **kwargs)


def _bucket_bytes(params: Sequence[Tensor]) -> int:
    """The size for buckets that leave while the backward pass runs."""
    part = sum(param.array.nbytes for param in params) // 16
    return min(max(part, _SMALLEST_BUCKET_BYTES), _LARGEST_BUCKET_BYTES)


def _as_compression(value: Any, module: Module, reduction: str) -> Compression | None:
    if value is None:
        return None
    if not isinstance(value, (PowerSGD, TopK)) and str(value) not in ("float16", "bfloat16"):
        raise ValueError(
            "DataParallel: expected compression 'float16', 'bfloat16', PowerSGD(...), TopK(...) "
            f"or None, got {value!r}"
        )
    if reduction != "exact":
        raise ValueError(
            f"DataParallel: compression={value!r} has an order of its own: leave out "
            f"reduction={reduction!r}"
        )
    if world.communicator().elastic:
        raise ValueError(
            f"DataParallel: compression={value!r} keeps a memory on each rank, which is gone with "
            "a rank that is lost: run without --elastic, and resume from checkpoints"
        )
    for name, param in module.named_parameters():
        if not isinstance(param.array, np.ndarray) or param.dtype not in (np.float32, np.float64):
            raise ValueError(
                "DataParallel: compression is for float32 and float64 in host memory, but "
                f"{name} is {param.dtype} on {param.device}"
            )
    return value if isinstance(value, (PowerSGD, TopK)) else HalfPrecisionCompression(str(value))


def _make_compressed_reducers(
    how: Compression, buckets: Sequence[Bucket], module: Module
) -> list[CompressedBucketReducer]:
    keys = {id(param): key for key, param in enumerate(module.parameters())}
    if any(id(param) not in keys for bucket in buckets for param in bucket.params):
        raise ValueError(
            "DataParallel: an optimizer has joined the model's parameters with others, which "
            "compression cannot take apart: make DataParallel first, then the optimizer"
        )
    return [
        CompressedBucketReducer(
            bucket, how, [keys[id(param)] for param in bucket.params], initial_seed()
        )
        for bucket in buckets
    ]


def _check_same_model(module: Module) -> None:
    tensors = [*module.named_parameters(), *module.named_buffers()]
    own = [f"{name} {tuple(t.shape)} {t.dtype} {t.device.type}" for name, t in tensors]
    ranks = world.communicator().allgather((own, initial_seed()), "a model")
    first, seed = ranks[0]
    for rank, (theirs, their_seed) in enumerate(ranks):
        if their_seed != seed:
            raise DesyncError(
                f"DataParallel: rank {rank} has the seed {their_seed}, rank 0 has {seed}: call "
                "manual_seed with one number on every rank; microbatches draw different random "
                "numbers all the same"
            )
        if theirs != first:
            pairs = zip([*first, "no more"], [*theirs, "no more"])
            here, there = next((a, b) for a, b in pairs if a != b)
            others = [r for r, (names, _) in enumerate(ranks) if names != first]
            raise DesyncError(
                "DataParallel: the ranks built different models: where rank 0 has "
                f"{here}, rank {rank} has {there} (ranks unlike rank 0: {others})"
            )


def _take_from_rank_0(module: Module) -> None:
    """Copy rank 0's parameters and buffers to every rank, in one message."""
    comm = world.communicator()
    arrays = [tensor.array for tensor in (*module.parameters(), *module.buffers())]
    values = comm.broadcast([to_host(array) for array in arrays] if comm.rank == 0 else None)
    if comm.rank:
        for array, value in zip(arrays, values):
            array[...] = array_module(array).asarray(value)
    comm.barrier()  # on threads the values are rank 0's own memory: it must not go on yet
