"""Evenly spaced numbers, and triangle indices (torch.arange, torch.tril_indices, ...)."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from dtrain.autograd.tensor import Tensor
from dtrain.backend import Array, module_on, use_device
from dtrain.backend.dtypes import (
    DTypeLike,
    category,
    get_default_dtype,
    is_floating,
    scalar_dtype,
)
from dtrain.functions.creation.base import DeviceLike, factory, make_leaf
from dtrain.functions.creation.convert import tensor


@factory
def arange(
    start: float,
    end: float | None = None,
    step: float = 1,
    dtype: DTypeLike = None,
    device: DeviceLike = None,
    requires_grad: bool = False,
) -> Tensor:
    """Numbers from `start` up to, not including, `end` (torch.arange).

    >>> arange(3)
    tensor([0, 1, 2])
    """
    start, end = (0, start) if end is None else (start, end)
    start, end, step = (v.item() if isinstance(v, Tensor) else v for v in (start, end, step))
    dtype = np.dtype(dtype or max((scalar_dtype(n) for n in (start, end, step)), key=is_floating))
    if not all(math.isfinite(n) for n in (start, end, step)):
        raise RuntimeError(f"arange: expected finite numbers, got {start}, {end} and {step}")
    if dtype == np.int64:
        start, end, step = int(start), int(end), int(step)
    if step == 0 or (end - start) * step < 0:
        raise RuntimeError(f"arange: no steps of {step} lead from {start} to {end}")
    count = math.ceil((end - start) / step)
    if category(dtype) == 1:
        start, step = int(start), int(step)
    with use_device(device):
        if dtype == np.int64:  # one launch on a GPU
            steps = module_on(device).arange(start, start + count * step, step, dtype)
        else:
            steps = module_on(device).arange(count) * step + start
        return make_leaf(steps.astype(dtype, copy=False), requires_grad)


@factory
def range(
    start: float,
    end: float | None = None,
    step: float = 1,
    dtype: DTypeLike = None,
    device: DeviceLike = None,
    requires_grad: bool = False,
) -> Tensor:
    """Numbers from `start` up to, and including, `end` (torch.range, the older `arange`)."""
    start, end = (0, start) if end is None else (start, end)
    if step == 0 or (end - start) * step < 0:
        raise RuntimeError(f"range: no steps of {step} lead from {start} to {end}")
    count = math.floor((end - start) / step) + 1
    with use_device(device):
        steps = module_on(device).arange(count) * step + start
        return make_leaf(steps.astype(dtype or get_default_dtype()), requires_grad)


@factory
def vander(x: Tensor, N: int | None = None, increasing: bool = False) -> Tensor:
    """The powers of a vector as columns (torch.vander)."""
    if x.ndim != 1:
        raise RuntimeError(f"vander: expected a vector, got shape {x.shape}")
    count = x.shape[0] if N is None else N
    if count < 0:
        raise RuntimeError(f"vander: expected N >= 0, got {N}")
    powers = x.unsqueeze(1) ** arange(count, device=x.device)
    return powers if increasing else powers.flip(1)


def _spaced(xp: Any, start: Any, end: Any, steps: int, dtype: np.dtype) -> Array:
    """`steps` numbers in float64, computed from both ends, as in PyTorch."""
    if operator.index(steps) < 0:
        raise RuntimeError(f"expected steps of at least 0, got {steps}")
    start, end = (v.item() if isinstance(v, Tensor) else v for v in (start, end))
    if category(dtype) == 1:
        start, end = int(start), int(end)
    if steps == 1:
        return xp.full(1, start, "float64")
    count = xp.arange(steps)
    step = (end - start) / max(steps - 1, 1)
    return xp.where(2 * count < steps, start + step * count, end - step * (steps - 1 - count))


@factory
def linspace(
    start: float,
    end: float,
    steps: int,
    dtype: DTypeLike = None,
    device: DeviceLike = None,
    requires_grad: bool = False,
) -> Tensor:
    """`steps` numbers from `start` to `end`, both included (torch.linspace)."""
    with use_device(device):
        dtype = np.dtype(dtype or get_default_dtype())
        array = _spaced(module_on(device), start, end, steps, dtype)
        return make_leaf(array.astype(dtype), requires_grad)


@factory
def logspace(
    start: float,
    end: float,
    steps: int,
    base: float = 10.0,
    dtype: DTypeLike = None,
    device: DeviceLike = None,
    requires_grad: bool = False,
) -> Tensor:
    """base ** linspace(start, end, steps) (torch.logspace)."""
    with use_device(device):
        dtype = np.dtype(dtype or get_default_dtype())
        powers = float(base) ** _spaced(module_on(device), start, end, steps, dtype)
        return make_leaf(powers.astype(dtype), requires_grad)


def _sides(row: int, col: int) -> tuple[int, int]:
    if row < 0 or col < 0:
        raise RuntimeError(f"expected no negative number of rows or columns, got {row} and {col}")
    return row, col


def _nonzero_indices(mask: np.ndarray, dtype: DTypeLike, device: DeviceLike) -> Tensor:
    return tensor(np.stack(np.nonzero(mask)), dtype or "int64", device)


def tril_indices(
    row: int, col: int, offset: int = 0, dtype: DTypeLike = None, device: DeviceLike = None
) -> Tensor:
    """Row and column indices of the lower triangle, (2, elements) (torch.tril_indices)."""
    return _nonzero_indices(np.tri(*_sides(row, col), offset), dtype, device)


def triu_indices(
    row: int, col: int, offset: int = 0, dtype: DTypeLike = None, device: DeviceLike = None
) -> Tensor:
    """Row and column indices of the upper triangle, (2, elements) (torch.triu_indices)."""
    return _nonzero_indices(1 - np.tri(*_sides(row, col), offset - 1), dtype, device)
