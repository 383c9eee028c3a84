"""PyTorch's signatures of the operations on shapes, and of gathering."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from dtrain.autograd.tensor import Tensor, wrap
from dtrain.backend.dtypes import promote
from dtrain.ops import arithmetic, shape
from dtrain.ops import index as index_rules
from dtrain.ops.operators.operands import axis_of, checked_axis, place_of, sizes_of, to


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


def cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Tensors joined along a dimension that they have (torch.cat)."""
    if not tensors:
        raise RuntimeError("cat: expected at least one tensor")
    dtype = tensors[0].dtype
    for x in tensors:
        dtype = promote(dtype, x.dtype)
    return shape.cat(*(to(x, dtype) for x in tensors), axis=dim)


def stack(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Tensors of one shape joined along a new dimension (torch.stack)."""
    return cat([unsqueeze(x, dim) for x in tensors], dim)


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


def split(tensor: Tensor, split_size_or_sections: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """Parts of a size, or of the sizes given, along a dimension (torch.split)."""
    total, sizes = tensor.size(dim), split_size_or_sections
    if isinstance(sizes, int):
        whole, rest = divmod(total, sizes)
        sizes = [sizes] * whole + [rest] * (rest > 0) or [0]
    if math.fsum(sizes) != total:
        raise RuntimeError(f"split: expected sizes that add up to {total}, got {list(sizes)}")
    starts = np.cumsum([0, *sizes]).tolist()
    return tuple(narrow(tensor, dim, start, size) for start, size in zip(starts, sizes))


def chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """At most `chunks` parts of equal size, the last may be shorter (torch.chunk)."""
    return split(input, max(-(-input.size(dim) // chunks), 1), dim)


def unbind(input: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    """The slices along a dimension, without it (torch.unbind)."""
    lead = (slice(None),) * place_of(dim, input.ndim)
    return tuple(index_rules.read(input, (*lead, i)) for i in range(input.size(dim)))


def repeat(input: Tensor, *repeats: Any) -> Tensor:
    """Laid side by side, so often along each dimension (torch.Tensor.repeat)."""
    counts = sizes_of(repeats)
    if len(counts) < input.ndim:
        raise RuntimeError(f"repeat: expected {input.ndim} numbers or more, got {counts}")
    return shape.repeat(input, repeats=counts)


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


def gather(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """The elements at `index` along `dim` (torch.gather)."""
    return index_rules.gather(input, axis=place_of(dim, input.ndim), index=index._array)


def index_select(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """The slices at `index` along `dim` (torch.index_select)."""
    return index_rules.read(input, (slice(None),) * place_of(dim, input.ndim) + (index,))


def contiguous(input: Tensor) -> Tensor:
    """Itself if its elements lie in order in memory, else a copy (torch.Tensor.contiguous)."""
    return input if input.is_contiguous() else shape.contiguous(input)
