"""Convolution over two axes as sums of shifted images, in float32.

A product of matrices without im2col: the images are copied to planes with their padding, so that
all outputs of an image and a channel lie `shift` elements after what they take from a tap, with one
shift for each tap; tiles of 8 channels by 48 outputs are summed in registers. A row of a plane is
longer than one of the output, by what a window reaches over; what is computed there is dropped.

The sum over the taps is in their order, a few hundred at a time; that of the weight's gradient over
16 lanes of elements. conv_plan.py has the tables, shifted.py the loops.
"""

from __future__ import annotations

import math

import numpy as np

from dtrain.backend.kernels.cpu.conv_plan import Plan, plan_grad_weight, plan_grad_x, plan_output
from dtrain.backend.kernels.cpu.planes import REACH
from dtrain.backend.kernels.cpu.shifted import correlate, correlate_weight, pack_weight
from dtrain.backend.kernels.cpu.tile_sums import pad_rows
from dtrain.backend.kernels.cpu.vector import LANES
from dtrain.backend.kernels.reference import conv as reference
from dtrain.backend.kernels.reference.window import Pair, window_counts


def conv(
    x: np.ndarray, weight: np.ndarray, bias: np.ndarray | None, stride: Pair, padding: Pair,
    dilation: Pair, groups: int,
) -> np.ndarray:  # fmt: skip
    """Cross-correlation of x with weight, (n, m, oh, ow), plus bias, (m,), if there is one."""
    n, hw, (m, channels), kernel = len(x), x.shape[2:], weight.shape[:2], weight.shape[2:]
    how = stride, padding, dilation
    plan = plan_output(n, hw, m, channels, kernel, *how, groups)
    taps = channels * math.prod(kernel)
    out = np.empty((n, m, *window_counts(hw, kernel, *how)), np.float32)
    shape = groups, m // groups
    return _correlate(x, weight, bias, plan, (m // groups * taps, taps), shape, out)


def conv_grad_x(
    g: np.ndarray, weight: np.ndarray, hw: Pair, stride: Pair, padding: Pair, dilation: Pair,
    groups: int,
) -> np.ndarray:  # fmt: skip
    """The gradient of x, (n, c, *hw)."""
    n, size, (m, channels), kernel = len(g), g.shape[2:], weight.shape[:2], weight.shape[2:]
    how = stride, padding, dilation, groups
    plan = plan_grad_x(n, size, m, channels, kernel, hw, *how)
    allocate = np.empty if stride == (1, 1) else np.zeros  # a stride may leave elements out
    area = math.prod(kernel)
    out = allocate((n, channels * groups, *hw), np.float32)
    return _correlate(
        g, weight, None, plan, (m // groups * channels * area, area), (groups, channels), out
    )


def _correlate(
    x: np.ndarray, weight: np.ndarray, bias: np.ndarray | None, plan: Plan, steps: Pair,
    shape: Pair, out: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """Fill out by a plan. steps: of the weight from group to group and from channel to channel;
    shape: (groups, channels of a group)."""
    if not plan.bands.size:
        return out
    (groups, channels), padded = shape, pad_rows(shape[1])
    packed = np.zeros(groups * padded * plan.elements.size, np.float32)
    flat = np.ascontiguousarray(weight).reshape(-1)
    pack_weight(flat, *steps, plan.elements, plan.phases, shape, padded, packed)
    first = np.zeros((groups, padded), np.float32)
    if bias is not None:
        first[:, :channels] = bias.reshape(groups, channels)
    correlate(
        x.reshape(-1), x.shape[2:], *plan.parts, plan.shape, packed, first.reshape(-1),
        (len(x), groups, channels, padded, plan.images), plan.bands, plan.starts, plan.starts_out,
        plan.shifts, _empty_planes(plan.parts, plan.shape, plan.images),
        np.empty(plan.images * padded * plan.width, np.float32), out.reshape(-1),
        math.prod(out.shape[2:]),
    )  # fmt: skip
    return out


def _empty_planes(
    parts: tuple[np.ndarray, np.ndarray], shape: tuple[int, int, int], images: int
) -> np.ndarray:
    """Planes of zeros, in one."""
    count = images * math.prod(map(len, parts)) * math.prod(shape)
    return np.zeros(count + REACH, np.float32)


def conv_grad_weight(
    g: np.ndarray, x: np.ndarray, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair,
    groups: int,
) -> np.ndarray:  # fmt: skip
    """The gradient of weight, (m, c / groups, *kernel)."""
    n, hw, m, channels = len(x), x.shape[2:], g.shape[1], x.shape[1] // groups
    how = stride, padding, dilation, groups
    plan = plan_grad_weight(n, hw, m, channels, kernel, *how)
    total, padded = np.zeros(plan.result, np.float32), plan.result[1]
    correlate_weight(
        x.reshape(-1), x.shape[2:], *plan.parts, plan.shape, plan.shifts, plan.starts, plan.between,
        (n, groups, m // groups, padded, plan.images), g.reshape(-1), g.shape[2:],
        _empty_planes(plan.parts, plan.shape, plan.images),
        np.zeros(padded * plan.starts.size * LANES, np.float32), total.reshape(-1),
    )  # fmt: skip
    total = total[:, : m // groups, : channels * math.prod(kernel)]
    if not np.isfinite(total).all():  # zeros beyond a row's end times what is not finite
        return reference.conv_grad_weight(g, x, kernel, *how)
    return np.ascontiguousarray(total).reshape(m, channels, *kernel)
