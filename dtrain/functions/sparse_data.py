"""`SparseData`: the indices and values of a sparse tensor, its metadata and its gradients."""

from __future__ import annotations

import copy
import math
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from dtrain.autograd.tensor import Tensor, wrap
from dtrain.backend import Array, array_module, device
from dtrain.backend.layout import layout, sparse_coo
from dtrain.backend.size import Size
from dtrain.backend.tracing import refuse_recording
from dtrain.functions.sparse_places import row_major_places
from dtrain.functions.sparse_refusals import find_operation, refuse

if TYPE_CHECKING:
    from typing_extensions import Self

_IN_A_GRAPH = "a sparse tensor is used"


class SparseData(Tensor):
    """Indices, values, metadata and gradients; `SparseTensor` adds the operations."""

    _coordinates: Array  # (sparse_dim, n) int64
    _elements: Tensor  # (n, *dense sizes)
    _size: Size
    _is_coalesced: bool

    @property
    def array(self) -> Array:
        """Raises RuntimeError: there is no array of all elements."""
        refuse(find_operation(sys._getframe(1)))

    # --- shape, dtype and layout ---

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
        # Values with the same index are parts of one element: each has that element's gradient.
        xp = array_module(self._coordinates)
        places, first = xp.unique(self._places(), return_index=True)
        return self._with_values_at(places, grad[wrap(first)])

    @grad.setter
    def grad(self, value: Tensor | None) -> None:
        if value is not None:
            refuse("grad =")
        self._elements.grad = None

    def detach(self) -> Self:
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

    # --- others of the same kind ---

    @classmethod
    def _from_parts(cls, coordinates: Array, values: Tensor, size: Size, coalesced: bool) -> Self:
        """A sparse tensor of these parts, which are not copied and not checked."""
        refuse_recording(_IN_A_GRAPH)
        made = object.__new__(cls)
        made._coordinates, made._elements, made._size = coordinates, values, size
        made._is_coalesced = coalesced
        made._version = values._version
        return made

    def _with_values(self, values: Tensor) -> Self:
        return self._from_parts(self._coordinates, values, self._size, self._is_coalesced)

    def _places(self) -> Array:
        """The flat, row-major index of each value in the sparse dimensions."""
        return row_major_places(self._coordinates, self._size[: self.sparse_dim()])

    def _with_values_at(self, places: Array, values: Tensor) -> Self:
        """A coalesced tensor of this shape with values at flat, row-major indices."""
        xp = array_module(places)
        coordinates = xp.stack(xp.unravel_index(places, self._size[: self.sparse_dim()]))
        return self._from_parts(coordinates, values, self._size, True)
