"""PyTorch's signatures of reading and writing by index: gather, scatter, index_..., masked_..."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from dtrain.autograd.grad_mode import is_grad_enabled
from dtrain.autograd.tensor import Tensor, wrap
from dtrain.backend import Array, array_module
from dtrain.backend.dtypes import bool_, category, int32, int64, is_floating
from dtrain.ops import index as index_rules
from dtrain.ops import scatter as rules
from dtrain.ops.operators import elementwise
from dtrain.ops.operators.inplace import inplace
from dtrain.ops.operators.joining import broadcast_shapes, broadcast_tensors
from dtrain.ops.operators.operands import on_device, place_of, to
from dtrain.ops.operators.shapes import broadcast_to, flatten, narrow, reshape


def _places(name: str, input: Tensor, dim: int, index: Tensor, wide: bool = True) -> Array:
    """The array of an index along `dim`, checked."""
    allowed = (int64,) if wide else (int32, int64)
    if not isinstance(index, Tensor) or index.dtype not in allowed:
        given = index.dtype if isinstance(index, Tensor) else type(index).__name__
        raise RuntimeError(f"{name}: expected a tensor of dtype int64 for index, got {given}")
    if not on_device(index, input.device):
        raise RuntimeError(f"{name}: the index is on {index.device}, the input on {input.device}")
    try:
        rules.check_places(index._array, input.shape[dim] if input.ndim else 1, name)
    except IndexError as error:
        if wide:  # gather and scatter
            raise RuntimeError(str(error)) from None
        raise
    return index._array


def _grid(name: str, input: Tensor, dim: int, index: Tensor) -> tuple[int, tuple[Array, ...]]:
    """Where gather and scatter go: the index along `dim`, each element's own place elsewhere."""
    place = place_of(dim, input.ndim)
    if index.ndim != input.ndim and index.numel() and max(index.ndim, input.ndim) > 1:
        raise RuntimeError(
            f"{name}: expected an index of {input.ndim} dimensions as the input's {input.shape}, "
            f"got {index.shape}"
        )
    fits = (n <= m for d, (n, m) in enumerate(zip(index.shape, input.shape)) if d != place)
    if index.numel() and not all(fits):
        raise RuntimeError(
            f"{name}: expected an index no larger than {input.shape} apart from dimension {dim}, "
            f"got {index.shape}"
        )
    array = _places(name, input, place, index)
    if not input.ndim:
        return place, ()
    shape = array.shape if array.ndim else (1,)
    xp = array_module(array)
    lines = [xp.arange(n).reshape([-1 if e == d else 1 for e in range(len(shape))])
             for d, n in enumerate(shape)]  # fmt: skip
    lines[place : place + 1] = [array.reshape(shape)]
    return place, tuple(lines)


def gather(input: Tensor, dim: int, index: Tensor, *, sparse_grad: bool = False) -> Tensor:
    """The elements at `index` along `dim` (torch.gather)."""
    place, _ = _grid("gather", input, dim, index)
    x, array = input, index._array
    if not (x.ndim and array.ndim):
        x, array = reshape(x, -1) if not x.ndim else x, array.reshape(-1)
    return reshape(index_rules.gather(x, axis=place, index=array), index.shape)


def take(input: Tensor, index: Tensor) -> Tensor:
    """The elements at places in the flattened input (torch.take)."""
    return index_rules.read(flatten(input), index)


def take_along_dim(input: Tensor, indices: Tensor, dim: int | None = None) -> Tensor:
    """Like `gather`, with the other dimensions broadcast (torch.take_along_dim)."""
    if dim is None:
        return gather(flatten(input), 0, flatten(indices))
    place = place_of(dim, input.ndim)
    full = list(broadcast_shapes(_without(input.shape, place), _without(indices.shape, place)))
    x, i = ([*full[:place], t.shape[place], *full[place:]] for t in (input, indices))
    return gather(broadcast_to(input, x), place, broadcast_to(indices, i))


def _without(shape: Sequence[int], place: int) -> tuple[int, ...]:
    return (*shape[:place], *shape[place + 1 :])


