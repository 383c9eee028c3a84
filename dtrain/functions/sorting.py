"""PyTorch's signatures of sorting, of what is chosen by rank, and of different values."""

from __future__ import annotations

import math
from typing import Any, Literal, overload

from dtrain.autograd.tensor import Tensor, wrap
from dtrain.backend import array_module, on_device_of
from dtrain.backend.dtypes import is_floating
from dtrain.functions.operands import normalize_dim, require_real, scalar_like
from dtrain.functions.reductions import ValuesAndIndices
from dtrain.functions.shapes import narrow, reshape, squeeze
from dtrain.primitives import indexing, reductions, sorting as primitives


def sort(
    input: Tensor, dim: int = -1, descending: bool = False, stable: bool = False
) -> ValuesAndIndices:
    """(sorted values, where they were) along `dim`; equal ones keep their order (torch.sort)."""
    order = argsort(input, dim, descending)
    values = indexing.gather(input, axis=normalize_dim(dim, input.ndim), index=order.array)
    return ValuesAndIndices(values, order)


def argsort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool = False) -> Tensor:
    """Where the sorted values are along `dim`; equal ones keep their order (torch.argsort)."""
    return primitives.sort(input, axis=normalize_dim(dim, input.ndim), descending=descending)


def msort(input: Tensor) -> Tensor:
    """Sorted along the first dimension (torch.msort)."""
    return sort(input, 0).values


def topk(
    input: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True
) -> ValuesAndIndices:
    """The k largest (or smallest) along `dim` in order, and where they were (torch.topk)."""
    if not input.ndim and 0 <= k <= 1:
        return sort(input, dim)
    if not 0 <= k <= input.size(dim):
        raise RuntimeError(f"topk: expected 0 <= k <= {input.size(dim)}, got {k}")
    axis = normalize_dim(dim, input.ndim)
    order = primitives.topk(input, axis=axis, k=k, largest=largest)
    return ValuesAndIndices(indexing.gather(input, axis=axis, index=order.array), order)


def kthvalue(input: Tensor, k: int, dim: int = -1, keepdim: bool = False) -> ValuesAndIndices:
    """The k-th smallest along `dim`, counted from 1, and where it is (torch.kthvalue)."""
    axis = normalize_dim(dim, input.ndim)
    size = input.size(dim) if input.ndim else 1
    if not 1 <= k <= size:
        raise RuntimeError(f"kthvalue: expected 1 <= k <= {size}, got {k}")
    order = argsort(input, axis)
    return _chosen(input, axis, keepdim, narrow(order, axis, k - 1, 1) if input.ndim else order)


def _chosen(input: Tensor, dim: int, keepdim: bool, indices: Tensor) -> ValuesAndIndices:
    """What is at indices of length 1 along `dim`."""
    values = indexing.gather(input, axis=dim, index=indices.array)
    if not keepdim:
        values, indices = squeeze(values, dim), squeeze(indices, dim)
    return ValuesAndIndices(values, indices)


def _median(input: Tensor, dim: int | None, keepdim: bool, ignore_nan: bool) -> Any:
    name = "nanmedian" if ignore_nan else "median"
    if dim is not None:
        axis = normalize_dim(dim, input.ndim)
        if not input.ndim:
            return _chosen(input, axis, keepdim, argsort(input))
        if not input.shape[axis]:
            raise IndexError(f"{name}: expected elements along dim {dim}, got {input.shape}")
        indices = primitives.median_indices(input, axis=axis, ignore_nan=ignore_nan)
        return _chosen(input, axis, keepdim, indices)
    if not input.numel():
        if not is_floating(input.dtype):
            raise RuntimeError(f"{name}: expected elements, got a tensor of shape {input.shape}")
        return scalar_like(math.nan, input)
    index = primitives.median_indices(reshape(input, -1), axis=0, ignore_nan=ignore_nan)
    return reductions.take_sharing_gradient(input, index=index.array)


@overload
def median(input: Tensor) -> Tensor: ...


@overload
def median(input: Tensor, dim: int, keepdim: bool = False) -> ValuesAndIndices: ...


def median(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Any:
    """The lower median of all, or (values, indices) along `dim`; NaN if any is (torch.median)."""
    return _median(input, dim, keepdim, ignore_nan=False)


@overload
def nanmedian(input: Tensor) -> Tensor: ...


@overload
def nanmedian(input: Tensor, dim: int, keepdim: bool = False) -> ValuesAndIndices: ...


def nanmedian(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Any:
    """`median` of the elements that are not NaN (torch.nanmedian)."""
    return _median(input, dim, keepdim, ignore_nan=True)


def mode(input: Tensor, dim: int = -1, keepdim: bool = False) -> ValuesAndIndices:
    """The most frequent value along `dim`, of several the smallest, and its index (torch.mode)."""
    axis = normalize_dim(dim, input.ndim)
    if not input.ndim:
        return _chosen(input, axis, keepdim, argsort(input))
    if not input.shape[axis]:
        raise IndexError(f"mode: expected elements along dim {dim}, got shape {input.shape}")
    return _chosen(input, axis, keepdim, primitives.mode_indices(input, axis=axis))


def _unique(input: Tensor, dim: int | None, consecutive: bool, inverse: bool, counts: bool) -> Any:
    require_real("unique", input)
    xp, array = array_module(input.array), input.array
    with on_device_of(array):
        moved = array.reshape(-1) if dim is None else xp.moveaxis(array, dim, 0)
        rows = moved.reshape(moved.shape[0], math.prod(moved.shape[1:]))
        first, group, number = primitives.unique_rows(rows, consecutive=consecutive)
        values = moved[first]
    values = values if dim is None else xp.moveaxis(values, 0, dim)
    group = group.reshape(array.shape) if dim is None else group
    out = [wrap(values), *([wrap(group)] if inverse else []), *([wrap(number)] if counts else [])]
    return tuple(out) if len(out) > 1 else out[0]


@overload
def unique(
    input: Tensor,
    sorted: bool = True,
    return_inverse: Literal[False] = False,
    return_counts: Literal[False] = False,
    dim: int | None = None,
) -> Tensor: ...


@overload
def unique(
    input: Tensor,
    sorted: bool = True,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> tuple[Tensor, ...]: ...


def unique(
    input: Tensor,
    sorted: bool = True,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> Any:
    """The different elements, or slices along `dim`, in ascending order (torch.unique).

    `return_inverse`: with the index of each element of the input among them; `return_counts`: with
    the number of times that each occurs. There is no gradient.
    """
    return _unique(input, dim, False, return_inverse, return_counts)


@overload
def unique_consecutive(
    input: Tensor,
    return_inverse: Literal[False] = False,
    return_counts: Literal[False] = False,
    dim: int | None = None,
) -> Tensor: ...


@overload
def unique_consecutive(
    input: Tensor,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> tuple[Tensor, ...]: ...


def unique_consecutive(
    input: Tensor,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> Any:
    """Each run of equal elements, or slices along `dim`, as one (torch.unique_consecutive)."""
    return _unique(input, dim, True, return_inverse, return_counts)
