"""`DistributedDataParallel`: PyTorch's data parallelism, by the reduction of `DataParallel`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

import numpy as np

from dtrain.autograd import Tensor, is_grad_enabled
from dtrain.backend.nested import map_nested
from dtrain.backend.profiler import span
from dtrain.distributed import world
from dtrain.distributed.comm.blocks import copy_from_rank
from dtrain.distributed.comm.communicator import Communicator
from dtrain.distributed.process_group import Group, ProcessGroup, find_group, group as groups
from dtrain.nn import Module, SyncBatchNorm
from dtrain.parallel.comm_hooks import find_compression
from dtrain.parallel.data_parallel import parse_compression, require_same_model
from dtrain.parallel.reduced_module import ReducedModule, ReductionOptions

_MB = 1 << 20


class DistributedDataParallel(ReducedModule):
    """Trains `module` on the ranks of a group (torch.nn.parallel.DistributedDataParallel).

    After each ``backward()`` every `param.grad` is the mean over the ranks of what it would be
    without this class, gradients of `no_sync` included. Parameters and buffers begin with rank 0's
    values. Runs with one number of ranks have the same bits; with another number they do not: the
    batches are others, and so are the random numbers. For results that do not depend on the
    number of ranks there is `dtrain.DataParallel`, with dtrain's DataLoader.

    Parameters
    ----------
    module : the model, the same on every rank
    device_ids : at most this rank's GPU, to which inputs are moved
    output_device, dim : without effect
    broadcast_buffers : copy rank 0's buffers to all ranks at the end of each backward pass.
        PyTorch does so before the next forward pass, to the same values; here a rank may evaluate
        alone
    init_sync : whether to begin with rank 0's values
    process_group : the group; None: all ranks
    bucket_cap_mb : the size of the buckets in which gradients are reduced; None: 25 MB
    find_unused_parameters, static_graph, gradient_as_bucket_view, check_reduction : without
        effect: parameters without a gradient are found in any case, and gradients are views
    device_mesh, mixed_precision, delay_all_reduce_named_params, param_to_hook_all_reduce : refused

    Attributes
    ----------
    module : Module
        The model itself. In `state_dict` its names have the prefix "module."; `load_state_dict`
        takes names with and without it.
    require_backward_grad_sync : bool
        Whether backward passes reduce gradients; False inside `no_sync`.
    compression_state : CompressionState
        The error feedback, after `register_comm_hook`.

    Raises
    ------
    DesyncError
        If the ranks' models differ; names the first parameter that differs, and the ranks.
    RuntimeError
        If no parameter requires a gradient.
    ValueError
        If an option cannot be had.

    >>> import dtrain
    >>> model = DistributedDataParallel(dtrain.nn.Linear(2, 1))
    >>> model(dtrain.ones(3, 2)).mean().backward()
    >>> model.module.bias.grad
    tensor([1.])
    """

    _not_copied = (*ReducedModule._not_copied, "process_group")

    def __init__(
        self,
        module: Module,
        device_ids: Sequence[Any] | None = None,
        output_device: Any = None,
        dim: int = 0,
        broadcast_buffers: bool = True,
        init_sync: bool = True,
        process_group: Group = None,
        bucket_cap_mb: float | None = None,
        find_unused_parameters: bool = False,
        check_reduction: bool = False,
        gradient_as_bucket_view: bool = False,
        static_graph: bool = False,
        delay_all_reduce_named_params: Any = None,
        param_to_hook_all_reduce: Any = None,
        mixed_precision: Any = None,
        device_mesh: Any = None,
        skip_all_reduce_unused_params: bool = False,
    ):
        super().__init__()
        _refuse_options(
            delay_all_reduce_named_params=delay_all_reduce_named_params,
            param_to_hook_all_reduce=param_to_hook_all_reduce,
            mixed_precision=mixed_precision,
            device_mesh=device_mesh,
        )
        params = [param for param in module.parameters() if param.requires_grad]
        if not params:
            raise RuntimeError(
                "DistributedDataParallel: no parameter of the module requires a gradient: call "
                "the module itself"
            )
        self.device_ids: list[Any] | None = _check_devices(device_ids, params)
        self.output_device: Any = output_device
        self.dim: int = dim
        self.broadcast_buffers: bool = broadcast_buffers
        self.find_unused_parameters: bool = find_unused_parameters
        self.gradient_as_bucket_view: bool = gradient_as_bucket_view
        self.static_graph: bool = static_graph
        self.require_backward_grad_sync: bool = True
        world.init()  # equal bits need a fixed number of BLAS threads
        self.process_group: ProcessGroup = _find_group(process_group, module)
        self.module: Module = module
        comm = self._communicator()
        require_same_model(module, comm, "DistributedDataParallel")
        if init_sync:
            copy_from_rank(comm, [t.array for t in (*module.parameters(), *module.buffers())], 0)
        on_host = all(isinstance(param.array, np.ndarray) for param in module.parameters())
        self._options = ReductionOptions(
            bucket_bytes=None if bucket_cap_mb is None else max(int(bucket_cap_mb * _MB), 1),
            overlap=comm.over_network and on_host and self.process_group is groups.WORLD,
            exact=True,
            compression=None,
            torch_rules=True,
        )
        self._make_reducer(is_copy=not init_sync)

    def _communicator(self) -> Communicator:
        return self.process_group.comm

    def _make_reducer(self, is_copy: bool) -> None:
        super()._make_reducer(is_copy)
        self._gradients.is_enabled = _make_flag(self)
        if self.broadcast_buffers:
            self._gradients.on_commit = _make_buffer_sync(self.module, self._communicator())

    def __getstate__(self) -> dict[str, Any]:
        """The attributes for `copy` and `pickle`; a copy reduces over all ranks."""
        if self.process_group is not groups.WORLD:
            raise RuntimeError(
                "DistributedDataParallel: a model with a process_group cannot be copied or "
                "pickled: copy model.module, and give the copy and the group to "
                "DistributedDataParallel"
            )
        return super().__getstate__()

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.process_group = groups.WORLD
        super().__setstate__(state)

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        """The output of `module` on this rank's batch."""
        if is_grad_enabled() and self.require_backward_grad_sync:
            self._gradients.before_forward()
        if self.device_ids:
            device = self.device_ids[0]
            inputs, kwargs = map_nested((inputs, kwargs), Tensor, lambda x: x.to(device))
        with span("forward"):
            return self.module(*inputs, **kwargs)

    @contextmanager
    def no_sync(self) -> Iterator[None]:
        """Context manager: backward passes inside add to this rank's gradients alone.

        The next backward pass outside reduces their sum with its own gradients.
        """
        before = self.require_backward_grad_sync
        self.require_backward_grad_sync = False
        try:
            yield
        finally:
            self.require_backward_grad_sync = before

    def join(
        self,
        divide_by_initial_world_size: bool = True,
        enable: bool = True,
        throw_on_early_termination: bool = False,
    ) -> NoReturn:
        """Raises NotImplementedError: every rank has to make the same number of steps."""
        raise NotImplementedError(
            "DistributedDataParallel.join(): every rank has to make the same number of steps: use "
            "a DistributedSampler, which gives each rank as many samples"
        )

    def register_comm_hook(self, state: Any, hook: Callable[..., Any]) -> None:
        """Compress gradients, from before the first step on (torch's register_comm_hook).

        Parameters
        ----------
        state : a PowerSGDState for `powerSGD_hook`; otherwise without effect
        hook : one of PyTorch's default hooks; see `dtrain.parallel.comm_hooks`

        Raises
        ------
        ValueError
            If it is another, or gradients of this dtype or device cannot be compressed.
        """
        found = find_compression(state, hook)
        compression = parse_compression(found, self.module, "exact", "DistributedDataParallel")
        self._options = self._options._replace(compression=compression)
        self._make_reducer(is_copy=False)

    def load_state_dict(self, state_dict: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Load into the model; names may have the prefix "module.", or none."""
        if not any(name.startswith("module.") for name in state_dict):
            state_dict = {f"module.{name}": value for name, value in state_dict.items()}
        return super().load_state_dict(state_dict, *args, **kwargs)


def _refuse_options(**options: Any) -> None:
    for name, value in options.items():
        if value is not None:
            raise ValueError(f"DistributedDataParallel: {name} is not supported: omit it")


def _check_devices(device_ids: Sequence[Any] | None, params: Sequence[Tensor]) -> list[Any] | None:
    if not device_ids:
        return None
    if len(device_ids) > 1:
        raise ValueError(
            f"DistributedDataParallel: expected one device, this rank's, got {list(device_ids)}: "
            "dtrain run -n N starts a rank for each"
        )
    if any(isinstance(param.array, np.ndarray) for param in params):
        raise ValueError(
            f"DistributedDataParallel: device_ids={list(device_ids)}, but the module is in host "
            "memory: omit device_ids, or move the module to the GPU first"
        )
    return list(device_ids)


def _find_group(given: Group, module: Module) -> ProcessGroup:
    found = find_group(given)
    if found is None:
        raise ValueError("DistributedDataParallel: this rank is not in process_group")
    synchronized = any(isinstance(layer, SyncBatchNorm) for layer in module.modules())
    if synchronized and found.size() < world.world_size():
        raise ValueError(
            "DistributedDataParallel: SyncBatchNorm takes the statistics of all ranks, not those "
            "of process_group: omit process_group, or use BatchNorm"
        )
    return found


def _make_flag(model: DistributedDataParallel) -> Callable[[], bool]:
    """Whether backward passes of the model reduce; does not keep the model alive."""
    state = model.__dict__
    return lambda: state["require_backward_grad_sync"]


def _make_buffer_sync(module: Module, comm: Communicator) -> Callable[[], None]:
    def copy_buffers() -> None:
        buffers = list(module.buffers())
        copy_from_rank(comm, [buffer.array for buffer in buffers], 0)

    return copy_buffers
