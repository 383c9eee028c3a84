"""The loops of `implicit.py`: images as rows of bfloat16 parts, and products with their windows.

A row, 64 bytes, has a part of 32 channels of a pixel, as a tile of a left factor has them
(amx_pack.py). Rows of zeros stand around the images for their padding. All addresses and strides
are in bytes.
"""

from __future__ import annotations

import numpy as np

from dtrain.backend.kernels.cpu.amx import (
    ROW_BYTES,
    TILE_BYTES,
    add_all_products,
    add_products_of_rows,
    clear_sums,
    configure,
    release,
    store_sums,
)
from dtrain.backend.kernels.cpu.amx_pack import DEPTH, LANES, NOT_FINITE, PARTS, pack_panel
from dtrain.backend.kernels.cpu.amx_rows import (
    add_numbers,
    add_transposed,
    copy_number,
    copy_row,
    pair_rows,
)
from dtrain.backend.kernels.cpu.compiler import compiled, inlined

WIDTH = 2 * LANES  # columns of a right panel
BLOCKS = 6  # of 32 numbers k, that are multiplied at once: left panels fit into the first cache
PANELS = 24  # right panels that are read for each left one: they fit into the second cache
OUTPUTS = 512  # whose gradients are packed at once, for the same reason
BLOCK_BYTES = 4 * LANES * WIDTH  # of sums
LEFT_BYTES, RIGHT_BYTES = PARTS * TILE_BYTES, 2 * PARTS * TILE_BYTES  # of 32 numbers k
#: Of 32 x 32 numbers of a tap. A power of two apart they would share cache lines.
SQUARE_BYTES = 4 * DEPTH * DEPTH + ROW_BYTES
_LANE_BYTES = LEFT_BYTES // LANES


@compiled
def pack_images(
    x: int, sizes: np.ndarray, rows: int, plane: int, scratch: int,
) -> bool:  # fmt: skip
    """Write images as rows, (channels / 32, 3 parts, images, high, wide); False if a number has no
    finite parts.

    sizes : images, channels, height, width; high, wide and the place (top, left) of an image there
    plane : bytes of the rows of a part; scratch : address of memory for a left panel
    """
    n, c, h, w, high, wide = sizes[0], sizes[1], sizes[2], sizes[3], sizes[4], sizes[5]
    area = h * w
    for image in range(n):
        corner = rows + ((image * high + sizes[6]) * wide + sizes[7]) * ROW_BYTES
        for first in range(0, c, DEPTH):
            to, source = corner + first // DEPTH * PARTS * plane, x + 4 * (image * c + first) * area
            depth = DEPTH if c - first > DEPTH else c - first
            row, column = 0, 0
            for p in range(0, area, LANES):
                place = source + 4 * p
                found = pack_panel(place, 4 * area, False, True, area - p, 1, depth, scratch)
                if found & NOT_FINITE:
                    return False
                for i in range(LANES if area - p > LANES else area - p):
                    target = to + (row * wide + column) * ROW_BYTES
                    at = scratch + i * ROW_BYTES
                    copy_row(at, target)
                    copy_row(at + TILE_BYTES, target + plane)
                    copy_row(at + 2 * TILE_BYTES, target + 2 * plane)
                    column += 1
                    if column == w:
                        row, column = row + 1, 0
    return True


@compiled
def pack_weight(
    weight: int, m: int, c: int, area: int, taps: np.ndarray, to_outputs: bool, squares: int,
    out: int,
) -> bool:  # fmt: skip
    """Write taps of a weight, (m, c, area), as right panels (blocks / 6, panels, 6 blocks); False
    as for `pack_images`.

    A block is 32 channels c of a tap, a panel's lanes are 32 outputs m, if the product goes
    `to_outputs`; else the reverse. The blocks are those of the first tap, then of the second.
    squares : address of memory for 32 x 32 numbers of each tap
    """
    lanes, numbers = (m, c) if to_outputs else (c, m)
    panels, across = (lanes + WIDTH - 1) // WIDTH, (numbers + DEPTH - 1) // DEPTH
    count = taps.shape[0]
    for panel in range(panels):
        for along in range(across):
            row, column = (panel, along) if to_outputs else (along, panel)
            high = DEPTH if m - row * DEPTH > DEPTH else m - row * DEPTH
            wide = DEPTH if c - column * DEPTH > DEPTH else c - column * DEPTH
            depth = wide if to_outputs else high
            start = weight + 4 * (row * DEPTH * c + column * DEPTH) * area
            for i in range(high):
                line = start + 4 * i * c * area
                for j in range(wide):
                    for tap in range(count):
                        to = squares + tap * SQUARE_BYTES + 4 * (i * DEPTH + j)
                        copy_number(line + 4 * (j * area + taps[tap]), to)
            for tap in range(count):
                block = tap * across + along
                first = block // BLOCKS * BLOCKS
                size = BLOCKS if count * across - first > BLOCKS else count * across - first
                found = pack_panel(
                    squares + tap * SQUARE_BYTES, 4 * DEPTH, to_outputs, to_outputs,
                    lanes - panel * WIDTH if lanes - panel * WIDTH < WIDTH else WIDTH, 2, depth,
                    out + (first * panels + panel * size + block - first) * RIGHT_BYTES,
                )  # fmt: skip
                if found & NOT_FINITE:
                    return False
    return True


