"""Convolutions as sums of shifted images in float32: the loops of direct.py over planes."""

from __future__ import annotations

import numpy as np

from dtrain.backend.kernels.cpu.compiler import compiled
from dtrain.backend.kernels.cpu.planes import REACH, copy_run, fill_planes, shape_sums
from dtrain.backend.kernels.cpu.vector import LANES, add_lanes, load, store
from dtrain.backend.kernels.reference.window import Pair


@compiled
def _sum_one(
    planes: np.ndarray, start: int, pitch: int, shifts: np.ndarray, weight: np.ndarray,
    out: np.ndarray,
) -> None:  # fmt: skip
    """out[i, p] = the sum of weight[t] planes[start + i pitch + p + shifts[t]] over the taps t."""
    zero = np.zeros(LANES, np.float32)
    target, (lines, wide) = out.reshape(-1), out.shape
    for i in range(lines):
        p = 0
        while p < wide:
            to, first = i * wide + p, start + i * pitch + p
            if p + 4 * LANES <= wide:
                a, b, c, d = load(zero, 0), load(zero, 0), load(zero, 0), load(zero, 0)
                for t in range(shifts.size):
                    at, w = first + shifts[t], weight[t]
                    a = a + w * load(planes, at)
                    b = b + w * load(planes, at + LANES)
                    c = c + w * load(planes, at + 2 * LANES)
                    d = d + w * load(planes, at + 3 * LANES)
                store(target, to, a)
                store(target, to + LANES, b)
                store(target, to + 2 * LANES, c)
                store(target, to + 3 * LANES, d)
                p += 4 * LANES
            else:
                a = load(zero, 0)
                for t in range(shifts.size):
                    a = a + weight[t] * load(planes, first + shifts[t])
                store(target, to, a)
                p += LANES


@compiled
def _sum_four(
    planes: np.ndarray, start: int, pitch: int, shifts: np.ndarray, weight: np.ndarray,
    out: np.ndarray,
) -> None:  # fmt: skip
    """`_sum_one` for four channels: weight (taps, 4), out (4, lines, width)."""
    zero = np.zeros(LANES, np.float32)
    target, w = out.reshape(-1), weight.reshape(-1)
    _, lines, wide = out.shape
    step = lines * wide
    for i in range(lines):
        for p in range(0, wide, LANES):
            a, b, c, d = load(zero, 0), load(zero, 0), load(zero, 0), load(zero, 0)
            first, to = start + i * pitch + p, i * wide + p
            for t in range(shifts.size):
                v, k = load(planes, first + shifts[t]), 4 * t
                a = a + w[k] * v
                b = b + w[k + 1] * v
                c = c + w[k + 2] * v
                d = d + w[k + 3] * v
            store(target, to, a)
            store(target, to + step, b)
            store(target, to + 2 * step, c)
            store(target, to + 3 * step, d)


