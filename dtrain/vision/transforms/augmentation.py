"""`RandomErasing`, `RandAugment`, `TrivialAugmentWide`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from dtrain.autograd import Tensor
from dtrain.functions.creation import tensor
from dtrain.functions.creation.random import randn
from dtrain.vision.pictures import require_picture
from dtrain.vision.transforms import functional as F
from dtrain.vision.transforms.functional.interpolation import InterpolationMode, as_mode
from dtrain.vision.transforms.transform import (
    RandomTransform,
    Transform,
    as_range,
    draw_integer,
    draw_uniform,
    happens,
)


class RandomErasing(RandomTransform):
    """A rectangle of a tensor overwritten, with probability `p` (RandomErasing; Zhong et al. 2020).

    Parameters
    ----------
    scale : the range of the rectangle's part of the area
    ratio : the range of height / width
    value : the new elements: a number, one for each channel, or "random" for normal numbers

    >>> import dtrain
    >>> bool((RandomErasing(p=1)(dtrain.ones(3, 8, 8)) == 0).any())
    True
    """

    shown: tuple[str, ...] = ("p", "scale", "ratio", "value", "inplace")

    def __init__(
        self,
        p: float = 0.5,
        scale: Sequence[float] = (0.02, 0.33),
        ratio: Sequence[float] = (0.3, 3.3),
        value: Any = 0,
        inplace: bool = False,
    ) -> None:
        super().__init__(p)
        if isinstance(value, str) and value != "random":
            raise ValueError(
                f"RandomErasing: expected a number, numbers or 'random', got {value!r}"
            )
        self.scale: tuple[float, float] = as_range(scale, "scale", self, 0, 1)
        self.ratio: tuple[float, float] = as_range(ratio, "ratio", self, 0)
        if not self.ratio[0]:
            raise ValueError(f"RandomErasing: expected ratio (low, high) > 0, got {ratio!r}")
        self.value: Any = value
        self.inplace: bool = inplace

    @staticmethod
    def get_params(
        img: Tensor, scale: Sequence[float], ratio: Sequence[float], value: Any = None
    ) -> tuple[int, int, int, int, Any]:
        """Draw (top, left, height, width, value); normal numbers for the value None."""
        channels, rows, columns = F.get_dimensions(img)
        for _ in range(10):
            area = rows * columns * draw_uniform(scale[0], scale[1])
            shape = math.exp(draw_uniform(math.log(ratio[0]), math.log(ratio[1])))
            height, width = round(math.sqrt(area * shape)), round(math.sqrt(area / shape))
            if height < rows and width < columns:
                if value is None:
                    written: Any = randn(channels, height, width, dtype=np.float32)
                else:
                    written = tensor(value, dtype=img.dtype).reshape(-1, 1, 1)
                top = draw_integer(0, rows - height + 1)
                return top, draw_integer(0, columns - width + 1), height, width, written
        return 0, 0, rows, columns, img

    def _change(self, img: Tensor) -> Tensor:
        value = None if self.value == "random" else np.atleast_1d(self.value)
        if value is not None and len(value) not in (1, img.shape[-3]):
            raise ValueError(
                f"RandomErasing: expected one value or {img.shape[-3]}, one for each channel, got "
                f"{self.value!r}"
            )
        top, left, height, width, written = self.get_params(img, self.scale, self.ratio, value)
        return F.erase(img, top, left, height, width, written, self.inplace)


#: an operation's strengths by bin, for (bins, height, width), and whether their sign is drawn
_Space = dict[str, tuple[np.ndarray, bool]]


@lru_cache(maxsize=64)  # to make a space takes as long as to apply an operation
def _rand_augment_space(bins: int, height: int, width: int) -> _Space:
    moves = 150.0 / 331.0
    return _make_space(
        bins, 0.3, (moves * width, moves * height), 30.0, 0.9, 4, np.arange(bins) / ((bins - 1) / 4)
    )


@lru_cache(maxsize=64)
def _trivial_augment_space(bins: int) -> _Space:
    return _make_space(bins, 0.99, (32.0, 32.0), 135.0, 0.99, 6, np.arange(bins) / ((bins - 1) / 6))


def _make_space(
    bins: int,
    shear: float,
    moves: tuple[float, float],
    degrees: float,
    factor: float,
    lost_bits: int,
    steps: np.ndarray,
) -> _Space:
    def up_to(largest: float) -> np.ndarray:
        return np.linspace(0.0, largest, bins, dtype=np.float32)

    colors = {
        name: (up_to(factor), True) for name in ("Brightness", "Color", "Contrast", "Sharpness")
    }
    return {
        "Identity": (np.zeros(1), False),
        "ShearX": (up_to(shear), True),
        "ShearY": (up_to(shear), True),
        "TranslateX": (up_to(moves[0]), True),
        "TranslateY": (up_to(moves[1]), True),
        "Rotate": (up_to(degrees), True),
        **colors,
        "Posterize": (8 - np.round(steps), False),
        "Solarize": (np.linspace(255.0, 0.0, bins), False),
        "AutoContrast": (np.zeros(1), False),
        "Equalize": (np.zeros(1), False),
    }


class _Augmentation(Transform):
    """Applies operations of a space of strengths to a PIL image."""

    num_magnitude_bins: int
    interpolation: InterpolationMode
    fill: Any

    def __init__(self, bins: int, interpolation: Any, fill: Any) -> None:
        super().__init__()
        kind = type(self).__name__
        if bins < 2:
            raise ValueError(f"{kind}: expected num_magnitude_bins >= 2, got {bins}")
        self.num_magnitude_bins = bins
        self.interpolation = as_mode(interpolation, kind)
        self.fill = fill

    def _draw_and_apply(self, img: Any, space: _Space, number: int | None) -> Any:
        """A random operation, of the strength in bin `number`, or in a random one for None."""
        name = [*space][draw_integer(0, len(space))]
        strengths, signed = space[name]
        if len(strengths) == 1:
            number = 0
        elif number is None:
            number = draw_integer(0, len(strengths))
        strength = float(strengths[number])
        return self._apply(img, name, -strength if signed and happens(0.5) else strength)

    def _apply(self, img: Any, name: str, strength: float) -> Any:
        angle = math.degrees(math.atan(strength))
        warp = {
            "ShearX": (0, 0, angle, 0.0),
            "ShearY": (0, 0, 0.0, angle),
            "TranslateX": (int(strength), 0, 0.0, 0.0),
            "TranslateY": (0, int(strength), 0.0, 0.0),
        }.get(name)
        if warp is not None:
            move, shear = warp[:2], warp[2:]
            corner = [0, 0] if name.startswith("Shear") else None
            return F.affine(
                img, 0.0, move, 1.0, shear, self.interpolation, self.fill, center=corner
            )
        if name == "Rotate":
            return F.rotate(img, strength, self.interpolation, fill=self.fill)
        return _OPERATIONS[name](img, strength)


_OPERATIONS: dict[str, Callable[[Any, float], Any]] = {
    "Identity": lambda img, _: img,
    "Brightness": lambda img, strength: F.adjust_brightness(img, 1.0 + strength),
    "Color": lambda img, strength: F.adjust_saturation(img, 1.0 + strength),
    "Contrast": lambda img, strength: F.adjust_contrast(img, 1.0 + strength),
    "Sharpness": lambda img, strength: F.adjust_sharpness(img, 1.0 + strength),
    "Posterize": lambda img, strength: F.posterize(img, int(strength)),
    "Solarize": F.solarize,
    "AutoContrast": lambda img, _: F.autocontrast(img),
    "Equalize": lambda img, _: F.equalize(img),
}


class RandAugment(_Augmentation):
    """`num_ops` random operations of one strength, on PIL images (RandAugment; Cubuk et al. 2020).

    Parameters
    ----------
    num_ops : how many operations, one after another
    magnitude : the strength, from 0 to num_magnitude_bins - 1
    """

    shown: tuple[str, ...] = ("num_ops", "magnitude", "num_magnitude_bins", "interpolation", "fill")

    def __init__(
        self,
        num_ops: int = 2,
        magnitude: int = 9,
        num_magnitude_bins: int = 31,
        interpolation: Any = InterpolationMode.NEAREST,
        fill: Any = None,
    ) -> None:
        super().__init__(num_magnitude_bins, interpolation, fill)
        if not 0 <= magnitude < num_magnitude_bins:
            raise ValueError(
                f"RandAugment: expected a magnitude from 0 to {num_magnitude_bins - 1}, got "
                f"{magnitude}"
            )
        self.num_ops: int = num_ops
        self.magnitude: int = magnitude

    def forward(self, img: Any) -> Any:
        """The augmented picture."""
        require_picture(img, "RandAugment")
        space = _rand_augment_space(self.num_magnitude_bins, img.height, img.width)
        for _ in range(self.num_ops):
            img = self._draw_and_apply(img, space, self.magnitude)
        return img


class TrivialAugmentWide(_Augmentation):
    """One random operation of random strength, on PIL images (Müller and Hutter 2021).

    (torchvision.transforms.TrivialAugmentWide)
    """

    shown: tuple[str, ...] = ("num_magnitude_bins", "interpolation", "fill")

    def __init__(
        self,
        num_magnitude_bins: int = 31,
        interpolation: Any = InterpolationMode.NEAREST,
        fill: Any = None,
    ) -> None:
        super().__init__(num_magnitude_bins, interpolation, fill)

    def forward(self, img: Any) -> Any:
        """The augmented picture."""
        require_picture(img, "TrivialAugmentWide")
        space = _trivial_augment_space(self.num_magnitude_bins)
        return self._draw_and_apply(img, space, None)
