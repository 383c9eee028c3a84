"""Gradients on a GPU that are added in few launches.

The gradients of the parts that `chunk` and `split` give are joined: each by itself would be written
into zeros of the whole shape, and these added. A vjp may have a launch that adds.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from dtrain.backend import Array


class Slice(NamedTuple):
    """The elements from `start` to `stop` along an axis of an array."""

    axis: int
    start: int
    stop: int


def find_slice(shape: tuple[int, ...], index: tuple[Any, ...]) -> Slice | None:
    """The slice that a basic index takes; None if it takes anything else."""
    if Ellipsis in index:
        at = index.index(Ellipsis)
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
        import cupy

        parts = sorted(self._parts.items())
        first = parts[0][1]
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


def add_on_device(
    target: Any, vjp: Any, grad: Array, pending: dict[int, Any], summed: set[int]
) -> bool:
    """Add what a vjp gives to the pending gradient of a node, if it has a launch for that: one for
    a slice of an array (`vjp.place`), or one that adds (`vjp.adding`); False if it has none.

    pending, summed : of `run_backward`
    """
    key, known = id(target), pending.get(id(target))
    place: Slice | None = getattr(vjp, "place", None)
    if place is not None:
        if known is not None or grad.dtype != target.dtype:
            return type(known) is SlicedGradient and known.add(place, grad)
        pending[key] = SlicedGradient(target.shape, place, grad)
        return True
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
