"""PyTorch's signatures of what joins tensors, or repeats them."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from dtrain.autograd.tensor import Tensor, wrap
from dtrain.backend import Array, array_module, to_host
from dtrain.backend.dtypes import promote
from dtrain.functions import subscripts
from dtrain.functions.autocast import autocasts
from dtrain.functions.creation import zeros
from dtrain.functions.operands import normalize_dim, to, unpack_integers
from dtrain.functions.shapes import broadcast_to, flatten, narrow, reshape, unsqueeze
from dtrain.primitives import casts, joining as primitives, padding


def _tensors(name: str, tensors: Any) -> Sequence[Tensor]:
    if not isinstance(tensors, Sequence):
        raise TypeError(f"{name}: expected a tuple of tensors, got {type(tensors).__name__}")
    for i, x in enumerate(tensors):
        if not isinstance(x, Tensor):
            raise TypeError(f"{name}: expected a tensor as element {i}, got {type(x).__name__}")
    return tensors


def _in_common_dtype(tensors: Sequence[Tensor]) -> Sequence[Tensor]:
    dtypes = {x.array.dtype for x in tensors}
    if len(dtypes) == 1:
        return tensors
    dtype = functools.reduce(promote, dtypes)
    return [to(x, dtype) for x in tensors]


@autocasts
def cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Tensors joined along a dimension that they have (torch.cat)."""
    if not _tensors("cat", tensors):
        raise ValueError("cat: expected at least one tensor")
    shapes = [x.array.shape for x in tensors]
    if () in shapes:
        raise RuntimeError("cat: tensors without dimensions cannot be joined; use stack()")
    model = shapes[0]
    if model == (0,):
        model = next((shape for shape in shapes if shape != (0,)), (0,))
    axis = normalize_dim(dim, len(model))
    if (0,) in shapes:
        none = (*model[:axis], 0, *model[axis + 1 :])  # what PyTorch takes (0,) for
        tensors = [reshape(x, none) if x.shape == (0,) else x for x in tensors]
    if len(set(map(len, shapes))) > 1 and len({len(s) for s in shapes if s != (0,)}) > 1:
        raise RuntimeError(f"cat: expected tensors of as many dimensions, got {shapes}")
    return primitives.cat(*_in_common_dtype(tensors), axis=axis)


