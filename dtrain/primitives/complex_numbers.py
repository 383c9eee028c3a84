"""Complex numbers: their parts, conjugates and absolute values.

A vjp maps gradients as they run between the nodes, dL/dx - i dL/dy
(`autograd/backward_pass.py`): that of the imaginary part has a minus sign, and the vjp of `conj` is
`conj`.
"""

from __future__ import annotations

from dtrain.autograd.op import exact_op, op, part_view_op
from dtrain.autograd.primitive import OutputAndVJPs
from dtrain.autograd.tensor import is_recorded
from dtrain.backend import Array, array_module
from dtrain.backend.dtypes import complex_dtype


@part_view_op
def real(x: Array) -> OutputAndVJPs:
    """The real parts."""
    return x.real, (lambda g: g,)


@part_view_op
def imag(x: Array) -> OutputAndVJPs:
    """The imaginary parts."""
    return x.imag, (lambda g: g * -1j,)


@part_view_op
def view_as_real(x: Array) -> OutputAndVJPs:
    """Real and imaginary parts in a new last axis of length 2."""
    parts = x.real
    strides = (*parts.strides, parts.itemsize)
    out = array_module(x).lib.stride_tricks.as_strided(parts, (*x.shape, 2), strides)
    return out, (lambda g: _join(g[..., 0], -g[..., 1]),)


@part_view_op
def view_as_complex(x: Array) -> OutputAndVJPs:
    """Complex numbers of a last axis that holds real and imaginary parts."""
    out = x.view(complex_dtype(x.dtype))[..., 0]

    def grad_x(g: Array) -> Array:
        return array_module(g).concatenate((g.real[..., None], -g.imag[..., None]), -1)

    return out, (grad_x,)


@op
def make_complex(x: Array, y: Array) -> OutputAndVJPs:
    """x + iy"""
    return _join(x, y), (lambda g: g.real, lambda g: -g.imag)


def _join(x: Array, y: Array) -> Array:
    xp = array_module(x)
    if is_recorded(x):
        return xp.make_complex(x, y)
    out = xp.empty(x.shape, complex_dtype(x.dtype))
    out.real, out.imag = x, y
    return out


@exact_op(takes_complex=True)
def conj(x: Array) -> OutputAndVJPs:
    """x - iy of x + iy."""
    return x.conj(), (lambda g: g.conj(),)


@op(takes_complex=True)
def modulus(x: Array) -> OutputAndVJPs:
    """|x|, the absolute value of complex numbers; the gradient at 0 is 0."""
    xp = array_module(x)
    out = xp.abs(x)
    return out, (lambda g: g * x.conj() / xp.where(out == 0, 1, out),)
