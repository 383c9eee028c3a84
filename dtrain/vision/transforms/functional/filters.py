"""Blur, and rectangles that are erased."""

from __future__ import annotations

from typing import Any

import numpy as np

from dtrain.autograd import Tensor
from dtrain.backend.dtypes import is_floating
from dtrain.functions.creation import tensor
from dtrain.nn.functional import conv2d, pad
from dtrain.vision.pictures import describe, require_image
from dtrain.vision.transforms.functional.conversion import pil_to_tensor, to_pil_image


def as_kernel_size(kernel_size: Any, function: str) -> tuple[int, int]:
    """(width, height) of one odd number or two."""
    sizes = (kernel_size,) * 2 if np.ndim(kernel_size) == 0 else tuple(kernel_size)
    if len(sizes) != 2 or any(size < 1 or size % 2 == 0 for size in sizes):
        raise ValueError(
            f"{function}: expected kernel_size to be one or two odd numbers, got {kernel_size!r}"
        )
    return int(sizes[0]), int(sizes[1])


def gaussian_blur(img: Any, kernel_size: Any, sigma: Any = None) -> Any:
    """Blur by a Gaussian kernel, with reflected edges (torchvision's gaussian_blur).

    Parameters
    ----------
    kernel_size : odd numbers (along x, along y), or one for both
    sigma : standard deviations in pixels; by default 0.15 * kernel_size + 0.35
    """
    require_image(img, "gaussian_blur")
    sizes = as_kernel_size(kernel_size, "gaussian_blur")
    if sigma is None:
        sigma = [size * 0.15 + 0.35 for size in sizes]
    sigmas = [float(sigma)] * 2 if np.ndim(sigma) == 0 else [float(s) for s in sigma]
    if len(sigmas) not in (1, 2) or min(sigmas) <= 0:
        raise ValueError(f"gaussian_blur: expected one or two sigma > 0, got {sigma!r}")
    if not isinstance(img, Tensor):
        return to_pil_image(gaussian_blur(pil_to_tensor(img), sizes, sigmas), img.mode)
    dtype = img.dtype if is_floating(img.dtype) else np.dtype(np.float32)
    channels = img.shape[-3]
    across, down = (
        _make_gaussian(size, s, dtype) for size, s in zip(sizes, (sigmas[0], sigmas[-1]))
    )
    kernel = tensor(np.outer(down, across), dtype=dtype, device=img.device)
    given = img.to(dtype).reshape(-1, channels, *img.shape[-2:])
    width, height = (size // 2 for size in sizes)
    padded = pad(given, (width, width, height, height), "reflect")
    weight = kernel.expand(channels, 1, *kernel.shape).contiguous()
    out = conv2d(padded, weight, groups=channels).reshape(img.shape)
    return out if out.dtype == img.dtype else out.round().to(img.dtype)


def _make_gaussian(size: int, sigma: float, dtype: np.dtype) -> np.ndarray:
    """exp(-(x / sigma)^2 / 2) at the distances from the middle, of sum 1."""
    x = np.linspace(-(size - 1) * 0.5, (size - 1) * 0.5, size, dtype=dtype)
    values = np.exp(dtype.type(-0.5) * (x / dtype.type(sigma)) ** 2)
    return values / values.sum()


def erase(
    img: Tensor, i: int, j: int, h: int, w: int, v: Tensor | float, inplace: bool = False
) -> Tensor:
    """Write `v` to rows i to i + h, columns j to j + w of (..., H, W) (torchvision's erase)."""
    if not isinstance(img, Tensor):
        raise TypeError(f"erase: expected a tensor, got {describe(img)}: put ToTensor before it")
    result = img if inplace else img.clone()
    result[..., i : i + h, j : j + w] = v
    return result
