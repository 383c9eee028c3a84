"""Tables for convolutions as sums of shifted images: what direct.py and its loops take from where.

They depend on shapes alone, and are kept.
"""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import numpy as np

from dtrain.backend.kernels.cpu.layout import CACHED
from dtrain.backend.kernels.cpu.planes import parts_of_axis, starts_of_runs
from dtrain.backend.kernels.cpu.tile_sums import TAPS, pad_rows
from dtrain.backend.kernels.cpu.vector import LANES
from dtrain.backend.kernels.reference.window import Pair, window_counts

#: Elements of the planes, and of the sums that are to be copied to the output, that are in use at
#: once: they stay in the level 2 cache beside the weight. _VECTORS: of an output channel, that are
#: computed at once; few would leave tiles half empty, and read the weight more often.
_PLANES, _SUMS, _VECTORS = 1 << 18, 1 << 16, 192


class _Phase(NamedTuple):
    """Outputs that take from the same taps."""

    begin: int  # of the taps, in the order of the shifts
    taps: int
    start: int  # where the first output begins in a plane
    first: Pair  # that output
    size: Pair


class _Band(NamedTuple):
    """Rows of the outputs of a phase in an image: those of a few channels stay in a cache."""

    phase: _Phase
    between: int  # of the sums, from row to row; 0: they are written to the output
    first: int  # output
    rows: int
    starts: np.ndarray  # of the vectors in a plane
    starts_out: np.ndarray  # in the sums or the output


class Plan(NamedTuple):
    """How outputs are computed from planes.

    bands: rows (first vector, vectors, first tap, taps, between, first output, from row to row,
    from column to column, rows, columns).
    """

    parts: tuple[np.ndarray, np.ndarray]  # `parts_of_axis` of both axes
    shape: tuple[int, int, int]  # channels, rows and pitch of the planes
    shifts: np.ndarray
    elements: np.ndarray  # of the weight, one for each tap
    phases: np.ndarray
    bands: np.ndarray
    starts: np.ndarray
    starts_out: np.ndarray
    images: int  # at a time
    width: int  # of the sums of an image and a channel that are to be copied


class WeightPlan(NamedTuple):
    """How a weight's gradient is computed from planes."""

    parts: tuple[np.ndarray, np.ndarray]
    shape: tuple[int, int, int]
    shifts: np.ndarray
    starts: np.ndarray  # of the vectors of all images at a time
    between: int  # of the gradients, from row to row
    images: int
    result: tuple[int, int, int]  # groups, channels and taps of whole tiles


def _parts(lengths: Pair, stride: Pair, padding: Pair, shape: Pair) -> tuple:
    """`parts_of_axis` of both axes."""
    return tuple(parts_of_axis(*axis) for axis in zip(lengths, stride, padding, shape))


