"""PyTorch's signatures of what gives a tensor's elements another shape or order."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from dtrain.autograd.tensor import Tensor, wrap
from dtrain.ops import arithmetic, shape
from dtrain.ops import index as index_rules
from dtrain.ops.operators.operands import axis_of, checked_axis, place_of, sizes_of


def reshape(input: Tensor, *size: Any) -> Tensor:
    """The same elements in another shape, shared if that can be (torch.reshape)."""
    sizes = sizes_of(size)
    known = math.prod(n for n in sizes if n != -1)
    fits = input.numel() == known if -1 not in sizes else known and not input.numel() % known
    if not fits or sizes.count(-1) > 1:
        raise RuntimeError(f"shape {list(sizes)} is invalid for input of size {input.numel()}")
    return shape.reshape(input, shape=sizes)


def view(input: Tensor, *size: Any) -> Tensor:
    """The same memory in another shape, or in another dtype (torch.Tensor.view)."""
    if len(size) == 1 and isinstance(size[0], (np.dtype, type)):
        return wrap(input._array.view(size[0]))
    out = reshape(input, *size)
    if out.numel() and out._view is None:
        raise RuntimeError(
            f"view: shape {out.shape} cannot share the memory of a tensor of shape "
            f"{input.shape} and strides {input.stride()}; use reshape()"
        )
    return out


def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """The dimensions from start_dim to end_dim made one (torch.flatten)."""
    if not input.ndim:
        return reshape(input, 1)
    start, end = place_of(start_dim, input.ndim), place_of(end_dim, input.ndim)
    if start > end:
        raise RuntimeError(f"flatten: start_dim {start_dim} comes after end_dim {end_dim}")
    middle = math.prod(input.shape[start : end + 1])
    return reshape(input, *input.shape[:start], middle, *input.shape[end + 1 :])


def permute(input: Tensor, *dims: Any) -> Tensor:
    """The dimensions in another order (torch.permute)."""
    axes = tuple(place_of(d, input.ndim) for d in sizes_of(dims))
    if sorted(axes) != list(range(input.ndim)):
        raise RuntimeError(f"permute: {sizes_of(dims)} is no order of {input.ndim} dimensions")
    return shape.permute(input, axes=axes)


def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """Two dimensions exchanged (torch.transpose)."""
    axes = list(range(input.ndim))
    checked_axis(input, (dim0, dim1))
    if axes:
        axes[dim0], axes[dim1] = axes[dim1], axes[dim0]
    return shape.permute(input, axes=tuple(axes))


def t(input: Tensor) -> Tensor:
    """The transpose of a matrix (torch.t)."""
    if input.ndim > 2:
        raise RuntimeError(f"t: expected at most 2 dimensions, got shape {input.shape}")
    return transpose(input, 0, 1) if input.ndim == 2 else input


def expand(input: Tensor, *size: Any) -> Tensor:
    """Broadcast without a copy; -1 keeps a dimension (torch.Tensor.expand)."""
    sizes = sizes_of(size)
    lead = len(sizes) - input.ndim
    if lead < 0 or -1 in sizes[:lead]:
        raise RuntimeError(f"expand: shape {input.shape} cannot be expanded to {sizes}")
    full = tuple(input.shape[i - lead] if n == -1 else n for i, n in enumerate(sizes))
    return shape.expand(input, shape=full)


def squeeze(input: Tensor, dim: Any = None) -> Tensor:
    """Without the dimensions of length 1, or those of them in `dim` (torch.squeeze)."""
    checked_axis(input, dim)
    dims = axis_of(range(input.ndim) if dim is None else dim)
    dims = dims if isinstance(dims, tuple) else (dims,)
    drop = {d % (input.ndim or 1) for d in dims}
    kept = [n for d, n in enumerate(input.shape) if d not in drop or n != 1]
    return reshape(input, kept)


def unsqueeze(input: Tensor, dim: int) -> Tensor:
    """With a dimension of length 1 at `dim` (torch.unsqueeze)."""
    place = place_of(dim, input.ndim + 1)
    return reshape(input, *input.shape[:place], 1, *input.shape[place:])


def narrow(input: Tensor, dim: int, start: int, length: int) -> Tensor:
    """`length` elements from `start` along a dimension (torch.narrow)."""
    place = place_of(dim, input.ndim)
    first = start + input.size(dim) if start < 0 else start
    if not 0 <= first <= first + length <= input.size(dim):
        raise RuntimeError(
            f"narrow: start ({start}) + length ({length}) exceeds dimension size "
            f"({input.size(dim)})"
        )
    return index_rules.read(input, (*(slice(None),) * place, slice(first, first + length)))


def flip(input: Tensor, *dims: Any) -> Tensor:
    """A copy with the order reversed along `dims` (torch.flip)."""
    return arithmetic.clone(shape.flip_view(input, axes=sizes_of(dims)))


def roll(input: Tensor, shifts: Any, dims: Any = None) -> Tensor:
    """Elements shifted along `dims`, around the end (torch.roll)."""
    return shape.roll(input, shifts=axis_of(shifts), axis=axis_of(dims))


def tril(input: Tensor, diagonal: int = 0) -> Tensor:
    """The lower triangle, zeros elsewhere (torch.tril)."""
    return shape.tril(input, diagonal=diagonal)


def triu(input: Tensor, diagonal: int = 0) -> Tensor:
    """The upper triangle, zeros elsewhere (torch.triu)."""
    return shape.triu(input, diagonal=diagonal)


def contiguous(input: Tensor) -> Tensor:
    """Itself if its elements lie in order in memory, else a copy (torch.Tensor.contiguous)."""
    return input if input.is_contiguous() else shape.contiguous(input)


def ravel(input: Tensor) -> Tensor:
    """All elements in one dimension (torch.ravel)."""
    return flatten(input)


def unflatten(input: Tensor, dim: int, sizes: Sequence[int]) -> Tensor:
    """One dimension made several; one of `sizes` may be -1 (torch.unflatten)."""
    place = place_of(dim, input.ndim)
    sizes, length = tuple(sizes), input.shape[place]
    if -1 in sizes:
        known = math.prod(n for n in sizes if n != -1)
        sizes = tuple(length // (known or 1) if n == -1 else n for n in sizes)
    if not sizes or math.prod(sizes) != length:
        raise RuntimeError(
            f"unflatten: sizes {list(sizes)} do not multiply up to the size of dim {dim} ({length})"
        )
    return reshape(input, *input.shape[:place], *sizes, *input.shape[place + 1 :])


def movedim(input: Tensor, source: Any, destination: Any) -> Tensor:
    """Dimensions moved to other places, the others in their order (torch.movedim)."""
    given = (source,) if isinstance(source, int) else tuple(source)
    wanted = (destination,) if isinstance(destination, int) else tuple(destination)
    origins = [place_of(d, input.ndim) for d in given]
    targets = [place_of(d, input.ndim) for d in wanted]
    if len(origins) != len(targets) or any(len(set(p)) != len(p) for p in (origins, targets)):
        raise RuntimeError(f"movedim: {source} cannot be moved to {destination}")
    order = [d for d in range(input.ndim) if d not in origins]
    for target, origin in sorted(zip(targets, origins)):
        order.insert(target, origin)
    return shape.permute(input, axes=tuple(order))


def broadcast_to(input: Tensor, size: Sequence[int]) -> Tensor:
    """Broadcast without a copy (torch.broadcast_to)."""
    return expand(input, tuple(size))


def rot90(input: Tensor, k: int = 1, dims: Sequence[int] = (0, 1)) -> Tensor:
    """Turned k times by a right angle, from the first of two dimensions on (torch.rot90)."""
    a, b = (place_of(d, input.ndim) for d in dims)
    if a == b:
        raise RuntimeError(f"rot90: expected two different dimensions, got {tuple(dims)}")
    if k % 2 == 0:
        return flip(input, a, b) if k % 4 else arithmetic.clone(input)
    turned = transpose(input, a, b)
    return flip(turned, a if k % 4 == 1 else b)


def fliplr(input: Tensor) -> Tensor:
    """The order reversed along dimension 1 (torch.fliplr)."""
    if input.ndim < 2:
        raise RuntimeError(f"fliplr: expected 2 dimensions or more, got shape {input.shape}")
    return flip(input, 1)


def flipud(input: Tensor) -> Tensor:
    """The order reversed along dimension 0 (torch.flipud)."""
    if not input.ndim:
        raise RuntimeError("flipud: expected 1 dimension or more, got shape ()")
    return flip(input, 0)


def diagonal(input: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """The diagonals of the matrices in two dimensions, as a last one; a view (torch.diagonal)."""
    axes = [place_of(d, input.ndim) for d in (dim1, dim2)]
    if axes[0] == axes[1]:
        raise RuntimeError(f"diagonal: expected two different dimensions, got {dim1} and {dim2}")
    return shape.diagonal(input, offset=offset, axis1=axes[0], axis2=axes[1])


def diag_embed(input: Tensor, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """Matrices with the rows of the input on a diagonal (torch.diag_embed)."""
    axes = [place_of(d, input.ndim + 1) for d in (dim1, dim2)]
    if axes[0] == axes[1]:
        raise RuntimeError(f"diag_embed: expected two different dimensions, got {dim1} and {dim2}")
    return shape.diag_embed(input, offset=offset, axis1=axes[0], axis2=axes[1])


def diag(input: Tensor, diagonal: int = 0) -> Tensor:
    """A vector as the diagonal of a matrix, or the diagonal of a matrix, copied (torch.diag)."""
    if input.ndim == 1:
        return diag_embed(input, diagonal)
    if input.ndim != 2:
        raise RuntimeError(f"diag: expected a vector or a matrix, got shape {input.shape}")
    return arithmetic.clone(shape.diagonal(input, offset=diagonal, axis1=0, axis2=1))


def unfold(input: Tensor, dimension: int, size: int, step: int) -> Tensor:
    """Windows along a dimension, in a new last one; a view (torch.Tensor.unfold)."""
    place = place_of(dimension, input.ndim)
    length = input.shape[place] if input.ndim else 1
    if not 0 <= size <= length or step < 1:
        raise RuntimeError(
            f"unfold: expected 0 <= size <= {length} and step >= 1, got {size} and {step}"
        )
    input = input if input.ndim else reshape(input, 1)
    return shape.unfold(input, axis=place, size=size, step=step)


def pad(
    input: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None
) -> Tensor:
    """Padded by (before, after) pairs from the last dimension on (torch.nn.functional.pad).

    `mode` is "constant", "reflect", "replicate" or "circular"; negative widths cut.
    """
    pairs = list(zip(pad[::2], pad[1::2]))
    if len(pad) % 2 or len(pairs) > input.ndim:
        raise RuntimeError(
            f"pad: expected at most {input.ndim} pairs (before, after) for shape {input.shape}, "
            f"got {list(pad)}"
        )
    if mode == "constant":
        widths = ((0, 0),) * (input.ndim - len(pairs)) + tuple(reversed(pairs))
        return shape.pad_constant(input, widths=widths, value=0 if value is None else value)
    if mode not in _EDGES:
        raise NotImplementedError(f"pad: unrecognized mode {mode!r}; expected {list(_EDGES)}")
    if value:
        raise ValueError(f"pad: mode {mode!r} takes no value, got {value}")
    if len(pairs) not in (input.ndim - 1, input.ndim - 2):
        raise NotImplementedError(
            f"pad: mode {mode!r} pads all dimensions but a batch's and the channels', got "
            f"{list(pad)} for shape {input.shape}"
        )
    for i, width in enumerate(pairs):
        input = _pad_edges(input, input.ndim - 1 - i, width, mode)
    return input


#: for each mode, from (length, before, after): where the edge parts start, which flip, the limit
_EDGES: dict[str, Any] = {
    "reflect": lambda n, a, b: (1, n - 1 - b, True, n - 1),
    "replicate": lambda n, a, b: (0, n - 1, False, math.inf),
    "circular": lambda n, a, b: (n - a, 0, False, n),
}


def _pad_edges(input: Tensor, dim: int, widths: tuple[int, int], mode: str) -> Tensor:
    lead = (slice(None),) * dim
    length = input.shape[dim]
    cut = slice(max(-widths[0], 0), length - max(-widths[1], 0))
    if min(widths) < 0:
        input = index_rules.read(input, (*lead, cut))
        length = input.shape[dim]
    before, after = (max(w, 0) for w in widths)
    head, tail, mirrored, limit = _EDGES[mode](length, before, after)
    if max(before, after) > limit or not length:
        raise RuntimeError(
            f"pad: mode {mode!r} pads a dimension of size {length} by at most {limit}, got {widths}"
        )
    parts = []
    for start, width in ((head, before), (None, 0), (tail, after)):
        if start is None:
            parts.append(input)
        elif width:
            edge = narrow(input, dim, start, 1 if mode == "replicate" else width)
            full = (*input.shape[:dim], width, *input.shape[dim + 1 :])
            parts.append(flip(edge, dim) if mirrored else broadcast_to(edge, full))
    return shape.cat(*parts, axis=dim) if len(parts) > 1 else arithmetic.clone(input)
