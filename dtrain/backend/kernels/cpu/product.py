"""Products of float32 matrices on AMX, by parts in bfloat16: as exact as sums in float32.

Both factors are split in three parts, which together have all of a number's bits. Of the nine
products of parts the six greatest are added, in float32; the others are less than the last bit of
the product of two numbers. (Henry, Tang and Heinecke 2019, "Leveraging the bfloat16 artificial
intelligence datatype for higher-precision computations") Where all numbers are bfloat16's, as
autocast's, one product is all.

Each element of the product is added in the same order, whatever the shape and the threads.
"""

from __future__ import annotations

import functools
import math
import threading

import numpy as np

from dtrain.backend.kernels.cpu import amx
from dtrain.backend.kernels.cpu.amx import (
    ROW_BYTES,
    TILE_BYTES,
    add_all_products,
    add_first_products,
    aligned_memory,
    clear_sums,
    configure,
    load_sums,
    prefetch_to_write,
    release,
    store_sums,
)
from dtrain.backend.kernels.cpu.amx_pack import (
    DEPTH,
    HAS_MORE_PARTS,
    NOT_FINITE,
    PARTS,
    copy_numbers,
    pack_panel,
)
from dtrain.backend.kernels.cpu.compiler import compiled, inlined
from dtrain.backend.settings import get_matmul_precision
from dtrain.backend.threads import blas_threads, run_together

_HEIGHT, _WIDTH = 16, 32  # of a block of sums: one tile by two
_DEPTH = 256  # numbers k that are packed at once: a left panel of them fits into the first cache
_COLUMNS = 512  # of the right factor that are packed at once, which fit into the second cache
_WORTHWHILE = 1 << 20  # multiplications of a matrix
_USES = 96  # of a number that is packed, on an average
_PART = 1 << 23  # multiplications that are worth a thread
#: What a call of `_multiply` does.
PACK_AND_MULTIPLY, PACK, MULTIPLY = 0, 1, 2
_CONFIGURATION = amx.tile_configuration()
_CONFIGURATION_ADDRESS = _CONFIGURATION.ctypes.data


@inlined
def _multiply_panels(
    left: int, right: int, depth: int, out: int, stride: int, adds: bool, has_more_parts: bool
) -> None:  # fmt: skip
    """out (16, 32), `stride` bytes between its rows, = or += the product of two panels."""
    if adds:
        load_sums(out, stride)
    else:
        clear_sums()
    for _ in range(0, depth, DEPTH):
        if has_more_parts:
            add_all_products(left, right)
        else:  # the others are zeros
            add_first_products(left, right)
        left += PARTS * TILE_BYTES
        right += 2 * PARTS * TILE_BYTES
    store_sums(out, stride)


@inlined
def _copy_block(source: int, stride: int, target: int, to: int, rows: int, columns: int) -> None:
    """Copy up to (16, 32) numbers between addresses; strides are in bytes."""
    for i in range(rows if rows < _HEIGHT else _HEIGHT):
        copy_numbers(source + i * stride, target + i * to, columns)
        copy_numbers(source + i * stride + 64, target + i * to + 64, columns - 16)


@inlined
def _multiply_edge(
    left: int, right: int, depth: int, out: int, stride: int, adds: bool, has_more_parts: bool,
    rows: int, columns: int, edge: int,
) -> None:  # fmt: skip
    """`_multiply_panels` of fewer rows or columns. edge: address of memory for (16, 32)"""
    if adds:
        _copy_block(out, stride, edge, 4 * _WIDTH, rows, columns)
    _multiply_panels(left, right, depth, edge, 4 * _WIDTH, adds, has_more_parts)
    _copy_block(edge, 4 * _WIDTH, out, stride, rows, columns)