@inlined
def _write_sums(out: int, stride: int, adds: bool, memory: int) -> None:
    """out (16, 32) = or += the sums. memory: address for as many numbers

    Sums of few numbers that are added to each other round less than a long one.
    """
    if not adds:
        store_sums(out, stride)
        return
    store_sums(memory, 4 * WIDTH)
    for i in range(LANES):
        add_numbers(memory + 4 * i * WIDTH, out + i * stride)
        add_numbers(memory + 4 * i * WIDTH + ROW_BYTES, out + i * stride + ROW_BYTES)


@inlined
def _gather(rows: int, plane: int, places: np.ndarray, first: int, left: int) -> None:
    """Copy a row of each of 16 windows, from window `first` on, to the tiles of three parts.

    places : where the windows' rows begin
    """
    for i in range(LANES):
        at, to = rows + places[first + i], left + i * ROW_BYTES
        copy_row(at, to)
        copy_row(at + plane, to + TILE_BYTES)
        copy_row(at + 2 * plane, to + 2 * TILE_BYTES)


@compiled
def multiply_windows(
    rows: int, plane: int, places: np.ndarray, count: int, step: int, shifts: np.ndarray,
    weight: int, panels: int, memory: int, sums: int, pitch: int, configuration: int,
) -> None:  # fmt: skip
    """sums (count, 32 panels) = windows' rows @ weight.

    places : of each window's first row, `step` apart in a line of windows
    shifts : from there to the rows of each block
    memory : address of memory for a left panel and a block of sums
    """
    blocks, left = shifts.shape[0], memory + BLOCK_BYTES
    configure(configuration)
    for begin in range(0, panels, PANELS):
        end = begin + PANELS if panels - begin > PANELS else panels
        for first in range(0, blocks, BLOCKS):
            now = BLOCKS if blocks - first > BLOCKS else blocks - first
            for window in range(0, count, LANES):
                place = rows + places[window]
                span = places[window + LANES - 1] - places[window]
                in_line = count - window >= LANES and span == (LANES - 1) * step
                if not in_line:
                    for j in range(now):
                        to = left + j * LEFT_BYTES
                        _gather(rows + shifts[first + j], plane, places, window, to)
                for panel in range(begin, end):
                    right = weight + (first * panels + panel * now) * RIGHT_BYTES
                    clear_sums()
                    for j in range(now):
                        at = right + j * RIGHT_BYTES
                        if in_line:
                            add_products_of_rows(place + shifts[first + j], at, plane, step)
                        else:
                            add_all_products(left + j * LEFT_BYTES, at)
                    out = sums + window * pitch + panel * 4 * WIDTH
                    _write_sums(out, pitch, first > 0, memory)
    release()


@compiled
def write_images(
    sums: int, pitch: int, images: int, area: int, m: int, bias: int, out: int, step: int
) -> None:
    """Write sums (images, area, m), plus a bias of m numbers, to images (images, m, area).

    step : bytes from channel to channel of an image
    """
    for image in range(images):
        for p in range(0, area, LANES):
            source = sums + (image * area + p) * pitch
            target = out + image * m * step + 4 * p
            for j in range(0, m, LANES):
                to = target + j * step
                add_transposed(source + 4 * j, pitch, bias + 4 * j, to, step, area - p, m - j)


@inlined
def _pair_windows(
    rows: int, plane: int, places: np.ndarray, first: int, blocks: int, right: int
) -> None:
    """Write a row of each window, 32 windows a block, from window `first` on, as a right panel."""
    for j in range(blocks):
        to = right + j * RIGHT_BYTES
        for i in range(LANES):
            lower = rows + places[first + j * DEPTH + i]
            upper = rows + places[first + j * DEPTH + LANES + i]
            for part in range(PARTS):
                target = to + part * 2 * TILE_BYTES + i * ROW_BYTES
                pair_rows(lower + part * plane, upper + part * plane, target)


@compiled
def multiply_gradients(
    g: int, g_stride: int, m: int, rows: int, plane: int, places: np.ndarray, count: int,
    shifts: np.ndarray, memory: int, sums: int, pitch: int, adds: bool, configuration: int,
) -> bool:  # fmt: skip
    """sums (m, 32 shifts) = or += g (m, count) @ windows' rows; False as for `pack_images`.

    memory : address of memory for a block of sums, a right panel and the left ones
    """
    right, left = memory + BLOCK_BYTES, memory + BLOCK_BYTES + BLOCKS * RIGHT_BYTES
    configure(configuration)
    for begin in range(0, m, OUTPUTS):
        outputs = OUTPUTS if m - begin > OUTPUTS else m - begin
        for first in range(0, count, BLOCKS * DEPTH):
            numbers = BLOCKS * DEPTH if count - first > BLOCKS * DEPTH else count - first
            blocks = (numbers + DEPTH - 1) // DEPTH
            for i in range(0, outputs, LANES):
                source, to = g + (begin + i) * g_stride + 4 * first, left + i * BLOCKS * _LANE_BYTES
                found = pack_panel(source, g_stride, True, False, outputs - i, 1, numbers, to)
                if found & NOT_FINITE:
                    release()
                    return False
            for panel in range(shifts.shape[0]):
                _pair_windows(rows + shifts[panel], plane, places, first, blocks, right)
                for i in range(0, outputs, LANES):
                    clear_sums()
                    for j in range(blocks):
                        at = left + i * BLOCKS * _LANE_BYTES + j * LEFT_BYTES
                        add_all_products(at, right + j * RIGHT_BYTES)
                    out = sums + (begin + i) * pitch + panel * 4 * WIDTH
                    _write_sums(out, pitch, adds or first > 0, memory)
    release()
    return True
