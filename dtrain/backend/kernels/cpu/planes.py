"""Planes: images with their padding, between whose elements and a window's taps lie fixed shifts.

What an output takes from a tap (an element of the window) lies `shift` elements after it in the
planes, with one shift for each tap, the same for all outputs. With a stride, elements whose
positions have the same remainder lie together: a plane has a part for each pair of remainders.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from dtrain.backend.kernels.cpu.compiler import inlined
from dtrain.backend.kernels.cpu.vector import LANES, lane_copier
from dtrain.backend.kernels.reference.window import Pair

_copy_lanes, _copy_even, _copy_apart = lane_copier(1, 1), lane_copier(2, 1), lane_copier(1, 2)

REACH = LANES  # elements after the planes that the last vector may read


def parts_of_axis(length: int, stride: int, padding: int, wide: int) -> np.ndarray:
    """For each remainder: the first element of the image that is in the part, its position there,
    and the number of elements, (stride, 3). A part has room for `wide` elements."""
    starts = (np.arange(stride) - padding) % stride
    places = (starts + padding) // stride
    counts = np.minimum((length - starts + stride - 1) // stride, wide - places)
    return np.stack((starts, places, np.maximum(counts, 0)), 1)


def starts_of_runs(size: Pair, pitch: int, by_row: bool) -> np.ndarray:
    """Where the vectors that cover outputs of `size` begin in a plane: row by row, or in one line
    of the plane's rows."""
    if not by_row:
        return np.arange(0, max((size[0] - 1) * pitch + size[1], 1), LANES)
    across = np.arange(0, size[1], LANES)
    return (np.arange(size[0])[:, None] * pitch + across).reshape(-1)


@inlined
def copy_run(source: Any, at: Any, target: Any, to: Any, count: Any) -> None:
    """Copy `count` elements from `at` on to those of another flat array from `to` on."""
    for j in range(0, count, LANES):
        _copy_lanes(source, at + j, target, to + j, count - j)


@inlined
def gather_run(source: Any, at: Any, step: Any, target: Any, to: Any, count: Any) -> None:
    """As `copy_run`, from elements that are `step` apart."""
    if step == 1:
        copy_run(source, at, target, to, count)
    elif step == 2:
        for j in range(0, count, LANES):
            _copy_even(source, at + 2 * j, target, to + j, count - j)
    else:
        for j in range(count):
            target[to + j] = source[at + j * step]


@inlined
def scatter_run(source: Any, at: Any, target: Any, to: Any, by: Any, count: Any) -> None:
    """As `copy_run`, to elements that are `by` apart."""
    if by == 1:
        copy_run(source, at, target, to, count)
    elif by == 2:
        for j in range(0, count, LANES):
            _copy_apart(source, at + j, target, to + 2 * j, count - j)
    else:
        for j in range(count):
            target[to + j * by] = source[at + j]


@inlined
def fill_planes(
    x: np.ndarray, first: int, hw: Pair, lines: np.ndarray, columns: np.ndarray,
    shape: tuple[int, int, int], planes: np.ndarray, to: int,
) -> None:  # fmt: skip
    """Copy images x, (images, *hw), from `first` on to planes, from element `to` on. What is
    padding there is not written. x and planes are flat arrays.

    lines, columns: `parts_of_axis` of both axes. shape: channels, rows and pitch.
    """
    channels, rows, pitch = shape
    (h, w), down, across = hw, lines.shape[0], columns.shape[0]
    for channel in range(channels):
        for a in range(down):
            for k in range(across):
                part = (channel * down + a) * across + k
                at = ((first + channel) * h + lines[a, 0]) * w + columns[k, 0]
                place = to + (part * rows + lines[a, 1]) * pitch + columns[k, 1]
                for i in range(lines[a, 2]):
                    line = at + i * down * w
                    gather_run(x, line, across, planes, place + i * pitch, columns[k, 2])
