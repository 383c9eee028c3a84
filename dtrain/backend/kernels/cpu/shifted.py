"""Convolutions as sums of shifted images in float32: the loops of direct.py over planes."""

from __future__ import annotations

import numpy as np

from dtrain.backend.kernels.cpu.compiler import compiled
from dtrain.backend.kernels.cpu.planes import copy_run, fill_planes, scatter_run
from dtrain.backend.kernels.cpu.tile import correlations
from dtrain.backend.kernels.cpu.tile_sums import sum_row, sum_rows, tile_rows
from dtrain.backend.kernels.cpu.vector import LANES
from dtrain.backend.kernels.reference.window import Pair

Triple = tuple[int, int, int]
Counts = tuple[int, int, int, int, int]

_correlations_4x6, _correlations_1x9 = correlations(4, 6), correlations(1, 9)


@compiled
def pack_weight(
    weight: np.ndarray, group_step: int, row_step: int, elements: np.ndarray, phases: np.ndarray,
    shape: Pair, padded: int, out: np.ndarray,
) -> None:  # fmt: skip
    """Write the weight to out, zeros, in the order in which the tiles read it: for each phase,
    (first tap, taps), group and tile, (taps, rows of the tile).

    Row m of a group has tap t at group group_step + m row_step + elements[t]. shape: (groups,
    channels of a group); padded: the rows of a group's tiles.
    """
    groups, channels = shape
    for phase in range(phases.shape[0]):
        begin, taps = phases[phase, 0], phases[phase, 1]
        for group in range(groups):
            first = groups * padded * begin + group * padded * taps
            m = 0
            while m < channels:
                rows = tile_rows(channels - m)
                for r in range(rows if rows < channels - m else channels - m):
                    source = group * group_step + (m + r) * row_step
                    for t in range(taps):
                        out[first + m * taps + t * rows + r] = weight[source + elements[begin + t]]
                m += rows


@compiled
def correlate(
    x: np.ndarray, hw: Pair, lines: np.ndarray, columns: np.ndarray, shape: Triple,
    weight: np.ndarray, bias: np.ndarray, counts: Counts, bands: np.ndarray, starts: np.ndarray,
    starts_out: np.ndarray, shifts: np.ndarray, planes: np.ndarray, sums: np.ndarray,
    out: np.ndarray, area: int,
) -> None:  # fmt: skip
    """Write the sums over taps, and bias, (groups, padded), to out, (n, groups * channels, area).

    x: (n * groups * inputs, *hw), which is copied to planes of `shape`: inputs, rows and pitch.
    counts: n, groups, channels, those padded to tiles, and the images of which there are planes.
    weight: of `pack_weight`. bands: as in `conv_plan.Plan`. x, planes and out are flat arrays.
    """
    n, groups, channels, padded, images = counts
    inputs, rows, pitch = shape
    size = inputs * lines.shape[0] * columns.shape[0] * rows * pitch
    line = sums.size // padded
    for group in range(groups):
        for image in range(0, n, images):
            some = images if images < n - image else n - image
            for k in range(some):
                first = ((image + k) * groups + group) * inputs
                fill_planes(x, first, hw, lines, columns, shape, planes, k * size)
            base = (image * groups + group) * channels * area
            for k in range(bands.shape[0]):
                band = bands[k]
                e, count, begin, taps, between = band[0], band[1], band[2], band[3], band[4]
                first = groups * padded * begin + group * padded * taps
                to, made, step = base, out, area
                if between:
                    to, made, step = 0, sums, line
                b = group * padded
                if channels == 1:
                    sum_row(weight, first, planes, starts, e, some * count, shifts, begin, taps,
                            bias, b, made, to, starts_out)  # fmt: skip
                else:
                    sum_rows(weight, first, channels, planes, starts, e, some * count, shifts,
                             begin, taps, bias, b, made, to, starts_out, step)  # fmt: skip
                if not between:
                    continue
                for k in range(some * channels):
                    image_k, channel = k // channels, k % channels
                    at = channel * line + image_k * count * LANES
                    to = base + (image_k * groups * channels + channel) * area + band[5]
                    for i in range(band[8]):
                        here = at + i * between
                        scatter_run(sums, here, out, to + i * band[6], band[7], band[9])


@compiled
def correlate_weight(
    x: np.ndarray, hw: Pair, lines: np.ndarray, columns: np.ndarray, shape: Triple,
    shifts: np.ndarray, starts: np.ndarray, between: int, counts: Counts, g: np.ndarray, size: Pair,
    planes: np.ndarray, gradients: np.ndarray, out: np.ndarray,
) -> None:  # fmt: skip
    """Add to out, (groups, padded, taps), the sums of g, (n, groups * channels, *size), times the
    planes of x, as in `correlate`.

    padded and taps: those of whole tiles, 4 by 6, or with one channel 1 by 9. starts: of the
    vectors of all images of which there are planes; gradients: room for theirs. All are flat
    arrays.
    """
    n, groups, channels, padded, images = counts
    inputs, taps = shape[0], shifts.size
    plane = inputs * lines.shape[0] * columns.shape[0] * shape[1] * shape[2]
    width, vectors = starts.size * LANES, starts.size // images
    for group in range(groups):
        for begin in range(0, n, images):
            count = images if images < n - begin else n - begin
            for image in range(count):
                first = (begin + image) * groups + group
                fill_planes(x, first * inputs, hw, lines, columns, shape, planes, image * plane)
                for k in range(channels):
                    to = k * width + image * vectors * LANES
                    for i in range(size[0]):
                        at = ((first * channels + k) * size[0] + i) * size[1]
                        copy_run(g, at, gradients, to + i * between, size[1])
            for k in range(0, padded, 4):
                at, to = k * width, (group * padded + k) * taps
                if padded == 1:
                    for t in range(0, taps, 9):
                        _correlations_1x9(gradients, at, width, planes, starts, count * vectors,
                                          shifts, t, out, to + t, taps)  # fmt: skip
                else:
                    for t in range(0, taps, 6):
                        _correlations_4x6(gradients, at, width, planes, starts, count * vectors,
                                          shifts, t, out, to + t, taps)  # fmt: skip
