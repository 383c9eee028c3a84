"""Rows for Fourier transforms: of real tensors, or of complex ones made of two."""

from dataclasses import replace

import numpy as np
import scipy.fft

from .case import Case
from .complex_numbers import parts_of_output, parts_of_reference, row

CUBE = [[(2, 3, 4), (2, 3, 4)]]
WINDOW = np.hanning(9)[:8] + 0.1


def _real(op, reference, call, samples=((2, 3, 5),), label=""):
    def run(t, x):
        return parts_of_output(t, call(t, x))

    def expected(x):
        return parts_of_reference(reference(x))

    return Case(op, [[shape] for shape in samples], expected, run, label)


def _both(name, options):
    """NumPy's transform and torch's by `options`, of which NumPy calls dim axis or axes."""
    names = {"dim": "axes" if name[-1] in "2n" else "axis"}
    renamed = {names.get(key, key): value for key, value in options.items()}
    return (lambda x: getattr(np.fft, name)(x, **renamed),
            lambda t, x: getattr(t.fft, name)(x, **options))  # fmt: skip


def _transform(name, samples=CUBE, **options):
    """A transform of complex numbers."""
    return row(f"fft.{name}", *_both(name, options), samples)


def _real_transform(name, samples=((2, 3, 5),), **options):
    """A transform of real numbers."""
    return _real(f"fft.{name}", *_both(name, options), samples)


def _hermitian(name, **options):
    """A transform that NumPy lacks, from or to half of a Hermitian spectrum."""
    names = {"axes" if key == "dim" else key: value for key, value in options.items()}
    make = _real if name[0] == "i" else row
    return make(
        f"fft.{name}",
        lambda x: getattr(scipy.fft, name)(x, **names),
        lambda t, x: getattr(t.fft, name)(x, **options),
        ((2, 3, 5),) if name[0] == "i" else CUBE,
    )


def _stft(x):
    """Frames of 8 elements every 3, of the signal reflected at both ends."""
    full = np.pad(x, [(0, 0)] * (x.ndim - 1) + [(4, 4)], mode="reflect")
    count = (full.shape[-1] - 8) // 3 + 1
    frames = np.stack([full[..., 3 * i : 3 * i + 8] for i in range(count)], -1)
    return np.fft.rfft(frames * WINDOW[:, None], axis=-2)


def _window(t, x):
    return t.tensor(WINDOW, dtype=x.real.dtype).to(x.device)


def _round_trip(t, x):
    options = {"n_fft": 8, "hop_length": 3, "window": _window(t, x), "normalized": True}
    return t.istft(t.stft(x, **options, return_complex=True), **options, length=x.shape[-1])


_FOURIER = [
    _transform("fft"),
    _transform("fft", n=3, dim=1, norm="ortho"),
    _transform("ifft", n=6, norm="forward"),
    _transform("fft2", s=(2, 5), norm="ortho"),
    _transform("ifft2", dim=(0, 2)),
    _transform("fftn"),
    _transform("ifftn", s=(4, 3), dim=(0, 1)),
    _transform("irfft"),
    _transform("irfft", n=5, dim=1, norm="ortho"),
    _transform("irfft2", s=(3, 7)),
    _transform("irfftn", norm="forward"),
    _transform("hfft", n=5),
    _hermitian("hfft2", s=(4, 6)),
    _hermitian("hfftn", norm="ortho"),
    _real("fft.fft", np.fft.fft, lambda t, x: t.fft.fft(x), label="real"),
    _real_transform("rfft", ((2, 4), (2, 5))),
    _real_transform("rfft", n=4, dim=1, norm="forward"),
    _real_transform("rfft2", s=(4, 4), norm="ortho"),
    _real_transform("rfftn"),
    _real_transform("ihfft", norm="ortho"),
    _hermitian("ihfft2", norm="ortho"),
    _hermitian("ihfftn", s=(4, 6), dim=(0, 2)),
    _real("fft.fftshift", np.fft.fftshift, lambda t, x: t.fft.fftshift(x)),
    _real("fft.ifftshift", lambda x: np.fft.ifftshift(x, (1, 2)),
          lambda t, x: t.fft.ifftshift(x, (1, 2))),
    _real("stft", _stft, lambda t, x: t.stft(x, 8, 3, window=_window(t, x), return_complex=True),
          ((20,), (2, 17))),
    _real("istft", np.copy, _round_trip, ((20,), (2, 17))),
]  # fmt: skip
FOURIER = [replace(case, solver="shift" not in case.op) for case in _FOURIER]