@inlined
def _multiply_left(
    x: int, x_stride: int, x_has_lanes: bool, m: int, right: int, columns: int, depth: int,
    out: int, out_stride: int, adds: bool, left: int, edge: int, of_right: int,
) -> int:  # fmt: skip
    """out (m, columns) = or += x (m, depth) @ the packed right factor, of which packing found
    `of_right`; returns what it finds in x."""
    all_found = 0
    size = (depth + DEPTH - 1) // DEPTH * (2 * PARTS * TILE_BYTES)  # of a right panel
    for i in range(0, m, _HEIGHT):
        start = x + i * (x_stride if x_has_lanes else 4)
        found = pack_panel(
            start, x_stride, x_has_lanes, not x_has_lanes, m - i, np.intp(1), depth, left
        )
        all_found |= found
        if found & NOT_FINITE:
            break
        has_more_parts = (found | of_right) & HAS_MORE_PARTS != 0
        for j in range(0, columns, _WIDTH):
            to, panel = out + i * out_stride + 4 * j, right + j // _WIDTH * size
            if m - i >= _HEIGHT and columns - j >= _WIDTH:
                for row in range(_HEIGHT):  # of the next block
                    prefetch_to_write(to + row * out_stride + 4 * _WIDTH)
                    prefetch_to_write(to + row * out_stride + 4 * _WIDTH + ROW_BYTES)
                _multiply_panels(left, panel, depth, to, out_stride, adds, has_more_parts)
            else:
                _multiply_edge(
                    left, panel, depth, to, out_stride, adds, has_more_parts, m - i, columns - j,
                    edge,
                )  # fmt: skip
    return all_found


@compiled
def _multiply(
    addresses: np.ndarray, sizes: np.ndarray, memory: int, right: int, configuration: int
) -> int:  # fmt: skip
    """out (m, n) = x (m, k) @ y (k, n) for each matrix of a batch; returns what packing finds.
    If that is NOT_FINITE, out is not complete.

    addresses : (3, batch), those of x, of y and of out
    sizes : m, n, k; of x, y and out the bytes between rows; whether rows of x are its rows, and
        rows of y its columns; one of PACK_AND_MULTIPLY, PACK, MULTIPLY; what packing found in y, if
        it is packed already
    memory : address of the memory for a packed part of x
    right : that for a packed part of y, or for all of y, if packing and multiplying are two calls
    """
    m, n, k, x_stride, y_stride, out_stride = (
        sizes[0], sizes[1], sizes[2], sizes[3], sizes[4], sizes[5]
    )  # fmt: skip
    x_has_lanes, y_has_lanes, mode = sizes[6] != 0, sizes[7] != 0, sizes[8]
    left, all_found = memory + 4 * _HEIGHT * _WIDTH, 0
    configure(configuration)
    for i in range(addresses.shape[1]):
        x, y, out = addresses[0, i], addresses[1, i], addresses[2, i]
        for first_n in range(0, n, _COLUMNS):
            columns = _COLUMNS if n - first_n > _COLUMNS else n - first_n
            for first_k in range(0, k, _DEPTH):
                depth = _DEPTH if k - first_k > _DEPTH else k - first_k
                size = (depth + DEPTH - 1) // DEPTH * (2 * PARTS * TILE_BYTES)  # of a panel
                found = sizes[9]
                for j in range(0, columns if mode != MULTIPLY else 0, _WIDTH):
                    lane, number = first_n + j, first_k
                    row, column = (lane, number) if y_has_lanes else (number, lane)
                    found |= pack_panel(
                        y + row * y_stride + 4 * column, y_stride, y_has_lanes, y_has_lanes,
                        columns - j, np.intp(2), depth, right + j // _WIDTH * size,
                    )  # fmt: skip
                if mode != PACK:
                    found |= _multiply_left(
                        x + first_k * (4 if x_has_lanes else x_stride), x_stride, x_has_lanes, m,
                        right, columns, depth, out + 4 * first_n, out_stride, first_k > 0, left,
                        memory, found,
                    )  # fmt: skip
                all_found |= found
                if found & NOT_FINITE:
                    release()
                    return all_found
                if mode != PACK_AND_MULTIPLY:
                    right += (columns + _WIDTH - 1) // _WIDTH * size
    release()
    return all_found


class _Memory(threading.local):
    """Memory of a thread for packed parts of factors."""

    def __init__(self) -> None:
        size = 4 * _HEIGHT * _WIDTH + 2 * PARTS * _DEPTH * _HEIGHT
        self._memory = aligned_memory(size + 2 * PARTS * _DEPTH * _COLUMNS)
        self.address = self._memory.ctypes.data
        self.right = self.address + size


_memory = _Memory()


def run(addresses: np.ndarray, sizes: np.ndarray, right: int = 0) -> int:
    """`_multiply` with this thread's memory, but for `right`, if that is given."""
    return _multiply(
        addresses, sizes, _memory.address, right or _memory.right, _CONFIGURATION_ADDRESS
    )  # fmt: skip


