"""Padding with a constant."""

from __future__ import annotations

from dtrain.autograd.op import exact_op
from dtrain.autograd.primitive import OutputAndVJPs
from dtrain.backend import Array, array_module


@exact_op
def pad_constant(x: Array, *, widths: tuple[tuple[int, int], ...], value: float) -> OutputAndVJPs:
    """Padded by (before, after) along each axis; negative widths cut."""
    xp = array_module(x)
    keep = tuple(slice(max(-a, 0), n - max(-b, 0)) for (a, b), n in zip(widths, x.shape))
    grow = tuple((max(a, 0), max(b, 0)) for a, b in widths)
    inner = tuple(slice(a, a + s.stop - s.start) for (a, _), s in zip(grow, keep))
    shape = x.shape

    def grad_x(g: Array) -> Array:
        full = xp.zeros(shape, g.dtype)
        full[keep] = g[inner]
        return full

    return xp.pad(x[keep], grow, constant_values=value), (grad_x,)
