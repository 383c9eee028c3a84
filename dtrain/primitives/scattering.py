"""Writing by index into a copy: `put` serves all of PyTorch's scatter and index functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from dtrain.autograd.op import op
from dtrain.autograd.primitive import OutputAndVJPs
from dtrain.backend import Array, array_module, kernels, to_host
from dtrain.backend.dtypes import float32, is_half
from dtrain.errors import OutOfBoundsError


@op(takes_complex=True)
def put(x: Array, values: Array, *, index: Any, accumulate: bool) -> OutputAndVJPs:
    """x with `values` written to x[index], or added to what is there, once for each mention."""
    out = x.copy()
    if accumulate:
        _add_at(out, index, values)
    else:
        out[index] = values

    def grad_x(g: Array) -> Array:
        if accumulate:
            return g
        g = g.copy()
        g[index] = 0
        return g

    return out, (grad_x, lambda g: g[index])


@op(takes_complex=True)
def scatter_add(x: Array, values: Array, *, axis: int, index: Array) -> OutputAndVJPs:
    """x with `values` added at `index` along an axis, once for each mention."""
    out = x.copy()
    kernels.add_along_axis(values, index, out, axis)
    return out, (lambda g: g, lambda g: kernels.gather(g, index, axis))


def add_to_zeros(shape: tuple[int, ...], index: Any, values: Array) -> Array:
    """Zeros of a shape with `values` added at each index, once for each mention; halves are added
    in float32."""
    return _added(shape, values, lambda full, wide: _add_at(full, index, wide))


def add_along_axis(shape: tuple[int, ...], index: Array, values: Array, axis: int) -> Array:
    """Zeros of a shape with `values` added at `index` along an axis, as `add_to_zeros`."""
    return _added(shape, values, lambda full, wide: kernels.add_along_axis(wide, index, full, axis))


def _added(shape: tuple[int, ...], values: Array, add: Callable[[Array, Array], None]) -> Array:
    wide = values.astype(float32) if is_half(values.dtype) else values
    full = array_module(values).zeros(shape, wide.dtype)
    add(full, wide)
    return full if wide is values else full.astype(values.dtype)


def _add_at(out: Array, index: Any, values: Array) -> None:
    """Add values to out[index], once for each mention."""
    place = find_slice_index(index)
    if place is None:
        kernels.add_at(values, index, out)
        return
    axis, indices = place
    shape = (*out.shape[:axis], *indices.shape, *out.shape[axis + 1 :])
    if type(values) is not type(out) or values.shape != shape or not indices.size:
        kernels.add_at(values, index, out)
        return
    values = values.reshape((*out.shape[:axis], indices.size, *out.shape[axis + 1 :]))
    kernels.add_slices(values, indices.reshape(-1), out, axis)


def find_slice_index(index: Any) -> tuple[int, Array] | None:
    """The axis and the array of an index that is one array of integers, others being whole; None
    if it is another."""
    if not isinstance(index, tuple):
        return None
    axis = 0
    while axis < len(index) and isinstance(index[axis], slice) and _is_whole(index[axis]):
        axis += 1
    if len(index) != axis + 1:
        return None
    indices = index[axis]
    if not hasattr(indices, "dtype") or indices.dtype.kind not in "iu" or not indices.ndim:
        return None
    return axis, indices


def _is_whole(part: slice) -> bool:
    """Whether a slice is `:`; its bounds may be tensors, which are not compared."""
    return part.start is None and part.stop is None and part.step is None


@op
def put_extreme(
    x: Array, values: Array, *, index: Any, largest: bool, include_self: bool
) -> OutputAndVJPs:
    """x with the larger (smaller) of x[index] and values at each index; equal ones share g.

    Without `include_self` x[index] is the least (greatest) number, which has no share.
    """
    out = x.copy()
    extremes_at(out, index, values, largest)

    def shares(g: Array) -> Array:
        count = (x == out).astype(g.dtype)
        if not include_self:
            count[index] = 0
        kernels.add_at((values == out[index]).astype(g.dtype), index, count)
        return g / count

    return out, (
        lambda g: shares(g) * (x == out),  # NaN where it is NaN, as in PyTorch
        lambda g: shares(g)[index] * (values == out[index]),
    )


def extremes_at(out: Array, index: Any, values: Array, largest: bool) -> None:
    """Write to `out` the larger (smaller) of what is there and of values, for each mention."""
    xp = array_module(out)
    at = (xp.maximum if largest else xp.minimum).at
    if xp is np or out.dtype != "float64":
        at(out, index, values)
        return
    # CuPy compares doubles as floats there (atomics.cuh): compare integers of the same order.
    keys = _ordered(out)
    at(keys, index, _ordered(xp.broadcast_to(values, out[index].shape)))
    out[...] = _ordered(keys.view("float64")).view("float64")


def _ordered(x: Array) -> Array:
    """float64 numbers as int64 in the same order; applied to these bits once more, their own."""
    xp = array_module(x)
    bits = xp.ascontiguousarray(x).view("int64")
    return xp.where(bits < 0, bits ^ xp.int64(2**63 - 1), bits)


@op
def put_product(x: Array, values: Array, *, index: Any) -> OutputAndVJPs:
    """x[index] multiplied by values, once for each mention."""
    xp = array_module(x)
    out = _product(x, values, index)

    def others(factors: Array, product: Array) -> Array:
        """The product without each factor, where no factor is 0."""
        return xp.where(factors == 0, 0, product / xp.where(factors == 0, 1, factors))

    def grad_x(g: Array) -> Array:
        if (x == 0).any():
            ones = xp.where(x == 0, x.dtype.type(1), x)
            return g * others(ones, _product(ones, values, index))
        return g * others(x, out)

    def grad_values(g: Array) -> Array:
        zero = values == 0
        if not zero.any():
            return g[index] * others(values, out[index])
        count = xp.zeros(x.shape, "int64")
        xp.add.at(count, index, zero)
        alone = zero & (count[index] == 1)  # with two zeros no factor makes a difference
        ones = xp.where(alone, values.dtype.type(1), values)
        without = _product(x, ones, index)[index]
        return g[index] * xp.where(alone, without, others(values, out[index]))

    return out, (grad_x, grad_values)


def _product(x: Array, values: Array, index: Any) -> Array:
    # CuPy has no multiply.at: on the host, for want of a better way
    out = np.array(to_host(x) if hasattr(x, "get") else x)
    host_index: Any = tuple(i if isinstance(i, slice) else to_host(i) for i in index)
    np.multiply.at(out, host_index, to_host(values))
    return array_module(x).asarray(out)


def check_indices(index: Array, size: int, what: str) -> None:
    """Refuse indices outside [0, size); not on a GPU, where the check would wait for the stream."""
    if isinstance(index, np.ndarray) and index.size:
        if index.dtype == np.int64 and index.view(np.uint64).max() < size:
            return  # in one pass: negative numbers would be large ones
        low, high = int(index.min()), int(index.max())
        if low < 0 or high >= size:
            worst = low if low < 0 else high
            raise OutOfBoundsError(
                f"{what}: index {worst} is out of bounds for a dimension of size {size}: "
                f"expected 0 to {size - 1}"
            )
