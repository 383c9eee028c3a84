"""Types that optimizers share: parameters, groups, state, PyTorch's implementation options."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypedDict

from dtrain.autograd import Tensor
from dtrain.autograd.bucket import Bucket
from dtrain.backend import Array

#: An optimizer's parameters: tensors, (name, tensor) pairs, or dicts of "params" and options.
Params = Iterable[Tensor] | Iterable[tuple[str, Tensor]] | Iterable[dict[str, Any]]
#: A parameter group: "params" and the options, by name.
Group = dict[str, Any]
#: The state arrays of a parameter or of a part of a bucket, by name.
State = dict[str, Array]
#: The numbers in the state of a parameter, by name: "step" and the like.
Numbers = dict[str, float]


@dataclass
class Run:
    """Adjacent parameters of a bucket that have gradients and equal numbers in their state."""

    bucket: Bucket
    start: int
    stop: int
    numbers: Numbers
    params: list[Tensor]


class Implementation(TypedDict, total=False):
    """How a step is computed. PyTorch's choices among its kernels are accepted and ignored, except
    differentiable=True; `master_weights` is described by `Optimizer`."""

    foreach: bool | None
    fused: bool | None
    capturable: bool
    differentiable: bool
    master_weights: bool
