"""PyTorch's signatures of Fourier transforms (torch.fft)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from dtrain.autograd.tensor import Tensor
from dtrain.functions.complex_numbers import conj
from dtrain.functions.creation.base import TensorOptions, factory
from dtrain.functions.creation.convert import tensor
from dtrain.functions.operands import Dims, normalize_dim, to_floating
from dtrain.functions.shapes import roll
from dtrain.primitives import fourier as primitives, padding

if TYPE_CHECKING:
    from typing_extensions import Unpack


def _check_norm(name: str, norm: str | None) -> str:
    norm = "backward" if norm is None else norm
    if norm not in primitives.OPPOSITE_NORM:
        known = tuple(primitives.OPPOSITE_NORM)
        raise RuntimeError(f"fft.{name}: invalid norm {norm!r}; expected one of {known}")
    return norm


def _require_real(name: str, input: Tensor) -> Tensor:
    if input.is_complex():
        raise RuntimeError(
            f"fft.{name}: expected a real tensor, got {input.dtype}; use real or fft"
        )
    return to_floating(input)


def _resize(name: str, input: Tensor, axis: int, n: int | None) -> Tensor:
    """The input cut, or padded with zeros, to length n along an axis."""
    n = input.shape[axis] if n is None else n
    if n < 1:
        raise RuntimeError(f"fft.{name}: expected at least one element to transform, got n={n}")
    if n == input.shape[axis]:
        return input
    widths = tuple((0, n - m if i == axis else 0) for i, m in enumerate(input.shape))
    return padding.pad_constant(input, widths=widths, value=0)


def _plan(
    name: str, input: Tensor, s: Sequence[int] | None, dim: Dims | None
) -> list[tuple[int, int | None]]:
    """(axis, length) of each dimension to transform; None for a length that stays."""
    if not input.ndim:
        raise RuntimeError(f"fft.{name}: expected a dimension to transform, got a 0-d tensor")
    given: Sequence[int]
    if dim is None:
        given = range(input.ndim) if s is None else range(input.ndim - len(s), input.ndim)
    else:
        given = (dim,) if isinstance(dim, int) else tuple(dim)
    axes = [normalize_dim(d, input.ndim) for d in given]
    if not axes and "rfft" in name:
        raise RuntimeError(f"fft.{name}: expected at least one dimension to transform, got none")
    if len(set(axes)) < len(axes):
        raise RuntimeError(f"fft.{name}: expected different dimensions, got {dim}")
    if s is not None and len(s) != len(axes):
        raise RuntimeError(
            f"fft.{name}: expected as many lengths as dimensions, got s={s}, dim={dim}"
        )
    lengths = [None if n == -1 else n for n in s or [-1] * len(axes)]
    return list(zip(axes, lengths))


def _transform(
    name: str, input: Tensor, s: Sequence[int] | None, dim: Dims | None, norm: Any, inverse: bool
) -> Tensor:
    norm, x = _check_norm(name, norm), to_floating(input)
    plan = _plan(name, x, s, dim)
    for axis, n in plan:
        x = _resize(name, x, axis, n)
    axes = tuple(axis for axis, _ in plan)
    return primitives.fft_c2c(x, axes=axes, inverse=inverse, norm=norm) if axes else x


def _transform_real(
    name: str, input: Tensor, s: Sequence[int] | None, dim: Dims | None, norm: Any
) -> Tensor:
    """Half of the spectrum along the last of the dimensions."""
    norm, x = _check_norm(name, norm), _require_real(name, input)
    plan = _plan(name, x, s, dim)
    for axis, n in plan:
        x = _resize(name, x, axis, n)
    *others, last = (axis for axis, _ in plan)
    out = primitives.fft_r2c(x, axis=last, norm=norm)
    if not others:
        return out
    return primitives.fft_c2c(out, axes=tuple(others), inverse=False, norm=norm)


def _to_real(
    name: str, input: Tensor, s: Sequence[int] | None, dim: Dims | None, norm: Any
) -> Tensor:
    """Real numbers from half of a spectrum along the last of the dimensions."""
    norm, x = _check_norm(name, norm), to_floating(input)
    *others, (last, n) = _plan(name, x, s, dim)
    n = 2 * (x.shape[last] - 1) if n is None else n
    if n < 1:
        raise RuntimeError(f"fft.{name}: expected at least one element to transform, got n={n}")
    for axis, length in others:
        x = _resize(name, x, axis, length)
    if others:
        x = primitives.fft_c2c(x, axes=tuple(a for a, _ in others), inverse=True, norm=norm)
    x = _resize(name, x, last, n // 2 + 1)
    return primitives.fft_c2r(x, axis=last, n=n, norm=norm)


_Sizes = Sequence[int] | None


def fft(input: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None) -> Tensor:
    """The discrete Fourier transform along `dim`, of length n (torch.fft.fft)."""
    return _transform("fft", input, _one(n), dim, norm, inverse=False)


def ifft(input: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None) -> Tensor:
    """The inverse of `fft` (torch.fft.ifft)."""
    return _transform("ifft", input, _one(n), dim, norm, inverse=True)


def rfft(input: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None) -> Tensor:
    """The transform of real numbers: the n // 2 + 1 frequencies from 0 on (torch.fft.rfft)."""
    return _transform_real("rfft", input, _one(n), dim, norm)


def irfft(input: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None) -> Tensor:
    """The inverse of `rfft`, n real numbers, by default an even number (torch.fft.irfft)."""
    return _to_real("irfft", input, _one(n), dim, norm)


def hfft(input: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None) -> Tensor:
    """The real transform of a Hermitian signal, of which half is given (torch.fft.hfft)."""
    norm = primitives.OPPOSITE_NORM[_check_norm("hfft", norm)]
    return _to_real("hfft", conj(input), _one(n), dim, norm)


