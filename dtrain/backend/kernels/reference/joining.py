"""Many arrays: written side by side, their common norm, and scaled to one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dtrain.backend.array_module import Array, array_module
from dtrain.backend.dtypes import float32, is_half


def write_parts(flat: Array, arrays: Sequence[Array], starts: Sequence[int]) -> None:
    """Write contiguous arrays of the dtype of `flat`, (n,), to it, each from its start on."""
    for array, start in zip(arrays, starts):
        flat[start : start + array.size] = array.reshape(-1)


def norm_of_all(*arrays: Array) -> Array:
    """The root of the sum of the squares of contiguous arrays of one dtype, (); float32 for
    halves."""
    xp, dtype = array_module(*arrays), arrays[0].dtype
    total = sum(xp.square(array.astype("float64")).sum() for array in arrays)
    return xp.asarray(xp.sqrt(total), float32 if is_half(dtype) else dtype)


def clip_all(*values: Any) -> None:
    """Clip the norm of contiguous arrays of one dtype, in place, to at most `most`. The values: the
    arrays, their common norm, (), and `most`."""
    *arrays, norm, most = values
    scale = array_module(norm).minimum(most / (norm + 1e-6), 1)
    for array in arrays:
        array[...] = array.astype(norm.dtype) * scale
