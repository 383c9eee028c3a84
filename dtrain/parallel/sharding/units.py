"""The units of a sharded model, and the module whose call begins its steps."""

from __future__ import annotations

import contextlib
import ctypes
import warnings
from collections.abc import Sequence
from typing import Any

import dtrain.parallel.unreduced_check  # noqa: F401  watches all optimizers
from dtrain.autograd import Tensor, is_grad_enabled
from dtrain.backend import device, to_host
from dtrain.distributed import world
from dtrain.distributed.comm.blocks import copy_from_rank
from dtrain.distributed.comm.communicator import Communicator
from dtrain.distributed.step import register_step_reduction
from dtrain.nn import Module
from dtrain.parallel.data_parallel import require_same_model, require_same_seed
from dtrain.parallel.sharding.bucket_shard import BucketShard
from dtrain.parallel.sharding.policies import MixedPrecisionPolicy, check_reduce_dtype
from dtrain.parallel.sharding.reducer import ShardedReducer, UnitLayout
from dtrain.parallel.sharding.unit_precision import UnitPrecision
from dtrain.parallel.sharding.unit_values import UnitValues

#: what is copied from rank 0 at once: small, since ranks keep the memory that they have shared
_BLOCK_BYTES = 1 << 20
#: of the gradients that a unit has whole before they are reduced: more of them take more memory
_BUCKET_BYTES = 1 << 24


class ShardedUnit:
    """A module that `fully_shard` was given: the buckets of its parameters, and the units inside.

    The outermost unit has the reducer of them all. It makes one when one of its modules is called
    for training for the first time; all ranks do that together.
    """

    def __init__(
        self,
        module: Module,
        policy: MixedPrecisionPolicy,
        comm: Communicator,
        reshard: bool | None,
        offload: bool,
    ):
        self.is_copy: bool = False
        self.module: Module = module
        self.outer: ShardedUnit | None = None
        self.inner: list[ShardedUnit] = [
            unit for child in module.modules() if (unit := find_unit(child)) and not unit.outer
        ]
        self._comm = comm
        self._reducer: ShardedReducer | None = None
        new = [param for param in module.parameters() if not _is_sharded(param)]
        self.shards: list[BucketShard] = [
            BucketShard(alike, comm, _move_to_host(alike) if offload else None)
            for alike in _group(new)
        ]
        self.precision: UnitPrecision = UnitPrecision(module, self.shards, policy)
        self.values: UnitValues = UnitValues(_params_outside_units(module), reshard)
        for unit in self.inner:
            unit.outer = self
        for unit in self.all_units()[:-1]:
            unit.values.is_inner, unit.values.order = True, self.values.order

    def all_units(self) -> list[ShardedUnit]:
        """The units inside, each after those inside of it, and this one."""
        return [*(unit for each in self.inner for unit in each.all_units()), self]

    def root(self) -> ShardedUnit:
        """The outermost unit."""
        return self if self.outer is None else self.outer.root()

    def before_forward(self, module: Module, args: Any, kwargs: Any) -> None:
        """Note, before a call of the module, that it belongs to the loader's microbatch."""
        if not self.is_copy and (self.module.training or is_grad_enabled()):
            self.root()._enter()

    def _enter(self) -> None:
        if self._reducer is None:
            shards = [
                shard
                for unit in (*reversed(self.all_units()[:-1]), self)
                for shard in unit.shards
                if any(param._requires_grad for param in shard.bucket.params)
            ]
            precisions = [unit.precision for unit in self.all_units()]
            layout = UnitLayout(self.module, shards, precisions, self._comm)
            self._reducer = ShardedReducer(self._comm, layout)
            _warn_of_limits(self._comm, shards)
            register_step_reduction(self._reducer)
        self._reducer.before_forward()

    def __getstate__(self) -> dict[str, Any]:
        """For `copy` and `pickle`: a copy of a sharded module is an ordinary one."""
        return {"is_copy": True}


def find_unit(module: Module) -> ShardedUnit | None:
    """The unit that a module is, if `fully_shard` was given it."""
    unit = module.__dict__.get("_sharded_unit")
    return None if unit is None or unit.is_copy else unit


def _params_outside_units(module: Module) -> list[Tensor]:
    """The parameters of a module, except those of units inside, which gather them themselves."""
    params = [param for param in module._parameters.values() if param is not None]
    for child in module.children():
        if find_unit(child) is None:
            params += _params_outside_units(child)
    return params


