"""Many arrays: written side by side, their common norm, and scaled to one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dtrain.backend.array_module import Array, array_module

#: of how many elements the squares are added at once
_BLOCK = 4096


def write_parts(flat: Array, arrays: Sequence[Array], starts: Sequence[int]) -> None:
    """Write contiguous arrays of the dtype of `flat`, (n,), to it, each from its start on."""
    for array, start in zip(arrays, starts):
        flat[start : start + array.size] = array.reshape(-1)


def count_blocks(size: int) -> int:
    """How many sums `sums_of_squares` gives of an array of that size."""
    return -(-size // _BLOCK)


def sums_of_squares(*arrays: Array) -> Array:
    """The sums of the squares of the blocks of contiguous arrays of one dtype, one array after the
    other, float64."""
    xp = array_module(*arrays)
    squares = [xp.square(array.reshape(-1).astype("float64")) for array in arrays]
    sums = [flat[start : start + _BLOCK].sum() for flat in squares
            for start in range(0, len(flat), _BLOCK)]  # fmt: skip
    return xp.stack(sums) if sums else xp.empty(0)


def root_of_sum(sums: Array, dtype: str) -> Array:
    """The root of the sum of float64 numbers, (), in another dtype."""
    xp = array_module(sums)
    return xp.asarray(xp.sqrt(sums.sum()), dtype)


def clip_all(*values: Any) -> None:
    """Clip the norm of contiguous arrays of one dtype, in place, to at most `most`. The values: the
    arrays, their common norm, (), and `most`."""
    *arrays, norm, most = values
    scale = array_module(norm).minimum(most / (norm + 1e-6), 1)
    for array in arrays:
        array[...] = array.astype(norm.dtype) * scale
