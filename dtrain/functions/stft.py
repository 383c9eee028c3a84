"""Short-time Fourier transforms: of overlapping, windowed pieces of a signal (torch.stft)."""

from __future__ import annotations

from dtrain.autograd.tensor import Tensor
from dtrain.functions.complex_numbers import view_as_real
from dtrain.functions.creation import ones
from dtrain.functions.fourier import fft, ifft, irfft, rfft
from dtrain.functions.operands import to_floating
from dtrain.functions.padding import pad
from dtrain.functions.shapes import broadcast_to, narrow, squeeze, transpose, unfold, unsqueeze
from dtrain.primitives import shapes as primitives

#: The least sum of squared windows that istft divides by.
_LEAST_WEIGHT = 1e-11


def stft(
    input: Tensor,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: Tensor | None = None,
    center: bool = True,
    pad_mode: str = "reflect",
    normalized: bool = False,
    onesided: bool | None = None,
    return_complex: bool | None = None,
    align_to_window: bool | None = None,
) -> Tensor:
    """The spectra, (..., frequencies, frames), of windows every `hop_length` (torch.stft).

    Parameters
    ----------
    input : a signal, or a batch of signals
    n_fft : the length of a frame; hop_length: n_fft // 4 if None
    win_length : the length of the window, which lies in the middle of a frame; n_fft if None
    window : the weights of a frame's elements; ones if None
    center : pad the signal by n_fft // 2 at both ends, by `pad_mode`
    normalized : divide by sqrt(n_fft)
    onesided : half of the spectrum alone; True for real signals if None
    return_complex : must be given for a real signal; False gives both parts in a last dimension

    >>> import dtrain
    >>> signal = dtrain.sin(dtrain.arange(64) * 0.5)
    >>> stft(signal, 16, window=dtrain.hann_window(16), return_complex=True).shape
    dtrain.Size([9, 17])
    """
    if return_complex is None and not input.is_complex():
        raise RuntimeError("stft: expected return_complex=True or False for a real signal")
    if align_to_window is not None and center:
        raise RuntimeError("stft: align_to_window expects center=False")
    signals = _batch("stft", to_floating(input), 1)
    hop, weights = _frame_options("stft", n_fft, hop_length, win_length, window, signals)
    if align_to_window:
        raise NotImplementedError("stft: align_to_window=True is not supported; cut the signal")
    if onesided is None:
        onesided = not signals.is_complex() and not weights.is_complex()
    if onesided and (signals.is_complex() or weights.is_complex()):
        raise RuntimeError("stft: onesided=True expects a real signal and a real window")
    if center:
        half = n_fft // 2
        signals = squeeze(pad(unsqueeze(signals, 0), (half, half), pad_mode), 0)
    if not 0 < n_fft <= signals.shape[-1]:
        raise RuntimeError(
            f"stft: expected 0 < n_fft <= {signals.shape[-1]}, the length of the signal, got "
            f"{n_fft}"
        )
    frames = unfold(signals, -1, n_fft, hop) * weights
    spectra = (rfft if onesided else fft)(frames, norm="ortho" if normalized else None)
    out = transpose(spectra, 1, 2)
    out = out if input.ndim == 2 else squeeze(out, 0)
    return view_as_real(out) if return_complex is False else out


def istft(
    input: Tensor,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: Tensor | None = None,
    center: bool = True,
    normalized: bool = False,
    onesided: bool | None = None,
    length: int | None = None,
    return_complex: bool = False,
) -> Tensor:
    """The signal of the spectra that :func:`stft` gives (torch.istft).

    Overlapping frames are added, weighted by the window, and divided by the sum of its squares,
    which must not be 0 anywhere. `length` cuts the signal, or pads it with zeros.
    """
    if not input.is_complex():
        raise RuntimeError(
            f"istft: expected complex spectra, got {input.dtype}; call view_as_complex() on both "
            "parts"
        )
    spectra = _batch("istft", input, 2)
    hop, weights = _frame_options("istft", n_fft, hop_length, win_length, window, spectra)
    if onesided is None:
        onesided = spectra.shape[1] != n_fft
    if onesided and return_complex:
        raise RuntimeError("istft: return_complex=True expects spectra with onesided=False")
    expected = n_fft // 2 + 1 if onesided else n_fft
    if spectra.shape[1] != expected:
        raise RuntimeError(
            f"istft: expected {expected} frequencies for n_fft={n_fft}, got shape {input.shape}"
        )
    if weights.is_complex() and not return_complex:
        raise RuntimeError("istft: a complex window expects return_complex=True")
    frames = transpose(spectra, 1, 2)
    norm = "ortho" if normalized else None
    if return_complex:
        frames = ifft(frames, norm=norm)
    else:
        frames = irfft(
            frames if onesided else narrow(frames, -1, 0, n_fft // 2 + 1), n_fft, norm=norm
        )
    count = frames.shape[1]
    total = n_fft + hop * (count - 1)
    squares = broadcast_to(weights * weights, (1, count, n_fft))
    out = primitives.overlap_add(frames * weights, axis=1, length=total, step=hop)
    weight = primitives.overlap_add(squares, axis=1, length=total, step=hop)
    start = n_fft // 2 if center else 0
    end = total - start if length is None else min(start + length, total)
    out, weight = (narrow(x, 1, start, max(end - start, 0)) for x in (out, weight))
    if not bool((abs(weight.array) > _LEAST_WEIGHT).all()):
        raise RuntimeError(
            "istft: the squared windows sum to 0 at some element; choose a shorter hop_length, or "
            "center=True"
        )
    out = out / weight
    if length is not None and out.shape[1] < length:
        out = pad(out, (0, length - out.shape[1]))
    return out if input.ndim == 3 else squeeze(out, 0)


def _batch(name: str, input: Tensor, ndim: int) -> Tensor:
    """The input with a dimension for the batch in front."""
    if input.ndim not in (ndim, ndim + 1) or not input.numel():
        raise RuntimeError(
            f"{name}: expected a tensor of {ndim} or {ndim + 1} dimensions with elements, got "
            f"shape {input.shape}"
        )
    return input if input.ndim == ndim + 1 else unsqueeze(input, 0)


def _frame_options(
    name: str,
    n_fft: int,
    hop_length: int | None,
    win_length: int | None,
    window: Tensor | None,
    like: Tensor,
) -> tuple[int, Tensor]:
    """The distance of frames, and the window of a whole frame."""
    hop = n_fft // 4 if hop_length is None else hop_length
    width = n_fft if win_length is None else win_length
    if hop < 1:
        raise RuntimeError(f"{name}: expected hop_length > 0, got {hop}")
    if not 0 < width <= n_fft:
        raise RuntimeError(f"{name}: expected 0 < win_length <= n_fft={n_fft}, got {width}")
    if window is None:
        real = like.real
        window = ones(width, dtype=real.dtype, device=real.device)
    if window.ndim != 1 or len(window) != width:
        raise RuntimeError(
            f"{name}: expected a window of win_length={width} elements, got shape {window.shape}"
        )
    left = (n_fft - width) // 2
    return hop, pad(window, (left, n_fft - width - left)) if width < n_fft else window
