"""Convolution over two axes as sums of shifted images, in float32: for few channels in a group.

The images are copied to planes with their padding, so that all outputs of an image and a channel
lie `shift` elements after what they take from a tap (an element of the window), with one shift for
each tap. With a stride, elements whose positions have the same remainder lie together: a plane has
a part for each pair of remainders. A row of a plane is longer than one of the output, by what a
window reaches over; what is computed there is dropped.

The sum over the taps is in their order; that of the weight's gradient over 16 lanes of elements.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from dtrain.backend.kernels.cpu.compiler import compiled, inlined
from dtrain.backend.kernels.cpu.vector import LANES, load, store
from dtrain.backend.kernels.reference.window import Pair, window_counts

_BLOCK = 4 * LANES  # outputs that are summed at once
_REACH = 2 * _BLOCK  # elements after the planes that a block may read


@inlined
def _copy(source: Any, at: Any, step: Any, target: Any, to: Any, by: Any, count: Any) -> None:
    """Copy `count` elements between flat arrays, `step` apart to `by` apart."""
    if step == 1 and by == 1 and count >= LANES:
        for j in range(0, count - LANES, LANES):
            store(target, to + j, load(source, at + j))
        store(target, to + count - LANES, load(source, at + count - LANES))
    else:
        for j in range(count):
            target[to + j * by] = source[at + j * step]


@inlined
def _fill_planes(
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
                _copy(source, at, stride[1], planes, to, 1, count)


@compiled
def _add_shifted(
    planes: np.ndarray, start: int, shifts: np.ndarray, weight: np.ndarray, out: np.ndarray
) -> None:
    """out[p] = the sum of weight[t] planes[start + shifts[t] + p] over the taps t."""
    zero = np.zeros(LANES, np.float32)
    p = 0
    while p < out.size:
        if p + _BLOCK <= out.size:
            a, b, c, d = load(zero, 0), load(zero, 0), load(zero, 0), load(zero, 0)
            for t in range(shifts.size):
                at, w = start + shifts[t] + p, weight[t]
                a = a + w * load(planes, at)
                b = b + w * load(planes, at + LANES)
                c = c + w * load(planes, at + 2 * LANES)
                d = d + w * load(planes, at + 3 * LANES)
            store(out, p, a)
            store(out, p + LANES, b)
            store(out, p + 2 * LANES, c)
            store(out, p + 3 * LANES, d)
            p += _BLOCK
        else:
            a = load(zero, 0)
            for t in range(shifts.size):
                a = a + weight[t] * load(planes, start + shifts[t] + p)
            store(out, p, a)
            p += LANES


@compiled
def _correlate(
    x: np.ndarray, stride: Pair, padding: Pair, shape: Pair, start: int, shifts: np.ndarray,
    weight: np.ndarray, size: Pair, first: Pair, step: Pair, out: np.ndarray,
) -> None:  # fmt: skip
    """Write to every `step`-th element of out, (n, m, h, w), from `first` on, `size` in all.

    x: (n * c, height, width), which is copied to planes of `shape`, rows and pitch; weight:
    (groups, m / groups, taps).
    """
    groups, per_group, _ = weight.shape
    n, _, high, wide = out.shape
    rows, pitch = shape
    channels = x.shape[0] // max(n * groups, 1)
    count = (size[0] - 1) * pitch + size[1]
    sums = np.empty(-(-count // LANES) * LANES, np.float32)
    planes = np.zeros(channels * stride[0] * stride[1] * rows * pitch + _REACH, np.float32)
    target = out.reshape(-1)
    for group in range(n * groups):
        _fill_planes(x, group * channels, channels, stride, padding, rows, pitch, planes)
        for m in range(per_group):
            _add_shifted(planes, start, shifts, weight[group % groups, m], sums)
            for i in range(size[0]):
                row = (group * per_group + m) * high + first[0] + i * step[0]
                _copy(sums, i * pitch, 1, target, row * wide + first[1], step[1], size[1])


@compiled
def _correlate_weight(
    x: np.ndarray, stride: Pair, padding: Pair, shape: Pair, shifts: np.ndarray, g: np.ndarray,
    out: np.ndarray,
) -> None:  # fmt: skip
    """Add to out, (groups, m / groups, taps), the sums of g, (n, m, oh, ow), times the planes of x,
    as in `_correlate`."""
    groups, per_group, taps = out.shape
    n, _, oh, ow = g.shape
    rows, pitch = shape
    channels = x.shape[0] // max(n * groups, 1)
    source = g.reshape(-1)
    zero, lanes = np.zeros(LANES, np.float32), np.empty(4 * LANES, np.float32)
    padded = np.zeros(-(-((oh - 1) * pitch + ow) // LANES) * LANES, np.float32)
    planes = np.zeros(channels * stride[0] * stride[1] * rows * pitch + _REACH, np.float32)
    last = taps - 1  # for a tap that is not there the last one is taken
    for group in range(n * groups):
        _fill_planes(x, group * channels, channels, stride, padding, rows, pitch, planes)
        for m in range(per_group):
            for i in range(oh):
                at = ((group * per_group + m) * oh + i) * ow
                _copy(source, at, 1, padded, i * pitch, 1, ow)
            for t in range(0, taps, 4):
                s0, s1 = shifts[t], shifts[min(t + 1, last)]
                s2, s3 = shifts[min(t + 2, last)], shifts[min(t + 3, last)]
                a, b, c, d = load(zero, 0), load(zero, 0), load(zero, 0), load(zero, 0)
                for p in range(0, padded.size, LANES):
                    v = load(padded, p)
                    a = a + v * load(planes, s0 + p)
                    b = b + v * load(planes, s1 + p)
                    c = c + v * load(planes, s2 + p)
                    d = d + v * load(planes, s3 + p)
                store(lanes, 0, a)
                store(lanes, LANES, b)
                store(lanes, 2 * LANES, c)
                store(lanes, 3 * LANES, d)
                for k in range(min(4, taps - t)):
                    total = np.float32(0)
                    for e in range(LANES):
                        total += lanes[k * LANES + e]
                    out[group % groups, m, t + k] += total


def _images(x: np.ndarray) -> np.ndarray:
    """(n, c, h, w) as (n * c, h, w)."""
    return x.reshape(x.shape[0] * x.shape[1], *x.shape[2:])


def _shifts(
    channels: int, kernel: Pair, size: Pair, stride: Pair, dilation: Pair
) -> tuple[Pair, np.ndarray]:
    """The rows and the pitch of the planes for an output of `size`, and the shifts of the taps of
    all channels of a group."""
    reach = [d * (k - 1) for d, k in zip(dilation, kernel)]
    rows, pitch = (n + r // s for n, r, s in zip(size, reach, stride))
    tops, lefts = (np.arange(k) * d for k, d in zip(kernel, dilation))
    part = (tops % stride[0])[:, None] * stride[1] + lefts % stride[1]
    taps = (part * rows + (tops // stride[0])[:, None]) * pitch + lefts // stride[1]
    plane = math.prod(stride) * rows * pitch
    shifts = np.arange(channels)[:, None] * plane + taps.reshape(-1)
    return (rows, pitch), shifts.reshape(-1)


def conv(
    x: np.ndarray, weight: np.ndarray, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> np.ndarray:
    """Cross-correlation of x with weight; returns (n, m, oh, ow)."""
    (m, channels), kernel = weight.shape[:2], weight.shape[2:]
    size = window_counts(x.shape[2:], kernel, stride, padding, dilation)
    shape, shifts = _shifts(channels, kernel, size, stride, dilation)
    matrix = np.ascontiguousarray(weight).reshape(groups, m // groups, -1)
    out = np.empty((x.shape[0], m, *size), np.float32)
    _correlate(_images(x), stride, padding, shape, 0, shifts, matrix, size, (0, 0), (1, 1), out)
    return out


def conv_grad_x(
    g: np.ndarray, weight: np.ndarray, hw: Pair, stride: Pair, padding: Pair, dilation: Pair,
    groups: int,
) -> np.ndarray:  # fmt: skip
    """The gradient of x, (n, c, *hw).

    Rows y of x with the same remainder of y + padding take from the same taps, and so do columns.
    """
    (n, m), (_, channels), kernel = g.shape[:2], weight.shape[:2], weight.shape[2:]
    per_group = m // groups
    up, left = (d * (k - 1) // s for d, k, s in zip(dilation, kernel, stride))
    rows, pitch = (
        (length - 1 + p) // s + 1 + r for length, p, s, r in zip(hw, padding, stride, (up, left))
    )
    taps = [
        [_taps_of_remainder(r, *of_axis) for r in range(of_axis[2])]
        for of_axis in zip(kernel, dilation, stride, padding, hw)
    ]
    grouped = weight.reshape(groups, per_group, channels, *kernel).swapaxes(1, 2)
    out = np.zeros((n, channels * groups, *hw), np.float32)
    for top, row, high, tops, above in taps[0]:
        for first, column, wide, lefts, before in taps[1]:
            if not (high > 0 and wide > 0 and len(tops) and len(lefts)):
                continue
            shifts = ((up - above)[:, None] * pitch + (left - before)).reshape(-1)
            shifts = (np.arange(per_group)[:, None] * (rows * pitch) + shifts).reshape(-1)
            matrix = grouped[..., tops, :][..., lefts].reshape(groups, channels, -1)
            _correlate(
                _images(g), (1, 1), (up, left), (rows, pitch), row * pitch + column, shifts,
                np.ascontiguousarray(matrix), (high, wide), (top, first), stride, out,
            )  # fmt: skip
    return out


def _taps_of_remainder(
    remainder: int, kernel: int, dilation: int, stride: int, padding: int, length: int
) -> tuple[int, int, int, Any, Any]:
    """For the positions y of an axis whose y + padding has this remainder modulo the stride: the
    first, the output at it, their number, their taps and by how many outputs each lies before."""
    first = (remainder - padding) % stride
    taps: Sequence[int] = [i for i in range(kernel) if i * dilation % stride == remainder]
    before = np.array([i * dilation // stride for i in taps], np.int64)
    return first, (first + padding) // stride, -((first - length) // stride), taps, before


def conv_grad_weight(
    g: np.ndarray, x: np.ndarray, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair,
    groups: int,
) -> np.ndarray:  # fmt: skip
    """The gradient of weight, (m, c / groups, *kernel)."""
    channels, m, size = x.shape[1] // groups, g.shape[1], g.shape[2:]
    shape, shifts = _shifts(channels, kernel, size, stride, dilation)
    total = np.zeros((groups, m // groups, shifts.size), np.float32)
    _correlate_weight(_images(x), stride, padding, shape, shifts, g, total)
    return total.reshape(m, channels, *kernel)
