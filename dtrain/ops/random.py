"""Operations that draw random numbers; see dtrain.backend.random for how they are keyed."""

from __future__ import annotations

from dtrain.autograd.op import op
from dtrain.backend import Array, array_module, default_generator


@op
def dropout(x: Array, *, p: float):
    """Zero each element with probability p and scale the others by 1 / (1 - p)."""
    xp = array_module(x)
    halves = default_generator().bits(xp, -(-x.size // 2)).view("uint32")[: x.size]
    threshold = min(int(p * 2**32), 2**32 - 1)
    kept = (halves >= xp.uint32(threshold)).reshape(x.shape)
    mask = kept.astype(x.dtype)
    mask *= x.dtype.type(1 / (1 - p) if p < 1 else 0)
    return x * mask, (lambda g: g * mask,)
