"""interpolate and upsample: resize images, one axis after the other."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from dtrain.autograd import Tensor
from dtrain.backend import dtypes
from dtrain.functions.autocast import autocasts
from dtrain.nn.functional.adaptive_pooling import (
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    adaptive_avg_pool3d,
)
from dtrain.nn.functional.spatial import Numbers, per_axis
from dtrain.primitives.resampling import Band, resample

#: The numbers of axes that each mode supports.
MODES: dict[str, tuple[int, ...]] = {
    "nearest": (1, 2, 3),
    "nearest-exact": (1, 2, 3),
    "area": (1, 2, 3),
    "linear": (1,),
    "bilinear": (2,),
    "trilinear": (3,),
    "bicubic": (2,),
    "lanczos": (2,),
}
_SMOOTHED = ("bilinear", "bicubic", "lanczos")


@autocasts
def interpolate(
    input: Tensor,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Tensor:
    """Resize to `size`, or by `scale_factor` (torch.nn.functional.interpolate).

    Parameters
    ----------
    input : (n, c, l), (n, c, h, w) or (n, c, d, h, w)
    size : the output's sizes, one int for all axes or one for each
    scale_factor : output size / input size, one number or one for each axis
    mode : "nearest", "nearest-exact", "area"; "linear", "bilinear" or "trilinear", by the number
        of axes; "bicubic" or "lanczos", for images
    align_corners : True aligns the centers of the outer elements, False their outer edges
    recompute_scale_factor : compute the scale from the rounded output size
    antialias : low-pass filter when downsampling; for bilinear, bicubic and lanczos

    >>> import dtrain
    >>> interpolate(dtrain.tensor([[[0.0, 4.0]]]), size=4, mode="linear")
    tensor([[[0., 1., 3., 4.]]])
    """
    axes = input.ndim - 2
    if mode in ("nearest", "nearest-exact", "area") and align_corners is not None:
        raise ValueError(f"interpolate: mode {mode!r} has no align_corners; omit it")
    sizes, scales = _sizes(input, size, scale_factor)
    if recompute_scale_factor and size is not None:
        raise ValueError("interpolate: recompute_scale_factor is for a scale_factor, not a size")
    if recompute_scale_factor:
        scales = (None,) * axes
    if antialias and (mode not in _SMOOTHED or axes != 2):
        raise ValueError(f"interpolate: antialias is for {_SMOOTHED} of images, got {mode!r}")
    if axes not in MODES.get(mode, ()):
        raise NotImplementedError(
            f"interpolate: expected an input (n, c, ...) of 1 to 3 axes and a mode for them out "
            f"of {MODES}, got {input.shape} and {mode!r}"
        )
    if mode == "lanczos" and (align_corners or not antialias):
        raise ValueError("interpolate: lanczos needs antialias=True, and align_corners=False")
    if 0 in input.shape[1:] or min(sizes) < 1:
        raise RuntimeError(
            f"interpolate: expected sizes of at least 1, got {input.shape[1:]} and {sizes}"
        )
    if mode == "area":
        return (adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d)[axes - 1](
            input, sizes
        )
    kind = mode if mode in ("nearest", "nearest-exact", "bicubic", "lanczos") else "linear"
    precise = (dtypes.float32, dtypes.float64)
    half = dtypes.is_half(input.dtype)  # whose gradients are sums
    if input.dtype in precise or (kind.startswith("nearest") and not half):
        return _resize(input, kind, sizes, bool(align_corners), scales, antialias)
    if not dtypes.is_floating(input.dtype) and input.dtype != dtypes.uint8:
        raise NotImplementedError(f"interpolate: {mode!r} is for floats, got {input.dtype}")
    out = _resize(input.float(), kind, sizes, bool(align_corners), scales, antialias, input.dtype)
    return out.to(input.dtype)


def _resize(
    x: Tensor,
    kind: str,
    sizes: Numbers,
    align_corners: bool,
    scales: tuple[Any, ...],
    antialias: bool,
    wanted: Any = None,
) -> Tensor:
    precision = "float64" if x.dtype == dtypes.float64 else "float32"
    for axis in reversed(range(2, x.ndim)):
        options = x.shape[axis], sizes[axis - 2], align_corners, scales[axis - 2], precision
        band = _smooth_band(kind, *options) if antialias else _band(kind, *options)
        x = resample(x, axis=axis, band=band)
        if wanted == dtypes.uint8:  # as PyTorch does after each axis
            x = (x + 0.5).floor().clamp(0, 255)
    return x


def upsample(
    input: Tensor,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
) -> Tensor:
    """`interpolate` under its deprecated name (torch.nn.functional.upsample)."""
    return interpolate(input, size, scale_factor, mode, align_corners)


def upsample_nearest(input: Tensor, size: Any = None, scale_factor: Any = None) -> Tensor:
    """interpolate(mode="nearest") (torch.nn.functional.upsample_nearest)."""
    return interpolate(input, size, scale_factor, "nearest")


def upsample_bilinear(input: Tensor, size: Any = None, scale_factor: Any = None) -> Tensor:
    """interpolate(mode="bilinear") with corners aligned (torch.nn.functional.upsample_bilinear)."""
    return interpolate(input, size, scale_factor, "bilinear", align_corners=True)


def _sizes(input: Tensor, size: Any, scale_factor: Any) -> tuple[Numbers, tuple[Any, ...]]:
    """The output's size along each axis, and the scale factor of each axis or None."""
    axes = input.ndim - 2
    if (size is None) == (scale_factor is None):
        raise ValueError(
            f"interpolate: expected a size or a scale_factor, one of both, got {size} and "
            f"{scale_factor}"
        )
    given = scale_factor if size is None else size
    if isinstance(given, (tuple, list)) and len(given) != axes:
        raise ValueError(
            f"interpolate: expected a number for each of the {axes} axes of an input "
            f"{input.shape}, got {given}"
        )
    if size is not None:
        return per_axis(size, axes, "size"), (None,) * axes
    scales = tuple(given) if isinstance(given, (tuple, list)) else (given,) * axes
    return tuple(int(n * scale) for n, scale in zip(input.shape[2:], scales)), scales


