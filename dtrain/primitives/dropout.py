"""Operations that draw random numbers; see dtrain.backend.random for how they are keyed."""

from __future__ import annotations

import math

from dtrain.autograd.op import op
from dtrain.autograd.primitive import OutputAndVJPs
from dtrain.backend import Array, array_module, default_generator


@op(takes_complex=True, takes_halves=True)
def dropout(x: Array, *, mask: Array) -> OutputAndVJPs:
    """x * mask."""
    return x * mask, (lambda g: g * mask,)


def dropout_mask(x: Array, p: float, shape: tuple[int, ...]) -> Array:
    """Zero with probability p, 1 / (1 - p) otherwise: an array of this shape, of the dtype of x."""
    xp = array_module(x)
    size = math.prod(shape)
    halves = default_generator().bits(xp, -(-size // 2)).view("uint32")[:size]
    threshold = min(int(p * 2**32), 2**32 - 1)
    mask = (halves >= xp.uint32(threshold)).reshape(shape).astype(x.dtype)
    mask *= x.dtype.type(1 / (1 - p) if p < 1 else 0)
    return mask