@compiled
def correlate(
    x: np.ndarray, stride: Pair, padding: Pair, shape: Pair, start: int, shifts: np.ndarray,
    weight: np.ndarray, size: Pair, first: Pair, step: Pair, out: np.ndarray,
) -> None:  # fmt: skip
    """Write to every `step`-th element of out, (n, m, h, w), from `first` on, `size` in all.

    x: (n * c, height, width), which is copied to planes of `shape`, rows and pitch; weight:
    (groups, m / groups, taps).
    """
    groups, per_group, taps = weight.shape
    n, _, high, wide = out.shape
    rows, pitch = shape
    channels = x.shape[0] // max(n * groups, 1)
    lines, width = shape_sums(size, pitch, per_group)
    between = pitch if lines == 1 else width  # from a row of the sums to the next
    sums = np.empty((4, lines, width), np.float32)
    planes = np.zeros(channels * stride[0] * stride[1] * rows * pitch + REACH, np.float32)
    by_tap = np.zeros((groups, (per_group + 3) // 4, taps, 4), np.float32)
    for group in range(groups):
        for m in range(per_group):
            by_tap[group, m // 4, :, m % 4] = weight[group, m]
    source, target = sums.reshape(-1), out.reshape(-1)
    for image in range(n * groups):
        group = image % groups
        fill_planes(x, image * channels, channels, stride, padding, rows, pitch, planes)
        for m in range(0, per_group, 4):
            if per_group == 1:
                _sum_one(planes, start, pitch, shifts, weight[group, 0], sums[0])
            else:
                _sum_four(planes, start, pitch, shifts, by_tap[group, m // 4], sums)
            for k in range(min(4, per_group - m)):
                for i in range(size[0]):
                    row = (image * per_group + m + k) * high + first[0] + i * step[0]
                    at, to = k * lines * width + i * between, row * wide + first[1]
                    copy_run(source, at, 1, target, to, step[1], size[1])


@compiled
def _correlate_one(
    planes: np.ndarray, pitch: int, shifts: np.ndarray, g: np.ndarray, out: np.ndarray
) -> None:
    """Add to out[t] the sum of g[i, p] planes[i pitch + p + shifts[t]] over all i and p."""
    zero, source, (lines, wide) = np.zeros(LANES, np.float32), g.reshape(-1), g.shape
    last = shifts.size - 1  # for a tap that is not there the last one is taken
    for t in range(0, last + 1, 4):
        s0, s1 = shifts[t], shifts[min(t + 1, last)]
        s2, s3 = shifts[min(t + 2, last)], shifts[min(t + 3, last)]
        a, b, c, d = load(zero, 0), load(zero, 0), load(zero, 0), load(zero, 0)
        for i in range(lines):
            for p in range(0, wide, LANES):
                v, at = load(source, i * wide + p), i * pitch + p
                a = a + v * load(planes, s0 + at)
                b = b + v * load(planes, s1 + at)
                c = c + v * load(planes, s2 + at)
                d = d + v * load(planes, s3 + at)
        totals = (add_lanes(a), add_lanes(b), add_lanes(c), add_lanes(d))
        for k in range(min(4, last + 1 - t)):
            out[t + k] += totals[k]


@compiled
def _correlate_two(
    planes: np.ndarray, pitch: int, shifts: np.ndarray, g: np.ndarray, out: np.ndarray
) -> None:
    """`_correlate_one` for two channels: g (2, lines, width), out (2, taps)."""
    zero, source, (_, lines, wide) = np.zeros(LANES, np.float32), g.reshape(-1), g.shape
    last, step = shifts.size - 1, lines * wide
    for t in range(0, last + 1, 2):
        s0, s1 = shifts[t], shifts[min(t + 1, last)]
        a, b, c, d = load(zero, 0), load(zero, 0), load(zero, 0), load(zero, 0)
        for i in range(lines):
            for p in range(0, wide, LANES):
                here, at = i * wide + p, i * pitch + p
                v, w = load(source, here), load(source, here + step)
                x, y = load(planes, s0 + at), load(planes, s1 + at)
                a = a + v * x
                b = b + v * y
                c = c + w * x
                d = d + w * y
        out[0, t] += add_lanes(a)
        out[1, t] += add_lanes(c)
        if t < last:
            out[0, t + 1] += add_lanes(b)
            out[1, t + 1] += add_lanes(d)


@compiled
def correlate_weight(
    x: np.ndarray, stride: Pair, padding: Pair, shape: Pair, shifts: np.ndarray, g: np.ndarray,
    out: np.ndarray,
) -> None:  # fmt: skip
    """Add to out, (groups, m / groups, taps), the sums of g, (n, m, oh, ow), times the planes of x,
    as in `correlate`."""
    groups, per_group, _ = out.shape
    n, _, oh, ow = g.shape
    rows, pitch = shape
    channels = x.shape[0] // max(n * groups, 1)
    lines, width = shape_sums((oh, ow), pitch, per_group)
    between = pitch if lines == 1 else width
    padded = np.zeros((2, lines, width), np.float32)
    source, target = g.reshape(-1), padded.reshape(-1)
    planes = np.zeros(channels * stride[0] * stride[1] * rows * pitch + REACH, np.float32)
    for image in range(n * groups):
        fill_planes(x, image * channels, channels, stride, padding, rows, pitch, planes)
        for m in range(0, per_group, 2):
            made = min(2, per_group - m)
            for k in range(made):
                for i in range(oh):
                    at = ((image * per_group + m + k) * oh + i) * ow
                    copy_run(source, at, 1, target, k * lines * width + i * between, 1, ow)
            if made == 2:
                _correlate_two(planes, pitch, shifts, padded, out[image % groups, m : m + 2])
            else:
                _correlate_one(planes, pitch, shifts, padded[0], out[image % groups, m])
