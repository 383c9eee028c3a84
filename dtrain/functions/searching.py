"""PyTorch's signatures of searches: searchsorted, bucketize, one_hot, unravel_index."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dtrain.autograd.tensor import Tensor, wrap
from dtrain.backend import Array, array_module, on_device_of
from dtrain.backend.dtypes import category, int64, scalar_dtype
from dtrain.functions.indexing import gather
from dtrain.functions.operands import require_real
from dtrain.primitives import scattering


def searchsorted(
    sorted_sequence: Tensor,
    input: Any,
    *,
    out_int32: bool = False,
    right: bool = False,
    side: str | None = None,
    sorter: Tensor | None = None,
) -> Tensor:
    """Where to insert values into sorted rows, before equal ones (torch.searchsorted)."""
    require_real("searchsorted", sorted_sequence)
    if side not in (None, "left", "right") or (side == "left" and right):
        raise RuntimeError(
            f'searchsorted: expected side "left" or "right", as `right` says, got {side!r}'
        )
    if sorter is not None:
        if sorter.dtype != int64 or sorter.shape != sorted_sequence.shape:
            raise RuntimeError(
                f"searchsorted: expected a sorter of int64 in the shape of the sequence "
                f"{sorted_sequence.shape}, got {sorter.dtype} and {sorter.shape}"
            )
        sorted_sequence = gather(sorted_sequence, -1, sorter)
    rows = sorted_sequence.array
    xp = array_module(rows)
    values = input.array if isinstance(input, Tensor) else xp.asarray(input, scalar_dtype(input))
    if not rows.ndim or (rows.ndim > 1 and rows.shape[:-1] != values.shape[:-1]):
        raise RuntimeError(
            f"searchsorted: expected one row, or as many as of values, got shapes {rows.shape} and "
            f"{values.shape}"
        )
    is_right = right or side == "right"
    with on_device_of(rows):
        if rows.ndim == 1 and xp is np and not ((rows != rows).any() or (values != values).any()):
            positions = xp.searchsorted(rows, values, "right" if is_right else "left")
        else:
            positions = _search_halving(rows, values, xp.greater if is_right else xp.greater_equal)
        return wrap(xp.asarray(positions).astype("int32" if out_int32 else "int64"))


def _search_halving(rows: Array, values: Array, is_behind: Callable[..., Array]) -> Array:
    """How many elements of a row come before each value, by halving intervals.

    An element for which `is_behind` does not hold is before the value: NaN comes last.
    """
    xp, size = array_module(rows), rows.shape[-1]
    low = xp.zeros(values.shape, "int64")
    high = xp.full(values.shape, size)
    for _ in range(size.bit_length()):
        middle = (low + high) // 2
        index = xp.minimum(middle, size - 1)
        element = rows[index] if rows.ndim == 1 else xp.take_along_axis(rows, index, -1)
        is_open, behind = low < high, is_behind(element, values)
        low = xp.where(is_open & ~behind, middle + 1, low)
        high = xp.where(is_open & behind, middle, high)
    return low


def bucketize(
    input: Any, boundaries: Tensor, *, out_int32: bool = False, right: bool = False
) -> Tensor:
    """Between which boundaries values lie (torch.bucketize)."""
    if boundaries.ndim != 1:
        raise RuntimeError(f"bucketize: expected a row of boundaries, got {boundaries.shape}")
    return searchsorted(boundaries, input, out_int32=out_int32, right=right)


def one_hot(input: Tensor, num_classes: int = -1) -> Tensor:
    """Rows of zeros with a one at each class (torch.nn.functional.one_hot)."""
    array = input.array
    if input.dtype != int64:
        raise RuntimeError(f"one_hot: expected classes of dtype int64, got {input.dtype}")
    if num_classes == -1:
        if not array.size:
            raise RuntimeError("one_hot: num_classes cannot be found from no elements; give it")
        num_classes = int(array.max()) + 1
    if num_classes < 1:
        raise RuntimeError(f"one_hot: expected num_classes above 0, got {num_classes}")
    scattering.check_indices(array, num_classes, "one_hot")
    xp = array_module(array)
    return wrap((array[..., None] == xp.arange(num_classes)).astype("int64"))


def unravel_index(indices: Tensor, shape: Any) -> tuple[Tensor, ...]:
    """Indices into a flattened array as coordinates in its shape (torch.unravel_index)."""
    if category(indices.dtype) != 1:
        raise TypeError(f"unravel_index: expected indices of integers, got {indices.dtype}")
    sizes = tuple(shape) if isinstance(shape, Sequence) else (shape,)
    if any(n < 0 for n in sizes):
        raise ValueError(f"unravel_index: expected a shape without negative numbers, got {sizes}")
    steps = [math.prod(sizes[i + 1 :]) for i in range(len(sizes))]
    xp = array_module(indices.array)
    flat = indices.array.astype("int64")
    parts = (flat // (step or 1) % (n or 1) for step, n in zip(steps, sizes))
    return tuple(wrap(xp.asarray(part)) for part in parts)
