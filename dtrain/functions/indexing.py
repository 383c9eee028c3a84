"""PyTorch's signatures of reading by index and by mask: gather, take, index_select, nonzero."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, overload

from dtrain.autograd.tensor import Tensor, wrap
from dtrain.backend import Array, array_module
from dtrain.backend.dtypes import (
    as_number,
    bool_,
    int32,
    int64,
    promote,
    scalar_dtype,
    uint8,
)
from dtrain.functions import subscripts
from dtrain.functions.creation import as_tensor
from dtrain.functions.joining import broadcast_shapes, broadcast_tensors
from dtrain.functions.operands import (
    Number,
    is_on_device,
    normalize_dim,
    promote_pair,
    scalar_like,
    to,
)
from dtrain.functions.shapes import broadcast_to, flatten, reshape
from dtrain.primitives import casts, indexing as primitives, scattering


def check_index(name: str, input: Tensor, dim: int, index: Tensor) -> Array:
    """Check an index along `dim`; returns its array."""
    if not isinstance(index, Tensor):
        raise TypeError(f"{name}: expected a tensor for index, got {type(index).__name__}")
    if index.dtype not in (int32, int64):
        if not index.numel():
            return index.array.astype("int64")
        raise RuntimeError(f"{name}: expected an index of dtype int64, got {index.dtype}")
    if not is_on_device(index, input.device):
        raise RuntimeError(f"{name}: the index is on {index.device}, the input on {input.device}")
    scattering.check_indices(index.array, input.shape[dim] if input.ndim else 1, name)
    return index.array


def check_index_along(name: str, input: Tensor, dim: int, index: Tensor) -> tuple[int, Array]:
    """Check an index of gather or scatter, with as many dimensions as the input; returns the axis
    and the index's array, of one dimension at least."""
    axis = normalize_dim(dim, input.ndim)
    if index.ndim != input.ndim and index.numel() and max(index.ndim, input.ndim) > 1:
        raise RuntimeError(
            f"{name}: expected an index of {input.ndim} dimensions as the input's {input.shape}, "
            f"got {index.shape}"
        )
    fits = (n <= m for d, (n, m) in enumerate(zip(index.shape, input.shape)) if d != axis)
    if index.numel() and not all(fits):
        raise RuntimeError(
            f"{name}: expected an index no larger than {input.shape} apart from dimension {dim}, "
            f"got {index.shape}"
        )
    array = check_index(name, input, axis, index)
    return axis, array if array.ndim else array.reshape(1)


def gather(input: Tensor, dim: int, index: Tensor, *, sparse_grad: bool = False) -> Tensor:
    """The elements at `index` along `dim` (torch.gather)."""
    if not index.numel():
        normalize_dim(dim, input.ndim)
        return subscripts.getitem(flatten(input), wrap(index.array.astype("int64")))
    axis, array = check_index_along("gather", input, dim, index)
    x = input if input.ndim else reshape(input, -1)
    out = primitives.gather(x, axis=axis, index=array)
    return out if index.ndim else reshape(out, ())


def take(input: Tensor, index: Tensor) -> Tensor:
    """The elements at indices into the flattened input (torch.take)."""
    if index.dtype != int64:
        raise RuntimeError(f"take: expected an index of dtype int64, got {index.dtype}")
    if index.numel() and not input.numel():
        raise IndexError(f"take: cannot take from a tensor without elements, {input.shape}")
    return primitives.getitem(reshape(input, input.numel()), index=(index.array,))


def take_along_dim(input: Tensor, indices: Tensor, dim: int | None = None) -> Tensor:
    """Like `gather`, with the other dimensions broadcast (torch.take_along_dim)."""
    if indices.dtype != int64:
        raise RuntimeError(f"take_along_dim: expected int64 for indices, got {indices.dtype}")
    if dim is None:
        return take_along_dim(reshape(input, input.numel()), reshape(indices, indices.numel()), 0)
    if input.ndim != indices.ndim:
        raise RuntimeError(
            "take_along_dim: expected tensors of as many dimensions, got shapes "
            f"{input.shape} and {indices.shape}"
        )
    axis = normalize_dim(dim, input.ndim)
    full = list(broadcast_shapes(_without(input.shape, axis), _without(indices.shape, axis)))
    x, i = ([*full[:axis], t.shape[axis], *full[axis:]] for t in (input, indices))
    xp, array = array_module(indices.array), indices.array
    wrapped = wrap(xp.where(array < 0, array + input.shape[axis], array))
    return gather(broadcast_to(input, x), axis, broadcast_to(wrapped, i))