@autocasts
def stack(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Tensors of one shape joined along a new dimension (torch.stack)."""
    if not _tensors("stack", tensors):
        raise RuntimeError("stack: expected at least one tensor")
    shapes = [x.array.shape for x in tensors]
    if len(set(shapes)) > 1:
        raise RuntimeError(f"stack: expected tensors of the same dimensions, got {shapes}")
    axis = normalize_dim(dim, len(shapes[0]) + 1)
    return primitives.stack(*_in_common_dtype(tensors), axis=axis)


def _some(name: str, tensors: Sequence[Tensor]) -> Sequence[Tensor]:
    if not tensors:
        raise RuntimeError(f"{name}: expected at least one tensor")
    return tensors


def hstack(tensors: Sequence[Tensor]) -> Tensor:
    """Joined side by side: along dimension 1, vectors along 0 (torch.hstack)."""
    whole = [atleast_1d(x) for x in _tensors("hstack", tensors)]
    return cat(_some("hstack", whole), 0 if whole and whole[0].ndim == 1 else 1)


def vstack(tensors: Sequence[Tensor]) -> Tensor:
    """Joined as rows, along dimension 0 (torch.vstack)."""
    return cat(_some("vstack", [atleast_2d(x) for x in tensors]))


def dstack(tensors: Sequence[Tensor]) -> Tensor:
    """Joined in depth, along dimension 2 (torch.dstack)."""
    return cat(_some("dstack", [atleast_3d(x) for x in tensors]), 2)


def column_stack(tensors: Sequence[Tensor]) -> Tensor:
    """Joined as columns (torch.column_stack)."""
    columns = [reshape(x, x.numel(), 1) if x.ndim < 2 else x for x in tensors]
    return cat(_some("column_stack", columns), 1)


def block_diag(*tensors: Tensor) -> Tensor:
    """A matrix with matrices on its diagonal, zeros elsewhere (torch.block_diag)."""
    if not _tensors("block_diag", tensors):
        return zeros(1, 0)
    if any(x.ndim > 2 for x in tensors):
        raise RuntimeError(
            f"block_diag: expected matrices, got shapes {[tuple(x.shape) for x in tensors]}"
        )
    blocks = [atleast_2d(x) for x in _in_common_dtype(tensors)]
    ends = np.cumsum([x.shape[1] for x in blocks]).tolist()
    return cat(
        [
            padding.pad_constant(x, widths=((0, 0), (end - x.shape[1], ends[-1] - end)), value=0)
            for x, end in zip(blocks, ends)
        ]
    )


def _each(tensors: tuple[Any, ...], change: Any) -> Any:
    if len(tensors) == 1 and isinstance(tensors[0], Tensor):
        return change(tensors[0])
    if not tensors:
        return ()
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
    full = broadcast_shapes(*(x.shape for x in _tensors("broadcast_tensors", tensors)))
    return tuple(broadcast_to(x, full) for x in tensors)


def broadcast_shapes(*shapes: Any) -> tuple[int, ...]:
    """The shape that shapes, or lengths, broadcast to (torch.broadcast_shapes)."""
    given = [(s,) if isinstance(s, int) else tuple(s) for s in shapes]
    if any(n < 0 for s in given for n in s):
        raise ValueError(f"broadcast_shapes: expected no negative numbers, got {given}")
    try:
        return np.broadcast_shapes(*given)
    except ValueError as error:
        raise RuntimeError(f"shapes {shapes} cannot be broadcast together") from error


def meshgrid(*tensors: Any, indexing: str = "ij") -> tuple[Tensor, ...]:
    """Coordinates of a grid: "ij" as a matrix is read, "xy" as a plane (torch.meshgrid)."""
    if indexing not in ("ij", "xy"):
        raise RuntimeError(f'meshgrid: expected indexing "ij" or "xy", got {indexing!r}')
    axes = list(tensors[0] if len(tensors) == 1 and not isinstance(tensors[0], Tensor) else tensors)
    if not axes or len({x.dtype for x in axes}) > 1:
        raise RuntimeError(f"meshgrid: expected tensors of one dtype, got {axes}")
    if any(x.ndim > 1 for x in axes):
        raise RuntimeError(f"meshgrid: expected vectors, got {[tuple(x.shape) for x in axes]}")
    order = list(range(len(axes)))
    if indexing == "xy" and len(axes) > 1:
        order[:2] = [1, 0]
    full = [axes[i].numel() for i in order]
    lines = [[1] * i + [axes[k].numel()] + [1] * (len(axes) - 1 - i) for i, k in enumerate(order)]
    grids = {k: broadcast_to(reshape(axes[k], lines[i]), full) for i, k in enumerate(order)}
    return tuple(grids[i] for i in range(len(axes)))


def _vector(name: str, x: Tensor) -> None:
    if x.ndim != 1:
        raise RuntimeError(f"{name}: expected a vector, got shape {x.shape}")


def cartesian_prod(*tensors: Tensor) -> Tensor:
    """All ways to take one element of each vector, as rows (torch.cartesian_prod)."""
    for x in _tensors("cartesian_prod", tensors):
        _vector("cartesian_prod", x)
    grids = [flatten(x) for x in meshgrid(*tensors)]
    return stack(grids, 1) if len(grids) > 1 else grids[0]


def combinations(input: Tensor, r: int = 2, with_replacement: bool = False) -> Tensor:
    """All ways to take r elements of a vector, as rows (torch.combinations)."""
    _vector("combinations", input)
    if r < 1:
        if r < 0:
            raise RuntimeError(f"combinations: expected r >= 0, got {r}")
        return narrow(input.detach(), 0, 0, 0)
    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    rows = np.array(list(choose(range(input.numel()), r)), np.int64).reshape(-1, r)
    return subscripts.getitem(input, array_module(input.array).asarray(rows))


# --- repeated ---


def repeat(input: Tensor, *counts: Any, repeats: Any = None) -> Tensor:
    """Laid side by side, so often along each dimension (torch.Tensor.repeat)."""
    counts = unpack_integers(counts, repeats)
    if len(counts) < input.ndim:
        raise RuntimeError(f"repeat: expected {input.ndim} numbers or more, got {counts}")
    return primitives.repeat(input, repeats=counts)


def tile(input: Tensor, *counts: Any, dims: Any = None) -> Tensor:
    """Like `repeat`, with 1 for dimensions in front that are not given (torch.tile)."""
    counts = unpack_integers(counts, dims)
    return repeat(input, (1,) * (input.ndim - len(counts)) + counts)


def repeat_interleave(
    input: Any = None, repeats: Any = None, dim: int | None = None, *, output_size: Any = None
) -> Tensor:
    """Each element `repeats` times, along `dim` or of all as one row (torch.repeat_interleave)."""
    if input is None or repeats is None:
        counts = input if repeats is None else repeats
        return wrap(_repeated(counts, None).astype(counts.dtype))
    if dim is None:
        input, dim = flatten(input), 0
    input = input if input.ndim else reshape(input, 1)
    axis = normalize_dim(dim, input.ndim)
    if isinstance(repeats, Tensor) and repeats.numel() > 1:
        indices = _repeated(repeats, input.shape[axis])
        out = subscripts.getitem(input, (*(slice(None),) * axis, indices))
    else:
        times = repeats.item() if isinstance(repeats, Tensor) else repeats
        if times < 0:
            raise RuntimeError(f"repeat_interleave: expected repeats >= 0, got {times}")
        lead, rest = input.shape[: axis + 1], input.shape[axis + 1 :]
        apart = broadcast_to(reshape(input, *lead, 1, *rest), (*lead, times, *rest))
        out = reshape(apart, *lead[:-1], lead[-1] * times, *rest)
        out = out if out._view is None else casts.clone(out)
    if output_size not in (None, out.shape[axis]):
        raise RuntimeError(
            f"repeat_interleave: expected output_size {out.shape[axis]}, got {output_size}"
        )
    return out


def _repeated(repeats: Tensor, length: int | None) -> Array:
    """The number of each of `repeats`, so many times."""
    counts = to_host(repeats.array)
    if counts.dtype not in (np.int32, np.int64):
        raise NotImplementedError(
            f"repeat_interleave: expected repeats of dtype int64, got {counts.dtype}"
        )
    if counts.ndim != 1 or len(counts) != (len(counts) if length is None else length):
        raise RuntimeError(
            f"repeat_interleave: expected a vector of {length} repeats, got shape {counts.shape}"
        )
    if len(counts) and counts.min() < 0:
        raise RuntimeError("repeat_interleave: expected no negative repeats")
    return array_module(repeats.array).asarray(np.repeat(np.arange(len(counts)), counts))
