"""Running sums along an axis."""

from __future__ import annotations

from dtrain.backend.array_module import Array, array_module


def cumsum(x: Array, axis: int, reverse: bool) -> Array:
    """Sums up to each position along an axis; with `reverse`, from each position to the end."""
    xp = array_module(x)
    if not x.ndim:
        return x.reshape(())
    return xp.flip(xp.cumsum(xp.flip(x, axis), axis), axis) if reverse else xp.cumsum(x, axis)
