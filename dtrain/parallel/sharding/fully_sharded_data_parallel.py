"""`FullyShardedDataParallel`: sharding under PyTorch's older name, its units found by a policy."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from dtrain.autograd import Tensor
from dtrain.backend import device as as_device
from dtrain.distributed import world
from dtrain.nn import Module
from dtrain.nn.utils import clip_grad_norm_
from dtrain.parallel.data_parallel import DataParallel
from dtrain.parallel.sharding.policies import (
    CPUOffload,
    MixedPrecision,
    MixedPrecisionPolicy,
    check_offload,
    check_policy,
)
from dtrain.parallel.sharding.state_dicts import FullStateDictConfig, state_dict_type
from dtrain.parallel.sharding.summon import summon_full_params
from dtrain.parallel.sharding.units import find_unit, make_unit
from dtrain.parallel.sharding.wrap import ModuleWrapPolicy, check_classes

if TYPE_CHECKING:
    from dtrain.nn.state import IncompatibleKeys


class ShardingStrategy(enum.Enum):
    """What is sharded over the ranks (torch.distributed.fsdp.ShardingStrategy).

    Gradients and optimizer state are sharded over all ranks, parameters are once on each machine.
    Of GPUs FULL_SHARD and HYBRID_SHARD free a unit's parameters between forward and backward pass,
    SHARD_GRAD_OP keeps them; in host memory all three are one. NO_SHARD is `DataParallel`.
    """

    FULL_SHARD = 1
    SHARD_GRAD_OP = 2
    NO_SHARD = 3
    HYBRID_SHARD = 4


#: options of PyTorch's that say how and when parameters are gathered
_GATHERING = (
    "backward_prefetch", "forward_prefetch", "limit_all_gathers", "use_orig_params",
    "sync_module_states",
)  # fmt: skip


class BackwardPrefetch(enum.Enum):
    """Which unit is gathered next (torch.distributed.fsdp.BackwardPrefetch): none is in dtrain."""

    BACKWARD_PRE = 1
    BACKWARD_POST = 2


class FullyShardedDataParallel(Module):
    """A model that `fully_shard` has sharded (torch.distributed.fsdp.FullyShardedDataParallel).

    `state_dict` and `load_state_dict` are those of the module, without a prefix.

    Parameters
    ----------
    module : the model
    sharding_strategy : FULL_SHARD, SHARD_GRAD_OP and HYBRID_SHARD shard, NO_SHARD does not
    auto_wrap_policy : which submodules are units: the classes of such modules, or a function of
        (module, recurse, nonwrapped_numel) as PyTorch's; None makes one unit of the model
    mixed_precision : the dtypes in which units compute
    cpu_offload : whether parameters, gradients and state of a module on a GPU lie in host memory
    device_id : where the module is moved to before it is sharded; None: it stays
    ignored_modules, ignored_states, process_group, device_mesh, param_init_fn : refused
    gathering : backward_prefetch, forward_prefetch, limit_all_gathers, use_orig_params,
        sync_module_states, without effect: a GPU gathers the next unit's parameters while one
        computes, parameters stay themselves, and all ranks begin with rank 0's values

    Raises
    ------
    NotImplementedError
        If an option is given that is refused.

    >>> import dtrain
    >>> model = dtrain.nn.Sequential(dtrain.nn.Linear(4, 8), dtrain.nn.Linear(8, 2))
    >>> model = FullyShardedDataParallel(model, auto_wrap_policy={dtrain.nn.Linear})
    >>> list(model.state_dict())
    ['0.weight', '0.bias', '1.weight', '1.bias']
    """

    module: Module
    _state_dict_config = FullStateDictConfig()

    def __init__(
        self,
        module: Module,
        process_group: Any = None,
        sharding_strategy: ShardingStrategy | None = None,
        cpu_offload: CPUOffload | None = None,
        auto_wrap_policy: Iterable[type[Module]] | Callable[..., bool] | None = None,
        mixed_precision: MixedPrecision | None = None,
        ignored_modules: Any = None,
        param_init_fn: Any = None,
        device_id: Any = None,
        ignored_states: Any = None,
        device_mesh: Any = None,
        **gathering: Any,
    ):
        super().__init__()
        by = type(self).__name__
        for name in gathering:
            if name not in _GATHERING:
                raise TypeError(f"{by}: unexpected argument {name!r}")
        _refuse_options(
            by, process_group=process_group, ignored_modules=ignored_modules,
            param_init_fn=param_init_fn, ignored_states=ignored_states, device_mesh=device_mesh,
        )  # fmt: skip
        if device_id is not None:
            module.to(as_device(device_id))
        check_offload(cpu_offload, CPUOffload, f"{by}: cpu_offload")
        precision = MixedPrecision() if mixed_precision is None else mixed_precision
        if not isinstance(precision, MixedPrecision):
            raise TypeError(
                f"{by}: mixed_precision: expected a MixedPrecision, got {mixed_precision!r}"
            )
        inner, outer = (
            check_policy(precision.policy(by, is_root), f"{by}: mixed_precision")
            for is_root in (False, True)
        )
        strategy = ShardingStrategy.FULL_SHARD if sharding_strategy is None else sharding_strategy
        if not isinstance(strategy, ShardingStrategy):
            raise ValueError(f"{by}: expected a ShardingStrategy, got {sharding_strategy!r}")
        self.module: Module = module
        if strategy is ShardingStrategy.NO_SHARD:
            if outer != MixedPrecisionPolicy():
                raise NotImplementedError(
                    f"{by}: mixed_precision needs sharded units: with NO_SHARD omit it, and use "
                    "dtrain.autocast"
                )
            replicated = DataParallel(module)
            self.__dict__["_called"] = replicated  # no submodule: the names stay the model's
            return
        reshard = False if strategy is ShardingStrategy.SHARD_GRAD_OP else None
        offload = cpu_offload is not None and cpu_offload.offload_params
        for child in _find_units(module, auto_wrap_policy, by):
            if find_unit(child) is None:
                make_unit(child, inner, by, reshard, offload)
        make_unit(module, outer, by, reshard, offload)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The output of `module`, on this rank's microbatch."""
        return self.__dict__.get("_called", self.module)(*args, **kwargs)

    def state_dict(self, **options: Any) -> dict[str, Any]:
        """The module's state. Parameters in host memory share that of all ranks of the machine;
        those on GPUs are copies.

        Within `state_dict_type` with `rank0_only` it is empty on the other ranks; with
        `offload_to_cpu` it is in host memory, and a GPU gathers one parameter after the other.
        """
        if self._state_dict_config.rank0_only and world.rank():
            return {}
        if not self._state_dict_config.offload_to_cpu:
            return self.module.state_dict(**options)
        own = self.module.state_dict(**{**options, "keep_vars": True})
        return {name: x.detach().cpu() if isinstance(x, Tensor) else x for name, x in own.items()}

    def clip_grad_norm_(self, max_norm: float, norm_type: float = 2.0) -> Tensor:
        """`dtrain.nn.utils.clip_grad_norm_` of all parameters; every rank calls it."""
        return clip_grad_norm_(self.parameters(), max_norm, norm_type)

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> IncompatibleKeys:
        """Load the module's state; every rank gives the same one."""
        return self.module.load_state_dict(state_dict, strict, assign)

    def _check_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        self.module._check_state_dict(state_dict)

    #: `summon_full_params(model)`, as PyTorch has it
    summon_full_params = staticmethod(summon_full_params)
    #: `state_dict_type(model, StateDictType.FULL_STATE_DICT, config)`, as PyTorch has it
    state_dict_type = staticmethod(state_dict_type)


def _refuse_options(by: str, **given: Any) -> None:
    """Raise NotImplementedError for an option that is given but not supported."""
    for name, value in given.items():
        if value is not None and value is not False:
            raise NotImplementedError(f"{by}: {name} is not supported: omit it")


def _find_units(
    module: Module, policy: Iterable[type[Module]] | Callable[..., bool] | None, by: str
) -> list[Module]:
    """The submodules that a policy makes units, from the inside out."""
    if policy is None:
        return []
    if not callable(policy):
        policy = ModuleWrapPolicy(check_classes(policy, f"{by}: auto_wrap_policy"))
    wants = policy
    units: list[Module] = []

    def visit(parent: Module) -> int:
        """Find the units in a module; returns the number of elements in them."""
        wrapped = 0
        for child in parent.children():
            size = sum(param.numel() for param in child.parameters())
            inside = 0
            if wants(module=child, recurse=True, nonwrapped_numel=size):
                inside = visit(child)
            rest = size - inside
            if size and wants(module=child, recurse=False, nonwrapped_numel=rest):
                units.append(child)
                inside = size
            wrapped += inside
        return wrapped

    visit(module)
    return units
