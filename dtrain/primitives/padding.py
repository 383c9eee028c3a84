"""Padding with a constant."""

from __future__ import annotations

from dtrain.autograd.op import exact_op
from dtrain.autograd.primitive import OutputAndVJPs
from dtrain.backend import Array, array_module


@exact_op(takes_complex=True)
def pad_constant(x: Array, *, widths: tuple[tuple[int, int], ...], value: float) -> OutputAndVJPs:
    """Padded by (before, after) along each axis; negative widths cut."""
    xp = array_module(x)
    shape = x.shape
    keep = tuple(slice(max(-a, 0), n - max(-b, 0)) for (a, b), n in zip(widths, shape))
    inner = tuple(slice(max(a, 0), max(a, 0) + s.stop - s.start) for (a, _), s in zip(widths, keep))
    out = xp.full([n + a + b for (a, b), n in zip(widths, shape)], value, x.dtype)
    out[inner] = x[keep]

    def grad_x(g: Array) -> Array:
        if keep == tuple(slice(0, n) for n in shape):
            return g[inner]
        full = xp.zeros(shape, g.dtype)
        full[keep] = g[inner]
        return full

    return out, (grad_x,)
