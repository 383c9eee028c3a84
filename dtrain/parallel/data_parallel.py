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
from dtrain.parallel.compression.compressed_reducer import CompressedBucketReducer
from dtrain.parallel.compression.half_precision import HalfPrecisionCompression
from dtrain.parallel.compression.powersgd import PowerSGD
from dtrain.parallel.compression.protocol import Compression
from dtrain.parallel.compression.state import CompressionState
from dtrain.parallel.compression.topk import TopK
from dtrain.parallel.divergence_check import make_divergence_check
from dtrain.parallel.reducer import Reducer
from dtrain.parallel.sync_batch_norm import gather_batch_statistics

#: size of the bucket that fills first: the sooner it is sent, the sooner the network is busy
_FIRST_BUCKET_BYTES = 1 << 20
_LARGEST_BUCKET_BYTES = 25 << 20
#: of buckets that are sent while the backward pass runs: a smaller message is mostly latency
_SMALLEST_BUCKET_BYTES = 2 << 20


class DataParallel(Module):
    """Trains `module` on all ranks as if on one (torch.nn.parallel.DistributedDataParallel).

    Parameters and buffers begin with rank 0's values. In ``for x, y in loader`` each backward pass
    ends with the mean of the gradients over the ranks; in ``for step in loader.steps()`` the mean
    is there when the loop over the step's microbatches has ended. Without a dtrain DataLoader,
    each rank's backward pass counts as one of `world_size` equal microbatches.

    The mean is over samples: a microbatch has the weight of its number of samples. Gradients are
    views into buckets and are overwritten by the next step.

    Parameters
    ----------
    module : the model, the same on every rank, on its final device and in its final dtype
    bucket_bytes : size of the buckets in which gradients are reduced, in bytes. None: 25 MB; with
        overlap a sixteenth of the model, but 2 MB to 25 MB: the last bucket is what is still to be
        sent when the backward pass is over
    reduction : "exact" adds in an order that does not depend on the number of ranks; "fast" leaves
        the order to MPI or NCCL, so that the bits depend on the number of ranks and a replay in
        one process cannot be compared
    overlap : reduce full buckets while the backward pass still runs; None: if there is a network
        between the ranks and the parameters are in host memory
    compression : what to send in place of the gradients: "float16", "bfloat16", PowerSGD(...),
        TopK(...), or None for the gradients themselves. What was not sent of a microbatch's
        gradient is added to that microbatch's gradient in the next step (error feedback): save
        `compression_state` with the model. The bits differ from those of exact gradients, but do
        not depend on the number of ranks. Half precision sends the gradient of each microbatch,
        and the mean: with one microbatch a rank half of the bytes, with two three quarters, with
        three no fewer than without compression. Values too large for float16 are sent over
        several steps, each time as its largest number; NaN and infinity are sent as such

    Attributes
    ----------
    module : Module
        The model itself; its `state_dict` has no prefix.
    compression_state : CompressionState
        The error feedback, if there is a compression.

    Raises
    ------
    ValueError
        If an option is unknown, or gradients of this dtype or device cannot be reduced this way.
    DesyncError
        If the ranks' models or seeds differ; names the first parameter that differs, and the ranks.

    >>> import dtrain
    >>> model = DataParallel(dtrain.nn.Linear(2, 1))
    >>> [name for name, _ in model.named_parameters()]
    ['module.weight', 'module.bias']
    >>> model(dtrain.ones(3, 2)).mean().backward()
    >>> model.module.bias.grad
    tensor([1.])
    """

    compression_state: CompressionState

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
        compressor = _parse_compression(compression, module, reduction)
        self.module: Module = module
        _require_same_model(module)
        _copy_from_rank_0(module)
        comm = world.communicator()
        # The last layers' gradients are ready first.
        params = [p for p in module.parameters() if p.requires_grad][::-1]
        if overlap is None:
            overlap = comm.over_network and all(isinstance(p.array, np.ndarray) for p in params)
        if bucket_bytes is None:
            bucket_bytes = _choose_bucket_bytes(params) if overlap else _LARGEST_BUCKET_BYTES
        buckets = make_buckets(params, bucket_bytes, _FIRST_BUCKET_BYTES if overlap else None)
        for bucket in buckets:
            bucket.use_memory(comm.empty)
        reducers: Sequence[BucketReducer]
        if compressor is None:
            reducers = [BucketReducer(bucket, exact=reduction == "exact") for bucket in buckets]
        else:
            reducers = compressed = _make_compressed_reducers(compressor, buckets, module)
            names = {id(param): name for name, param in module.named_parameters()}
            self.compression_state: CompressionState = CompressionState(comm, compressed, names)
        layers = _defer_buffer_updates(module)
        check = make_divergence_check(comm, buckets, dict(module.named_parameters()))
        self._gradients = Reducer(comm, reducers, layers, overlap, check)
        register_step_reduction(self._gradients)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The output of `module`, on this rank's microbatch."""
        if self.training or is_grad_enabled():
            self._gradients.before_forward()
        with span("forward"):
            return self.module(*args, **kwargs)


