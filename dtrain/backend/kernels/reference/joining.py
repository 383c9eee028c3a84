"""Many arrays: written side by side, their common norm, and scaled to one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dtrain.backend.array_module import Array, array_module


def write_parts(flat: Array, arrays: Sequence[Array], starts: Sequence[int]) -> None:
    """Write contiguous arrays of the dtype of `flat`, (n,), to it, each from its start on."""
    for array, start in zip(arrays, starts):
        flat[start : start + array.size] = array.reshape(-1)


def sums_of_squares(*arrays: Array) -> tuple[Array, list[int]]:
    """The sums of the squares of the blocks of contiguous arrays of one dtype, float64, and where
    each array's sums end; here an array is one block."""
    xp = array_module(*arrays)
    sums = [xp.square(array.astype("float64")).sum() for array in arrays]
    return xp.stack(sums), list(range(1, len(arrays) + 1))


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
