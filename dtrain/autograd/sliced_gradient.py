"""Gradients that are added in few passes, or launches of a GPU.

The gradients of the parts that `chunk` and `split` give are joined: each by itself would be written
into zeros of the whole shape, and these added. A vjp may have a launch that adds.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from dtrain.backend import Array


class Slice(NamedTuple):
    """The elements from `start` to `stop` along an axis of an array."""

    axis: int
    start: int
    stop: int


def find_slice(shape: tuple[int, ...], index: tuple[Any, ...]) -> Slice | None:
    """The slice that an index takes; None if it takes anything else."""
    at = next((i for i, part in enumerate(index) if part is Ellipsis), None)
    if at is not None:
        rest = (slice(None),) * (len(shape) - len(index) + 1)
        index = (*index[:at], *rest, *index[at + 1 :])
    cuts = []
    for axis, part in enumerate(index):
        if not isinstance(part, slice) or axis >= len(shape):
            return None
        start, stop, step = part.indices(shape[axis])
        if step != 1 or stop <= start:
            return None
        if stop - start < shape[axis]:
            cuts.append(Slice(axis, start, stop))
    return cuts[0] if len(cuts) == 1 else None


class SlicedGradient:
    """The gradient of an array, from those of slices along one axis that do not overlap.

    Parameters
    ----------
    shape : of the whole
    place, part : the first slice and its gradient
    """

    def __init__(self, shape: tuple[int, ...], place: Slice, part: Array):
        self._shape, self._axis = shape, place.axis
        self._parts = {place: part}

    def add(self, place: Slice, part: Array) -> bool:
        """Take one more slice; False if it does not fit to the others."""
        first = next(iter(self._parts.values()))
        fits = place.axis == self._axis and part.dtype == first.dtype
        if not fits or any(p.start < place.stop and place.start < p.stop for p in self._parts):
            return False
        self._parts[place] = part
        return True

    def whole(self) -> Array:
        """The whole gradient: the memory of which the slices are parts, or a new array."""
        parts = sorted(self._parts.items())
        first = parts[0][1]
        if isinstance(first, np.ndarray):
            return self._join_on_host(parts)
        import cupy

        covered = sum(place.stop - place.start for place, _ in parts)
        is_complete = covered == self._shape[self._axis]
        with first.device:
            if is_complete and self._lies_in_one_array(parts):
                strides = _contiguous_strides(self._shape, first.itemsize)
                return cupy.lib.stride_tricks.as_strided(first, self._shape, strides)
            make = cupy.empty if is_complete else cupy.zeros
            full = make(self._shape, first.dtype)
            for (_, start, stop), part in parts:
                full[(slice(None),) * self._axis + (slice(start, stop),)] = part
            return full

    def _join_on_host(self, parts: list[tuple[Slice, Array]]) -> np.ndarray:
        """The slices in a new array, with the bits of a sum of whole gradients: -0 becomes 0."""
        full = np.empty(self._shape, parts[0][1].dtype)
        along = np.moveaxis(full, self._axis, 0)
        end = 0
        for (_, start, stop), part in parts:
            along[end:start] = 0
            source, target = np.moveaxis(part, self._axis, 0), along[start:stop]
            if len(parts) == 1:
                target[...] = source
            else:
                np.add(source, 0, target)
            end = stop
        along[end:] = 0
        return full

    def _lies_in_one_array(self, parts: list[tuple[Slice, Array]]) -> bool:
        """Whether each slice is where it would be if the first began a contiguous whole."""
        first = parts[0][1]
        strides = _contiguous_strides(self._shape, first.itemsize)
        begin = first.data.ptr
        return first.base is not None and all(
            part.base is first.base
            and part.data.ptr == begin + place.start * strides[self._axis]
            and all(s == t or n == 1 for s, t, n in zip(part.strides, strides, part.shape))
            for place, part in parts
        )


def add_slice(target: Any, vjp: Any, grad: Array, pending: dict[int, Any]) -> bool:
    """Let `grad` be the gradient of a slice of a target, if it is and the target's pending gradient
    has none there; False if not.

    target : a node or a leaf; pending : of `run_backward`; vjp.index : the index that was taken
    """
    key, known = id(target), pending.get(id(target))
    if (known is not None and type(known) is not SlicedGradient) or grad.dtype != target.dtype:
        return False
    index = getattr(vjp, "index", None)
    place = None if index is None else find_slice(target.shape, index)
    if place is None:
        return False
    if known is not None:
        return known.add(place, grad)
    pending[key] = SlicedGradient(target.shape, place, grad)
    return True


def add_on_device(
    target: Any, vjp: Any, grad: Array, pending: dict[int, Any], summed: set[int]
) -> bool:
    """Add what a vjp gives to the pending gradient of a node, in its launch that adds
    (`vjp.adding`); False if it has none.

    pending, summed : of `run_backward`
    """
    key, known = id(target), pending.get(id(target))
    adding = None if known is None else getattr(vjp, "adding", None)
    if adding is None or type(known) is SlicedGradient or grad.dtype != target.dtype:
        return False
    pending[key] = adding(grad, known)
    summed.add(key)
    return True


def _contiguous_strides(shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    strides = [itemsize]
    for length in shape[:0:-1]:
        strides.append(strides[-1] * length)
    return tuple(strides[::-1])
