"""Discrete Fourier transforms under PyTorch's names (torch.fft)."""

from dtrain.functions import fourier as _fourier
from dtrain.functions.binding import bind_function as _bind_function, select as _select

_TRANSFORMS = _select(
    _fourier,
    "fft fft2 fftn fftshift hfft hfft2 hfftn ifft ifft2 ifftn ifftshift ihfft ihfft2 ihfftn irfft "
    "irfft2 irfftn rfft rfft2 rfftn",
)
_FUNCTIONS = {
    **{name: _bind_function(f, requires_tensor=True) for name, f in _TRANSFORMS.items()},
    **_select(_fourier, "fftfreq rfftfreq"),
}
globals().update(_FUNCTIONS)

__all__ = sorted(_FUNCTIONS)
