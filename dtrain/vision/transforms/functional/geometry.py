"""Crops, flips, padding, resizing: of Pillow's images and of tensors (..., H, W)."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from dtrain.autograd import Tensor
from dtrain.backend.dtypes import is_floating
from dtrain.functions.creation import tensor
from dtrain.nn.functional import interpolate, pad as pad_tensor
from dtrain.vision.pictures import load_pillow, require_image
from dtrain.vision.transforms.functional.conversion import get_dimensions
from dtrain.vision.transforms.functional.interpolation import (
    InterpolationMode,
    as_mode,
    pillow_filter,
)

_PADDINGS = ("constant", "edge", "reflect", "symmetric")


def as_size(size: Any, function: str) -> tuple[int, int]:
    """(height, width) of a number, or of one or two of them."""
    sizes = (size,) if isinstance(size, (int, float, np.integer)) else tuple(size)
    if len(sizes) not in (1, 2) or any(int(n) < 1 for n in sizes):
        raise ValueError(f"{function}: expected a size >= 1 or (height, width), got {size!r}")
    return int(sizes[0]), int(sizes[-1])


def hflip(img: Any) -> Any:
    """Exchange left and right (torchvision's hflip)."""
    require_image(img, "hflip")
    if isinstance(img, Tensor):
        return img.flip(-1)
    return img.transpose(load_pillow().Transpose.FLIP_LEFT_RIGHT)


def vflip(img: Any) -> Any:
    """Exchange top and bottom (torchvision's vflip)."""
    require_image(img, "vflip")
    if isinstance(img, Tensor):
        return img.flip(-2)
    return img.transpose(load_pillow().Transpose.FLIP_TOP_BOTTOM)


def crop(img: Any, top: int, left: int, height: int, width: int) -> Any:
    """A rectangle; pixels outside of the image are 0 (torchvision's crop)."""
    require_image(img, "crop")
    if not isinstance(img, Tensor):
        return img.crop((left, top, left + width, top + height))
    rows, columns = img.shape[-2:]
    inner = img[..., max(top, 0) : max(top + height, 0), max(left, 0) : max(left + width, 0)]
    if top >= 0 and left >= 0 and top + height <= rows and left + width <= columns:
        return inner
    before = [min(max(-left, 0), width), min(max(-top, 0), height)]
    after = [width - before[0] - inner.shape[-1], height - before[1] - inner.shape[-2]]
    return pad(inner, [*before, *after])


def center_crop(img: Any, output_size: Any) -> Any:
    """The middle rectangle; a smaller image is padded with 0 (torchvision's center_crop)."""
    height, width = as_size(output_size, "center_crop")
    _, rows, columns = get_dimensions(img)
    if width > columns or height > rows:
        left, top = max(width - columns, 0) // 2, max(height - rows, 0) // 2
        right, bottom = (max(width - columns, 0) + 1) // 2, (max(height - rows, 0) + 1) // 2
        img = pad(img, [left, top, right, bottom], fill=0)
        _, rows, columns = get_dimensions(img)
        if (width, height) == (columns, rows):
            return img
    top, left = round((rows - height) / 2), round((columns - width) / 2)
    return crop(img, top, left, height, width)


def five_crop(img: Any, size: Any) -> tuple[Any, ...]:
    """The four corners and the middle, each of `size` (torchvision's five_crop)."""
    height, width = as_size(size, "five_crop")
    _, rows, columns = get_dimensions(img)
    if width > columns or height > rows:
        raise ValueError(
            f"five_crop: the size {(height, width)} is larger than the image, {(rows, columns)}"
        )
    corners = [(top, left) for top in (0, rows - height) for left in (0, columns - width)]
    return (
        *(crop(img, top, left, height, width) for top, left in corners),
        center_crop(img, (height, width)),
    )


def ten_crop(img: Any, size: Any, vertical_flip: bool = False) -> tuple[Any, ...]:
    """`five_crop` of the image and of the flipped image (torchvision's ten_crop)."""
    flipped = vflip(img) if vertical_flip else hflip(img)
    return five_crop(img, size) + five_crop(flipped, size)


def pad(img: Any, padding: Any, fill: Any = 0, padding_mode: str = "constant") -> Any:
    """Add pixels at the edges; negative numbers cut them off (torchvision's pad).

    Parameters
    ----------
    padding : for all edges; or (left and right, top and bottom); or (left, top, right, bottom)
    fill : the value of new pixels; for a picture also one for each channel
    padding_mode : "constant", "edge", "reflect" or "symmetric"
    """
    require_image(img, "pad")
    left, top, right, bottom = as_edges(padding, "pad")
    if padding_mode not in _PADDINGS:
        raise ValueError(f"pad: expected padding_mode {', '.join(_PADDINGS)}, got {padding_mode!r}")
    if not isinstance(img, Tensor):
        return _pad_picture(img, (left, top, right, bottom), fill, padding_mode)
    if padding_mode == "constant":
        (value,) = np.reshape(fill, -1).tolist()
        return pad_tensor(img, (left, right, top, bottom), value=value)
    for dim, before, after in ((-2, top, bottom), (-1, left, right)):
        kept = np.arange(max(-before, 0), img.shape[dim] - max(-after, 0))
        index = np.pad(kept, (max(before, 0), max(after, 0)), padding_mode)  # type: ignore[call-overload]
        img = img.index_select(dim, tensor(index, device=img.device))
    return img


def as_edges(padding: Any, function: str) -> tuple[int, int, int, int]:
    """(left, top, right, bottom) of one number, two, or four."""
    edges = (padding,) if isinstance(padding, (int, np.integer)) else tuple(padding)
    if len(edges) == 1:
        edges *= 4
    elif len(edges) == 2:
        edges *= 2
    if len(edges) != 4:
        raise ValueError(f"{function}: expected 1, 2 or 4 numbers, got {padding!r}")
    left, top, right, bottom = (int(edge) for edge in edges)
    return left, top, right, bottom


def _pad_picture(img: Any, edges: tuple[int, int, int, int], fill: Any, mode: str) -> Any:
    left, top, right, bottom = edges
    if mode == "constant":
        size = (img.width + left + right, img.height + top + bottom)
        padded = load_pillow().new(img.mode, size, parse_fill(fill, img, "pad"))
        if img.mode == "P":
            padded.putpalette(img.getpalette())
        padded.paste(img, (left, top))
        return padded
    palette = img.getpalette() if img.mode == "P" else None
    img = img.crop(
        (max(-left, 0), max(-top, 0), img.width - max(-right, 0), img.height - max(-bottom, 0))
    )
    pixels = np.asarray(img)
    widths = [(max(top, 0), max(bottom, 0)), (max(left, 0), max(right, 0)), (0, 0)][: pixels.ndim]
    padded = load_pillow().fromarray(np.pad(pixels, widths, mode))  # type: ignore[call-overload]
    if palette is not None:
        padded.putpalette(palette)
    return padded


def parse_fill(fill: Any, img: Any, function: str) -> Any:
    """The value of new pixels as Pillow takes it: a number, or one for each channel."""
    channels = len(img.getbands())
    values = [fill or 0] if fill is None or np.ndim(fill) == 0 else list(fill)
    if len(values) == 1:
        values *= channels
    if len(values) != channels:
        raise ValueError(
            f"{function}: expected one fill or {channels}, one for each channel, got {fill!r}"
        )
    if img.mode != "F":
        values = [int(value) for value in values]
    return values[0] if channels == 1 else tuple(values)


def resize(
    img: Any,
    size: Any,
    interpolation: Any = InterpolationMode.BILINEAR,
    max_size: int | None = None,
    antialias: bool | None = True,
) -> Any:
    """Scale to `size` (torchvision's resize).

    Parameters
    ----------
    size : (height, width); or one number, the length of the shorter edge
    max_size : the largest length of the longer edge, where `size` is one number
    antialias : low-pass filter of tensors; pictures always have one
    """
    require_image(img, "resize")
    mode = as_mode(interpolation, "resize")
    _, rows, columns = get_dimensions(img)
    height, width = _choose_size(rows, columns, size, max_size)
    if (height, width) == (rows, columns):
        return img
    if not isinstance(img, Tensor):
        if antialias is False:
            warnings.warn(
                "resize: antialias=False changes nothing for a PIL image, which always has a "
                "filter; it is for tensors",
                stacklevel=2,
            )
        return img.resize((width, height), pillow_filter(mode, "resize"))
    smooth = mode in (InterpolationMode.BILINEAR, InterpolationMode.BICUBIC)
    if not smooth and mode not in (InterpolationMode.NEAREST, InterpolationMode.NEAREST_EXACT):
        raise ValueError(f"resize: {mode} is for PIL images, got a tensor")
    given = img if is_floating(img.dtype) and img.dtype.itemsize > 2 else img.to(np.float32)
    batch = given.reshape(-1, *given.shape[-3:]) if given.ndim > 2 else given[None, None]
    options = {"align_corners": False, "antialias": bool(antialias)} if smooth else {}
    out = interpolate(batch, size=(height, width), mode=mode.value, **options)
    out = out.reshape(*img.shape[:-2], height, width)
    if out.dtype == img.dtype:
        return out
    if not is_floating(img.dtype) and smooth:
        limits = np.iinfo(img.dtype)
        out = out.round().clamp(limits.min, limits.max)
    return out.to(img.dtype)


def _choose_size(rows: int, columns: int, size: Any, max_size: int | None) -> tuple[int, int]:
    sizes = (size,) if np.ndim(size) == 0 else tuple(size)
    if len(sizes) == 2:
        if max_size is not None:
            raise ValueError(f"resize: max_size goes with one size, the shorter edge's, got {size}")
        return as_size(sizes, "resize")
    shorter, _ = as_size(sizes, "resize")
    longer = int(shorter * max(rows, columns) / min(rows, columns))
    if max_size is not None:
        if max_size <= shorter:
            raise ValueError(
                f"resize: expected max_size > size, got max_size={max_size} and size={shorter}"
            )
        if longer > max_size:
            shorter, longer = int(max_size * shorter / longer), max_size
    return (longer, shorter) if columns <= rows else (shorter, longer)


def resized_crop(
    img: Any,
    top: int,
    left: int,
    height: int,
    width: int,
    size: Sequence[int],
    interpolation: Any = InterpolationMode.BILINEAR,
    antialias: bool | None = True,
) -> Any:
    """`crop`, then `resize` (torchvision's resized_crop)."""
    cropped = crop(img, top, left, height, width)
    return resize(cropped, size, interpolation, antialias=antialias)
