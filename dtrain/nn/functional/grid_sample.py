"""affine_grid and grid_sample: sampling images at given positions (Jaderberg et al. 2015)."""

from __future__ import annotations

import functools
import itertools
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from dtrain.autograd import Tensor
from dtrain.backend import array_module
from dtrain.backend.dtypes import bool_
from dtrain.functions.autocast import autocasts
from dtrain.functions.creation import ones_like, tensor
from dtrain.primitives import indexing

MODES, PADDING_MODES = ("bilinear", "nearest", "bicubic"), ("zeros", "border", "reflection")


def affine_grid(theta: Tensor, size: Sequence[int], align_corners: bool | None = None) -> Tensor:
    """Apply affine maps to a regular grid over [-1, 1] (torch.nn.functional.affine_grid).

    Shape: theta (n, 2, 3) and size (n, c, h, w) to (n, h, w, 2), positions as (x, y); or theta
    (n, 3, 4) and size (n, c, d, h, w) to (n, d, h, w, 3), positions as (x, y, z).
    """
    axes = len(size) - 2
    if axes not in (2, 3):
        raise NotImplementedError(f"affine_grid: expected a size of 4 or 5 numbers, got {size}")
    if min(size) < 1:
        raise ValueError(f"affine_grid: expected sizes of at least 1, got {tuple(size)}")
    if not theta.is_floating_point():
        raise ValueError(f"affine_grid: expected theta to have a floating dtype, got {theta.dtype}")
    if theta.shape != (size[0], axes, axes + 1):
        raise ValueError(
            f"affine_grid: expected theta of shape {(size[0], axes, axes + 1)} for the size "
            f"{tuple(size)}, got {theta.shape}"
        )
    lines = [
        np.linspace(-1, 1, n) * (1 if align_corners else (n - 1) / n) if n > 1 else np.zeros(1)
        for n in size[2:]
    ]
    positions = [*np.meshgrid(*lines, indexing="ij")][::-1]
    base = np.stack([*positions, np.ones(tuple(size[2:]))], -1).reshape(-1, axes + 1)
    grid = tensor(base, dtype=theta.dtype, device=theta.device) @ theta.transpose(1, 2)
    return grid.reshape(size[0], *size[2:], axes)


@autocasts
def grid_sample(
    input: Tensor,
    grid: Tensor,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool | None = None,
) -> Tensor:
    """Sample images at the positions of a grid (torch.nn.functional.grid_sample).

    Parameters
    ----------
    input : (n, c, h, w) or (n, c, d, h, w)
    grid : (n, ..., 2) or (n, ..., 3), of as many dimensions: positions (x, y) or (x, y, z), -1 to 1
    mode : "bilinear" (for volumes trilinear), "nearest", or for images "bicubic"
    padding_mode : values outside: "zeros", the nearest "border" element, or a "reflection" at it
    align_corners : True: -1 and 1 are the centers of the outer elements; False: their outer edges
    """
    _check(input, grid, mode, padding_mode)
    if input.element_size() == 2:  # half precision is too coarse for positions
        out = grid_sample(input.float(), grid.float(), mode, padding_mode, align_corners)
        return out.to(input.dtype)
    n, c, *size = input.shape
    count = grid[0, ..., 0].numel() if n else 0
    positions = grid.reshape(n, count, len(size)).flip(-1).unbind(-1)
    indices = [_to_indices(x, m, align_corners) for x, m in zip(positions, size)]
    if len(size) == 3 and padding_mode == "zeros":  # in images NaN stays NaN
        indices = [x.masked_fill(~x.isfinite(), -2) for x in indices]
    taps = [_taps(x, m, mode, padding_mode, bool(align_corners)) for x, m in zip(indices, size)]
    pixels = input.flatten(2).permute(0, 2, 1)
    xp = array_module(input.array)
    rows = xp.arange(n)[:, None]
    total: Tensor | None = None
    for corner in itertools.product(*taps):
        flat, inside = xp.zeros((n, count), "int64"), xp.ones((n, count), bool)
        for (index, _), m in zip(corner, size):
            inside = inside & (index >= 0) & (index < m)
            flat = flat * m + index.clip(0, m - 1)
        values = indexing.getitem(pixels, index=(rows, flat))
        values = indexing.masked_fill(values, mask=~inside[..., None], value=0)
        weights = [weight for _, weight in corner if weight is not None]
        if weights:
            values = values * functools.reduce(operator.mul, weights).unsqueeze(-1)
        total = values if total is None else total + values
    assert total is not None
    return total.permute(0, 2, 1).reshape(n, c, *grid.shape[1:-1])


