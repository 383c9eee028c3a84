"""PyTorch's signatures of writing by index: index_add, scatter, put, slice_scatter."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dtrain.autograd.grad_mode import is_grad_enabled
from dtrain.autograd.tensor import Tensor, wrap
from dtrain.backend import Array, array_module
from dtrain.backend.dtypes import DTypeLike, bool_, int64, is_floating
from dtrain.backend.kernels.reference.indexing import index_grid
from dtrain.functions import subscripts
from dtrain.functions.autocast import autocasts
from dtrain.functions.diagonals import two_axes
from dtrain.functions.indexing import check_index, check_index_along, check_mask
from dtrain.functions.inplace import make_inplace
from dtrain.functions.joining import broadcast_tensors
from dtrain.functions.operands import normalize_dim, to
from dtrain.functions.shapes import flatten, movedim, narrow, reshape
from dtrain.primitives import casts, scattering as primitives


def _accept_scalars(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Let a function of (input, dim, index, ...) take 0-d inputs, as vectors of length 1."""

    def rows(value: Any) -> Any:
        return reshape(value, 1) if isinstance(value, Tensor) and not value.ndim else value

    @functools.wraps(function)
    def whole(input: Tensor, dim: int, index: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        if input.ndim:
            return function(input, dim, index, *args, **kwargs)
        kwargs = {name: rows(value) for name, value in kwargs.items()}
        return reshape(function(rows(input), dim, rows(index), *map(rows, args), **kwargs), ())

    return whole


def _same_dtype(name: str, input: Tensor, source: Tensor) -> None:
    if input.dtype != source.dtype:
        raise RuntimeError(
            f"{name}: expected self and source of one dtype, got {input.dtype} and {source.dtype}"
        )


def _along(name: str, input: Tensor, dim: int, index: Tensor) -> tuple[Any, ...]:
    axis = normalize_dim(dim, input.ndim)
    array = check_index(name, input, axis, index)
    if array.ndim > 1:
        raise IndexError(f"{name}: expected an index of one dimension, got {index.shape}")
    return (*(slice(None),) * axis, array.reshape(-1)) if input.ndim else (...,)


def _slices(name: str, input: Tensor, dim: int, index: Tensor, source: Tensor) -> Tensor:
    _same_dtype(name, input, source)
    axis = normalize_dim(dim, input.ndim)
    wanted = (*input.shape[:axis], index.numel(), *input.shape[axis + 1 :])
    if source.shape == wanted or (source.numel() == 1 and math.prod(wanted) == 1):
        return reshape(source, wanted) if input.ndim else reshape(source, ())
    raise RuntimeError(f"{name}: expected a source of shape {wanted}, got {source.shape}")


@_accept_scalars
def index_add(input: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: Any = 1) -> Tensor:
    """The input with slices of `source` added at `index` along `dim` (torch.index_add)."""
    indices = _along("index_add", input, dim, index)
    values = _slices("index_add", input, dim, index, source)
    factor = np.asarray(alpha).astype(input.dtype).item()
    return primitives.put(
        input, values if factor == 1 else values * factor, index=indices, accumulate=True
    )


@autocasts
@_accept_scalars
def index_copy(input: Tensor, dim: int, index: Tensor, source: Tensor) -> Tensor:
    """The input with slices of `source` written at `index` along `dim` (torch.index_copy)."""
    if index.dtype != int64:
        raise RuntimeError(f"index_copy: expected an index of dtype int64, got {index.dtype}")
    indices = _along("index_copy", input, dim, index)
    values = _slices("index_copy", input, dim, index, source)
    return primitives.put(input, values, index=indices, accumulate=False)


def index_fill(input: Tensor, dim: int, index: Tensor, value: Any) -> Tensor:
    """The input with one value at `index` along `dim` (torch.index_fill)."""
    if index.dtype != int64:
        raise IndexError(f"index_fill: expected an index of dtype int64, got {index.dtype}")
    if isinstance(value, Tensor) and value.ndim:
        raise RuntimeError(f"index_fill: expected a number or a 0-d tensor, got {value.shape}")
    axis = normalize_dim(dim, input.ndim)
    size = input.shape[axis] if input.ndim else 1
    xp, array = array_module(index.array), index.array
    array = xp.unique(xp.where(array < 0, array + size, array))  # the gradient counts an index once
    indices = _along("index_fill", input, dim, wrap(array.reshape(index.shape and -1)))
    return primitives.put(input, _number_or_tensor(input, value), index=indices, accumulate=False)


def _number_or_tensor(input: Tensor, value: Any) -> Any:
    if isinstance(value, Tensor):
        return to(value, dtype=input.dtype, device=input.device)
    return array_module(input.array).asarray(value, input.dtype)


@_accept_scalars
def index_reduce(
    input: Tensor,
    dim: int,
    index: Tensor,
    source: Tensor,
    reduce: str,
    *,
    include_self: bool = True,
) -> Tensor:
    """Slices of `source` with the same index, reduced: "prod", "mean", "amax", "amin".

    See Also
    --------
    torch.index_reduce
    """
    if reduce not in ("prod", "mean", "amax", "amin"):
        raise RuntimeError(f"index_reduce: expected prod, mean, amax or amin, got {reduce!r}")
    indices = _along("index_reduce", input, dim, index)
    values = _slices("index_reduce", input, dim, index, source)
    return _reduced(input, indices, values, reduce, include_self)


@autocasts
def index_put(
    input: Tensor, indices: Sequence[Any], values: Tensor, accumulate: bool = False
) -> Tensor:
    """input[indices] = values, or += with accumulate, in a copy (torch.index_put)."""
    _same_dtype("index_put", input, values)
    if len(indices) > input.ndim or not all(i is None or isinstance(i, Tensor) for i in indices):
        raise IndexError(
            f"index_put: expected at most {input.ndim} tensors as indices, got {indices}"
        )
    parts = tuple(subscripts.to_index_array(i) for i in indices)
    return primitives.put(input, values, index=parts, accumulate=accumulate)


def put(input: Tensor, index: Tensor, source: Tensor, accumulate: bool = False) -> Tensor:
    """`source` written at, or added at, indices into the flattened input (torch.put)."""
    _same_dtype("put", input, source)
    if index.dtype != int64:
        raise RuntimeError(f"put: expected an index of dtype int64, got {index.dtype}")
    if index.numel() != source.numel():
        raise IndexError(
            f"put: expected as many elements as indices, got {source.shape} and {index.shape}"
        )
    indices = (index.array.reshape(-1),)
    out = primitives.put(flatten(input), flatten(source), index=indices, accumulate=accumulate)
    return reshape(out, input.shape)


@_accept_scalars
def scatter(input: Tensor, dim: int, index: Tensor, src: Any = None, **options: Any) -> Tensor:
    """`src`, a tensor or a number (`value`), written at `index` along `dim` (torch.scatter).

    `reduce="add"` adds it to what is there, `"multiply"` multiplies (without a gradient).
    """
    src, reduce = options.pop("value", src), options.pop("reduce", None)
    if options or src is None:
        raise TypeError(f"scatter: expected src or value, got {sorted(options) or 'none'}")
    if reduce not in (None, "add", "multiply"):
        raise RuntimeError(f'scatter: expected reduce "add" or "multiply", got {reduce!r}')
    if not index.numel():
        return casts.clone(input)
    indices, values = _scattered("scatter", input, dim, index, src)
    if reduce == "multiply":
        wanted = any(isinstance(x, Tensor) and x.requires_grad for x in (input, values))
        if wanted and is_grad_enabled():
            raise RuntimeError(
                'scatter: reduce="multiply" has no gradient; use it under no_grad(), or detach()'
            )
        return primitives.put_product(input.detach(), values, index=indices)
    return primitives.put(input, values, index=indices, accumulate=reduce == "add")


def _scattered(name: str, input: Tensor, dim: int, index: Tensor, src: Any) -> tuple[Any, Any]:
    """The index arrays that scatter writes to, and as many values."""
    axis, array, values = _scattered_along(name, input, dim, index, src)
    return index_grid(array, axis) if input.ndim else (), values


def _scattered_along(
    name: str, input: Tensor, dim: int, index: Tensor, src: Any
) -> tuple[int, Array, Any]:
    """The axis, the index along it, and as many values, or one number."""
    axis, array = check_index_along(name, input, dim, index)
    if not isinstance(src, Tensor):
        return axis, array, _number_or_tensor(input, src)
    _same_dtype(name, input, src)
    if src.ndim != index.ndim or any(n > m for n, m in zip(index.shape, src.shape)):
        raise RuntimeError(
            f"{name}: expected an index no larger than src {src.shape}, got {index.shape}"
        )
    values = subscripts.getitem(src, tuple(slice(n) for n in index.shape))
    return axis, array, values if index.ndim else reshape(values, 1)


@autocasts
@_accept_scalars
def scatter_add(input: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
    """`src` added at `index` along `dim` (torch.scatter_add)."""
    if not isinstance(src, Tensor):
        raise TypeError(f"scatter_add: expected a tensor for src, got {type(src).__name__}")
    if not index.numel():
        return casts.clone(input)
    axis, array, values = _scattered_along("scatter_add", input, dim, index, src)
    return primitives.scatter_add(input, values, axis=axis, index=array)


@_accept_scalars
def scatter_reduce(
    input: Tensor, dim: int, index: Tensor, src: Tensor, reduce: str, *, include_self: bool = True
) -> Tensor:
    """Values with the same index, reduced: sum, prod, mean, amax or amin (torch.scatter_reduce)."""
    if reduce not in ("sum", "prod", "mean", "amax", "amin"):
        raise RuntimeError(f"scatter_reduce: expected sum, prod, mean, amax, amin, got {reduce!r}")
    indices, values = _scattered("scatter_reduce", input, dim, index, src)
    return _reduced(input, indices, values, reduce, include_self)


def _reduced(
    input: Tensor, indices: tuple, values: Tensor, reduce: str, include_self: bool
) -> Tensor:
    xp = array_module(input.array)
    if not include_self:
        start = _number_or_tensor(input, _neutral(reduce, input.dtype))
        input = primitives.put(input, start, index=indices, accumulate=False)
    if reduce in ("amax", "amin"):
        largest = reduce == "amax"
        return primitives.put_extreme(
            input, values, index=indices, largest=largest, include_self=include_self
        )
    if reduce == "prod":
        return primitives.put_product(input, values, index=indices)
    total = primitives.put(input, values, index=indices, accumulate=True)
    if reduce == "sum":
        return total
    counts = xp.full(input.shape, int(include_self), "int64")
    xp.add.at(counts, indices, 1)
    counts = wrap(xp.maximum(counts, 1))
    if is_floating(input.dtype):
        return total / counts
    return wrap((total.array // counts.array).astype(input.dtype))


def _neutral(reduce: str, dtype: DTypeLike) -> Any:
    """The neutral element of a reduction."""
    if reduce in ("sum", "mean", "prod"):
        return reduce == "prod"
    if dtype == bool_:
        return reduce == "amin"
    if is_floating(dtype):
        return -math.inf if reduce == "amax" else math.inf
    limits = np.iinfo(dtype)
    return limits.min if reduce == "amax" else limits.max


def masked_scatter(input: Tensor, mask: Tensor, source: Tensor) -> Tensor:
    """The input with the first elements of `source` where the mask holds (torch.masked_scatter)."""
    _same_dtype("masked_scatter", input, source)
    x, where_to = broadcast_tensors(input, check_mask("masked_scatter", mask))
    count = int(where_to.array.sum())
    if count > source.numel():
        raise RuntimeError(
            f"masked_scatter: the mask holds {count} times, source has {source.numel()} elements"
        )
    values = narrow(flatten(source), 0, 0, count)
    return primitives.put(x, values, index=where_to.array, accumulate=False)


# --- a part of a tensor, in a copy of the tensor ---


def _part(name: str, input: Tensor, src: Tensor, wanted: Sequence[int], index: Any) -> Tensor:
    if tuple(src.shape) != tuple(wanted):
        raise RuntimeError(f"{name}: expected src of shape {tuple(wanted)}, got {src.shape}")
    return primitives.put(input, to(src, input.dtype), index=index, accumulate=False)


def select_scatter(input: Tensor, src: Tensor, dim: int, index: int) -> Tensor:
    """The input with `src` as its slice at `index` along `dim` (torch.select_scatter)."""
    axis = normalize_dim(dim, input.ndim)
    if not -input.shape[axis] <= index < input.shape[axis]:
        raise IndexError(f"select_scatter: index {index} is out of range for {input.shape}")
    wanted = (*input.shape[:axis], *input.shape[axis + 1 :])
    return _part("select_scatter", input, src, wanted, (*(slice(None),) * axis, int(index)))


def slice_scatter(
    input: Tensor,
    src: Tensor,
    dim: int = 0,
    start: int | None = None,
    end: int | None = None,
    step: int = 1,
) -> Tensor:
    """The input with `src` as its slice start:end:step along `dim` (torch.slice_scatter)."""
    axis = normalize_dim(dim, input.ndim)
    if step < 1:
        raise RuntimeError(f"slice_scatter: expected a step above 0, got {step}")
    bounds = slice(start, end, step)
    count = len(range(*bounds.indices(input.shape[axis])))
    wanted = (*input.shape[:axis], count, *input.shape[axis + 1 :])
    return _part("slice_scatter", input, src, wanted, (*(slice(None),) * axis, bounds))


def diagonal_scatter(
    input: Tensor, src: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1
) -> Tensor:
    """The input with `src` as its diagonals in two dimensions (torch.diagonal_scatter)."""
    axes = two_axes("diagonal_scatter", input.ndim, dim1, dim2)
    rows, columns = (input.shape[axis] for axis in axes)
    count = max(min(rows + min(offset, 0), columns - max(offset, 0)), 0)
    wanted = [*(n for d, n in enumerate(input.shape) if d not in axes), count]
    lines = array_module(input.array).arange(count)
    index = (..., lines + max(-offset, 0), lines + max(offset, 0))
    moved = _part("diagonal_scatter", movedim(input, axes, (-2, -1)), src, wanted, index)
    return movedim(moved, (-2, -1), axes)


#: The forms that write into the tensor itself.
INPLACE = {
    f"{function.__name__}_": make_inplace(f"{function.__name__}_", function)
    for function in (
        index_add, index_copy, index_fill, index_put, index_reduce, masked_scatter, put, scatter,
        scatter_add, scatter_reduce,
    )
}  # fmt: skip
