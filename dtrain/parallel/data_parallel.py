"""`DataParallel`: one model on many ranks, with the gradients of one."""

from __future__ import annotations

from typing import Any

import numpy as np

from dtrain.autograd import is_grad_enabled
from dtrain.backend import initial_seed
from dtrain.backend.profiler import span
from dtrain.distributed import world
from dtrain.distributed.comm.blocks import copy_from_rank
from dtrain.distributed.comm.communicator import Communicator
from dtrain.distributed.differences import find_difference
from dtrain.errors import DesyncError
from dtrain.nn import Module
from dtrain.parallel.compression.half_precision import HalfPrecisionCompression
from dtrain.parallel.compression.powersgd import PowerSGD
from dtrain.parallel.compression.protocol import Compression
from dtrain.parallel.compression.topk import TopK
from dtrain.parallel.graphed_forward import GraphedForward, require_gpu
from dtrain.parallel.reduced_module import ReducedModule, ReductionOptions


class DataParallel(ReducedModule):
    """Trains `module` on all ranks as if on one (torch.nn.parallel.DistributedDataParallel).

    Parameters and buffers begin with rank 0's values. In ``for x, y in loader`` each backward pass
    ends with the mean of the gradients over the ranks; in ``for step in loader.steps()`` the mean
    is there when the loop over the step's microbatches has ended. Without a dtrain DataLoader,
    each rank's backward pass counts as one of `world_size` equal microbatches.

    The mean is over samples: a microbatch has the weight of its number of samples. Gradients are
    views into buckets and are overwritten by the next step.

    Parameters
    ----------
    module : the model, the same on every rank; it may change between steps, on every rank
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
    cuda_graph : run the forward and backward pass of the module as CUDA graphs, one launch each, to
        the same bits. A graph belongs to shapes, dtypes and other arguments of the call, and to the
        modes of the layers; its first three calls run without. What Python computes in `forward`
        from other values stays as it was then. After each forward pass comes its backward pass

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

    _not_copied = (*ReducedModule._not_copied, "_graphed")
    compiled_part = "module"  # dtrain.compile compiles this submodule

    def __init__(
        self,
        module: Module,
        bucket_bytes: int | None = None,
        *,
        reduction: str = "exact",
        overlap: bool | None = None,
        compression: str | PowerSGD | TopK | None = None,
        cuda_graph: bool = False,
    ):
        super().__init__()
        if reduction not in ("exact", "fast"):
            raise ValueError(
                f"DataParallel: expected reduction 'exact' or 'fast', got {reduction!r}"
            )
        world.init()  # equal bits need a fixed number of BLAS threads
        compressor = parse_compression(compression, module, reduction, "DataParallel")
        self.module: Module = module
        comm = world.communicator()
        require_same_seed(comm)
        require_same_model(module, comm, "DataParallel")
        copy_from_rank(comm, [t.array for t in (*module.parameters(), *module.buffers())], 0)
        params = [param for param in module.parameters() if param.requires_grad]
        if overlap is None:
            overlap = comm.over_network and all(isinstance(p.array, np.ndarray) for p in params)
        if cuda_graph:
            require_gpu(module, "DataParallel")
        self._cuda_graph = cuda_graph
        self._options = ReductionOptions(bucket_bytes, overlap, reduction == "exact", compressor)
        self._make_reducer(is_copy=False)

    def _communicator(self) -> Communicator:
        return world.communicator()

    def _make_reducer(self, is_copy: bool) -> None:
        super()._make_reducer(is_copy)
        self._graphed = GraphedForward()

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The output of `module`, on this rank's microbatch."""
        if self.training or is_grad_enabled():
            self._gradients.before_forward()
        with span("forward"):
            if self._cuda_graph and self.training and is_grad_enabled():
                return self._graphed(self.module, args, kwargs)
            return self.module(*args, **kwargs)


def parse_compression(
    value: str | PowerSGD | TopK | None, module: Module, reduction: str, by: str
) -> Compression | None:
    """The compression that an option names; refuses one that the model cannot have.

    `by` is the class that has the option.
    """
    if value is None:
        return None
    if not isinstance(value, (PowerSGD, TopK)) and str(value) not in ("float16", "bfloat16"):
        raise ValueError(
            f"{by}: expected compression 'float16', 'bfloat16', PowerSGD(...), TopK(...) "
            f"or None, got {value!r}"
        )
    if reduction != "exact":
        raise ValueError(
            f"{by}: compression={value!r} adds in an order of its own: omit reduction={reduction!r}"
        )
    if world.communicator().elastic:
        raise ValueError(
            f"{by}: compression={value!r} keeps error feedback on each rank, which is lost "
            "with a failed rank: run without --elastic, and resume from checkpoints"
        )
    for name, param in module.named_parameters():
        if not isinstance(param.array, np.ndarray):
            raise ValueError(
                f"{by}: compression is for parameters in host memory, but "
                f"{name} is on {param.device}"
            )
    return value if isinstance(value, (PowerSGD, TopK)) else HalfPrecisionCompression(str(value))


def require_same_seed(comm: Communicator) -> None:
    """Raise DesyncError if the ranks have different seeds."""
    seed, *others = comm.allgather(initial_seed(), "a seed")
    for rank, their_seed in enumerate(others, 1):
        if their_seed != seed:
            raise DesyncError(
                f"DataParallel: rank {rank} has the seed {their_seed}, rank 0 has {seed}: call "
                "manual_seed with one number on every rank; microbatches draw different random "
                "numbers all the same"
            )


def require_same_model(module: Module, comm: Communicator, by: str) -> None:
    """Raise DesyncError if the ranks' parameters or buffers are not alike, but for their values."""
    tensors = [*module.named_parameters(), *module.named_buffers()]
    own = [f"{name} {tuple(t.shape)} {t.dtype} {t.device.type}" for name, t in tensors]
    difference = find_difference(comm.allgather(own, "a model"))
    if difference is not None:
        raise DesyncError(
            f"{by}: the ranks built different models: {difference.describe_entries()}"
        )