def _check(input: Tensor, grid: Tensor, mode: str, padding_mode: str) -> None:
    if mode not in MODES:
        raise ValueError(f"grid_sample: expected a mode in {MODES}, got {mode!r}")
    if padding_mode not in PADDING_MODES:
        raise ValueError(
            f"grid_sample: expected a padding_mode in {PADDING_MODES}, got {padding_mode!r}"
        )
    axes = input.ndim - 2
    shaped = axes in (2, 3) and grid.ndim == input.ndim and grid.shape[-1] == axes
    if not shaped or input.shape[0] != grid.shape[0] or input.dtype != grid.dtype:
        raise RuntimeError(
            "grid_sample: expected an input (n, c, h, w) and a grid (n, ..., ..., 2), or one "
            "dimension more and 3, of one dtype, got "
            f"{input.shape} {input.dtype} and {grid.shape} {grid.dtype}"
        )
    if 0 in input.shape[2:]:
        raise RuntimeError(f"grid_sample: expected images with elements, got {input.shape}")
    if mode == "bicubic" and axes != 2:
        raise RuntimeError(f"grid_sample: bicubic is for images, got an input {input.shape}")


def _to_indices(x: Tensor, n: int, align_corners: bool | None) -> Tensor:
    """Convert positions in [-1, 1] to fractional indices in [0, n - 1]."""
    return (x + 1) * ((n - 1) / 2) if align_corners else (x + 1) * (n / 2) - 0.5


def _taps(
    x: Tensor, n: int, mode: str, padding_mode: str, align_corners: bool
) -> list[tuple[Any, Tensor | None]]:
    """The elements of an axis that a position is interpolated from: (indices, weights) pairs."""
    if mode == "bicubic":
        first = x.detach().floor()
        distances = [x - first - i for i in (-1, 0, 1, 2)]
        weights = _cubic(*distances)
        positions = [
            _apply_padding(first + i, n, padding_mode, align_corners) for i in (-1, 0, 1, 2)
        ]
        return [(_as_integers(p), weight) for p, weight in zip(positions, weights)]
    x = _apply_padding(x, n, padding_mode, align_corners)
    if mode == "nearest":
        # A weight of 1, so that the grid has a gradient: zeros.
        weight = x.masked_fill(ones_like(x, dtype=bool_), 1) if x.requires_grad else None
        return [(_as_integers(x.detach().round()), weight)]
    first = x.detach().floor()
    return [(_as_integers(first), 1 - (x - first)), (_as_integers(first) + 1, x - first)]


def _as_integers(x: Tensor) -> Any:
    """Round to integers; NaN and positions far outside become indices outside."""
    limit = 2.0**31
    return x.nan_to_num(-limit).clamp(-limit, limit).array.astype("int64")


def _cubic(before: Tensor, left: Tensor, right: Tensor, after: Tensor) -> list[Tensor]:
    """Weights of four elements, from the position's distance to each (Keys 1981, a = -0.75)."""
    a = -0.75

    def near(x: Tensor) -> Tensor:
        return ((a + 2) * x - (a + 3)) * x * x + 1

    def far(x: Tensor) -> Tensor:
        return (((x - 5) * x + 8) * x - 4) * a

    return [far(before), near(left), near(-right), far(-after)]


def _apply_padding(x: Tensor, n: int, padding_mode: str, align_corners: bool) -> Tensor:
    """Move positions outside the image into it, by the padding mode."""
    if padding_mode == "zeros":
        return x
    # where a position is lost, the first element is taken
    x = x.masked_fill(x.isnan() if padding_mode == "border" else ~x.isfinite(), 0)
    if padding_mode == "reflection":
        low, span = (0.0, n - 1) if align_corners else (-0.5, n)
        if not span:
            return x * 0
        x = (x - low).abs()
        turns = (x / span).detach().floor()
        rest = x - turns * span
        x = rest * (1 - 2 * (turns % 2)) + span * (turns % 2) + low
    return x.clamp(0, n - 1)