def _shape_planes(size: Pair, reach: Pair, stride: Pair) -> Pair:
    """The rows and the pitch of planes for outputs of `size`, whose windows reach so far."""
    rows, pitch = (n + r // s for n, r, s in zip(size, reach, stride))
    return rows, pitch + (not rows * pitch % 128)  # a power of two apart they would share lines


def _reach(kernel: Pair, dilation: Pair) -> Pair:
    """By how many elements the last tap lies after the first."""
    return dilation[0] * (kernel[0] - 1), dilation[1] * (kernel[1] - 1)


def _cut_phase(
    phase: _Phase, shape: Pair, elements: int, padded: int, channels: int, width: int, step: Pair
) -> list[_Band]:
    """Cut a phase to bands. elements: of all planes of an image; width: of the output."""
    (top, left), (high, wide), pitch = phase.first, phase.size, shape[1]
    lines, rows = (len(starts_of_runs(phase.size, pitch, by)) for by in (False, True))
    copying = high * (6 + wide // 8)  # in cycles, in which there are two products of a vector
    least = min(rows, lines) * phase.taps // 2 + copying
    # the last vector of a row begins in the one before: sums in parts would be added twice
    may_write = padded == channels and step[1] == 1 and wide >= LANES and phase.taps <= TAPS
    writes = may_write and rows * phase.taps // 2 <= least
    between = 0 if writes else -(-wide // LANES) * LANES if rows <= lines else pitch
    most = _PLANES * shape[0] // elements
    most = max(most if writes else min(most, _SUMS // (padded * between)), 1)
    bands = []
    for y in range(0, high, most):
        count = min(most, high - y)
        first = (top + y * step[0]) * width + left
        if writes:
            across = np.minimum(np.arange(0, wide, LANES), wide - LANES)
            line = np.arange(count)[:, None]
            runs = (line * pitch + across).reshape(-1)
            ends = first + (line * step[0] * width + across).reshape(-1)
        else:
            runs = starts_of_runs((count, wide), pitch, rows <= lines)
            ends = np.arange(len(runs)) * LANES
        bands.append(_Band(phase, between, first, count, phase.start + y * pitch + runs, ends))
    return bands


def _divide(
    n: int, phases: list[_Phase], shape: Pair, elements: int, groups: int,
    out: tuple[int, int, int], step: Pair,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, int, int]:  # fmt: skip
    """What a plan has from its bands on.

    elements: of the planes of an image. out: (channels, height, width) of the output; step: from
    one output of a phase to the next.
    """
    channels, width = out[0] // groups, out[2]
    where = shape, elements, pad_rows(channels), channels, width, step
    bands = [band for phase in phases for band in _cut_phase(phase, *where)]
    images = 1
    if bands and len(bands) == len(phases):
        vectors = min(len(band.starts) for band in bands)
        images = max(min(n, _PLANES // elements, _VECTORS // vectors), 1)
    image = np.arange(images)[:, None]
    table, e, line = [], 0, 0
    starts, starts_out = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for phase, between, first, rows, begins, ends in bands:
        count = len(begins)
        table.append(
            (e, count, phase.begin, phase.taps, between, first, step[0] * width, step[1], rows,
             phase.size[1])
        )  # fmt: skip
        starts.append((image * elements + begins).reshape(-1))
        apart = count * LANES if between else math.prod(out)
        starts_out.append((image * apart + ends).reshape(-1))
        e += images * count
        line = max(line, count * LANES if between else 0)
    rows_of_bands = np.array(table, np.int64).reshape(-1, 10)
    return rows_of_bands, np.concatenate(starts), np.concatenate(starts_out), images, line


def _shifts(channels: int, kernel: Pair, shape: Pair, stride: Pair, dilation: Pair) -> np.ndarray:
    """The shifts of the taps of all channels of a group."""
    rows, pitch = shape
    tops, lefts = (np.arange(k) * d for k, d in zip(kernel, dilation))
    part = (tops % stride[0])[:, None] * stride[1] + lefts % stride[1]
    taps = (part * rows + (tops // stride[0])[:, None]) * pitch + lefts // stride[1]
    plane = math.prod(stride) * rows * pitch
    return (np.arange(channels)[:, None] * plane + taps.reshape(-1)).reshape(-1)


@functools.lru_cache(256)
def plan_output(
    n: int, hw: Pair, m: int, channels: int, kernel: Pair, stride: Pair, padding: Pair,
    dilation: Pair, groups: int,
) -> Plan:  # fmt: skip
    """The plan of the output of n images. channels: of x in a group."""
    size = window_counts(hw, kernel, stride, padding, dilation)
    shape = _shape_planes(size, _reach(kernel, dilation), stride)
    shifts = _shifts(channels, kernel, shape, stride, dilation)
    phase = _Phase(0, shifts.size, 0, (0, 0), size)
    planes = channels * math.prod(stride) * math.prod(shape)
    divided = _divide(n, [phase], shape, planes, groups, (m, *size), (1, 1))
    elements, phases = np.arange(shifts.size), np.array([[0, shifts.size]])
    parts = _parts(hw, stride, padding, shape)
    return Plan(parts, (channels, *shape), shifts, elements, phases, *divided)


@functools.lru_cache(256)
def plan_grad_x(
    n: int, size: Pair, m: int, channels: int, kernel: Pair, hw: Pair, stride: Pair, padding: Pair,
    dilation: Pair, groups: int,
) -> Plan:  # fmt: skip
    """The plan of the gradient of x. Rows y with the same remainder of y + padding take from the
    same taps, and so do columns."""
    per_group, reach = m // groups, _reach(kernel, dilation)
    up, left = (r // s for r, s in zip(reach, stride))
    high, wide = ((length - 1 + p) // s + 1 for length, p, s in zip(hw, padding, stride))
    rows, pitch = shape = _shape_planes((high, wide), (up, left), (1, 1))
    by_axis = [
        [_taps_of_remainder(r, *axis) for r in range(axis[2])]
        for axis in zip(kernel, dilation, stride, padding, hw)
    ]
    shifts, elements, phases = [np.empty(0, np.int64)], [np.empty(0, np.int64)], []
    begin, inputs = 0, np.arange(per_group)[:, None]
    for top, row, high, tops, above in by_axis[0]:
        for first, column, wide, lefts, before in by_axis[1]:
            if not (high > 0 and wide > 0 and len(above) and len(before)):
                continue
            steps = ((up - above)[:, None] * pitch + (left - before)).reshape(-1)
            taps = (tops[:, None] * kernel[1] + lefts).reshape(-1)
            shifts.append((inputs * (rows * pitch) + steps).reshape(-1))
            elements.append((inputs * (channels * math.prod(kernel)) + taps).reshape(-1))
            start, count = row * pitch + column, per_group * len(taps)
            phases.append(_Phase(begin, count, start, (top, first), (high, wide)))
            begin += count
    out = channels * groups, *hw
    divided = _divide(n, phases, shape, per_group * rows * pitch, groups, out, stride)
    return Plan(
        _parts(size, (1, 1), (up, left), shape), (per_group, *shape), np.concatenate(shifts),
        np.concatenate(elements), np.array([phase[:2] for phase in phases], np.int64), *divided,
    )  # fmt: skip


def _taps_of_remainder(
    remainder: int, kernel: int, dilation: int, stride: int, padding: int, length: int
) -> tuple[int, int, int, np.ndarray, np.ndarray]:
    """For the positions y of an axis whose y + padding has this remainder modulo the stride: the
    first, the output at it, their number, their taps and by how many outputs each lies before."""
    first = (remainder - padding) % stride
    taps = np.array([i for i in range(kernel) if i * dilation % stride == remainder], np.int64)
    return (
        first, (first + padding) // stride, -((first - length) // stride), taps,
        taps * dilation // stride,
    )  # fmt: skip


@functools.lru_cache(256)
def plan_grad_weight(
    n: int, hw: Pair, m: int, channels: int, kernel: Pair, stride: Pair, padding: Pair,
    dilation: Pair, groups: int,
) -> WeightPlan:  # fmt: skip
    """The plan of the weight's gradient. channels: of x in a group."""
    size = window_counts(hw, kernel, stride, padding, dilation)
    shape = _shape_planes(size, _reach(kernel, dilation), stride)
    shifts = _shifts(channels, kernel, shape, stride, dilation)
    lines, rows = (starts_of_runs(size, shape[1], by) for by in (False, True))
    starts, between = lines, shape[1]
    if len(rows) <= len(lines):
        starts, between = rows, -(-size[1] // LANES) * LANES
    padded, tile = (1, 9) if m == groups else (-(-(m // groups) // 4) * 4, 6)
    taps = -(-shifts.size // tile) * tile
    elements = channels * math.prod(stride) * math.prod(shape)
    images = max(min(128 // len(starts), CACHED // elements, n), 1)
    return WeightPlan(
        _parts(hw, stride, padding, shape), (channels, *shape),
        np.pad(shifts, (0, taps - shifts.size), "edge"),
        (np.arange(images)[:, None] * elements + starts).reshape(-1), between, images,
        (groups, padded, taps),
    )  # fmt: skip
