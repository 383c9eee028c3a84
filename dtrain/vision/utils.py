"""Grids of pictures, and files of them (torchvision.utils)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from dtrain.autograd import Tensor, no_grad
from dtrain.autograd.tensor import wrap
from dtrain.backend import array_module, to_host
from dtrain.vision.pictures import describe, load_pillow


@no_grad()
def make_grid(
    tensor: Tensor | Sequence[Tensor],
    nrow: int = 8,
    padding: int = 2,
    normalize: bool = False,
    value_range: tuple[float, float] | None = None,
    scale_each: bool = False,
    pad_value: float = 0.0,
) -> Tensor:
    """Pictures side by side as one (torchvision.utils.make_grid).

    Parameters
    ----------
    tensor : (n, C, H, W), or tensors (C, H, W) of one size; one channel becomes three
    nrow : pictures in a row
    padding : pixels between them
    normalize : shift and scale the values to 0 to 1
    value_range : the values that become 0 and 1; by default the least and the largest
    scale_each : the least and largest value of each picture, not of all
    pad_value : the value between the pictures

    >>> import dtrain
    >>> make_grid(dtrain.zeros(5, 1, 4, 6), nrow=3).shape
    dtrain.Size([3, 14, 26])
    """
    images = _stack(tensor)
    xp = array_module(images)
    if normalize:
        if value_range is not None and not isinstance(value_range, tuple):
            raise TypeError(f"make_grid: expected value_range (low, high), got {value_range!r}")
        groups = images if scale_each else images[None]
        scaled = [_scale(xp, group, value_range) for group in groups]
        images = xp.stack(scaled) if scale_each else scaled[0]
    count, channels, rows, columns = images.shape
    if count == 1:
        return wrap(images[0])
    across = min(nrow, count)
    down = -(-count // across)
    shape = (channels, (rows + padding) * down + padding, (columns + padding) * across + padding)
    grid = xp.full(shape, pad_value, images.dtype)
    for number in range(count):
        top = number // across * (rows + padding) + padding
        left = number % across * (columns + padding) + padding
        grid[:, top : top + rows, left : left + columns] = images[number]
    return wrap(grid)


def _stack(tensor: Tensor | Sequence[Tensor]) -> Any:
    """The pictures as an array (n, C, H, W), one channel as three."""
    if isinstance(tensor, (list, tuple)) and tensor and all(isinstance(t, Tensor) for t in tensor):
        shapes = {tuple(t.shape) for t in tensor}
        if len(shapes) > 1:
            raise ValueError(f"make_grid: expected pictures of one shape, got {sorted(shapes)}")
        array = array_module(tensor[0].array).stack([t.array for t in tensor])
    elif isinstance(tensor, Tensor):
        array = tensor.array
    else:
        raise TypeError(f"make_grid: expected a tensor or a list of them, got {describe(tensor)}")
    if not 2 <= array.ndim <= 4:
        raise ValueError(f"make_grid: expected (n, C, H, W), got shape {array.shape}")
    array = array[None] if array.ndim == 2 else array
    array = array[None] if array.ndim == 3 else array
    return array.repeat(3, 1) if array.shape[1] == 1 else array


def _scale(xp: Any, images: Any, value_range: tuple[float, float] | None) -> Any:
    low, high = value_range or (float(images.min()), float(images.max()))
    return (xp.clip(images, low, high) - images.dtype.type(low)) / images.dtype.type(
        max(high - low, 1e-5)
    )


@no_grad()
def save_image(
    tensor: Tensor | Sequence[Tensor],
    fp: str | Path | BinaryIO,
    format: str | None = None,
    **kwargs: Any,
) -> None:
    """Write pictures, values from 0 to 1, as a file of their grid (torchvision.utils.save_image).

    Each rank that calls it writes: guard it by `rank() == 0` for one file of all.

    Parameters
    ----------
    tensor, **kwargs : as in `make_grid`
    fp : path or file
    format : Pillow's name of the format; by default that of the path's suffix
    """
    grid = to_host(make_grid(tensor, **kwargs).array)
    pixels = np.clip(grid * grid.dtype.type(255) + grid.dtype.type(0.5), 0, 255).astype(np.uint8)
    image = load_pillow().fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0)))
    image.save(fp, format=format)
