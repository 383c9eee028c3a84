"""`SparseTensor`: a tensor of few values at coordinates; all others are zero (torch.sparse_coo)."""

from __future__ import annotations

import copy
import math
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from dtrain.autograd.tensor import Tensor, wrap
from dtrain.backend import Array, array_module, device
from dtrain.backend.layout import layout, sparse_coo
from dtrain.backend.size import Size
from dtrain.backend.tracing import refuse_recording
from dtrain.functions.autocast import autocasts
from dtrain.functions.operands import Number, to
from dtrain.functions.sparse_places import row_major_places, sum_by_place
from dtrain.functions.sparse_refusals import find_operation, refuse
from dtrain.primitives import sparse

_IN_A_GRAPH = "a sparse tensor is used"


class SparseTensor(Tensor):
    """A tensor that :func:`dtrain.sparse_coo_tensor` or `Tensor.to_sparse` made.

    Its gradients are those of its values. It can be multiplied by numbers and dense matrices,
    added to others, transposed, converted and made dense; anything else is refused by name.

    >>> import dtrain
    >>> a = dtrain.sparse_coo_tensor([[0, 1], [1, 0]], [2.0, 3.0], (2, 2))
    >>> a @ dtrain.tensor([[1.0], [10.0]])
    tensor([[20.],
            [ 3.]])
    """

    _coordinates: Array  # (sparse_dim, n) int64
    _elements: Tensor  # (n, *dense sizes)
    _size: Size
    _is_coalesced: bool

    @property
    def array(self) -> Array:
        """Raises RuntimeError: there is no array of all elements."""
        refuse(find_operation(sys._getframe(1)))

    # --- what it is ---

    @property
    def shape(self) -> Size:
        """The length of each dimension (torch.Tensor.shape)."""
        return self._size

    @property
    def dtype(self) -> np.dtype:
        """The type of the values (torch.Tensor.dtype)."""
        return self._elements.dtype

    @property
    def device(self) -> device:
        """The device of indices and values (torch.Tensor.device)."""
        return self._elements.device

    @property
    def is_cuda(self) -> bool:
        """Whether the values are on a GPU (torch.Tensor.is_cuda)."""
        return self._elements.is_cuda

    @property
    def ndim(self) -> int:
        """The number of dimensions (torch.Tensor.ndim)."""
        return len(self._size)

    def dim(self) -> int:
        """The number of dimensions (torch.Tensor.dim)."""
        return len(self._size)

    def numel(self) -> int:
        """The number of elements, zeros among them (torch.Tensor.numel)."""
        return math.prod(self._size)

    def size(self, dim: int | None = None) -> Any:
        """The shape, or its length along `dim` (torch.Tensor.size)."""
        return self._size if dim is None else self._size[dim]

    @property
    def layout(self) -> layout:
        """`sparse_coo` (torch.Tensor.layout)."""
        return sparse_coo

    @property
    def is_sparse(self) -> bool:
        """True (torch.Tensor.is_sparse)."""
        return True

    def is_coalesced(self) -> bool:
        """Whether the indices are sorted, without repetition (torch.Tensor.is_coalesced)."""
        return self._is_coalesced

    def sparse_dim(self) -> int:
        """The number of dimensions that the indices have (torch.Tensor.sparse_dim)."""
        return len(self._coordinates)

    def dense_dim(self) -> int:
        """The number of dimensions of one value (torch.Tensor.dense_dim)."""
        return self._elements.ndim - 1

    def _nnz(self) -> int:
        """The number of values."""
        return self._coordinates.shape[1]

    def _indices(self) -> Tensor:
        return wrap(self._coordinates)

    def _values(self) -> Tensor:
        refuse_recording(_IN_A_GRAPH)
        return self._elements

    def indices(self) -> Tensor:
        """The indices, (sparse_dim, n), of a coalesced tensor (torch.Tensor.indices)."""
        self._require_coalesced("indices")
        return wrap(self._coordinates)

    def values(self) -> Tensor:
        """The values, (n, ...), of a coalesced tensor, with gradients (torch.Tensor.values)."""
        self._require_coalesced("values")
        return self._values()

    def _require_coalesced(self, name: str) -> None:
        if not self._is_coalesced:
            raise RuntimeError(
                f"{name}: the tensor is not coalesced, indices may repeat: call coalesce() first"
            )

    def __repr__(self) -> str:
        def shown(name: str, value: Tensor) -> str:
            lines = repr(value.detach()).replace("\n", "\n" + " " * len(f"       {name}="))
            return f"{name}={lines}"

        parts = shown("indices", wrap(self._coordinates)), shown("values", self._elements)
        text = f"size={tuple(self._size)}, nnz={self._nnz()}, layout=torch.sparse_coo"
        grad = f", grad_fn={self.grad_fn!r}" if self.grad_fn else ""
        grad = grad or (", requires_grad=True" if self.requires_grad else "")
        return f"tensor({parts[0]},\n       {parts[1]},\n       {text}{grad})"

    # --- gradients: those of the values ---

    @property
    def requires_grad(self) -> bool:
        """Whether operations are recorded (torch.Tensor.requires_grad)."""
        return self._elements.requires_grad

    @requires_grad.setter
    def requires_grad(self, wanted: bool) -> None:
        self._elements.requires_grad_(wanted)

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Set `requires_grad` of this leaf (torch.Tensor.requires_grad_)."""
        self._elements.requires_grad_(requires_grad)
        return self

    @property
    def is_leaf(self) -> bool:
        """Whether no recorded operation made the values (torch.Tensor.is_leaf)."""
        return self._elements.is_leaf

    @property
    def grad_fn(self) -> Any:
        """The node of the values' operation (torch.Tensor.grad_fn)."""
        return self._elements.grad_fn

    @property
    def grad(self) -> Tensor | None:
        """The gradient of the elements at the indices, coalesced (torch.Tensor.grad)."""
        grad = self._elements.grad
        if grad is None or self._is_coalesced:
            return None if grad is None else self._with_values(grad)
        sizes = self._size[: self.sparse_dim()]
        xp = array_module(self._coordinates)
        # Values at one place are parts of one element: each has the gradient of that element.
        places, first = xp.unique(row_major_places(self._coordinates, sizes), return_index=True)
        coordinates = xp.stack(xp.unravel_index(places, sizes))
        return make_sparse(coordinates, grad[wrap(first)], self._size, True)

    @grad.setter
    def grad(self, value: Tensor | None) -> None:
        if value is not None:
            refuse("grad =")
        self._elements.grad = None

    def detach(self) -> SparseTensor:
        """The same indices and values, outside the graph (torch.Tensor.detach)."""
        return self._with_values(self._elements.detach())

    @property
    def data(self) -> Tensor:
        """The same as `detach()` (torch.Tensor.data); it cannot be assigned."""
        return self.detach()

    @data.setter
    def data(self, value: Tensor) -> None:
        refuse("data =")

    def __getstate__(self) -> dict[str, Any]:
        names = "_coordinates", "_elements", "_size", "_is_coalesced"
        return {name: getattr(self, name) for name in names}

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        memo[id(self)] = copied = self._with_values(copy.deepcopy(self._elements, memo))
        return copied

    # --- operations ---

    def _with_values(self, values: Tensor) -> SparseTensor:
        return make_sparse(self._coordinates, values, self._size, self._is_coalesced)

    def coalesce(self) -> SparseTensor:
        """Sorted indices without repetition: values at one place are added (torch.Tensor.coalesce).

        Itself if it is coalesced.
        """
        if self._is_coalesced:
            return self
        sizes = self._size[: self.sparse_dim()]
        xp = array_module(self._coordinates)
        places, positions = xp.unique(
            row_major_places(self._coordinates, sizes), return_inverse=True
        )
        values = sum_by_place(self._elements, positions.reshape(-1), len(places))
        return make_sparse(xp.stack(xp.unravel_index(places, sizes)), values, self._size, True)

    def to_dense(self, dtype: Any = None) -> Tensor:
        """The tensor with its zeros (torch.Tensor.to_dense)."""
        sizes = self._size[: self.sparse_dim()]
        places = row_major_places(self._coordinates, sizes)
        full = sum_by_place(self._values(), places, math.prod(sizes)).reshape(self._size)
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
        return make_sparse(moved.array, values, self._size, self._is_coalesced)

    def transpose(self, dim0: int, dim1: int) -> Tensor:
        """Two sparse dimensions exchanged (torch.Tensor.transpose)."""
        order = list(range(self.ndim))
        order[dim0], order[dim1] = order[dim1], order[dim0]
        if order[self.sparse_dim() :] != list(range(self.sparse_dim(), self.ndim)):
            refuse("transpose of a dense dimension")
        rows = self._coordinates[order[: self.sparse_dim()]]
        return make_sparse(rows, self._elements, Size([self._size[i] for i in order]), False)

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
        from dtrain.functions.joining import cat  # joining.py imports the table's modules

        values = cat([self._elements, other._elements * alpha if alpha != 1 else other._elements])
        both = self._coordinates, other._coordinates
        places = array_module(both[0]).concatenate(both, 1)
        return make_sparse(places, values, self._size, False)

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


def make_sparse(coordinates: Array, values: Tensor, size: Size, coalesced: bool) -> SparseTensor:
    """A sparse tensor of these parts, which are not copied and not checked."""
    refuse_recording(_IN_A_GRAPH)
    made = object.__new__(SparseTensor)
    made._coordinates, made._elements, made._size = coordinates, values, size
    made._is_coalesced = coalesced
    made._version = values._version
    return made


def _require_number(name: str, other: Any) -> Any:
    if isinstance(other, Tensor) and (isinstance(other, SparseTensor) or other.ndim):
        refuse(f"{name} by a tensor")
    return other


def _require_shape(name: str, dense: Any, shape: Size) -> Tensor:
    if not isinstance(dense, Tensor) or dense.shape != shape:
        given = getattr(dense, "shape", type(dense).__name__)
        raise RuntimeError(f"{name}: expected a dense tensor of the sparse {shape}, got {given}")
    return dense
