"""Values of parameters that a unit's operations save for the backward pass: freed, and gathered
again when the backward pass comes to the unit."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import CellType
from typing import Any

from dtrain.autograd.graph import Node
from dtrain.autograd.primitive import cell_value, reachable_functions
from dtrain.backend import Array, is_cupy, on_device_of
from dtrain.parallel.sharding.gathered_values import GatheredValues, WholeValues


class SavedValues:
    """Arrays in the memory of one bucket's whole values that vjps of a unit's call refer to.

    Parameters
    ----------
    values : of the bucket
    whole : the whole values in whose memory the arrays are
    """

    def __init__(self, values: GatheredValues, whole: WholeValues):
        self._values = values
        flat = whole.flat()
        self._first, self._stop = flat.data.ptr, flat.data.ptr + flat.nbytes
        self._cells: list[tuple[CellType, Callable[[Array], Array]]] = []
        self._whole: WholeValues | None = None
        #: the saved values that the backward pass needs next
        self.next: weakref.ref[SavedValues] | None = None

    def has(self, value: Any) -> bool:
        """Whether a value is an array in that memory."""
        return is_cupy(value) and self._first <= value.data.ptr < self._stop

    def take(self, cell: CellType) -> None:
        """Take the array out of a variable of a vjp, until `restore`."""
        self._cells.append((cell, self.view_of(cell.cell_contents)))
        cell.cell_contents = None

    def view_of(self, array: Array) -> Callable[[Array], Array]:
        """What makes the same view of whole values elsewhere in memory."""
        start = array.data.ptr - self._first
        return functools.partial(_view, start, array.shape, array.dtype, array.strides)

    def restore(self) -> Array:
        """Put the arrays back; the whole values are kept as long as these saved values."""
        if self._whole is None:
            self._whole = self._values.gather()
            following = None if self.next is None else self.next()
            if following is not None:
                following._values.prefetch()
        flat = self._whole.flat()
        for cell, view in self._cells:
            cell.cell_contents = view(flat)
        self._cells.clear()
        return flat


def _view(
    start: int, shape: Sequence[int], dtype: Any, strides: Sequence[int], flat: Array
) -> Array:
    with on_device_of(flat):
        return type(flat)(shape, dtype, flat.data + start, strides=strides)


class _VJPs:
    """The vjps of a node, whose saved values are restored when they are read."""

    def __init__(self, vjps: Sequence[Any], saved: Sequence[SavedValues]):
        self._vjps, self._saved = vjps, saved

    def __iter__(self) -> Iterator[Any]:
        for saved in self._saved:
            saved.restore()
        return iter(self._vjps)


class _Call:
    """The call of a node's primitive, whose arrays are views of restored values."""

    def __init__(self, call: Iterable[Any], saved: Sequence[SavedValues]):
        function, arrays, static = call
        self._saved = saved
        found = [next((s for s in saved if s.has(array)), None) for array in arrays]
        views = [None if s is None else (s, s.view_of(a)) for s, a in zip(found, arrays)]
        kept = [array if s is None else None for s, array in zip(found, arrays)]
        self._function, self._arrays, self._views, self._static = function, kept, views, static

    def __iter__(self) -> Iterator[Any]:
        arrays = [
            array if place is None else place[1](place[0].restore())
            for array, place in zip(self._arrays, self._views)
        ]
        return iter((self._function, arrays, self._static))


def take_saved(nodes: Iterable[Node], values: Sequence[GatheredValues]) -> list[SavedValues]:
    """Take the whole values of buckets from what the vjps of nodes keep."""
    found = [(each, whole) for each in values if (whole := each.find_whole()) is not None]
    buckets = [SavedValues(each, whole) for each, whole in found]
    for node in nodes:
        if not isinstance(node.vjps, (tuple, list)):
            continue  # of `checkpoint`: they keep nothing
        used = _take_from(node.vjps, buckets)
        if isinstance(node.call, tuple):
            called = [saved for saved in buckets if any(map(saved.has, node.call[1]))]
            if called:
                node.call = _Call(node.call, called)
        if used:
            node.vjps = _VJPs(node.vjps, used)
    return buckets


def _take_from(vjps: Iterable[Any], buckets: Sequence[SavedValues]) -> list[SavedValues]:
    """Take the arrays from the variables of vjps; returns those that had some."""
    used = []
    for function in reachable_functions(vjps):
        for cell in getattr(function, "__closure__", None) or ():
            value = cell_value(cell)
            for saved in buckets:
                if saved.has(value):
                    saved.take(cell)
                    used.append(saved)
    return list(dict.fromkeys(used))