def ihfft(input: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None) -> Tensor:
    """The inverse of `hfft` (torch.fft.ihfft)."""
    norm = primitives.OPPOSITE_NORM[_check_norm("ihfft", norm)]
    return conj(_transform_real("ihfft", input, _one(n), dim, norm))


def hfft2(input: Tensor, s: _Sizes = None, dim: Dims = (-2, -1), norm: str | None = None) -> Tensor:
    """`hfft` along the last of two dimensions, and `fft` along the other (torch.fft.hfft2)."""
    return hfftn(input, s, dim, norm)


def ihfft2(
    input: Tensor, s: _Sizes = None, dim: Dims = (-2, -1), norm: str | None = None
) -> Tensor:
    """The inverse of `hfft2` (torch.fft.ihfft2)."""
    return ihfftn(input, s, dim, norm)


def hfftn(
    input: Tensor, s: _Sizes = None, dim: Dims | None = None, norm: str | None = None
) -> Tensor:
    """`hfft` along the last of the dimensions, and `fft` along the others (torch.fft.hfftn)."""
    norm = primitives.OPPOSITE_NORM[_check_norm("hfftn", norm)]
    return _to_real("hfftn", conj(input), s, dim, norm)


def ihfftn(
    input: Tensor, s: _Sizes = None, dim: Dims | None = None, norm: str | None = None
) -> Tensor:
    """The inverse of `hfftn` (torch.fft.ihfftn)."""
    norm = primitives.OPPOSITE_NORM[_check_norm("ihfftn", norm)]
    return conj(_transform_real("ihfftn", input, s, dim, norm))


def _one(n: int | None) -> tuple[int, ...] | None:
    return None if n is None else (n,)


def fft2(input: Tensor, s: _Sizes = None, dim: Dims = (-2, -1), norm: str | None = None) -> Tensor:
    """`fft` along two dimensions (torch.fft.fft2)."""
    return _transform("fft2", input, s, dim, norm, inverse=False)


def ifft2(input: Tensor, s: _Sizes = None, dim: Dims = (-2, -1), norm: str | None = None) -> Tensor:
    """The inverse of `fft2` (torch.fft.ifft2)."""
    return _transform("ifft2", input, s, dim, norm, inverse=True)


def rfft2(input: Tensor, s: _Sizes = None, dim: Dims = (-2, -1), norm: str | None = None) -> Tensor:
    """`fft2` of real numbers, half of it along the last of the dimensions (torch.fft.rfft2)."""
    return _transform_real("rfft2", input, s, dim, norm)


def irfft2(
    input: Tensor, s: _Sizes = None, dim: Dims = (-2, -1), norm: str | None = None
) -> Tensor:
    """The inverse of `rfft2` (torch.fft.irfft2)."""
    return _to_real("irfft2", input, s, dim, norm)


def fftn(
    input: Tensor, s: _Sizes = None, dim: Dims | None = None, norm: str | None = None
) -> Tensor:
    """`fft` along several dimensions, all if None (torch.fft.fftn)."""
    return _transform("fftn", input, s, dim, norm, inverse=False)


def ifftn(
    input: Tensor, s: _Sizes = None, dim: Dims | None = None, norm: str | None = None
) -> Tensor:
    """The inverse of `fftn` (torch.fft.ifftn)."""
    return _transform("ifftn", input, s, dim, norm, inverse=True)


def rfftn(
    input: Tensor, s: _Sizes = None, dim: Dims | None = None, norm: str | None = None
) -> Tensor:
    """`fftn` of real numbers, half of it along the last of the dimensions (torch.fft.rfftn)."""
    return _transform_real("rfftn", input, s, dim, norm)


def irfftn(
    input: Tensor, s: _Sizes = None, dim: Dims | None = None, norm: str | None = None
) -> Tensor:
    """The inverse of `rfftn` (torch.fft.irfftn)."""
    return _to_real("irfftn", input, s, dim, norm)


@factory
def fftfreq(n: int, d: float = 1.0, **options: Unpack[TensorOptions]) -> Tensor:
    """The frequencies of `fft`, for samples at distances d (torch.fft.fftfreq)."""
    return _frequencies(np.fft.fftfreq, n, d, options)


@factory
def rfftfreq(n: int, d: float = 1.0, **options: Unpack[TensorOptions]) -> Tensor:
    """The frequencies of `rfft`, for samples at distances d (torch.fft.rfftfreq)."""
    return _frequencies(np.fft.rfftfreq, n, d, options)


def _frequencies(make: Callable[..., Any], n: int, d: float, options: TensorOptions) -> Tensor:
    if n < 1:
        raise RuntimeError(f"fft.{make.__name__}: expected n of at least 1, got {n}")
    return tensor(make(n, d).tolist(), **options)


def fftshift(input: Tensor, dim: Dims | None = None) -> Tensor:
    """Frequency 0 moved to the middle (torch.fft.fftshift)."""
    return _shift(input, dim, lambda n: n // 2)


def ifftshift(input: Tensor, dim: Dims | None = None) -> Tensor:
    """The inverse of `fftshift` (torch.fft.ifftshift)."""
    return _shift(input, dim, lambda n: -(n // 2))


def _shift(input: Tensor, dim: Dims | None, distance: Callable[[int], int]) -> Tensor:
    if dim is None:
        dim = tuple(range(input.ndim))
    axes = [normalize_dim(d, input.ndim) for d in ((dim,) if isinstance(dim, int) else dim)]
    return roll(input, [distance(input.shape[d]) for d in axes], axes) if axes else input
