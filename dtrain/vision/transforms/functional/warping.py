"""Rotation, affine and perspective maps of Pillow's images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from dtrain.vision.pictures import load_pillow, require_picture
from dtrain.vision.transforms.functional.geometry import parse_fill
from dtrain.vision.transforms.functional.interpolation import InterpolationMode, pillow_filter


def rotate(
    img: Any,
    angle: float,
    interpolation: Any = InterpolationMode.NEAREST,
    expand: bool = False,
    center: Sequence[float] | None = None,
    fill: Any = None,
) -> Any:
    """Rotate counter-clockwise by `angle` degrees (torchvision's rotate, of PIL images).

    Parameters
    ----------
    expand : enlarge the picture until all of it is seen
    center : (x, y) of the center; the middle by default
    fill : the value of new pixels, 0 by default
    """
    require_picture(img, "rotate")
    resample = pillow_filter(interpolation, "rotate")
    middle = None if center is None else (center[0], center[1])
    fillcolor = parse_fill(fill, img, "rotate")
    return img.rotate(angle, resample, expand, middle, fillcolor=fillcolor)


def affine(
    img: Any,
    angle: float,
    translate: Sequence[float],
    scale: float,
    shear: Any,
    interpolation: Any = InterpolationMode.NEAREST,
    fill: Any = None,
    center: Sequence[float] | None = None,
) -> Any:
    """Rotate, shear, scale about the center, then move (torchvision's affine, of PIL images).

    Parameters
    ----------
    angle : in degrees, clockwise
    translate : (x, y) in pixels
    scale : > 0
    shear : in degrees, along x, or (along x, along y)
    """
    require_picture(img, "affine")
    if scale <= 0:
        raise ValueError(f"affine: expected scale > 0, got {scale}")
    if len(translate) != 2:
        raise ValueError(f"affine: expected translate (x, y), got {translate}")
    shears = [shear, 0.0] if np.ndim(shear) == 0 else [*shear]
    if len(shears) not in (1, 2):
        raise ValueError(f"affine: expected shear to be one or two angles, got {shear}")
    middle = [img.width * 0.5, img.height * 0.5] if center is None else center
    matrix = _invert_affine(middle, angle, translate, scale, (shears[0], shears[-1]))
    image, resample = load_pillow(), pillow_filter(interpolation, "affine")
    fillcolor = parse_fill(fill, img, "affine")
    return img.transform(img.size, image.Transform.AFFINE, matrix, resample, fillcolor=fillcolor)


def _invert_affine(
    center: Sequence[float],
    angle: float,
    translate: Sequence[float],
    scale: float,
    shear: Sequence[float],
) -> list[float]:
    """The rows of C A^-1 C^-1 T^-1: from a pixel of the result to its place in the picture.

    A = scale R(angle) Y(shear) X(shear), with the shears X = [1, -tan(sx); 0, 1] and
    Y = [1, 0; -tan(sy), 1] up to the factor that keeps areas; C and T move to the center and by
    `translate`. The determinant of A / scale is 1.
    """
    turn, along_x, along_y = (math.radians(a) for a in (angle, *shear))
    a = math.cos(turn - along_y) / math.cos(along_y)
    b = -math.cos(turn - along_y) * math.tan(along_x) / math.cos(along_y) - math.sin(turn)
    c = math.sin(turn - along_y) / math.cos(along_y)
    d = -math.sin(turn - along_y) * math.tan(along_x) / math.cos(along_y) + math.cos(turn)
    (xx, xy), (yx, yy) = (d / scale, -b / scale), (-c / scale, a / scale)
    x, y = -center[0] - translate[0], -center[1] - translate[1]
    return [xx, xy, xx * x + xy * y + center[0], yx, yy, yx * x + yy * y + center[1]]


def perspective(
    img: Any,
    startpoints: Sequence[Sequence[float]],
    endpoints: Sequence[Sequence[float]],
    interpolation: Any = InterpolationMode.BILINEAR,
    fill: Any = None,
) -> Any:
    """Move four corners to others (torchvision's perspective, of PIL images).

    Parameters
    ----------
    startpoints, endpoints : (x, y) of the top left, top right, bottom right, bottom left corner
    """
    require_picture(img, "perspective")
    if len(startpoints) != 4 or len(endpoints) != 4:
        raise ValueError(
            f"perspective: expected 4 startpoints and endpoints, got {len(startpoints)} and "
            f"{len(endpoints)}"
        )
    image, resample = load_pillow(), pillow_filter(interpolation, "perspective")
    fillcolor = parse_fill(fill, img, "perspective")
    coefficients = _solve_perspective(startpoints, endpoints)
    kind = image.Transform.PERSPECTIVE
    return img.transform(img.size, kind, coefficients, resample, fillcolor=fillcolor)


def _solve_perspective(
    startpoints: Sequence[Sequence[float]], endpoints: Sequence[Sequence[float]]
) -> list[float]:
    """a to h of x' = (ax + by + c) / (gx + hy + 1), y' = (dx + ey + f) / (gx + hy + 1)."""
    rows = []
    for (x, y), (u, v) in zip(endpoints, startpoints):
        rows.append([x, y, 1, 0, 0, 0, -u * x, -u * y])
        rows.append([0, 0, 0, x, y, 1, -v * x, -v * y])
    wanted = np.asarray(startpoints, np.float64).reshape(8)
    solution = np.linalg.lstsq(np.asarray(rows, np.float64), wanted, rcond=None)[0]
    return solution.astype(np.float32).tolist()
