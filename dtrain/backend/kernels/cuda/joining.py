"""Many arrays in one launch: written side by side, their common norm, and scaled to one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from dtrain.backend.array_module import Array
from dtrain.backend.kernels.cuda.compiler import for_each_block, real_dtype

#: How many arrays a launch takes, and how many elements a block has; joining.cu has both, too.
_MANY, _CHUNK = 64, 4096
#: The arguments of a launch: each array's address, where it begins, its size, its first block.
_PARTS = np.dtype([(name, np.int64, _MANY) for name in ("source", "start", "size", "block")])


def write_parts(flat: Array, arrays: Sequence[Array], starts: Sequence[int]) -> None:
    """Write contiguous arrays of the dtype of `flat`, (n,), to it, each from its start on."""
    for parts, many, blocks in _launches(arrays, starts):
        for_each_block("joining", "write_parts", blocks, flat, parts, many)


def norm_of_all(*arrays: Array) -> Array:
    """The root of the sum of the squares of contiguous arrays of one dtype, (); float32 for
    halves. The squares are added in float64."""
    import cupy

    first = arrays[0]
    sums = cupy.empty(sum(map(_count_blocks, arrays)), "float64")
    rest = sums
    for parts, many, blocks in _launches(arrays):
        for_each_block("joining", "sum_squares", blocks, first, rest, parts, many)
        rest = rest[blocks:]
    out = cupy.empty((), real_dtype(first.dtype))
    for_each_block("joining", "root_of_sum", 1, first, sums, out, len(sums))
    return out


def clip_all(*values: Any) -> None:
    """Clip the norm of contiguous arrays of one dtype, in place, to at most `most`. The values: the
    arrays, their common norm, (), and `most`."""
    *arrays, norm, most = values
    for parts, many, blocks in _launches(arrays):
        for_each_block("joining", "clip_parts", blocks, arrays[0], norm, parts, float(most), many)


def _launches(
    arrays: Sequence[Array], starts: Sequence[int] | None = None
) -> Iterator[tuple[np.ndarray, int, int]]:
    """For each launch its arrays, their number, and the number of blocks."""
    for first in range(0, len(arrays), _MANY):
        some = arrays[first : first + _MANY]
        parts = np.zeros(1, _PARTS)
        blocks = list(map(_count_blocks, some))
        parts["source"][0, : len(some)] = [array.data.ptr for array in some]
        if starts is not None:
            parts["start"][0, : len(some)] = starts[first : first + _MANY]
        parts["size"][0, : len(some)] = [array.size for array in some]
        parts["block"][0, : len(some)] = np.cumsum([0, *blocks[:-1]])
        yield parts, len(some), sum(blocks)


def _count_blocks(array: Array) -> int:
    return -(-array.size // _CHUNK)
