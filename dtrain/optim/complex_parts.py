"""Optimizers' rules on complex parameters: real and imaginary parts are numbers of their own."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np

from dtrain.autograd import Tensor
from dtrain.backend import Array
from dtrain.backend.dtypes import is_complex, is_half, real_dtype
from dtrain.optim.half_precision import UpdateRule, in_float32, on_master_weights
from dtrain.optim.types import Group, Numbers, State


def adapt(rule: UpdateRule, dtype: np.dtype, has_master_weights: bool = False) -> UpdateRule:
    """The rule for parameters of a dtype: halves are updated in float32, complex ones by parts."""
    if is_half(dtype):
        return on_master_weights(rule) if has_master_weights else in_float32(rule)
    return in_parts(rule) if is_complex(dtype) else rule


def in_parts(update: UpdateRule) -> UpdateRule:
    """Make the rule `update(param, grad, state, ...)` update both parts.

    They are the numbers of a flat array, twice as long, or lie in a new last axis.
    """

    def view(array: Array) -> Array:
        parts = array[..., None].view(real_dtype(array.dtype))
        return parts.reshape(-1) if array.ndim == 1 else parts

    @functools.wraps(update)
    def updated(param: Array, grad: Array, state: State, group: Group, numbers: Numbers) -> None:
        parts = {name: view(array) for name, array in state.items()}
        update(view(param), view(grad), parts, group, numbers)

    return updated


def require_real(name: str, params: Sequence[Tensor]) -> None:
    """Refuse complex parameters, for rules that do not treat the two parts separately."""
    for index, param in enumerate(params):
        if param.is_complex():
            raise RuntimeError(
                f"{name}: parameter {index} is complex, expected real ones; keep a real parameter "
                "of shape (..., 2), and compute with view_as_complex(param)"
            )