# --- the input elements and weights of each output element ---


@functools.lru_cache(maxsize=64)
def _band(
    kind: str, n: int, o: int, align_corners: bool, scale: float | None, precision: str
) -> Band:
    """The banded matrix (o, n) that resizes an axis from n to o elements."""
    real = np.dtype(precision).type
    step, i = _step(n, o, align_corners, scale, precision), np.arange(o, dtype=precision)
    # rounded once, like a fused multiply-add
    centers = i * step if align_corners else ((i + 0.5) * np.float64(step) - 0.5).astype(real)
    if kind.startswith("nearest"):
        indices = np.floor(centers.clip(0) + real(0.5) if kind == "nearest-exact" else i * step)
        return Band(indices.astype("int64").clip(0, n - 1)[:, None], np.ones((o, 1)), n)
    if kind == "linear":
        if n == o:
            return Band(np.arange(n)[:, None], np.ones((n, 1)), n)
        centers = np.maximum(centers, 0)
    first = np.floor(centers).astype("int64")
    if kind == "linear":
        first = np.minimum(first, n - 1)
        t = (centers - first).clip(0, 1)
        weights = np.stack([1 - t, t], 1)
        return Band((first[:, None] + np.arange(2)).clip(0, n - 1), weights, n)
    distances = abs((centers - first)[:, None] - np.arange(-1, 3, dtype=precision))
    indices = (first[:, None] + np.arange(-1, 3)).clip(0, n - 1)
    return Band(indices, _cubic(distances, -0.75), n)


@functools.lru_cache(maxsize=64)
def _smooth_band(
    kind: str, n: int, o: int, align_corners: bool, scale: float | None, precision: str
) -> Band:
    """`_band` with antialiasing: the filter widens with the step when downsampling."""
    reach, weigh = _FILTERS[kind]
    step = _step(n, o, align_corners, scale, precision)
    wide = max(step, step.dtype.type(1))
    centers = step * (np.arange(o, dtype=precision) + step.dtype.type(0.5))
    start = (centers - reach * wide + 0.5).astype("int64").clip(0)
    end = (centers + reach * wide + 0.5).astype("int64").clip(None, n)
    indices = start[:, None] + np.arange((end - start).max())
    weights = weigh((indices - centers[:, None] + step.dtype.type(0.5)) / wide)
    weights = np.where(indices < end[:, None], weights, np.nan)
    return Band(indices.clip(0, n - 1), weights / np.nansum(weights, 1, keepdims=True), n)


def _step(n: int, o: int, align_corners: bool, scale: float | None, precision: str) -> Any:
    """The distance of neighbouring output elements in input elements, in the input's precision."""
    real = np.dtype(precision).type
    if align_corners:
        return real(n - 1) / real(o - 1) if o > 1 else real(0)
    return real(1 / scale) if scale else real(n) / real(o)


def _cubic(x: Any, a: float) -> Any:
    """The cubic convolution kernel of distances (Keys 1981, equation 15)."""
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = (((x - 5) * x + 8) * x - 4) * a
    return np.where(x <= 1, near, np.where(x < 2, far, 0))


#: The radius and the function of each kind's filter.
_FILTERS: dict[str, Any] = {
    "linear": (1, lambda x: np.maximum(1 - abs(x), 0)),
    "bicubic": (2, lambda x: _cubic(abs(x), -0.5)),
    "lanczos": (3, lambda x: np.where(abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0)),
}
