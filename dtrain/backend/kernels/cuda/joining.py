"""Many arrays in one launch: written side by side, their common norm, and scaled to one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from dtrain.backend.array_module import Array
from dtrain.backend.kernels.cuda.compiler import for_each_block
from dtrain.backend.kernels.reference.joining import count_blocks

#: How many arrays a launch takes: few, or as many as 32,764 bytes of arguments have room for.
_FEW, _MANY = 64, 1000


def write_parts(flat: Array, arrays: Sequence[Array], starts: Sequence[int]) -> None:
    """Write contiguous arrays of the dtype of `flat`, (n,), to it, each from its start on."""
    for parts, many, blocks, defines in _launches(arrays, starts):
        for_each_block("joining", "write_parts", blocks, flat, parts, many, defines=defines)


def sums_of_squares(*arrays: Array) -> Array:
    """The sums of the squares of the blocks of contiguous arrays of one dtype, one array after the
    other, float64."""
    import cupy

    sums = cupy.empty(sum(count_blocks(array.size) for array in arrays), "float64")
    rest = sums
    for parts, many, blocks, defines in _launches(arrays):
        given = arrays[0], rest, parts, many
        for_each_block("joining", "sum_squares", blocks, *given, defines=defines)
        rest = rest[blocks:]
    return sums


def root_of_sum(sums: Array, dtype: str) -> Array:
    """The root of the sum of float64 numbers, (), in another dtype."""
    import cupy

    out = cupy.empty((), dtype)
    for_each_block("joining", "root_of_sum", 1, out, sums, out, len(sums))
    return out


def clip_all(*values: Any) -> None:
    """Clip the norm of contiguous arrays of one dtype, in place, to at most `most`. The values: the
    arrays, their common norm, (), and `most`."""
    *arrays, norm, most = values
    for parts, many, blocks, defines in _launches(arrays):
        given = arrays[0], norm, parts, float(most), many
        for_each_block("joining", "clip_parts", blocks, *given, defines=defines)


def _launches(
    arrays: Sequence[Array], starts: Sequence[int] | None = None
) -> Iterator[tuple[np.ndarray, int, int, tuple[str, ...]]]:
    """For each launch its arrays, their number, the number of blocks, the compiler's options.

    Of each array the kernel has the address, where it begins, its size and its first block.
    """
    length, defines = (_FEW, ()) if len(arrays) <= _FEW else (_MANY, (f"-DMANY={_MANY}",))
    struct = np.dtype([(name, np.int64, length) for name in ("source", "start", "size", "block")])
    for first in range(0, len(arrays), length):
        some = arrays[first : first + length]
        parts = np.zeros(1, struct)
        blocks = [count_blocks(array.size) for array in some]
        parts["source"][0, : len(some)] = [array.data.ptr for array in some]
        if starts is not None:
            parts["start"][0, : len(some)] = starts[first : first + length]
        parts["size"][0, : len(some)] = [array.size for array in some]
        parts["block"][0, : len(some)] = np.cumsum([0, *blocks[:-1]])
        yield parts, len(some), sum(blocks), defines
