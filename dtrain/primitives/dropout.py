"""Operations that draw random numbers; see dtrain.backend.random for how they are keyed."""

from __future__ import annotations

import math

from dtrain.autograd.op import op
from dtrain.autograd.primitive import OutputAndVJPs
from dtrain.backend import Array, array_module, default_generator, kernels
from dtrain.backend.random import RandomKey, dropout_factors


@op(takes_complex=True, takes_halves=True)
def dropout(x: Array, *, mask: Array) -> OutputAndVJPs:
    """x * mask."""
    return x * mask, (lambda g: g * mask,)


@op(takes_halves=True)
def keyed_dropout(x: Array, *, p: float, random_key: RandomKey) -> OutputAndVJPs:
    """x times `dropout_mask` of its shape, of the random numbers of `Generator.draw_key`."""
    out = kernels.keyed_dropout(x, p, random_key)
    return out, (lambda g: kernels.keyed_dropout(g, p, random_key),)


def dropout_mask(x: Array, p: float, shape: tuple[int, ...]) -> Array:
    """Zero with probability p, 1 / (1 - p) otherwise: an array of this shape, of the dtype of x."""
    bits = default_generator().bits(array_module(x), -(-math.prod(shape) // 2))
    return dropout_factors(bits, p, shape, x.dtype)