def fills_tiles(m: int, n: int, k: int) -> bool:
    """Whether AMX does enough at once, if matrices (m, k) and (k, n) are packed already."""
    padded = -(-m // _HEIGHT) * _HEIGHT * -(-n // _WIDTH) * _WIDTH * -(-k // DEPTH) * DEPTH
    return m * n * k >= max(_WORTHWHILE, 0.6 * padded) and amx.is_available()


def is_worthwhile(x: np.ndarray, y: np.ndarray) -> bool:
    """Whether AMX multiplies these matrices faster than the BLAS: by shapes and dtypes."""
    if not (x.dtype.char == y.dtype.char == "f" and x.ndim > 1 < y.ndim):
        return False
    (m, k), n = x.shape[-2:], y.shape[-1]
    return m * n >= _USES * (m + n) and fills_tiles(m, n, k)


def in_rows(x: np.ndarray) -> tuple[np.ndarray, int, bool]:
    """Matrices whose rows or columns are contiguous, the bytes between those, and whether they are
    the rows."""
    (m, k), (high, wide) = x.shape[-2:], x.strides[-2:]
    if wide == 4 and high >= 4 * k:
        return x, high, True
    if high == 4 and wide >= 4 * m:
        return x, wide, False
    return np.ascontiguousarray(x), 4 * k, True


def _addresses(x: np.ndarray, batch: tuple[int, ...]) -> list[int]:
    """The addresses of the matrices of an array, broadcast to a batch."""
    addresses = [x.__array_interface__["data"][0]]
    missing = len(batch) + 2 - x.ndim
    for count, size, stride in zip(batch[missing:], x.shape, x.strides):
        step = stride if size > 1 else 0
        addresses = [address + i * step for address in addresses for i in range(count)]
    return addresses * math.prod(batch[:missing])


def _broadcast(x: tuple[int, ...], y: tuple[int, ...]) -> tuple[int, ...]:
    return x if x == y or not y else y if not x else np.broadcast_shapes(x, y)


def matmul(x: np.ndarray, y: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """x @ y, in the memory `out` if it is given.

    The BLAS multiplies what is small or no float32 matrix, matrices with infinity or NaN, and all
    if `set_matmul_precision("ieee")` asks for it.
    """
    if get_matmul_precision() == "ieee" or not is_worthwhile(x, y):
        return x @ y if out is None else np.matmul(x, y, out)
    (m, k), n = x.shape[-2:], y.shape[-1]
    batch = _broadcast(x.shape[:-2], y.shape[:-2])
    if k != y.shape[-2]:
        return x @ y  # NumPy says what is wrong
    if out is None:
        out = np.empty((*batch, m, n), np.float32)
    elif out.strides[-1] != 4:
        out[...] = matmul(x, y)
        return out
    (x, x_stride, by_m), (y, y_stride, by_k) = in_rows(x), in_rows(y)
    strides = x_stride, y_stride, out.strides[-2]
    sizes = np.array([m, n, k, *strides, by_m, not by_k, PACK_AND_MULTIPLY, 0], np.int64)
    addresses = np.array([_addresses(array, batch) for array in (x, y, out)], np.int64)
    parts = min(blas_threads(), addresses.shape[1] * m * n * k // _PART)
    if parts > 1:
        tasks = _divide(addresses, sizes, parts)
        found = run_together([functools.partial(run, *task) for task in tasks])
    else:
        found = [run(addresses, sizes)]
    return np.matmul(x, y, out) if any(each & NOT_FINITE for each in found) else out


def _divide(
    addresses: np.ndarray, sizes: np.ndarray, parts: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """The arguments of `_multiply` for parts of its work: matrices, or else rows or columns."""
    count = addresses.shape[1]
    if count >= parts:
        return [(part, sizes) for part in np.array_split(addresses, parts, 1)]
    m, n, _, x_stride, y_stride, out_stride, x_has_lanes, y_has_lanes = sizes.tolist()[:8]
    axis, unit = (0, _HEIGHT) if m >= n else (1, _WIDTH)
    blocks = -(-(m, n)[axis] // unit)
    tasks = []
    for part in range(parts):
        start, stop = (blocks * i // parts * unit for i in (part, part + 1))
        own = sizes.copy()
        own[axis] = min(stop, (m, n)[axis]) - start
        lane = (x_stride if x_has_lanes else 4, y_stride if y_has_lanes else 4)[axis]
        steps = [[0], [0], [start * (out_stride, 4)[axis]]]
        steps[axis][0] = start * lane
        tasks.append((addresses + np.array(steps), own))
    return tasks
