"""Products of matrices."""

from __future__ import annotations

from dtrain.autograd.op import op
from dtrain.autograd.primitive import OutputAndVJPs
from dtrain.backend import Array, kernels


@op(takes_complex=True, takes_halves=True)
def matmul(x: Array, y: Array) -> OutputAndVJPs:
    """Matrix product over the last two axes; leading axes broadcast."""
    return kernels.matmul(x, y), (
        lambda g: kernels.matmul(g, y.swapaxes(-1, -2)),
        lambda g: kernels.matmul(x.swapaxes(-1, -2), g),
    )
