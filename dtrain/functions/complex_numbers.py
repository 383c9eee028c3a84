"""PyTorch's functions of complex numbers, and of real ones as complex numbers."""

from __future__ import annotations

import math

from dtrain.autograd.tensor import Tensor
from dtrain.backend.dtypes import float32, float64
from dtrain.functions import rounding
from dtrain.functions.arithmetic import div, mul
from dtrain.functions.autocast import autocasts
from dtrain.functions.comparison import eq, ge, lt
from dtrain.functions.indexing import masked_fill
from dtrain.functions.joining import broadcast_tensors
from dtrain.functions.operands import require_tensors, to_floating
from dtrain.functions.trigonometry import atan2, cos, sin
from dtrain.primitives import complex_numbers as primitives


def complex(real: Tensor, imag: Tensor) -> Tensor:
    """real + i * imag, in the complex dtype with parts of their dtype (torch.complex)."""
    _require_parts("complex", real, imag)
    return primitives.make_complex(*broadcast_tensors(real, imag))


@autocasts
def polar(abs: Tensor, angle: Tensor) -> Tensor:
    """abs * exp(i * angle) (torch.polar)."""
    _require_parts("polar", abs, angle)
    return complex(mul(abs, cos(angle)), mul(abs, sin(angle)))


def _require_parts(name: str, x: Tensor, y: Tensor) -> None:
    require_tensors(name, x, y)
    if x.dtype != y.dtype or x.dtype not in (float32, float64):
        raise RuntimeError(
            f"{name}: expected two tensors of dtype float32 or of float64, got {x.dtype} and "
            f"{y.dtype}"
        )


def real(input: Tensor) -> Tensor:
    """The real parts, a view; a real tensor itself (torch.real)."""
    return primitives.real(input) if input.is_complex() else input


def imag(input: Tensor) -> Tensor:
    """The imaginary parts, a view (torch.imag)."""
    if not input.is_complex():
        raise RuntimeError(f"imag: expected a complex tensor, got dtype {input.dtype}")
    return primitives.imag(input)


def conj(input: Tensor) -> Tensor:
    """The complex conjugates; a real tensor itself (torch.conj).

    A copy, where PyTorch's is a view: writes to it do not change `input`.
    """
    return primitives.conj(input) if input.is_complex() else input


def resolve_conj(input: Tensor) -> Tensor:
    """The tensor itself: conjugates are never lazy (torch.resolve_conj)."""
    return input


def is_conj(input: Tensor) -> bool:
    """False: conjugates are never lazy (torch.is_conj)."""
    return False


def angle(input: Tensor) -> Tensor:
    """The angle of complex numbers (torch.angle).

    Of real ones: pi for negative numbers, 0 for others, NaN for NaN.
    """
    if input.is_complex():
        return atan2(primitives.imag(input), primitives.real(input))
    input = to_floating(input)
    positive = masked_fill(mul(input, 0), ge(input, 0), 0)  # NaN, without a gradient
    return masked_fill(positive, lt(input, 0), math.pi)


def view_as_real(input: Tensor) -> Tensor:
    """A view with real and imaginary parts in a new last dimension of 2 (torch.view_as_real)."""
    if not input.is_complex():
        raise RuntimeError(f"view_as_real: expected a complex tensor, got dtype {input.dtype}")
    return primitives.view_as_real(input)


@autocasts
def view_as_complex(input: Tensor) -> Tensor:
    """A complex view of a tensor whose last dimension has both parts (torch.view_as_complex)."""
    if input.dtype not in (float32, float64):
        raise RuntimeError(
            f"view_as_complex: expected a tensor of dtype float32 or float64, got {input.dtype}"
        )
    if not input.ndim or input.shape[-1] != 2:
        raise RuntimeError(
            "view_as_complex: expected a last dimension of size 2, for real and imaginary parts, "
            f"got shape {input.shape}"
        )
    *outer, last = input.stride()
    if last != 1 or any(stride % 2 for stride in outer):
        raise RuntimeError(
            "view_as_complex: expected both parts side by side in memory (a last stride of 1, the "
            f"others even), got strides {input.stride()}; call contiguous() first"
        )
    return primitives.view_as_complex(input)


def sgn(input: Tensor) -> Tensor:
    """input / |input|, 0 at 0; of real numbers the sign (torch.sgn)."""
    if not input.is_complex():
        return rounding.sign(input)
    size = primitives.modulus(input)
    zero = eq(size, 0)
    return masked_fill(div(input, masked_fill(size, zero, 1)), zero, 0)
