"""Convolution over two axes as sums of shifted images, in float32.

Faster than by im2col: no patches are copied, and each load from a plane serves four output
channels. The images are copied to planes with their padding, so that all outputs of an image and a
channel lie `shift` elements after what they take from a tap (an element of the window), with one
shift for each tap. With a stride, elements whose positions have the same remainder lie together: a
plane has a part for each pair of remainders. A row of a plane is longer than one of the output, by
what a window reaches over; what is computed there is dropped.

The sum over the taps is in their order; that of the weight's gradient over 16 lanes of elements.
"""

from __future__ import annotations

import math

import numpy as np

from dtrain.backend.kernels.cpu.shifted import correlate, correlate_weight
from dtrain.backend.kernels.reference import conv as reference
from dtrain.backend.kernels.reference.window import Pair, window_counts


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
    pitch += not rows * pitch % 128  # planes a power of two apart would share cache lines
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
    correlate(_images(x), stride, padding, shape, 0, shifts, matrix, size, (0, 0), (1, 1), out)
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
    pitch += not rows * pitch % 128
    taps = [
        [_taps_of_remainder(r, *of_axis) for r in range(of_axis[2])]
        for of_axis in zip(kernel, dilation, stride, padding, hw)
    ]
    grouped = weight.reshape(groups, per_group, channels, *kernel).swapaxes(1, 2)
    allocate = np.empty if stride == (1, 1) else np.zeros  # a stride may leave elements out
    out = allocate((n, channels * groups, *hw), np.float32)
    for top, row, high, tops, above in taps[0]:
        for first, column, wide, lefts, before in taps[1]:
            if not (high > 0 and wide > 0 and len(above) and len(before)):
                continue
            shifts = ((up - above)[:, None] * pitch + (left - before)).reshape(-1)
            shifts = (np.arange(per_group)[:, None] * (rows * pitch) + shifts).reshape(-1)
            matrix = grouped[..., tops, lefts].reshape(groups, channels, -1)
            correlate(
                _images(g), (1, 1), (up, left), (rows, pitch), row * pitch + column, shifts,
                np.ascontiguousarray(matrix), (high, wide), (top, first), stride, out,
            )  # fmt: skip
    return out


def _taps_of_remainder(
    remainder: int, kernel: int, dilation: int, stride: int, padding: int, length: int
) -> tuple[int, int, int, slice, np.ndarray]:
    """For the positions y of an axis whose y + padding has this remainder modulo the stride: the
    first, the output at it, their number, their taps and by how many outputs each lies before."""
    first = (remainder - padding) % stride
    taps = np.array([i for i in range(kernel) if i * dilation % stride == remainder], np.int64)
    begin = taps[0] if taps.size else kernel
    evenly = slice(begin, kernel, stride // math.gcd(dilation, stride))
    return (
        first, (first + padding) // stride, -((first - length) // stride), evenly,
        taps * dilation // stride,
    )  # fmt: skip


def conv_grad_weight(
    g: np.ndarray, x: np.ndarray, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair,
    groups: int,
) -> np.ndarray:  # fmt: skip
    """The gradient of weight, (m, c / groups, *kernel)."""
    channels, m, size = x.shape[1] // groups, g.shape[1], g.shape[2:]
    shape, shifts = _shifts(channels, kernel, size, stride, dilation)
    total = np.zeros((groups, m // groups, shifts.size), np.float32)
    correlate_weight(_images(x), stride, padding, shape, shifts, g, total)
    if not np.isfinite(total).all():  # zeros beyond a row's end times what is not finite
        return reference.conv_grad_weight(g, x, kernel, stride, padding, dilation, groups)
    return total.reshape(m, channels, *kernel)
