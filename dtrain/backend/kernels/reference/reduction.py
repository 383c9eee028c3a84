"""What two ranks of one machine do with the arrays that they both see."""

from __future__ import annotations

from dtrain.backend.array_module import Array


def mean_of_both(a: Array, b: Array, scale: float) -> None:
    """Let a and b, both (n,), become (a + b) * scale; `scale` is exact in their dtype."""
    a += b
    if scale != 1:
        a *= a.dtype.type(scale)
    b[...] = a
