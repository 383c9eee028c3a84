"""Operations that draw random numbers; see dtrain.backend.random for how they are keyed."""

from __future__ import annotations

from dtrain.autograd.op import op
from dtrain.backend import Array, array_module, default_generator


@op
def dropout(x: Array, *, mask: Array):
    """x * mask."""
    return x * mask, (lambda g: g * mask,)


def dropout_mask(x: Array, p: float) -> Array:
    """Zero with probability p, 1 / (1 - p) otherwise, for each element of x."""
    xp = array_module(x)
    halves = default_generator().bits(xp, -(-x.size // 2)).view("uint32")[: x.size]
    threshold = min(int(p * 2**32), 2**32 - 1)
    mask = (halves >= xp.uint32(threshold)).reshape(x.shape).astype(x.dtype)
    mask *= x.dtype.type(1 / (1 - p) if p < 1 else 0)
    return mask