def _without(shape: Sequence[int], axis: int) -> tuple[int, ...]:
    return (*shape[:axis], *shape[axis + 1 :])


def index_select(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """The slices at `index` along `dim` (torch.index_select)."""
    axis = normalize_dim(dim, input.ndim)
    array = check_index("index_select", input, axis, index)
    if array.ndim > 1:
        raise IndexError(f"index_select: expected an index of one dimension, got {index.shape}")
    if not input.ndim:
        if array.size != 1:
            raise RuntimeError(f"index_select: expected one index, got {index.shape}")
        return casts.clone(input)
    return subscripts.getitem(input, (*(slice(None),) * axis, array.reshape(-1)))


def select(input: Tensor, dim: int, index: int) -> Tensor:
    """The slice at one index along `dim`, a view (torch.select)."""
    axis = normalize_dim(dim, input.ndim)
    if not input.ndim:
        raise IndexError("select: a tensor of shape () has no dimension")
    if not -input.shape[axis] <= index < input.shape[axis]:
        raise IndexError(
            f"select: index {index} is out of range for shape {input.shape} at dimension {dim}"
        )
    return subscripts.getitem(input, (*(slice(None),) * axis, int(index)))


# --- by mask ---


def check_mask(name: str, mask: Tensor) -> Tensor:
    if mask.dtype != bool_:
        raise RuntimeError(f"{name}: expected a mask of dtype bool, got {mask.dtype}")
    return mask


def masked_select(input: Tensor, mask: Tensor) -> Tensor:
    """The elements where the mask holds, as a vector (torch.masked_select)."""
    x, where_to = broadcast_tensors(input, check_mask("masked_select", mask))
    return subscripts.getitem(x, where_to)


@overload
def where(condition: Tensor) -> tuple[Tensor, ...]: ...


@overload
def where(condition: Tensor, input: Tensor | Number, other: Tensor | Number) -> Tensor: ...


def where(condition: Tensor, input: Any = None, other: Any = None) -> Any:
    """`input` where the condition holds, else `other`; condition alone: `nonzero` (torch.where)."""
    if input is None and other is None:
        return nonzero(condition, as_tuple=True)
    if input is None or other is None:
        raise TypeError("where: expected both input and other, or none of them")
    if condition.dtype not in (bool_, uint8):
        raise RuntimeError(f"where: expected a condition of dtype bool, got {condition.dtype}")
    return _select(condition, input, other)


@overload
def nonzero(input: Tensor, *, as_tuple: Literal[False] = False) -> Tensor: ...


@overload
def nonzero(input: Tensor, *, as_tuple: Literal[True]) -> tuple[Tensor, ...]: ...


def nonzero(input: Tensor, *, as_tuple: bool = False) -> Any:
    """Indices of the nonzero elements: a row each, or a vector for each dim (torch.nonzero)."""
    xp = array_module(input.array)
    array = input.array if input.ndim or not as_tuple else input.array.reshape(1)
    if not array.ndim:
        return wrap(xp.zeros((int(bool(array)), 0), "int64"))
    indices = xp.nonzero(array)
    return tuple(map(wrap, indices)) if as_tuple else wrap(xp.stack(indices, 1))


def argwhere(input: Tensor) -> Tensor:
    """Indices of the elements that are not zero, a row each (torch.argwhere)."""
    return nonzero(input)


def _select(condition: Tensor, input: Any, other: Any) -> Tensor:
    """`input` where the condition holds, else `other`, in their common dtype."""
    if not isinstance(input, Tensor) and not isinstance(other, Tensor):
        dtype = promote(scalar_dtype(input), scalar_dtype(other))
        input = as_tensor(input, dtype, condition.device)
    x, y = promote_pair(input, other)
    tensor = x if isinstance(x, Tensor) else y
    x, y = (v if isinstance(v, Tensor) else scalar_like(v, tensor) for v in (x, y))
    return primitives.where(x, y, condition=condition.array)


def masked_fill(input: Tensor, mask: Tensor, value: Tensor | Number) -> Tensor:
    """`value` where the mask holds, else `input` (torch.masked_fill)."""
    if mask.dtype != bool_:
        raise RuntimeError(f"masked_fill: expected a mask of dtype bool, got {mask.dtype}")
    if isinstance(value, Tensor):
        if value.ndim:
            raise RuntimeError(f"masked_fill: expected a 0-d tensor or a number, got {value.shape}")
        return primitives.where(to(value, input.dtype), input, condition=mask.array)
    return primitives.masked_fill(input, mask=mask.array, value=as_number(value, input.dtype))
