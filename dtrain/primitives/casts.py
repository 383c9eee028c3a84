"""Other dtypes and devices, and copies."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dtrain.autograd.op import exact_op
from dtrain.autograd.primitive import OutputAndVJPs
from dtrain.autograd.tensor import is_recorded
from dtrain.backend import Array, array_module, device_of, kernels, move as move_array
from dtrain.backend.dtypes import bfloat16, float32, is_inexact


@exact_op(takes_complex=True)
def cast(x: Array, *, dtype: np.dtype) -> OutputAndVJPs:
    """x as another dtype; always a copy."""
    rounds = dtype == bfloat16 and x.dtype == float32
    out = kernels.to_bfloat16(x) if rounds else x.astype(dtype)
    return out, (lambda g: g,) if is_inexact(dtype) else ()


@exact_op(takes_complex=True)
def clone(x: Array) -> OutputAndVJPs:
    """A copy of x."""
    return x.copy(), (lambda g: g,)


@exact_op(takes_complex=True)
def to_device(x: Array, *, move: Callable[[Array], Array]) -> OutputAndVJPs:
    """x where `move` brings it; the gradient goes back to the device of x."""
    source = device_of(x)

    def grad_x(g: Array) -> Array:
        def back(array: Array) -> Array:
            return move_array(array, source)

        return array_module(g).to_device(g, move=back) if is_recorded(g) else back(g)

    return move(x), (grad_x,)
