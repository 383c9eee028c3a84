"""Random rotation, affine and perspective maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dtrain.vision.transforms import functional as F
from dtrain.vision.transforms.functional.interpolation import InterpolationMode, as_mode
from dtrain.vision.transforms.transform import (
    RandomTransform,
    Transform,
    as_range,
    draw_integer,
    draw_uniform,
)


class RandomRotation(Transform):
    """Rotation by an angle from `degrees` (torchvision.transforms.RandomRotation).

    Parameters
    ----------
    degrees : (low, high), or a number for (-degrees, degrees)
    expand, center, fill : as in `functional.rotate`
    """

    shown: tuple[str, ...] = ("degrees", "interpolation", "expand", "center", "fill")

    def __init__(
        self,
        degrees: Any,
        interpolation: Any = InterpolationMode.NEAREST,
        expand: bool = False,
        center: Sequence[float] | None = None,
        fill: Any = 0,
    ) -> None:
        super().__init__()
        self.degrees: tuple[float, float] = as_range(degrees, "degrees", self)
        self.interpolation: InterpolationMode = as_mode(interpolation, "RandomRotation")
        self.expand: bool = expand
        self.center: Sequence[float] | None = center
        self.fill: Any = fill

    @staticmethod
    def get_params(degrees: Sequence[float]) -> float:
        """Draw the angle."""
        return draw_uniform(degrees[0], degrees[1])

    def forward(self, img: Any) -> Any:
        """The rotated picture."""
        angle = self.get_params(self.degrees)
        return F.rotate(img, angle, self.interpolation, self.expand, self.center, self.fill)


class RandomAffine(Transform):
    """Rotation, move, scale and shear (torchvision.transforms.RandomAffine).

    Parameters
    ----------
    degrees : (low, high), or a number for (-degrees, degrees)
    translate : the largest moves, as parts of (width, height); None: no move
    scale : (low, high); None: 1
    shear : a number for (-shear, shear) along x; (low, high) along x; or these of x and y
    """

    shown: tuple[str, ...] = (
        "degrees",
        "translate",
        "scale",
        "shear",
        "interpolation",
        "fill",
        "center",
    )

    def __init__(
        self,
        degrees: Any,
        translate: Sequence[float] | None = None,
        scale: Sequence[float] | None = None,
        shear: Any = None,
        interpolation: Any = InterpolationMode.NEAREST,
        fill: Any = 0,
        center: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        self.degrees: tuple[float, float] = as_range(degrees, "degrees", self)
        if translate is not None and not (
            len(translate) == 2 and all(0 <= part <= 1 for part in translate)
        ):
            raise ValueError(f"RandomAffine: expected translate of 0 to 1, got {translate}")
        if scale is not None and not (len(scale) == 2 and 0 < scale[0] <= scale[1]):
            raise ValueError(f"RandomAffine: expected scale (low, high) > 0, got {scale}")
        self.translate: Sequence[float] | None = translate
        self.scale: Sequence[float] | None = scale
        self.shear: tuple[float, ...] | None = self._as_shear(shear)
        self.interpolation: InterpolationMode = as_mode(interpolation, "RandomAffine")
        self.fill: Any = fill
        self.center: Sequence[float] | None = center

    def _as_shear(self, shear: Any) -> tuple[float, ...] | None:
        if shear is None:
            return None
        if hasattr(shear, "__len__") and len(shear) == 4:
            return (*as_range(shear[:2], "shear", self), *as_range(shear[2:], "shear", self))
        return as_range(shear, "shear", self)

    @staticmethod
    def get_params(
        degrees: Sequence[float],
        translate: Sequence[float] | None,
        scale_ranges: Sequence[float] | None,
        shears: Sequence[float] | None,
        img_size: Sequence[int],
    ) -> tuple[float, tuple[int, int], float, tuple[float, float]]:
        """Draw (angle, (x, y), scale, (shear along x, along y)); `img_size` is (width, height)."""
        angle = draw_uniform(degrees[0], degrees[1])
        moves = (0, 0)
        if translate is not None:
            largest = [part * length for part, length in zip(translate, img_size)]
            moves = (
                round(draw_uniform(-largest[0], largest[0])),
                round(draw_uniform(-largest[1], largest[1])),
            )
        scale = 1.0 if scale_ranges is None else draw_uniform(scale_ranges[0], scale_ranges[1])
        along_x = along_y = 0.0
        if shears is not None:
            along_x = draw_uniform(shears[0], shears[1])
            if len(shears) == 4:
                along_y = draw_uniform(shears[2], shears[3])
        return angle, moves, scale, (along_x, along_y)

    def forward(self, img: Any) -> Any:
        """The transformed picture."""
        size = F.get_image_size(img)
        params = self.get_params(self.degrees, self.translate, self.scale, self.shear, size)
        return F.affine(img, *params, self.interpolation, self.fill, self.center)


class RandomPerspective(RandomTransform):
    """The corners moved inwards, with probability `p` (torchvision.transforms.RandomPerspective).

    Parameters
    ----------
    distortion_scale : the largest moves, as parts of half of the width and height
    """

    shown: tuple[str, ...] = ("distortion_scale", "p", "interpolation", "fill")

    def __init__(
        self,
        distortion_scale: float = 0.5,
        p: float = 0.5,
        interpolation: Any = InterpolationMode.BILINEAR,
        fill: Any = 0,
    ) -> None:
        super().__init__(p)
        if not 0 <= distortion_scale <= 1:
            raise ValueError(
                f"RandomPerspective: expected distortion_scale from 0 to 1, got {distortion_scale}"
            )
        self.distortion_scale: float = distortion_scale
        self.interpolation: InterpolationMode = as_mode(interpolation, "RandomPerspective")
        self.fill: Any = fill

    @staticmethod
    def get_params(
        width: int, height: int, distortion_scale: float
    ) -> tuple[list[list[int]], list[list[int]]]:
        """Draw (startpoints, endpoints), each from the top left corner clockwise."""
        across, down = (int(distortion_scale * (n // 2)) + 1 for n in (width, height))
        corners = [[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]]
        moved = []
        for x, y in corners:
            dx, dy = draw_integer(0, across), draw_integer(0, down)
            moved.append([x - dx if x else dx, y - dy if y else dy])
        return corners, moved

    def _change(self, img: Any) -> Any:
        width, height = F.get_image_size(img)
        points = self.get_params(width, height, self.distortion_scale)
        return F.perspective(img, *points, self.interpolation, self.fill)