def _warn_of_limits(comm: Communicator, shards: Sequence[BucketShard]) -> None:
    """Say, on rank 0 at the start of training, what this job cannot have."""
    shares = all(shard.shares_values for shard in shards)
    all_share = all(comm.allgather(shares, "whether ranks share parameters"))
    if comm.rank == 0 and comm.size > 1 and not all_share:
        warnings.warn(
            "fully_shard: some rank shares no memory with another one, so it holds all parameters; "
            "gradients and optimizer state are sharded. Run several ranks on each machine; "
            "parameters on GPUs need one machine, whose GPUs can read each other's memory",
            stacklevel=2,
        )
    if comm.rank == 0 and comm.elastic:
        warnings.warn(
            "fully_shard: one rank alone has each part of the optimizer's state: when a rank "
            "fails, this job needs its checkpoint; start it with dtrain run --max-restarts",
            stacklevel=2,
        )


def make_unit(
    module: Module,
    policy: MixedPrecisionPolicy,
    by: str,
    reshard: bool | None = None,
    offload: bool = False,
) -> None:
    """Shard the parameters of a module that are in no unit yet.

    reshard : whether a GPU frees them after the forward pass; None: unless the unit is the
        outermost one
    offload : whether those on a GPU move to host memory, and are copied while the unit runs

    Raises
    ------
    RuntimeError
        If the module is a unit already, or an optimizer or DataParallel has its parameters.
    """
    world.init()
    comm = world.communicator()
    if find_unit(module) is not None:
        raise RuntimeError(f"{by}: the module is sharded already: give each module once")
    new = [(name, p) for name, p in module.named_parameters() if not _is_sharded(p)]
    _refuse(new, by)
    check_reduce_dtype([param for _, param in new], policy, by)
    require_same_seed(comm)
    require_same_model(module, comm, by)
    arrays = [p.array for _, p in new] + [b.array for b in module.buffers()]
    copy_from_rank(comm, arrays, 0, block_bytes=_BLOCK_BYTES)
    del arrays
    unit = ShardedUnit(module, policy, comm, reshard, offload)
    comm.barrier()  # the values are there
    _return_free_memory()
    module.__dict__["_sharded_unit"] = unit
    module.register_forward_pre_hook(unit.before_forward, with_kwargs=True)
    unit.values.register(module)
    unit.precision.register(module)


def _return_free_memory() -> None:
    """Give the memory of this rank's former parameters back to the system, where malloc kept it."""
    with contextlib.suppress(OSError, AttributeError):  # of glibc alone
        ctypes.CDLL(None).malloc_trim(0)


def _move_to_host(params: Sequence[Tensor]) -> device | None:
    """Move parameters from a GPU to host memory; returns the GPU, None if they are on none."""
    before = params[0].device
    if before.type == "cpu":
        return None
    for param in params:
        param.array = to_host(param.array)
    return before


def _is_sharded(param: Tensor) -> bool:
    """Whether a unit has the parameter: one inside, or one that shares it."""
    return param._bucket is not None and param._bucket.sharding is not None


def _refuse(named: Sequence[tuple[str, Tensor]], by: str) -> None:
    for name, param in named:
        if param._grad is not None:
            raise RuntimeError(f"{by}: {name} has a gradient: call zero_grad() on the module first")
        if param._bucket is not None:
            raise RuntimeError(
                f"{by}: {name} belongs to an optimizer or to DataParallel already: shard the "
                "module first, then make the optimizer"
            )


def _group(params: Sequence[Tensor]) -> list[list[Tensor]]:
    """The parameters of each bucket: of one dtype and device, all trained or none, the last ones
    first."""
    alike: dict[tuple[Any, ...], list[Tensor]] = {}
    for param in reversed(params):
        kind = param.dtype, param.device, param._requires_grad
        alike.setdefault(kind, []).append(param)
    return [bucket for same in alike.values() for bucket in _split(same)]


def _split(params: Sequence[Tensor]) -> list[list[Tensor]]:
    """Parameters in buckets of `_BUCKET_BYTES` and more; a small rest joins the one before."""
    buckets: list[list[Tensor]] = [[]]
    filled = 0
    for param in params:
        if filled >= _BUCKET_BYTES:
            buckets.append([])
            filled = 0
        buckets[-1].append(param)
        filled += param.array.nbytes
    if len(buckets) > 1 and filled < _BUCKET_BYTES // 2:
        rest = buckets.pop()
        buckets[-1] += rest
    return buckets
