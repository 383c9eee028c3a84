"""Products of matrices."""

from __future__ import annotations

from dtrain.autograd.op import op
from dtrain.autograd.primitive import OutputAndVJPs
from dtrain.backend import Array


@op(takes_complex=True)
def matmul(x: Array, y: Array) -> OutputAndVJPs:
    """Matrix product over the last two axes; leading axes broadcast."""
    return x @ y, (
        lambda g: g @ y.swapaxes(-1, -2),
        lambda g: x.swapaxes(-1, -2) @ g,
    )