def _choose_bucket_bytes(params: Sequence[Tensor]) -> int:
    """The size of buckets that are sent while the backward pass runs."""
    part = sum(param.array.nbytes for param in params) // 16
    return min(max(part, _SMALLEST_BUCKET_BYTES), _LARGEST_BUCKET_BYTES)


def _defer_buffer_updates(module: Module) -> list[DeferredBufferUpdates]:
    """The layers that update buffers, whose updates are queued from now on."""
    layers: list[DeferredBufferUpdates] = []
    for layer in module.modules():
        if isinstance(layer, DeferredBufferUpdates) and layer.updates_buffers:
            layer.pending_updates = []
            layers.append(layer)
        if isinstance(layer, SyncBatchNorm):
            layer.gather_statistics = gather_batch_statistics
    return layers


def _parse_compression(
    value: str | PowerSGD | TopK | None, module: Module, reduction: str
) -> Compression | None:
    if value is None:
        return None
    if not isinstance(value, (PowerSGD, TopK)) and str(value) not in ("float16", "bfloat16"):
        raise ValueError(
            "DataParallel: expected compression 'float16', 'bfloat16', PowerSGD(...), TopK(...) "
            f"or None, got {value!r}"
        )
    if reduction != "exact":
        raise ValueError(
            f"DataParallel: compression={value!r} adds in an order of its own: omit "
            f"reduction={reduction!r}"
        )
    if world.communicator().elastic:
        raise ValueError(
            f"DataParallel: compression={value!r} keeps error feedback on each rank, which is lost "
            "with a failed rank: run without --elastic, and resume from checkpoints"
        )
    for name, param in module.named_parameters():
        if not isinstance(param.array, np.ndarray) or param.dtype not in (np.float32, np.float64):
            raise ValueError(
                "DataParallel: compression is for float32 and float64 in host memory, but "
                f"{name} is {param.dtype} on {param.device}"
            )
    return value if isinstance(value, (PowerSGD, TopK)) else HalfPrecisionCompression(str(value))


def _make_compressed_reducers(
    compression: Compression, buckets: Sequence[Bucket], module: Module
) -> list[CompressedBucketReducer]:
    keys = {id(param): key for key, param in enumerate(module.parameters())}
    if any(id(param) not in keys for bucket in buckets for param in bucket.params):
        raise ValueError(
            "DataParallel: an optimizer has put the model's parameters into one bucket with "
            "others, which compression cannot separate: make DataParallel first, then the optimizer"
        )
    seed = initial_seed()
    return [
        CompressedBucketReducer(bucket, compression, [keys[id(p)] for p in bucket.params], seed)
        for bucket in buckets
    ]


def _require_same_model(module: Module) -> None:
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


def _copy_from_rank_0(module: Module) -> None:
    """Copy rank 0's parameters and buffers to every rank, in one message."""
    comm = world.communicator()
    arrays = [tensor.array for tensor in (*module.parameters(), *module.buffers())]
    values = comm.broadcast([to_host(array) for array in arrays] if comm.rank == 0 else None)
    if comm.rank:
        for array, value in zip(arrays, values):
            array[...] = array_module(array).asarray(value)
    comm.barrier()  # on threads the values are rank 0's own memory, which it is about to change
