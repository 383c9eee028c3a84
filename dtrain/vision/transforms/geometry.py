"""Crops, flips, padding and resizing as transforms."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from dtrain.vision.transforms import functional as F
from dtrain.vision.transforms.functional.geometry import as_edges, as_size
from dtrain.vision.transforms.functional.interpolation import InterpolationMode, as_mode
from dtrain.vision.transforms.transform import (
    RandomTransform,
    Transform,
    draw_integer,
    draw_uniform,
)


class Resize(Transform):
    """Scale to (height, width), or the shorter edge to a number (torchvision.transforms.Resize)."""

    shown: tuple[str, ...] = ("size", "interpolation", "max_size", "antialias")

    def __init__(
        self,
        size: Any,
        interpolation: Any = InterpolationMode.BILINEAR,
        max_size: int | None = None,
        antialias: bool | None = True,
    ) -> None:
        super().__init__()
        as_size(size, "Resize")
        self.size: Any = size
        self.interpolation: InterpolationMode = as_mode(interpolation, "Resize")
        self.max_size: int | None = max_size
        self.antialias: bool | None = antialias

    def forward(self, img: Any) -> Any:
        """The scaled image."""
        return F.resize(img, self.size, self.interpolation, self.max_size, self.antialias)


class CenterCrop(Transform):
    """The middle; a smaller image is padded with 0 (torchvision.transforms.CenterCrop)."""

    shown: tuple[str, ...] = ("size",)

    def __init__(self, size: Any) -> None:
        super().__init__()
        self.size: tuple[int, int] = as_size(size, type(self).__name__)

    def forward(self, img: Any) -> Any:
        """The rectangle."""
        return F.center_crop(img, self.size)


class FiveCrop(CenterCrop):
    """A tuple of the four corners and the middle (torchvision.transforms.FiveCrop)."""

    def forward(self, img: Any) -> tuple[Any, ...]:
        """Top left, top right, bottom left, bottom right, middle."""
        return F.five_crop(img, self.size)


class TenCrop(CenterCrop):
    """FiveCrop of the image and of the flipped image (torchvision.transforms.TenCrop)."""

    shown: tuple[str, ...] = ("size", "vertical_flip")

    def __init__(self, size: Any, vertical_flip: bool = False) -> None:
        super().__init__(size)
        self.vertical_flip: bool = vertical_flip

    def forward(self, img: Any) -> tuple[Any, ...]:
        """Five rectangles of the image, five of the flipped one."""
        return F.ten_crop(img, self.size, self.vertical_flip)


class Pad(Transform):
    """New pixels at the edges (torchvision.transforms.Pad)."""

    shown: tuple[str, ...] = ("padding", "fill", "padding_mode")

    def __init__(self, padding: Any, fill: Any = 0, padding_mode: str = "constant") -> None:
        super().__init__()
        as_edges(padding, "Pad")
        self.padding: Any = padding
        self.fill: Any = fill
        self.padding_mode: str = padding_mode

    def forward(self, img: Any) -> Any:
        """The padded image."""
        return F.pad(img, self.padding, self.fill, self.padding_mode)


class RandomHorizontalFlip(RandomTransform):
    """Left and right exchanged with probability `p` (torchvision's RandomHorizontalFlip)."""

    def _change(self, img: Any) -> Any:
        return F.hflip(img)


class RandomVerticalFlip(RandomTransform):
    """Top and bottom exchanged with probability `p` (torchvision's RandomVerticalFlip)."""

    def _change(self, img: Any) -> Any:
        return F.vflip(img)


class RandomCrop(Transform):
    """A rectangle at a random place (torchvision.transforms.RandomCrop).

    Parameters
    ----------
    size : of the rectangle, a number or (height, width)
    padding : pixels that are added first, as in `Pad`
    pad_if_needed : pad an image that is smaller than the rectangle, which is refused otherwise
    fill, padding_mode : of the new pixels

    >>> import dtrain
    >>> RandomCrop(2)(dtrain.zeros(3, 5, 4)).shape
    dtrain.Size([3, 2, 2])
    """

    shown: tuple[str, ...] = ("size", "padding")

    def __init__(
        self,
        size: Any,
        padding: Any = None,
        pad_if_needed: bool = False,
        fill: Any = 0,
        padding_mode: str = "constant",
    ) -> None:
        super().__init__()
        self.size: tuple[int, int] = as_size(size, "RandomCrop")
        self.padding: Any = padding
        self.pad_if_needed: bool = pad_if_needed
        self.fill: Any = fill
        self.padding_mode: str = padding_mode

    @staticmethod
    def get_params(img: Any, output_size: Sequence[int]) -> tuple[int, int, int, int]:
        """Draw (top, left, height, width)."""
        _, rows, columns = F.get_dimensions(img)
        height, width = output_size
        if rows < height or columns < width:
            raise ValueError(
                f"RandomCrop: the size {(height, width)} is larger than the image, "
                f"{(rows, columns)}: resize it first, or pad_if_needed=True"
            )
        top = draw_integer(0, rows - height + 1)
        return top, draw_integer(0, columns - width + 1), height, width

    def forward(self, img: Any) -> Any:
        """The rectangle."""
        if self.padding is not None:
            img = F.pad(img, self.padding, self.fill, self.padding_mode)
        if self.pad_if_needed:
            _, rows, columns = F.get_dimensions(img)
            height, width = (max(n - m, 0) for n, m in zip(self.size, (rows, columns)))
            if height or width:
                img = F.pad(img, [width, height], self.fill, self.padding_mode)
        return F.crop(img, *self.get_params(img, self.size))


class RandomResizedCrop(Transform):
    """A rectangle of random place, area and shape, scaled to `size` (RandomResizedCrop).

    Parameters
    ----------
    size : the result's, a number or (height, width)
    scale : the range of the rectangle's part of the image's area
    ratio : the range of width / height
    """

    shown: tuple[str, ...] = ("size", "scale", "ratio", "interpolation", "antialias")

    def __init__(
        self,
        size: Any,
        scale: Sequence[float] = (0.08, 1.0),
        ratio: Sequence[float] = (3.0 / 4.0, 4.0 / 3.0),
        interpolation: Any = InterpolationMode.BILINEAR,
        antialias: bool | None = True,
    ) -> None:
        super().__init__()
        for name, values in (("scale", scale), ("ratio", ratio)):
            if np.ndim(values) != 1 or len(values) != 2:
                raise TypeError(f"RandomResizedCrop: expected {name} (low, high), got {values!r}")
            if values[0] > values[1]:
                warnings.warn(
                    f"RandomResizedCrop: {name} is {values}, expected (low, high)", stacklevel=2
                )
        if min(scale) < 0 or min(ratio) <= 0:
            raise ValueError(
                f"RandomResizedCrop: expected scale >= 0 and ratio > 0, got {scale} and {ratio}"
            )
        self.size: tuple[int, int] = as_size(size, "RandomResizedCrop")
        self.scale: Sequence[float] = scale
        self.ratio: Sequence[float] = ratio
        self.interpolation: InterpolationMode = as_mode(interpolation, "RandomResizedCrop")
        self.antialias: bool | None = antialias

    @staticmethod
    def get_params(
        img: Any, scale: Sequence[float], ratio: Sequence[float]
    ) -> tuple[int, int, int, int]:
        """Draw (top, left, height, width); the largest allowed middle one after ten misses."""
        _, rows, columns = F.get_dimensions(img)
        for _ in range(10):
            area = rows * columns * draw_uniform(scale[0], scale[1])
            shape = math.exp(draw_uniform(math.log(ratio[0]), math.log(ratio[1])))
            width, height = round(math.sqrt(area * shape)), round(math.sqrt(area / shape))
            if 0 < width <= columns and 0 < height <= rows:
                top = draw_integer(0, rows - height + 1)
                return top, draw_integer(0, columns - width + 1), height, width
        height, width = rows, columns
        if columns / rows < min(ratio):
            height = round(columns / min(ratio))
        elif columns / rows > max(ratio):
            width = round(rows * max(ratio))
        return (rows - height) // 2, (columns - width) // 2, height, width

    def forward(self, img: Any) -> Any:
        """The scaled rectangle."""
        params = self.get_params(img, self.scale, self.ratio)
        return F.resized_crop(img, *params, self.size, self.interpolation, self.antialias)
