"""Discrete Fourier transforms, by the array module's own.

The transform of complex numbers is a symmetric matrix, so its vjp is the same transform. That of
real numbers gives half of the spectrum; its vjp, and that of the way back, weigh the frequencies
that occur twice in the whole spectrum. `norm` is NumPy's: "backward", "ortho" or "forward".
"""

from __future__ import annotations

from dtrain.autograd.op import op
from dtrain.autograd.primitive import OutputAndVJPs
from dtrain.autograd.tensor import is_recorded
from dtrain.backend import Array, array_module
from dtrain.backend.dtypes import real_dtype

#: The norm with which the inverse transform has the same factor.
OPPOSITE_NORM = {"backward": "forward", "forward": "backward", "ortho": "ortho"}


@op(takes_complex=True)
def fft_c2c(x: Array, *, axes: tuple[int, ...], inverse: bool, norm: str) -> OutputAndVJPs:
    """The transform of numbers, complex or real, along axes."""
    return _c2c(x, axes, inverse, norm), (lambda g: _c2c(g, axes, inverse, norm),)


@op
def fft_r2c(x: Array, *, axis: int, norm: str) -> OutputAndVJPs:
    """The transform of n real numbers along an axis: n // 2 + 1 frequencies."""
    n = x.shape[axis]
    back = OPPOSITE_NORM[norm]

    def grad_x(g: Array) -> Array:
        return _c2r(g.conj() / _occurrences(g, axis, n), axis, n, back)

    return _r2c(x, axis, norm), (grad_x,)


@op(takes_complex=True)
def fft_c2r(x: Array, *, axis: int, n: int, norm: str) -> OutputAndVJPs:
    """The inverse of `fft_r2c`: n real numbers from n // 2 + 1 frequencies."""
    back = OPPOSITE_NORM[norm]

    def grad_x(g: Array) -> Array:
        out = _r2c(g, axis, back).conj()
        return out * _occurrences(out, axis, n)

    return _c2r(x, axis, n, norm), (grad_x,)


def _c2c(x: Array, axes: tuple[int, ...], inverse: bool, norm: str) -> Array:
    xp = array_module(x)
    if is_recorded(x):
        return xp.fft_c2c(x, axes=axes, inverse=inverse, norm=norm)
    return (xp.fft.ifftn if inverse else xp.fft.fftn)(x, axes=axes, norm=norm)


def _r2c(x: Array, axis: int, norm: str) -> Array:
    xp = array_module(x)
    if is_recorded(x):
        return xp.fft_r2c(x, axis=axis, norm=norm)
    return xp.fft.rfft(x, axis=axis, norm=norm)


def _c2r(x: Array, axis: int, n: int, norm: str) -> Array:
    xp = array_module(x)
    if is_recorded(x):
        return xp.fft_c2r(x, axis=axis, n=n, norm=norm)
    return xp.fft.irfft(x, n, axis=axis, norm=norm)


def _occurrences(spectrum: Array, axis: int, n: int) -> Array:
    """How often each frequency of a half spectrum is in the whole one of n, along the axis."""
    count = spectrum.shape[axis]
    shape = [1] * spectrum.ndim
    shape[axis] = count
    plain = array_module(spectrum.tensor.array if is_recorded(spectrum) else spectrum)
    index = plain.arange(count).reshape(shape)
    twice = (index > 0) & (index * 2 < n)
    return plain.where(twice, 2, 1).astype(real_dtype(spectrum.dtype))