def index_select(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """The slices at `index` along `dim` (torch.index_select)."""
    place = place_of(dim, input.ndim)
    array = _places("index_select", input, place, index, wide=False)
    if array.ndim > 1:
        raise IndexError(f"index_select: expected an index of one dimension, got {index.shape}")
    if not input.ndim:
        return index_rules.read(reshape(input, 1), array.reshape(-1)[0])
    return index_rules.read(input, (*(slice(None),) * place, array.reshape(-1)))


def select(input: Tensor, dim: int, index: int) -> Tensor:
    """The slice at one place along `dim`, a view (torch.select)."""
    place = place_of(dim, input.ndim)
    if not -input.size(dim) <= index < input.size(dim):
        raise IndexError(
            f"select: index {index} is out of range for shape {input.shape} at dimension {dim}"
        )
    return index_rules.read(input, (*(slice(None),) * place, int(index)))


# --- by mask ---


def _mask(name: str, mask: Tensor) -> Tensor:
    if mask.dtype != bool_:
        raise RuntimeError(f"{name}: expected a mask of dtype bool, got {mask.dtype}")
    return mask


def masked_select(input: Tensor, mask: Tensor) -> Tensor:
    """The elements where the mask holds, as a vector (torch.masked_select)."""
    x, where_to = broadcast_tensors(input, _mask("masked_select", mask))
    return index_rules.read(x, where_to)


def masked_scatter(input: Tensor, mask: Tensor, source: Tensor) -> Tensor:
    """The input with the first elements of `source` where the mask holds (torch.masked_scatter)."""
    _same_dtype("masked_scatter", input, source)
    x, where_to = broadcast_tensors(input, _mask("masked_scatter", mask))
    count = int(where_to._array.sum())
    if count > source.numel():
        raise RuntimeError(
            f"masked_scatter: the mask holds {count} times, source has {source.numel()} elements"
        )
    values = narrow(flatten(source), 0, 0, count)
    return rules.put(x, values, index=where_to._array, accumulate=False)


def where(condition: Tensor, input: Any = None, other: Any = None) -> Any:
    """`input` where the condition holds, `other` elsewhere; alone: where it holds (torch.where)."""
    if input is None and other is None:
        return nonzero(condition, as_tuple=True)
    return elementwise.where(condition, input, other)


def nonzero(input: Tensor, *, as_tuple: bool = False) -> Any:
    """Where elements are not zero: rows of places, or a vector for each dim (torch.nonzero)."""
    xp = array_module(input._array)
    array = input._array if input.ndim or not as_tuple else input._array.reshape(1)
    if not array.ndim:
        return wrap(xp.zeros((int(bool(array)), 0), "int64"))
    places = xp.nonzero(array)
    return tuple(map(wrap, places)) if as_tuple else wrap(xp.stack(places, 1))


def argwhere(input: Tensor) -> Tensor:
    """Where elements are not zero, as rows (torch.argwhere)."""
    return nonzero(input)


# --- writing ---


def _same_dtype(name: str, input: Tensor, source: Tensor) -> None:
    if input.dtype != source.dtype:
        raise RuntimeError(
            f"{name}: expected self and source of one dtype, got {input.dtype} and {source.dtype}"
        )


def _along(name: str, input: Tensor, dim: int, index: Tensor) -> tuple[Any, ...]:
    place = place_of(dim, input.ndim)
    array = _places(name, input, place, index, wide=False)
    if array.ndim > 1:
        raise IndexError(f"{name}: expected an index of one dimension, got {index.shape}")
    return (*(slice(None),) * place, array.reshape(-1)) if input.ndim else (...,)


def _slices(name: str, input: Tensor, dim: int, index: Tensor, source: Tensor) -> Tensor:
    _same_dtype(name, input, source)
    place = place_of(dim, input.ndim)
    wanted = (*input.shape[:place], index.numel(), *input.shape[place + 1 :])
    if source.shape == wanted or (source.numel() == 1 and math.prod(wanted) == 1):
        return reshape(source, wanted) if input.ndim else reshape(source, ())
    raise RuntimeError(f"{name}: expected a source of shape {wanted}, got {source.shape}")


def index_add(input: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: Any = 1) -> Tensor:
    """The input with slices of `source` added at `index` along `dim` (torch.index_add)."""
    places = _along("index_add", input, dim, index)
    values = _slices("index_add", input, dim, index, source)
    return rules.put(input, values if alpha == 1 else values * alpha, index=places, accumulate=True)


def index_copy(input: Tensor, dim: int, index: Tensor, source: Tensor) -> Tensor:
    """The input with slices of `source` written at `index` along `dim` (torch.index_copy)."""
    places = _along("index_copy", input, dim, index)
    values = _slices("index_copy", input, dim, index, source)
    return rules.put(input, values, index=places, accumulate=False)


def index_fill(input: Tensor, dim: int, index: Tensor, value: Any) -> Tensor:
    """The input with one value at `index` along `dim` (torch.index_fill)."""
    places = _along("index_fill", input, dim, index)
    if isinstance(value, Tensor) and value.ndim:
        raise RuntimeError(f"index_fill: expected a number or a 0-d tensor, got {value.shape}")
    return rules.put(input, _number_or_tensor(input, value), index=places, accumulate=False)


def _number_or_tensor(input: Tensor, value: Any) -> Any:
    if isinstance(value, Tensor):
        return to(value, dtype=input.dtype, device=input.device)
    return array_module(input._array).asarray(value, input.dtype)


def index_put(
    input: Tensor, indices: Sequence[Tensor], values: Tensor, accumulate: bool = False
) -> Tensor:
    """input[indices] = values, or += with accumulate, in a copy (torch.index_put)."""
    _same_dtype("index_put", input, values)
    places = tuple(slice(None) if i is None else i._array for i in indices)
    return rules.put(input, values, index=places, accumulate=accumulate)


def scatter(input: Tensor, dim: int, index: Tensor, src: Any = None, **options: Any) -> Tensor:
    """`src`, a tensor or a number (`value`), written at `index` along `dim` (torch.scatter).

    `reduce="add"` adds it to what is there, `"multiply"` multiplies (without a gradient).
    """
    src, reduce = options.pop("value", src), options.pop("reduce", None)
    if options or src is None:
        raise TypeError(f"scatter: expected src or value, got {sorted(options) or 'none'}")
    if reduce not in (None, "add", "multiply"):
        raise RuntimeError(f'scatter: expected reduce "add" or "multiply", got {reduce!r}')
    places, values = _scattered("scatter", input, dim, index, src)
    if reduce == "multiply":
        wanted = any(isinstance(x, Tensor) and x.requires_grad for x in (input, values))
        if wanted and is_grad_enabled():
            raise RuntimeError(
                'scatter: reduce="multiply" has no gradient; use it under no_grad(), or detach()'
            )
        return rules.put_product(input.detach(), values, index=places)
    return rules.put(input, values, index=places, accumulate=reduce == "add")


def _scattered(name: str, input: Tensor, dim: int, index: Tensor, src: Any) -> tuple[Any, Any]:
    """The places that scatter writes to, and as many values."""
    _, places = _grid(name, input, dim, index)
    if not isinstance(src, Tensor):
        return places, _number_or_tensor(input, src)
    _same_dtype(name, input, src)
    if src.ndim != index.ndim or any(n > m for n, m in zip(index.shape, src.shape)):
        raise RuntimeError(
            f"{name}: expected an index no larger than src {src.shape}, got {index.shape}"
        )
    values = index_rules.read(src, tuple(slice(n) for n in index.shape))
    return places, values if input.ndim == index.ndim else reshape(values, input.shape or (-1,))


def scatter_add(input: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
    """`src` added at `index` along `dim` (torch.scatter_add)."""
    places, values = _scattered("scatter_add", input, dim, index, src)
    return rules.put(input, values, index=places, accumulate=True)


def scatter_reduce(
    input: Tensor, dim: int, index: Tensor, src: Tensor, reduce: str, *, include_self: bool = True
) -> Tensor:
    """What falls on one place, reduced: "sum", "mean", "amax", "amin" (torch.scatter_reduce)."""
    if reduce not in ("sum", "mean", "amax", "amin"):
        raise RuntimeError(f"scatter_reduce: expected sum, mean, amax or amin, got {reduce!r}")
    places, values = _scattered("scatter_reduce", input, dim, index, src)
    xp = array_module(input._array)
    if not include_self:
        start = _number_or_tensor(input, _neutral(reduce, input.dtype))
        input = rules.put(input, start, index=places, accumulate=False)
    if reduce in ("amax", "amin"):
        return rules.put_extreme(input, values, index=places, largest=reduce == "amax")
    total = rules.put(input, values, index=places, accumulate=True)
    if reduce == "sum":
        return total
    counts = xp.full(input.shape, int(include_self), "int64")
    xp.add.at(counts, places, 1)
    counts = wrap(xp.maximum(counts, 1))
    if is_floating(input.dtype):
        return total / counts
    return wrap((total._array // counts._array).astype(input.dtype))


def _neutral(reduce: str, dtype: Any) -> Any:
    """The number that changes nothing."""
    if reduce in ("sum", "mean"):
        return 0
    if is_floating(dtype):
        return -math.inf if reduce == "amax" else math.inf
    limits = np.iinfo(dtype)
    return limits.min if reduce == "amax" else limits.max


# --- looking up ---


def searchsorted(
    sorted_sequence: Tensor,
    input: Any,
    *,
    out_int32: bool = False,
    right: bool = False,
    side: str | None = None,
    sorter: Tensor | None = None,
) -> Tensor:
    """Where values would go into sorted rows; left of equal ones (torch.searchsorted)."""
    right = right if side is None else side == "right"
    if sorter is not None:
        sorted_sequence = gather(sorted_sequence, -1, sorter)
    rows = sorted_sequence._array
    xp = array_module(rows)
    values = input._array if isinstance(input, Tensor) else xp.asarray(input)
    if rows.ndim != 1 and rows.shape[:-1] != values.shape[:-1]:
        raise RuntimeError(
            f"searchsorted: expected one row, or as many as of values, got shapes {rows.shape} and "
            f"{values.shape}"
        )
    way = "right" if right else "left"
    if rows.ndim == 1 and xp is np:
        places = xp.searchsorted(rows, values, way)
    else:
        below = xp.less_equal if right else xp.less
        places = below(rows[..., None, :], values[..., None]).sum(-1).reshape(values.shape)
    return wrap(xp.asarray(places).astype("int32" if out_int32 else "int64"))


def bucketize(
    input: Any, boundaries: Tensor, *, out_int32: bool = False, right: bool = False
) -> Tensor:
    """Between which boundaries values lie (torch.bucketize)."""
    return searchsorted(boundaries, input, out_int32=out_int32, right=right)


def one_hot(input: Tensor, num_classes: int = -1) -> Tensor:
    """Rows of zeros with a one at each class (torch.nn.functional.one_hot)."""
    array = input._array
    if category(input.dtype) != 1:
        raise RuntimeError(f"one_hot: expected classes of dtype int64, got {input.dtype}")
    if num_classes == -1:
        if not array.size:
            raise RuntimeError("one_hot: num_classes cannot be found from no elements; give it")
        num_classes = int(array.max()) + 1
    try:
        rules.check_places(array, num_classes, "one_hot")
    except IndexError as error:
        raise RuntimeError(str(error)) from None
    xp = array_module(array)
    return wrap((array[..., None] == xp.arange(num_classes)).astype("int64"))


#: The forms that write into the tensor itself.
INPLACE = {
    f"{function.__name__}_": inplace(f"{function.__name__}_", function)
    for function in (
        index_add, index_copy, index_fill, index_put, masked_scatter, scatter, scatter_add,
        scatter_reduce,
    )
}  # fmt: skip
