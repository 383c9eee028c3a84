"""Discrete Fourier transforms under PyTorch's names (torch.fft).

Made by scripts/generate_stubs.py from the tables of functions; do not edit.
"""

from dtrain.autograd.tensor import Tensor
from dtrain.backend.device import DeviceLike
from dtrain.backend.dtypes import DTypeLike
from dtrain.functions.fourier import _Sizes
from dtrain.functions.operands import Dims
from typing import Any

__all__ = [
    "fft",
    "fft2",
    "fftfreq",
    "fftn",
    "fftshift",
    "hfft",
    "hfft2",
    "hfftn",
    "ifft",
    "ifft2",
    "ifftn",
    "ifftshift",
    "ihfft",
    "ihfft2",
    "ihfftn",
    "irfft",
    "irfft2",
    "irfftn",
    "rfft",
    "rfft2",
    "rfftfreq",
    "rfftn",
]

def fft(
    input: Tensor,
    n: int | None = None,
    dim: int = -1,
    norm: str | None = None,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """The discrete Fourier transform along `dim`, of length n (torch.fft.fft)."""
def fft2(
    input: Tensor,
    s: _Sizes = None,
    dim: Dims = ...,
    norm: str | None = None,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """`fft` along two dimensions (torch.fft.fft2)."""
def fftfreq(
    n: int,
    d: float = 1.0,
    *,
    dtype: DTypeLike = None,
    device: DeviceLike = None,
    requires_grad: bool = False,
    out: Tensor | None = None,
    layout: Any = None,
    memory_format: Any = None,
    pin_memory: bool = False,
) -> Tensor:
    """The frequencies of `fft`, for samples at distances d (torch.fft.fftfreq)."""
def fftn(
    input: Tensor,
    s: _Sizes = None,
    dim: Dims | None = None,
    norm: str | None = None,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """`fft` along several dimensions, all if None (torch.fft.fftn)."""
def fftshift(
    input: Tensor,
    dim: Dims | None = None,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """Frequency 0 moved to the middle (torch.fft.fftshift)."""
def hfft(
    input: Tensor,
    n: int | None = None,
    dim: int = -1,
    norm: str | None = None,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """The real transform of a Hermitian signal, of which half is given (torch.fft.hfft)."""
def hfft2(
    input: Tensor,
    s: _Sizes = None,
    dim: Dims = ...,
    norm: str | None = None,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """`hfft` along the last of two dimensions, and `fft` along the other (torch.fft.hfft2)."""
def hfftn(
    input: Tensor,
    s: _Sizes = None,
    dim: Dims | None = None,
    norm: str | None = None,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """`hfft` along the last of the dimensions, and `fft` along the others (torch.fft.hfftn)."""
def ifft(
    input: Tensor,
    n: int | None = None,
    dim: int = -1,
    norm: str | None = None,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """The inverse of `fft` (torch.fft.ifft)."""
def ifft2(
    input: Tensor,
    s: _Sizes = None,
    dim: Dims = ...,
    norm: str | None = None,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """The inverse of `fft2` (torch.fft.ifft2)."""
def ifftn(
    input: Tensor,
    s: _Sizes = None,
    dim: Dims | None = None,
    norm: str | None = None,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """The inverse of `fftn` (torch.fft.ifftn)."""
def ifftshift(
    input: Tensor,
    dim: Dims | None = None,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """The inverse of `fftshift` (torch.fft.ifftshift)."""
def ihfft(
    input: Tensor,
    n: int | None = None,
    dim: int = -1,
    norm: str | None = None,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """The inverse of `hfft` (torch.fft.ihfft)."""
def ihfft2(
    input: Tensor,
    s: _Sizes = None,
    dim: Dims = ...,
    norm: str | None = None,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """The inverse of `hfft2` (torch.fft.ihfft2)."""
def ihfftn(
    input: Tensor,
    s: _Sizes = None,
    dim: Dims | None = None,
    norm: str | None = None,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """The inverse of `hfftn` (torch.fft.ihfftn)."""
def irfft(
    input: Tensor,
    n: int | None = None,
    dim: int = -1,
    norm: str | None = None,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """The inverse of `rfft`, n real numbers, by default an even number (torch.fft.irfft)."""
def irfft2(
    input: Tensor,
    s: _Sizes = None,
    dim: Dims = ...,
    norm: str | None = None,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """The inverse of `rfft2` (torch.fft.irfft2)."""
def irfftn(
    input: Tensor,
    s: _Sizes = None,
    dim: Dims | None = None,
    norm: str | None = None,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """The inverse of `rfftn` (torch.fft.irfftn)."""
def rfft(
    input: Tensor,
    n: int | None = None,
    dim: int = -1,
    norm: str | None = None,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """The transform of real numbers: the n // 2 + 1 frequencies from 0 on (torch.fft.rfft)."""
def rfft2(
    input: Tensor,
    s: _Sizes = None,
    dim: Dims = ...,
    norm: str | None = None,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """`fft2` of real numbers, half of it along the last of the dimensions (torch.fft.rfft2)."""
def rfftfreq(
    n: int,
    d: float = 1.0,
    *,
    dtype: DTypeLike = None,
    device: DeviceLike = None,
    requires_grad: bool = False,
    out: Tensor | None = None,
    layout: Any = None,
    memory_format: Any = None,
    pin_memory: bool = False,
) -> Tensor:
    """The frequencies of `rfft`, for samples at distances d (torch.fft.rfftfreq)."""
def rfftn(
    input: Tensor,
    s: _Sizes = None,
    dim: Dims | None = None,
    norm: str | None = None,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """`fftn` of real numbers, half of it along the last of the dimensions (torch.fft.rfftn)."""
