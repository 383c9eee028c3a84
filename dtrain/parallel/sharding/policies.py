"""Policies of `fully_shard`: the dtype in which a unit computes, and where parameters lie."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from dtrain.autograd import Tensor
from dtrain.backend.dtypes import DTypeLike, is_floating


@dataclass(frozen=True)
class MixedPrecisionPolicy:
    """The dtypes in which a unit computes (torch.distributed.fsdp.MixedPrecisionPolicy).

    Parameters, gradients and the optimizer's state stay in the parameters' own dtype. While the
    unit runs, it has copies of its parameters in `param_dtype`, of this rank's own, which the
    backward pass keeps.

    Parameters
    ----------
    param_dtype : of the parameters in forward and backward pass; None: their own
    reduce_dtype : None, or the parameters' own: their gradients are added in it, so that the sum
        has the same bits on any number of ranks
    output_dtype : to which floating outputs of the unit are converted; None: they stay
    cast_forward_inputs : whether floating inputs of the unit are converted to `param_dtype`

    >>> import dtrain
    >>> from dtrain.parallel import fully_shard
    >>> policy = MixedPrecisionPolicy(param_dtype=dtrain.bfloat16, output_dtype=dtrain.float32)
    >>> layer = fully_shard(dtrain.nn.Linear(4, 2), mp_policy=policy)
    >>> layer(dtrain.ones(1, 4)).sum().backward()
    >>> layer.weight.dtype
    dtype('float32')
    """

    param_dtype: DTypeLike = None
    reduce_dtype: DTypeLike = None
    output_dtype: DTypeLike = None
    cast_forward_inputs: bool = True


@dataclass(frozen=True)
class OffloadPolicy:
    """Where parameters lie: on the module's device (torch.distributed.fsdp.OffloadPolicy)."""


@dataclass(frozen=True)
class CPUOffloadPolicy(OffloadPolicy):
    """Parameters, gradients and optimizer state of a module on a GPU in host memory, the parameters
    once on each machine (torch.distributed.fsdp.CPUOffloadPolicy).

    A GPU has a copy of a unit's parameters while the unit runs. The optimizer runs on the CPU.

    Parameters
    ----------
    pin_memory : without effect: memory is pinned where the system allows it
    """

    pin_memory: bool = True


@dataclass(frozen=True)
class MixedPrecision:
    """The dtypes in which a `FullyShardedDataParallel` computes
    (torch.distributed.fsdp.MixedPrecision).

    Parameters
    ----------
    param_dtype, reduce_dtype, cast_forward_inputs : as `MixedPrecisionPolicy`'s
    buffer_dtype : None: buffers stay as they are
    keep_low_precision_grads : False: gradients have their parameters' dtype
    cast_root_forward_inputs : whether floating inputs of the whole model are converted
    """

    param_dtype: DTypeLike = None
    reduce_dtype: DTypeLike = None
    buffer_dtype: DTypeLike = None
    keep_low_precision_grads: bool = False
    cast_forward_inputs: bool = False
    cast_root_forward_inputs: bool = True

    def policy(self, by: str, is_root: bool) -> MixedPrecisionPolicy:
        """The policy of a unit; refuses what `fully_shard` has not."""
        for name in ("buffer_dtype", "keep_low_precision_grads"):
            if getattr(self, name):
                raise NotImplementedError(
                    f"{by}: mixed_precision: {name}={getattr(self, name)!r} is not supported: omit "
                    "it; buffers and gradients stay in their own dtype"
                )
        casts = self.cast_forward_inputs or (is_root and self.cast_root_forward_inputs)
        return MixedPrecisionPolicy(self.param_dtype, self.reduce_dtype, None, casts)


@dataclass(frozen=True)
class CPUOffload:
    """Where the parameters of a `FullyShardedDataParallel` lie (torch.distributed.fsdp.CPUOffload).

    Parameters
    ----------
    offload_params : whether those of a module on a GPU lie in host memory, as `CPUOffloadPolicy`
        has them
    """

    offload_params: bool = False


def check_policy(policy: Any, by: str) -> MixedPrecisionPolicy:
    """`policy`, or for None one that changes nothing; refuses another type, and unknown dtypes."""
    if policy is None:
        return MixedPrecisionPolicy()
    if not isinstance(policy, MixedPrecisionPolicy):
        raise TypeError(f"{by}: expected a MixedPrecisionPolicy, got {policy!r}")
    for name in ("param_dtype", "reduce_dtype", "output_dtype"):
        dtype = getattr(policy, name)
        if dtype is not None and not is_floating(dtype):
            raise ValueError(f"{by}: {name}: expected a floating dtype, got {np.dtype(dtype)}")
    return policy


def check_reduce_dtype(params: Iterable[Tensor], policy: MixedPrecisionPolicy, by: str) -> None:
    """Refuse to add gradients in another dtype than their parameters'."""
    for param in params:
        if policy.reduce_dtype is not None and policy.reduce_dtype != param.dtype:
            raise NotImplementedError(
                f"{by}: reduce_dtype is {np.dtype(policy.reduce_dtype)}, but gradients are added "
                f"in their parameters' dtype, {param.dtype}, to the same bits on any number of "
                "ranks: omit it"
            )


def check_offload(policy: Any, kind: type[Any], by: str) -> None:
    """Refuse an offload policy that is none."""
    if policy is not None and not isinstance(policy, kind):
        raise TypeError(f"{by}: expected {kind.__name__} or None, got {policy!r}")
