"""`SparseTensor`: a tensor of few values at coordinates; all others are zero (torch.sparse_coo)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from dtrain.autograd.tensor import Tensor, wrap
from dtrain.backend import array_module
from dtrain.backend.layout import sparse_coo
from dtrain.backend.size import Size
from dtrain.functions.autocast import autocasts
from dtrain.functions.joining import cat
from dtrain.functions.operands import Number, to
from dtrain.functions.sparse_data import SparseData
from dtrain.functions.sparse_places import sum_by_place
from dtrain.functions.sparse_refusals import refuse
from dtrain.primitives import sparse


class SparseTensor(SparseData):
    """A tensor that :func:`dtrain.sparse_coo_tensor` or `Tensor.to_sparse` made.

    Its gradients are those of its values. It can be multiplied by numbers and dense matrices,
    added to others, transposed, converted and made dense; anything else is refused by name.

    >>> import dtrain
    >>> a = dtrain.sparse_coo_tensor([[0, 1], [1, 0]], [2.0, 3.0], (2, 2))
    >>> a @ dtrain.tensor([[1.0], [10.0]])
    tensor([[20.],
            [ 3.]])
    """

    def coalesce(self) -> SparseTensor:
        """Sorted indices without repetition: values at one place are added (torch.Tensor.coalesce).

        Itself if it is coalesced.
        """
        if self._is_coalesced:
            return self
        xp = array_module(self._coordinates)
        places, positions = xp.unique(self._places(), return_inverse=True)
        values = sum_by_place(self._elements, positions.reshape(-1), len(places))
        return self._with_values_at(places, values)

    def to_dense(self, dtype: Any = None) -> Tensor:
        """The tensor with its zeros (torch.Tensor.to_dense)."""
        count = math.prod(self._size[: self.sparse_dim()])
        full = sum_by_place(self._values(), self._places(), count).reshape(self._size)
        return full if dtype is None else to(full, dtype)

    def to_sparse(self, sparse_dim: int | None = None, *, layout: Any = None) -> Tensor:
        """The tensor itself (torch.Tensor.to_sparse)."""
        if sparse_dim not in (None, self.sparse_dim()) or layout not in (None, sparse_coo):
            refuse("to_sparse with another sparse_dim or layout")
        return self

    def clone(self, *, memory_format: Any = None) -> Tensor:
        """A copy, through which gradients go (torch.Tensor.clone)."""
        copied = self._with_values(self._elements.clone())
        copied._coordinates = self._coordinates.copy()
        return copied

    def to(self, *args: Any, **options: Any) -> Tensor:
        """In another dtype or on another device (torch.Tensor.to)."""
        values = to(self._elements, *args, **options)
        moved = to(wrap(self._coordinates), device=values.device)
        return self._from_parts(moved.array, values, self._size, self._is_coalesced)

    def transpose(self, dim0: int, dim1: int) -> Tensor:
        """Two sparse dimensions exchanged (torch.Tensor.transpose)."""
        order = list(range(self.ndim))
        order[dim0], order[dim1] = order[dim1], order[dim0]
        if order[self.sparse_dim() :] != list(range(self.sparse_dim(), self.ndim)):
            refuse("transpose of a dense dimension")
        rows = self._coordinates[order[: self.sparse_dim()]]
        return self._from_parts(rows, self._elements, Size([self._size[i] for i in order]), False)

    def t(self) -> Tensor:
        """The transpose of a matrix (torch.Tensor.t)."""
        if self.ndim != 2:
            raise RuntimeError(f"t: expected a matrix, got a sparse tensor of shape {self.shape}")
        return self.transpose(0, 1)

    @property
    def T(self) -> Tensor:
        """The transpose of a matrix (torch.Tensor.T)."""
        return self.t()

    @autocasts
    def matmul(self, other: Tensor) -> Tensor:
        """The product of a sparse matrix and a dense matrix or vector, dense (torch.matmul)."""
        if not isinstance(other, Tensor) or isinstance(other, SparseTensor):
            refuse(f"matmul by a {'sparse tensor' if isinstance(other, Tensor) else type(other)}")
        if self.ndim != 2 or self.dense_dim() or other.ndim not in (1, 2):
            raise RuntimeError(
                "sparse matmul: expected a sparse matrix with both dimensions sparse and a dense "
                f"matrix or vector, got shapes {self.shape} and {other.shape}"
            )
        if self.shape[1] != other.shape[0]:
            raise RuntimeError(
                f"matmul: shapes cannot be multiplied ({self.shape} and {other.shape})"
            )
        if (self.dtype, self.device) != (other.dtype, other.device):
            raise RuntimeError(
                f"sparse matmul: expected one dtype and device, got {self.dtype} on {self.device} "
                f"and {other.dtype} on {other.device}; convert one by .to(dtype) or .to(device)"
            )
        x = other.unsqueeze(1) if other.ndim == 1 else other
        rows, columns = self._coordinates
        out = sparse.sparse_matmul(
            self._values(), x, rows=rows, columns=columns, count=self.shape[0]
        )
        return out.squeeze(1) if other.ndim == 1 else out

    def mm(self, mat2: Tensor) -> Tensor:
        """The product of a sparse and a dense matrix (torch.mm)."""
        if mat2.ndim != 2:
            raise RuntimeError(f"mm: expected two matrices, got {self.shape} and {mat2.shape}")
        return self.matmul(mat2)

    def __rmatmul__(self, other: Tensor | Number) -> Tensor:
        """The product of a dense matrix or vector and a sparse matrix, dense."""
        if not isinstance(other, Tensor) or other.ndim not in (1, 2) or self.ndim != 2:
            raise RuntimeError(
                "matmul: expected a dense matrix or vector and a sparse matrix, got shapes "
                f"{getattr(other, 'shape', type(other).__name__)} and {self.shape}"
            )
        if other.shape[-1] != self.shape[0]:
            raise RuntimeError(
                f"matmul: shapes cannot be multiplied ({other.shape} and {self.shape})"
            )
        return self.t().matmul(other.T).T if other.ndim == 2 else self.t().matmul(other)

    __matmul__ = matmul

    def sum(
        self, dim: int | Sequence[int] | None = None, keepdim: bool = False, *, dtype: Any = None
    ) -> Tensor:
        """The sum of all elements, dense (torch.Tensor.sum)."""
        if dim is not None or keepdim:
            refuse("sum over a dimension")
        return self._values().sum(dtype=dtype)

    def mul(self, other: Number | Tensor) -> Tensor:
        """Every value times a number or a tensor of one element (torch.Tensor.mul)."""
        return self._with_values(self._elements * _require_number("mul", other))

    def div(self, other: Number | Tensor, *, rounding_mode: str | None = None) -> Tensor:
        """Every value divided by a number or a tensor of one element (torch.Tensor.div)."""
        if rounding_mode is not None:
            refuse("div with a rounding_mode")
        return self._with_values(self._elements / _require_number("div", other))

    def neg(self) -> Tensor:
        """Every value with the other sign (torch.Tensor.neg)."""
        return self._with_values(-self._elements)

    def add(self, other: Tensor | Number, *, alpha: Number = 1) -> Tensor:
        """The sum of two sparse tensors of one shape, not coalesced (torch.Tensor.add)."""
        if not isinstance(other, SparseTensor):
            refuse("add of a dense tensor or number")
        if self.shape != other.shape or self.sparse_dim() != other.sparse_dim():
            raise RuntimeError(
                f"add: expected sparse tensors of one shape and as many sparse dimensions, got "
                f"{self.shape} and {other.shape}"
            )
        values = cat([self._elements, other._elements * alpha if alpha != 1 else other._elements])
        both = self._coordinates, other._coordinates
        places = array_module(both[0]).concatenate(both, 1)
        return self._from_parts(places, values, self._size, False)

    def sub(self, other: Tensor | Number, *, alpha: Number = 1) -> Tensor:
        """The difference of two sparse tensors of one shape (torch.Tensor.sub)."""
        return self.add(other, alpha=-alpha)

    def __radd__(self, other: Tensor | Number) -> Tensor:
        """A dense tensor plus this one, dense."""
        return _require_shape("add", other, self.shape) + self.to_dense()

    def __rsub__(self, other: Tensor | Number) -> Tensor:
        """A dense tensor minus this one, dense."""
        return _require_shape("sub", other, self.shape) - self.to_dense()

    __add__, __sub__, __mul__, __rmul__, __truediv__, __neg__ = add, sub, mul, mul, div, neg


make_sparse = SparseTensor._from_parts


def _require_number(name: str, other: Any) -> Any:
    if isinstance(other, Tensor) and (isinstance(other, SparseTensor) or other.ndim):
        refuse(f"{name} by a tensor")
    return other


def _require_shape(name: str, dense: Any, shape: Size) -> Tensor:
    if not isinstance(dense, Tensor) or dense.shape != shape:
        given = getattr(dense, "shape", type(dense).__name__)
        raise RuntimeError(f"{name}: expected a dense tensor of the sparse {shape}, got {given}")
    return dense
