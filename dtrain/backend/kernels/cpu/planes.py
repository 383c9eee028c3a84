"""Planes: images with their padding, between whose elements and a window's taps lie fixed shifts.

What an output takes from a tap (an element of the window) lies `shift` elements after it in the
planes, with one shift for each tap, the same for all outputs.
"""

from __future__ import annotations

from typing import Any

from dtrain.backend.kernels.cpu.compiler import inlined
from dtrain.backend.kernels.cpu.vector import LANES, load, store

REACH = LANES  # elements after the planes that the last vector may read


@inlined
def copy_run(source: Any, at: Any, step: Any, target: Any, to: Any, by: Any, count: Any) -> None:
    """Copy `count` elements between flat arrays, `step` apart to `by` apart."""
    if step == 1 and by == 1 and count >= LANES:
        for j in range(0, count - LANES, LANES):
            store(target, to + j, load(source, at + j))
        store(target, to + count - LANES, load(source, at + count - LANES))
    else:
        for j in range(count):
            target[to + j * by] = source[at + j * step]


@inlined
def fill_planes(
    x: Any, first: Any, channels: Any, stride: Any, padding: Any, rows: Any, pitch: Any, planes: Any
) -> None:
    """Copy images x, (images, h, w), from `first` on to planes, (channels, stride[0], stride[1],
    rows, pitch) in one. What is padding there is not written."""
    _, h, w = x.shape
    source = x.reshape(-1)
    for channel in range(channels):
        for i in range(h):
            row, part = (i + padding[0]) // stride[0], (i + padding[0]) % stride[0]
            if row >= rows:
                continue
            for k in range(stride[1]):  # the columns of remainder k
                start = (k - padding[1]) % stride[1]
                column = (start + padding[1]) // stride[1]
                count = min((w - start + stride[1] - 1) // stride[1], pitch - column)
                plane = (channel * stride[0] + part) * stride[1] + k
                to = (plane * rows + row) * pitch + column
                at = ((first + channel) * h + i) * w + start
                copy_run(source, at, stride[1], planes, to, 1, count)


@inlined
def shape_sums(size: Any, pitch: Any, channels: Any) -> Any:
    """(lines, width): how outputs of `size` are computed, whole vectors at a time, as one line of
    their rows in the planes or row by row, whichever has fewer elements. One channel alone needs
    long lines."""
    line = (size[0] - 1) * pitch + size[1]
    wide = (size[1] + LANES - 1) // LANES * LANES
    if channels > 1 and size[0] * wide < line:
        return size[0], wide
    return 1, (line + LANES - 1) // LANES * LANES
