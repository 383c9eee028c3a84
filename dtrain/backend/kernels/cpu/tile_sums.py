"""A matrix times a matrix, summed in tiles: the order of the left one, and the loops over tiles.

Rows are taken 8 at a time, and the last 2 to 8 by 4 or 8, filled up by zeros. The sum over the
taps, the columns of the left matrix, is in their order, TAPS at a time.
"""

from __future__ import annotations

from typing import Any

from dtrain.backend.kernels.cpu.compiler import inlined
from dtrain.backend.kernels.cpu.tile import weighted_sums

TAPS = 256  # summed at a time: more exact than all at once, and their vectors stay in a cache

_sums_8x3, _sums_8x1 = weighted_sums(8, 3), weighted_sums(8, 1)
_sums_4x3, _sums_4x1 = weighted_sums(4, 3), weighted_sums(4, 1)
_sums_1x6, _sums_1x1 = weighted_sums(1, 6), weighted_sums(1, 1)


@inlined
def tile_rows(rest: Any) -> Any:
    """The rows of the next tile, if so many rows are left."""
    return 8 if rest > 4 else 4 if rest > 1 else 1


def pad_rows(rows: int) -> int:
    """The number of rows of the tiles for so many rows."""
    rest = rows % 8
    return rows - rest + (0 if not rest else 8 if rest > 4 else 4 if rest > 1 else 1)


@inlined
def sum_rows(
    weight: Any, first: Any, rows: Any, x: Any, starts: Any, e: Any, count: Any,
    shifts: Any, begin: Any, taps: Any, bias: Any, b: Any, out: Any, to: Any, starts_out: Any,
    step: Any,
) -> Any:  # fmt: skip
    """For `count` vectors from e on and all rows, as in `tile.weighted_sums`:

    out[to + m step + starts_out[e] + lane] =
        bias[b + m] + the sum over t of weight[m, t] x[starts[e] + shifts[begin + t] + lane]

    weight: from element `first` on tile after tile, (taps, rows of the tile).
    """
    end = e + count
    for t in range(0, taps, TAPS):
        some = TAPS if taps - t > TAPS else taps - t
        m, adds, here = 0, t > 0, begin + t
        while m < rows:
            height = tile_rows(rows - m)
            at, place = first + m * taps + t * height, to + m * step
            for v in range(e, end - 2, 3):
                if height == 8:
                    _sums_8x3(weight, at, x, starts, v, shifts, here, some, adds, bias, b + m,
                              out, place, starts_out, step)  # fmt: skip
                elif height == 4:
                    _sums_4x3(weight, at, x, starts, v, shifts, here, some, adds, bias, b + m,
                              out, place, starts_out, step)  # fmt: skip
            for v in range(e if height == 1 else end - count % 3, end):
                if height == 8:
                    _sums_8x1(weight, at, x, starts, v, shifts, here, some, adds, bias, b + m,
                              out, place, starts_out, step)  # fmt: skip
                elif height == 4:
                    _sums_4x1(weight, at, x, starts, v, shifts, here, some, adds, bias, b + m,
                              out, place, starts_out, step)  # fmt: skip
                else:
                    _sums_1x1(weight, at, x, starts, v, shifts, here, some, adds, bias, b + m,
                              out, place, starts_out, step)  # fmt: skip
            m += height


@inlined
def sum_row(
    weight: Any, first: Any, x: Any, starts: Any, e: Any, count: Any, shifts: Any, begin: Any,
    taps: Any, bias: Any, b: Any, out: Any, to: Any, starts_out: Any,
) -> Any:  # fmt: skip
    """`sum_rows` for one row; the last tile may cover vectors of the one before again."""
    end = e + count
    if count < 6:
        for v in range(e, end):
            _sums_1x1(weight, first, x, starts, v, shifts, begin, taps, False, bias, b, out, to,
                      starts_out, 0)  # fmt: skip
    else:
        for v in range(e, end, 6):
            here = v if v < end - 6 else end - 6
            _sums_1x6(weight, first, x, starts, here, shifts, begin, taps, False, bias, b, out,
                      to, starts_out, 0)  # fmt: skip
