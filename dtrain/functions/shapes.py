"""PyTorch's signatures of what gives a tensor's elements another shape or order."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, SupportsIndex

import numpy as np

from dtrain.autograd.tensor import Tensor, wrap
from dtrain.backend import address
from dtrain.backend.dtypes import DTypeLike, category
from dtrain.functions import subscripts
from dtrain.functions.inplace import describe_method
from dtrain.functions.operands import normalize_dim, to_axis, unpack_integers
from dtrain.primitives import casts, complex_numbers, shapes as primitives

# --- another shape ---


def reshape(input: Tensor, *sizes: SupportsIndex | Sequence[int], shape: Any = None) -> Tensor:
    """The same elements in another shape, shared if that can be (torch.reshape)."""
    sizes = unpack_integers(sizes, shape)
    count = input.array.size
    if -1 in sizes:
        known = math.prod(n for n in sizes if n != -1)
        fits = known and not count % known and sizes.count(-1) == 1
    else:
        fits = count == math.prod(sizes)
    if not fits:
        raise RuntimeError(f"shape {list(sizes)} is invalid for input of size {count}")
    return primitives.reshape(input, shape=sizes)


def view(input: Tensor, *sizes: Any, size: Any = None, dtype: DTypeLike = None) -> Tensor:
    """The same memory in another shape, or in another dtype (torch.Tensor.view)."""
    if len(sizes) == 1 and isinstance(sizes[0], (np.dtype, type)):
        dtype = sizes[0]
    if dtype is not None:
        return _view_as_dtype(input, np.dtype(dtype))
    out = reshape(input, *sizes, shape=size)
    if out.numel() and out._view is None:
        raise RuntimeError(
            f"view: shape {out.shape} cannot share the memory of a tensor of shape "
            f"{input.shape} and strides {input.stride()}; use reshape()"
        )
    return out


def _view_as_dtype(input: Tensor, dtype: np.dtype) -> Tensor:
    if dtype == input.dtype:
        return reshape(input, input.shape)
    try:
        return wrap(input.array.view(dtype))
    except ValueError as error:  # the sizes do not fit
        raise RuntimeError(f"view as {dtype}: {error}") from error


def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """The dimensions from start_dim to end_dim made one (torch.flatten)."""
    start, end = normalize_dim(start_dim, input.ndim), normalize_dim(end_dim, input.ndim)
    if start > end:
        raise RuntimeError(f"flatten: start_dim {start_dim} comes after end_dim {end_dim}")
    if start == end and input.ndim:
        return input
    middle = math.prod(input.shape[start : end + 1])
    return reshape(input, *input.shape[:start], middle, *input.shape[end + 1 :])


def ravel(input: Tensor) -> Tensor:
    """All elements in one dimension (torch.ravel)."""
    return contiguous(reshape(input, -1) if input.numel() else reshape(input, 0))


def unflatten(input: Tensor, dim: int, sizes: Sequence[int]) -> Tensor:
    """One dimension made several; one of `sizes` may be -1 (torch.unflatten)."""
    if not input.ndim:
        raise RuntimeError("unflatten: a tensor of shape () has no dimension to unflatten")
    axis = normalize_dim(dim, input.ndim)
    sizes, length = tuple(sizes), input.shape[axis]
    if -1 in sizes:
        known = math.prod(n for n in sizes if n != -1)
        if not known or length % known:
            raise RuntimeError(f"unflatten: sizes {list(sizes)} do not divide {length} elements")
        sizes = tuple(length // known if n == -1 else n for n in sizes)
    if not sizes or math.prod(sizes) != length:
        raise RuntimeError(
            f"unflatten: sizes {list(sizes)} do not multiply up to the size of dim {dim} ({length})"
        )
    return reshape(input, *input.shape[:axis], *sizes, *input.shape[axis + 1 :])


def squeeze(input: Tensor, dim: Any = None) -> Tensor:
    """Without the dimensions of length 1, or those of them in `dim` (torch.squeeze)."""
    dims = to_axis(range(input.ndim) if dim is None else dim)
    drop = [normalize_dim(d, input.ndim) for d in (dims if isinstance(dims, tuple) else (dims,))]
    if len(set(drop)) < len(drop):
        raise RuntimeError(f"squeeze: expected different dimensions, got {dim}")
    return reshape(input, [n for d, n in enumerate(input.shape) if d not in drop or n != 1])


def unsqueeze(input: Tensor, dim: int) -> Tensor:
    """With a dimension of length 1 at `dim` (torch.unsqueeze)."""
    axis = normalize_dim(dim, input.ndim + 1)
    return reshape(input, *input.shape[:axis], 1, *input.shape[axis:])


def expand(input: Tensor, *sizes: SupportsIndex | Sequence[int], size: Any = None) -> Tensor:
    """Broadcast without a copy; -1 keeps a dimension (torch.Tensor.expand)."""
    sizes = unpack_integers(sizes, size)
    lead = len(sizes) - input.ndim
    if lead < 0 or -1 in sizes[:lead]:
        raise RuntimeError(f"expand: shape {input.shape} cannot be expanded to {sizes}")
    full = tuple(input.shape[i - lead] if n == -1 else n for i, n in enumerate(sizes))
    return primitives.expand(input, shape=full)


def broadcast_to(input: Tensor, *sizes: SupportsIndex | Sequence[int], size: Any = None) -> Tensor:
    """Broadcast without a copy (torch.broadcast_to)."""
    return expand(input, *sizes, size=size)


def contiguous(input: Tensor, *, memory_format: Any = None) -> Tensor:
    """Itself if its elements lie in order in memory, else a copy (torch.Tensor.contiguous)."""
    return input if input.is_contiguous() else primitives.contiguous(input)


# --- another order of dimensions ---


def permute(input: Tensor, *order: Any, dims: Any = None) -> Tensor:
    """The dimensions in another order (torch.permute)."""
    wanted, ndim = unpack_integers(order, dims), input.array.ndim
    if len(wanted) != ndim:
        raise RuntimeError(f"permute: {wanted} is no order of {ndim} dimensions")
    axes = tuple([normalize_dim(d, ndim) for d in wanted])
    if len(set(axes)) != len(axes):
        raise RuntimeError(f"permute: {wanted} is no order of {ndim} dimensions")
    return primitives.permute(input, axes=axes)


def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """Two dimensions exchanged (torch.transpose)."""
    ndim = input.array.ndim
    axes = list(range(ndim))
    a, b = normalize_dim(dim0, ndim), normalize_dim(dim1, ndim)
    if axes:
        axes[a], axes[b] = b, a
    return primitives.permute(input, axes=tuple(axes))


def swapaxes(input: Tensor, axis0: int, axis1: int) -> Tensor:
    """Two dimensions exchanged (torch.swapaxes)."""
    return transpose(input, axis0, axis1)


def t(input: Tensor) -> Tensor:
    """The transpose of a matrix; a vector as it is (torch.t)."""
    if input.ndim > 2:
        raise RuntimeError(f"t: expected at most 2 dimensions, got shape {input.shape}")
    return transpose(input, 0, -1)


def reversed_dims(input: Tensor) -> Tensor:
    """The dimensions in reverse (torch.Tensor.T)."""
    return primitives.permute(input, axes=tuple(reversed(range(input.ndim))))


def adjoint(input: Tensor) -> Tensor:
    """The last two dimensions transposed, complex numbers conjugated (torch.adjoint)."""
    return _conj(transposed_matrix(input))


def transposed_matrix(input: Tensor) -> Tensor:
    """The last two dimensions transposed (torch.Tensor.mT)."""
    if input.ndim == 1:
        raise RuntimeError(f"adjoint: expected a matrix or several, got shape {input.shape}")
    return transpose(input, -2, -1) if input.ndim else reversed_dims(input)


def matrix_adjoint(input: Tensor) -> Tensor:
    """One matrix transposed, complex numbers conjugated (torch.Tensor.H)."""
    if input.ndim not in (0, 2):
        raise RuntimeError(f"H: expected a matrix, got shape {input.shape}; use mH for several")
    return _conj(reversed_dims(input))


def _conj(input: Tensor) -> Tensor:
    return complex_numbers.conj(input) if input.is_complex() else input


def movedim(input: Tensor, source: Any, destination: Any) -> Tensor:
    """Dimensions moved to other positions, the others in their order (torch.movedim)."""
    given = (source,) if isinstance(source, int) else tuple(source)
    wanted = (destination,) if isinstance(destination, int) else tuple(destination)
    origins = [normalize_dim(d, input.ndim) for d in given]
    targets = [normalize_dim(d, input.ndim) for d in wanted]
    if len(origins) != len(targets) or any(len(set(p)) != len(p) for p in (origins, targets)):
        raise RuntimeError(f"movedim: {source} cannot be moved to {destination}")
    order = [d for d in range(input.ndim) if d not in origins]
    for target, origin in sorted(zip(targets, origins)):
        order.insert(target, origin)
    return primitives.permute(input, axes=tuple(order[: input.ndim]))


# --- another order of elements ---


def flip(input: Tensor, *axes: Any, dims: Any = None) -> Tensor:
    """A copy with the order reversed along `dims` (torch.flip)."""
    reversed_axes = [normalize_dim(d, input.ndim) for d in unpack_integers(axes, dims)]
    if len(set(reversed_axes)) < len(reversed_axes):
        raise RuntimeError(f"flip: expected different dimensions, got {reversed_axes}")
    return casts.clone(primitives.flip_view(input, axes=tuple(reversed_axes) if input.ndim else ()))


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


def rot90(input: Tensor, k: int = 1, dims: Sequence[int] = (0, 1)) -> Tensor:
    """Turned k times by a right angle, from the first of two dimensions on (torch.rot90)."""
    if len(dims) != 2 or input.ndim < 2:
        raise RuntimeError(
            f"rot90: expected two dimensions of at least two, got {tuple(dims)} of {input.ndim}"
        )
    a, b = (normalize_dim(d, input.ndim) for d in dims)
    if a == b:
        raise RuntimeError(f"rot90: expected two different dimensions, got {tuple(dims)}")
    if k % 2 == 0:
        return flip(input, a, b) if k % 4 else casts.clone(input)
    turned = transpose(input, a, b)
    return flip(turned, a if k % 4 == 1 else b)


def roll(input: Tensor, shifts: Any, dims: Any = None) -> Tensor:
    """Elements shifted along `dims`, around the end (torch.roll)."""
    counts = to_axis(shifts) if isinstance(shifts, Sequence) else (shifts,)
    if dims is None or dims == ():
        if len(counts) != 1:
            raise RuntimeError(f"roll: expected one shift of all elements, got {shifts}")
        return primitives.roll(input, shifts=counts[0], axis=None)
    given = to_axis(dims) if isinstance(dims, Sequence) else (dims,)
    if len(counts) != len(given):
        raise RuntimeError(f"roll: expected a shift for each of dims {dims}, got {shifts}")
    if not input.ndim:
        raise IndexError(f"roll: a tensor of shape () has no dimension {dims}")
    axes = tuple(normalize_dim(d, input.ndim) for d in given)
    return primitives.roll(input, shifts=counts, axis=axes)


# --- parts ---


def narrow(input: Tensor, dim: int, start: Any, length: int) -> Tensor:
    """`length` elements from `start` along a dimension (torch.narrow)."""
    if isinstance(start, Tensor) and (start.ndim or category(start.dtype) != 1):
        raise RuntimeError(f"narrow: expected a 0-d tensor of integers for start, got {start!r}")
    if not input.ndim:
        raise RuntimeError("narrow: a tensor of shape () has no dimension to narrow")
    axis, start = normalize_dim(dim, input.ndim), int(start)
    size = input.shape[axis]
    if not -size <= start <= size:
        raise IndexError(f"narrow: start {start} is out of range for a dimension of size {size}")
    first = start + size if start < 0 else start
    if not 0 <= length <= size - first:
        raise RuntimeError(
            f"narrow: start ({start}) + length ({length}) exceeds dimension size ({size})"
        )
    return subscripts.getitem(input, (*(slice(None),) * axis, slice(first, first + length)))


def unfold(input: Tensor, dimension: int, size: int, step: int) -> Tensor:
    """Windows along a dimension, in a new last one; a view (torch.Tensor.unfold)."""
    axis = normalize_dim(dimension, input.ndim)
    length = input.shape[axis] if input.ndim else 1
    if not 0 <= size <= length or step < 1:
        raise RuntimeError(
            f"unfold: expected 0 <= size <= {length} and step >= 1, got {size} and {step}"
        )
    if not input.ndim:
        return narrow(reshape(input, 1), 0, 0, size)
    return primitives.unfold(input, axis=axis, size=size, step=step)


def as_strided(
    input: Tensor, size: Sequence[int], stride: Sequence[int], storage_offset: int | None = None
) -> Tensor:
    """A view with any sizes and steps of the memory of a tensor (torch.as_strided).

    The memory is all of that of the tensor which `input` is a view of.
    """
    base = input
    if input._view is not None and not (input.is_leaf and input.requires_grad):
        base = input._view.base
    if len(size) != len(stride):
        raise RuntimeError(f"as_strided: expected as many strides as sizes, got {size}, {stride}")
    if min(stride, default=0) < 0 or min(size, default=0) < 0:
        raise RuntimeError(f"as_strided: expected no negative numbers, got {size} and {stride}")
    order = sorted(range(base.ndim), key=lambda d: -abs(base.array.strides[d]))
    if not base.array.transpose(order).flags.c_contiguous:
        raise RuntimeError(f"as_strided: the memory has gaps: strides {base.stride()}")
    if storage_offset is None:
        apart = address(input.array) - address(base.array)
        storage_offset = apart // base.element_size()
    last = storage_offset + sum((n - 1) * step for n, step in zip(size, stride))
    if 0 not in size and not 0 <= storage_offset <= last < base.numel():
        raise RuntimeError(
            f"as_strided: sizes {tuple(size)} and strides {tuple(stride)} from {storage_offset} "
            f"reach beyond the {base.numel()} elements of the memory"
        )
    return primitives.strided(
        base, order=tuple(order), shape=tuple(size), steps=tuple(stride), start=storage_offset
    )


# --- in place: the tensor's own shape ---


def make_inplace_view(name: str, operation: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The method that gives its tensor the shape of a view of it."""

    def method(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        self._require_writable(name, False)
        out = operation(self, *args, **kwargs)
        if self._view is not None:
            self._view = out._view
        self.array, self._node = out.array, out._node
        return self

    summary = f"In-place form of `{operation.__name__}`; returns the tensor"
    return describe_method(method, name, operation, summary)


_VIEWS: dict[str, Callable[..., Tensor]] = {
    "squeeze_": squeeze,
    "swapaxes_": swapaxes,
    "swapdims_": transpose,
    "t_": t,
    "transpose_": transpose,
    "unsqueeze_": unsqueeze,
}
INPLACE = {name: make_inplace_view(name, view) for name, view in _VIEWS.items()}
