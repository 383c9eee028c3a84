"""Sparse tensors from indices and values or from dense tensors, and functions of torch.sparse."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from dtrain.autograd.tensor import Tensor, wrap
from dtrain.backend import array_module
from dtrain.backend.dtypes import DTypeLike, category, float32, float64
from dtrain.backend.layout import sparse_coo
from dtrain.backend.size import Size
from dtrain.functions.creation import as_tensor
from dtrain.functions.creation.base import DeviceLike
from dtrain.functions.operands import Number, to
from dtrain.functions.products import addmm as dense_addmm
from dtrain.functions.sparse_tensor import SparseTensor, make_sparse, refuse


def sparse_coo_tensor(
    indices: Any,
    values: Any,
    size: Sequence[int] | None = None,
    *,
    dtype: DTypeLike = None,
    device: DeviceLike = None,
    requires_grad: bool = False,
    check_invariants: bool | None = None,
    is_coalesced: bool | None = None,
) -> SparseTensor:
    """A sparse tensor with values[i] at indices[:, i] (torch.sparse_coo_tensor).

    Parameters
    ----------
    indices : (sparse_dim, n) integers; they may repeat: values at one place are added up
    values : (n, ...) numbers; gradients go through them
    size : the shape; None: the smallest that holds the indices
    check_invariants : without effect, indices are always checked
    is_coalesced : True if the indices are sorted and do not repeat, which is checked

    >>> import dtrain
    >>> dtrain.sparse_coo_tensor([[0, 1], [1, 0]], [2.0, 3.0]).to_dense()
    tensor([[0., 2.],
            [3., 0.]])
    """
    numbers = to(as_tensor(values, device=device), dtype=dtype)
    places = to(as_tensor(indices), device=numbers.device)
    if places.ndim != 2 or (category(places.dtype) != 1 and places.numel()):
        raise RuntimeError(
            "sparse_coo_tensor: expected indices of shape (dimensions, values), integers, got "
            f"{places.shape} of {places.dtype}"
        )
    if not numbers.ndim or len(numbers) != places.shape[1]:
        raise RuntimeError(
            f"sparse_coo_tensor: expected {places.shape[1]} values, one for each index, got values "
            f"of shape {numbers.shape}"
        )
    coordinates = places.array.astype("int64")
    if coordinates.size and int(coordinates.min()) < 0:
        raise RuntimeError(f"sparse_coo_tensor: negative index {int(coordinates.min())}")
    largest = [int(row.max()) + 1 if row.size else 0 for row in coordinates]
    shape = Size([*largest, *numbers.shape[1:]] if size is None else size)
    if len(shape) != len(largest) + numbers.ndim - 1 or shape[len(largest) :] != numbers.shape[1:]:
        raise RuntimeError(
            f"sparse_coo_tensor: size {tuple(shape)} does not fit indices of {len(largest)} "
            f"dimensions and values of shape {numbers.shape}"
        )
    if any(n > length for n, length in zip(largest, shape)):
        raise RuntimeError(f"sparse_coo_tensor: an index lies outside of size {tuple(shape)}")
    if requires_grad:
        numbers = numbers.detach().clone().requires_grad_()
    made = make_sparse(coordinates, numbers, shape, False)
    return _mark_coalesced(made) if is_coalesced else made


def _mark_coalesced(tensor: SparseTensor) -> SparseTensor:
    in_order = tensor.detach().coalesce()
    if not np.array_equal(in_order.indices().cpu().array, tensor._indices().cpu().array):
        raise RuntimeError(
            "sparse_coo_tensor: is_coalesced=True, but indices repeat or are unsorted"
        )
    tensor._is_coalesced = True
    return tensor


def to_sparse(self: Tensor, sparse_dim: int | None = None, *, layout: Any = None) -> Tensor:
    """The elements that are not zero, as a sparse tensor (torch.Tensor.to_sparse).

    `sparse_dim`: how many of the dimensions the indices have; by default all.
    """
    if layout not in (None, sparse_coo):
        refuse(f"to_sparse to {layout}")
    count = self.ndim if sparse_dim is None else sparse_dim
    if not 0 < count <= self.ndim:
        raise RuntimeError(f"to_sparse: expected sparse_dim in 1..{self.ndim}, got {sparse_dim}")
    array = self.array
    rows = array.reshape(*array.shape[:count], math.prod(array.shape[count:]))
    places = (rows != 0).any(-1).nonzero()
    values = self[tuple(map(wrap, places))]
    return make_sparse(array_module(array).stack(places), values, self.shape, True)


def to_dense(self: Tensor, dtype: DTypeLike = None) -> Tensor:
    """The tensor itself; a sparse one with its zeros (torch.Tensor.to_dense)."""
    return to(self, dtype=dtype)


def coalesce(self: Tensor) -> Tensor:
    """Sorted indices without repetition, of a sparse tensor (torch.Tensor.coalesce)."""
    return _require_sparse("coalesce", self).coalesce()


def indices(self: Tensor) -> Tensor:
    """The indices, (sparse_dim, n), of a coalesced sparse tensor (torch.Tensor.indices)."""
    return _require_sparse("indices", self).indices()


def values(self: Tensor) -> Tensor:
    """The values, (n, ...), of a coalesced sparse tensor (torch.Tensor.values)."""
    return _require_sparse("values", self).values()


def is_coalesced(self: Tensor) -> bool:
    """Whether a sparse tensor's indices are sorted and unique (torch.Tensor.is_coalesced)."""
    return _require_sparse("is_coalesced", self).is_coalesced()


def _require_sparse(name: str, tensor: Tensor) -> SparseTensor:
    if not isinstance(tensor, SparseTensor):
        raise RuntimeError(f"{name}: expected a sparse tensor, got a dense one: call to_sparse()")
    return tensor


def mm(sparse: Tensor, dense: Tensor) -> Tensor:
    """The product of a sparse and a dense matrix, dense (torch.sparse.mm)."""
    return _require_sparse("sparse.mm", sparse).mm(dense)


def addmm(
    input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: Number = 1, alpha: Number = 1
) -> Tensor:
    """beta * input + alpha * mat1 @ mat2 for a sparse mat1 (torch.sparse.addmm)."""
    return dense_addmm(input, mat1, mat2, beta=beta, alpha=alpha)


def sum(input: Tensor, dim: int | Sequence[int] | None = None, dtype: DTypeLike = None) -> Tensor:
    """The sum of all elements, dense (torch.sparse.sum)."""
    return to(input.sum() if dim is None else input.sum(dim), dtype=dtype)


def FloatTensor(indices: Tensor, values: Tensor, size: Sequence[int] | None = None) -> Tensor:
    """A float32 sparse tensor, by its old name (torch.sparse.FloatTensor)."""
    return sparse_coo_tensor(indices, values, size, dtype=float32)


def DoubleTensor(indices: Tensor, values: Tensor, size: Sequence[int] | None = None) -> Tensor:
    """A float64 sparse tensor, by its old name (torch.sparse.DoubleTensor)."""
    return sparse_coo_tensor(indices, values, size, dtype=float64)
