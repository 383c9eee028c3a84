"""Random colors, grays and blur."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dtrain.vision.transforms import functional as F
from dtrain.vision.transforms.functional.filters import as_kernel_size
from dtrain.vision.transforms.transform import (
    RandomTransform,
    Transform,
    as_range,
    draw_order,
    draw_uniform,
)

_Range = tuple[float, float]


class ColorJitter(Transform):
    """Brightness, contrast, saturation and hue changed in random order (ColorJitter).

    Parameters
    ----------
    brightness, contrast, saturation : (low, high) of the factor; or a number, for factors from
        1 - number, at least 0, to 1 + number
    hue : (low, high) within -0.5 to 0.5; or a number, for (-number, number)
    """

    shown: tuple[str, ...] = ("brightness", "contrast", "saturation", "hue")

    def __init__(
        self, brightness: Any = 0, contrast: Any = 0, saturation: Any = 0, hue: Any = 0
    ) -> None:
        super().__init__()
        self.brightness: _Range | None = self._as_factors(brightness, "brightness")
        self.contrast: _Range | None = self._as_factors(contrast, "contrast")
        self.saturation: _Range | None = self._as_factors(saturation, "saturation")
        turns = as_range(hue, "hue", self, -0.5, 0.5)
        self.hue: _Range | None = None if turns == (0, 0) else turns

    def _as_factors(self, value: Any, name: str) -> _Range | None:
        if np.ndim(value) == 0:
            _, spread = as_range(value, name, self)
            factors = (max(1 - spread, 0.0), 1 + spread)
        else:
            factors = as_range(value, name, self, 0.0)
        return None if factors == (1, 1) else factors

    @staticmethod
    def get_params(
        brightness: _Range | None,
        contrast: _Range | None,
        saturation: _Range | None,
        hue: _Range | None,
    ) -> tuple[Any, ...]:
        """Draw (order, brightness, contrast, saturation, hue); None where nothing changes."""
        ranges = (brightness, contrast, saturation, hue)
        order = draw_order(4)
        return order, *(None if r is None else draw_uniform(*r) for r in ranges)

    def forward(self, img: Any) -> Any:
        """The image in other colors."""
        order, *factors = self.get_params(self.brightness, self.contrast, self.saturation, self.hue)
        adjust = (F.adjust_brightness, F.adjust_contrast, F.adjust_saturation, F.adjust_hue)
        for number in order:
            if factors[number] is not None:
                img = adjust[number](img, factors[number])
        return img


class Grayscale(Transform):
    """Gray, of 1 or 3 equal channels (torchvision.transforms.Grayscale)."""

    shown: tuple[str, ...] = ("num_output_channels",)

    def __init__(self, num_output_channels: int = 1) -> None:
        super().__init__()
        self.num_output_channels: int = num_output_channels

    def forward(self, img: Any) -> Any:
        """The gray image."""
        return F.rgb_to_grayscale(img, self.num_output_channels)


class RandomGrayscale(RandomTransform):
    """Gray with probability `p`, of as many channels (torchvision.transforms.RandomGrayscale)."""

    def __init__(self, p: float = 0.1) -> None:
        super().__init__(p)

    def _change(self, img: Any) -> Any:
        return F.rgb_to_grayscale(img, F.get_image_num_channels(img))


class RandomInvert(RandomTransform):
    """The negative with probability `p` (torchvision.transforms.RandomInvert)."""

    def _change(self, img: Any) -> Any:
        return F.invert(img)


class RandomAutocontrast(RandomTransform):
    """The whole range of values with probability `p` (torchvision's RandomAutocontrast)."""

    def _change(self, img: Any) -> Any:
        return F.autocontrast(img)


class RandomEqualize(RandomTransform):
    """All values equally frequent with probability `p` (torchvision.transforms.RandomEqualize)."""

    def _change(self, img: Any) -> Any:
        return F.equalize(img)


class RandomPosterize(RandomTransform):
    """Values of few bits with probability `p` (torchvision.transforms.RandomPosterize)."""

    shown: tuple[str, ...] = ("bits", "p")

    def __init__(self, bits: int, p: float = 0.5) -> None:
        super().__init__(p)
        self.bits: int = bits

    def _change(self, img: Any) -> Any:
        return F.posterize(img, self.bits)


class RandomSolarize(RandomTransform):
    """The negative of high values with probability `p` (torchvision.transforms.RandomSolarize)."""

    shown: tuple[str, ...] = ("threshold", "p")

    def __init__(self, threshold: float, p: float = 0.5) -> None:
        super().__init__(p)
        self.threshold: float = threshold

    def _change(self, img: Any) -> Any:
        return F.solarize(img, self.threshold)


class RandomAdjustSharpness(RandomTransform):
    """Sharpness changed with probability `p` (torchvision.transforms.RandomAdjustSharpness)."""

    shown: tuple[str, ...] = ("sharpness_factor", "p")

    def __init__(self, sharpness_factor: float, p: float = 0.5) -> None:
        super().__init__(p)
        self.sharpness_factor: float = sharpness_factor

    def _change(self, img: Any) -> Any:
        return F.adjust_sharpness(img, self.sharpness_factor)


class GaussianBlur(Transform):
    """Blur of a random width (torchvision.transforms.GaussianBlur).

    Parameters
    ----------
    kernel_size : odd numbers (along x, along y), or one for both
    sigma : the standard deviation in pixels, or its (low, high)
    """

    shown: tuple[str, ...] = ("kernel_size", "sigma")

    def __init__(self, kernel_size: Any, sigma: float | Sequence[float] = (0.1, 2.0)) -> None:
        super().__init__()
        self.kernel_size: tuple[int, int] = as_kernel_size(kernel_size, "GaussianBlur")
        low, high = (sigma, sigma) if isinstance(sigma, (int, float)) else sigma
        if not 0 < low <= high:
            raise ValueError(f"GaussianBlur: expected sigma (low, high) > 0, got {sigma}")
        self.sigma: _Range = (float(low), float(high))

    @staticmethod
    def get_params(sigma_min: float, sigma_max: float) -> float:
        """Draw the standard deviation."""
        return draw_uniform(sigma_min, sigma_max)

    def forward(self, img: Any) -> Any:
        """The blurred image."""
        return F.gaussian_blur(img, self.kernel_size, self.get_params(*self.sigma))
