"""PyTorch's signatures of what joins tensors, cuts them into several, or repeats them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from dtrain.autograd.tensor import Tensor, wrap
from dtrain.backend import array_module, to_host
from dtrain.backend.dtypes import promote
from dtrain.ops import index as index_rules
from dtrain.ops import shape
from dtrain.ops.operators.operands import place_of, sizes_of, to
from dtrain.ops.operators.shapes import broadcast_to, flatten, narrow, reshape, unsqueeze


def cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Tensors joined along a dimension that they have (torch.cat)."""
    if not tensors:
        raise RuntimeError("cat: expected at least one tensor")
    dtype = tensors[0].dtype
    for x in tensors:
        dtype = promote(dtype, x.dtype)
    model = next((x for x in tensors if x.shape != (0,)), tensors[0])
    if not all(x.ndim for x in tensors):
        raise RuntimeError("cat: tensors without dimensions cannot be joined; use stack()")
    place = place_of(dim, model.ndim)
    none = (*model.shape[:place], 0, *model.shape[place + 1 :])  # what PyTorch takes (0,) for
    whole = (reshape(x, none) if x.shape == (0,) else x for x in tensors)
    return shape.cat(*(to(x, dtype) for x in whole), axis=place)


def stack(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Tensors of one shape joined along a new dimension (torch.stack)."""
    if len({x.shape for x in tensors}) > 1:
        raise RuntimeError(
            "stack: expected tensors of the same dimensions, got "
            f"{[tuple(x.shape) for x in tensors]}"
        )
    return cat([unsqueeze(x, dim) for x in tensors], dim)


def hstack(tensors: Sequence[Tensor]) -> Tensor:
    """Joined side by side: along dimension 1, vectors along 0 (torch.hstack)."""
    whole = [atleast_1d(x) for x in tensors]
    return cat(whole, 0 if whole and whole[0].ndim == 1 else 1)


def vstack(tensors: Sequence[Tensor]) -> Tensor:
    """Joined as rows, along dimension 0 (torch.vstack)."""
    return cat([atleast_2d(x) for x in tensors])


def dstack(tensors: Sequence[Tensor]) -> Tensor:
    """Joined in depth, along dimension 2 (torch.dstack)."""
    return cat([atleast_3d(x) for x in tensors], 2)


def column_stack(tensors: Sequence[Tensor]) -> Tensor:
    """Joined as columns (torch.column_stack)."""
    return cat([reshape(x, -1, 1) if x.ndim < 2 else x for x in tensors], 1)


def _each(tensors: tuple[Any, ...], change: Any) -> Any:
    if len(tensors) == 1 and isinstance(tensors[0], Tensor):
        return change(tensors[0])
    return tuple(change(x) for x in (tensors if len(tensors) > 1 else tensors[0]))


def atleast_1d(*tensors: Any) -> Any:
    """With one dimension, if there is none (torch.atleast_1d)."""
    return _each(tensors, lambda x: x if x.ndim else reshape(x, 1))


def atleast_2d(*tensors: Any) -> Any:
    """With two dimensions, if there are fewer: a vector is a row (torch.atleast_2d)."""
    return _each(tensors, lambda x: x if x.ndim > 1 else reshape(x, 1, x.numel()))


def atleast_3d(*tensors: Any) -> Any:
    """With three dimensions, if there are fewer (torch.atleast_3d)."""
    return _each(
        tensors, lambda x: x if x.ndim > 2 else unsqueeze(x if x.ndim > 1 else atleast_2d(x), -1)
    )


def broadcast_tensors(*tensors: Tensor) -> tuple[Tensor, ...]:
    """All in the shape that they broadcast to (torch.broadcast_tensors)."""
    full = broadcast_shapes(*(x.shape for x in tensors))
    return tuple(broadcast_to(x, full) for x in tensors)


def broadcast_shapes(*shapes: Sequence[int]) -> tuple[int, ...]:
    """The shape that these shapes broadcast to (torch.broadcast_shapes)."""
    try:
        return np.broadcast_shapes(*(tuple(s) for s in shapes))
    except ValueError as error:
        raise RuntimeError(f"shapes {shapes} cannot be broadcast together") from error


def meshgrid(*tensors: Any, indexing: str = "ij") -> tuple[Tensor, ...]:
    """Coordinates of a grid: "ij" as a matrix is read, "xy" as a plane (torch.meshgrid)."""
    if indexing not in ("ij", "xy"):
        raise RuntimeError(f'meshgrid: expected indexing "ij" or "xy", got {indexing!r}')
    axes = list(tensors[0] if len(tensors) == 1 and not isinstance(tensors[0], Tensor) else tensors)
    if any(x.ndim > 1 for x in axes):
        raise RuntimeError(f"meshgrid: expected vectors, got {[tuple(x.shape) for x in axes]}")
    order = list(range(len(axes)))
    if indexing == "xy" and len(axes) > 1:
        order[:2] = [1, 0]
    full = [axes[i].numel() for i in order]
    lines = [[1] * i + [axes[k].numel()] + [1] * (len(axes) - 1 - i) for i, k in enumerate(order)]
    grids = {k: broadcast_to(reshape(axes[k], lines[i]), full) for i, k in enumerate(order)}
    return tuple(grids[i] for i in range(len(axes)))


def cartesian_prod(*tensors: Tensor) -> Tensor:
    """All ways to take one element of each vector, as rows (torch.cartesian_prod)."""
    grids = [flatten(x) for x in meshgrid(*tensors)]
    return stack(grids, 1) if len(grids) > 1 else grids[0]


def combinations(input: Tensor, r: int = 2, with_replacement: bool = False) -> Tensor:
    """All ways to take r elements of a vector, as rows (torch.combinations)."""
    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    rows = np.array(list(choose(range(input.numel()), r)), np.int64).reshape(-1, r)
    return index_rules.read(input, array_module(input._array).asarray(rows))


# --- into parts ---


def split(tensor: Tensor, split_size_or_sections: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """Parts of a size, or of the sizes given, along a dimension (torch.split)."""
    total, sizes = tensor.size(dim), split_size_or_sections
    if isinstance(sizes, int):
        if sizes < (total > 0):
            raise RuntimeError(f"split: expected a size above 0, got {sizes}")
        whole, rest = divmod(total, sizes) if sizes else (0, 0)
        sizes = [sizes] * whole + [rest] * (rest > 0) or [0]
    if math.fsum(sizes) != total:
        raise RuntimeError(f"split: expected sizes that add up to {total}, got {list(sizes)}")
    starts = np.cumsum([0, *sizes]).tolist()
    return tuple(narrow(tensor, dim, start, size) for start, size in zip(starts, sizes))


def chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """At most `chunks` parts of equal size, the last may be shorter (torch.chunk)."""
    if chunks < 1:
        raise RuntimeError(f"chunk: expected chunks above 0, got {chunks}")
    return split(input, max(-(-input.size(dim) // chunks), 1), dim)


def tensor_split(input: Tensor, indices_or_sections: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """That many parts, the first ones longer, or parts cut at indices (torch.tensor_split)."""
    total, cuts = input.size(dim), indices_or_sections
    if isinstance(cuts, Tensor):
        cuts = cuts.tolist()
    if isinstance(cuts, int):
        if cuts < 1:
            raise RuntimeError(f"tensor_split: expected a number of parts above 0, got {cuts}")
        size, longer = divmod(total, cuts)
        cuts = [size * i + min(i, longer) for i in range(1, cuts)]
    places = [slice(cut).indices(total)[1] for cut in cuts]
    bounds = zip([0, *places], [*places, total])
    return tuple(narrow(input, dim, a, max(b - a, 0)) for a, b in bounds)


def unbind(input: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    """The slices along a dimension, without it (torch.unbind)."""
    lead = (slice(None),) * place_of(dim, input.ndim)
    return tuple(index_rules.read(input, (*lead, i)) for i in range(input.size(dim)))


# --- repeated ---


def repeat(input: Tensor, *repeats: Any) -> Tensor:
    """Laid side by side, so often along each dimension (torch.Tensor.repeat)."""
    counts = sizes_of(repeats)
    if len(counts) < input.ndim:
        raise RuntimeError(f"repeat: expected {input.ndim} numbers or more, got {counts}")
    return shape.repeat(input, repeats=counts)


def tile(input: Tensor, *dims: Any) -> Tensor:
    """Like `repeat`, with 1 for dimensions in front that are not given (torch.tile)."""
    counts = sizes_of(dims)
    return repeat(input, (1,) * (input.ndim - len(counts)) + tuple(counts))


def repeat_interleave(
    input: Tensor, repeats: Any = None, dim: int | None = None, *, output_size: Any = None
) -> Tensor:
    """Each element `repeats` times, along `dim` or of all as one row (torch.repeat_interleave)."""
    xp = array_module(input._array)
    if repeats is None:
        counts = to_host(input._array)
        return wrap(xp.asarray(np.repeat(np.arange(len(counts)), counts)))
    if dim is None:
        input, dim = flatten(input), 0
    place = place_of(dim, input.ndim)
    if isinstance(repeats, Tensor) and repeats.numel() == 1:
        repeats = repeats.item()
    if isinstance(repeats, int):
        if repeats < 0:
            raise RuntimeError(f"repeat_interleave: expected repeats >= 0, got {repeats}")
        lead, rest = input.shape[: place + 1], input.shape[place + 1 :]
        apart = broadcast_to(reshape(input, *lead, 1, *rest), (*lead, repeats, *rest))
        return reshape(apart, *lead[:-1], lead[-1] * repeats, *rest)
    counts = to_host(repeats._array)
    if counts.ndim != 1 or len(counts) != input.shape[place]:
        raise RuntimeError(
            f"repeat_interleave: expected {input.shape[place]} repeats for dimension {dim}, "
            f"got shape {counts.shape}"
        )
    places = xp.asarray(np.repeat(np.arange(len(counts)), counts))
    return index_rules.read(input, (*(slice(None),) * place, places))
