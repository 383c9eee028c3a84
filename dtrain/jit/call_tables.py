"""Runs of calls in a `FlatCode` that are executed as one table, without Python between them.

A table computes what the calls compute, by the same loops in the same order. Only small arrays take
part: with large ones the time between calls does not count, and memory does.
"""

from __future__ import annotations

import ctypes
import functools
import importlib.util
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from dtrain import env
from dtrain.jit.array_calls import ArrayCall, Example
from dtrain.jit.array_places import Place, c_strides, place_view
from dtrain.jit.call_check import has_bits_of
from dtrain.jit.flat_items import Item
from dtrain.jit.graph import Ref, rebuild

#: The most elements of an array in a table, and the fewest calls that are worth one.
MAX_ELEMENTS, MIN_CALLS = 1 << 14, 3

_checked: dict[Any, bool] = {}


@dataclass
class Run:
    """Calls in the making of a table. A value that is made, or given, is a memory of its own name
    until the table is written."""

    items: list[Item] = field(default_factory=list)
    places: dict[int, Place] = field(default_factory=dict)
    given: list[int] = field(default_factory=list)
    made: dict[int, int] = field(default_factory=dict)  # roots: the item that makes each
    calls: list[tuple[ArrayCall, list[Any], list[Place]]] = field(default_factory=list)
    last: dict[int, int] = field(default_factory=dict)  # of roots: the last call that uses each
    taken: set[int] = field(default_factory=set)  # roots that other calls than the first use

    max_elements: ClassVar[int] = MAX_ELEMENTS

    def uses(self) -> set[int]:
        """The values that its items take from others."""
        uses = set().union(*(item.uses for item in self.items))
        return uses - {value for item in self.items for value in item.makes}

    def place(self, value: int, examples: dict[int, Example]) -> Place | None:
        """Where a value lies; a new one is given, in C order."""
        if value not in self.places:
            place = self._new_place(value, examples.get(value))
            if place is None:
                return None
            self.places[value] = place
            self.given.append(value)
        return self.places[value]

    def add(self, item: Item, examples: dict[int, Example]) -> bool:
        """Add an item; False if it cannot stand in a table."""
        if item.call is None:
            if not _is_name(item):
                return False
            (source,), (made,) = item.uses, item.makes
            place = self.place(source, examples)
            return place is not None and self._add_view(item, made, place)
        call = item.call
        places = {value: self.place(value, examples) for value in sorted(item.uses)}
        if None in places.values():
            return False
        args = rebuild(tuple(call.args), lambda x: places[x.value] if isinstance(x, Ref) else x)
        if item.shared:
            with_places = ArrayCall(
                call.name, call.function, args, call.kwargs, call.outputs, False, ""
            )
            sources = [self.places[value] for value in item.shared]
            view = place_view(with_places, sources[0]) if len(sources) == 1 else None
            return view is not None and self._add_view(item, item.makes[0], view)
        return self._add_call(item, list(args), examples)

    def _add_view(self, item: Item, made: int, place: Place) -> bool:
        self.places[made] = place
        self.items.append(item)
        return True

    def _add_call(self, item: Item, args: list[Any], examples: dict[int, Example]) -> bool:
        call = item.call
        assert call is not None
        outputs = self._output_places(call, examples)
        if outputs is None or not is_native(call, args, outputs):
            return False
        self._note_outputs(call, outputs)
        self._note_call(call, args, outputs)
        self.items.append(item)
        return True

    def _note_outputs(self, call: ArrayCall, outputs: list[Place]) -> None:
        for (_, value), place in zip(call.outputs, outputs):
            self.places[value] = place
            self.made[value] = len(self.calls)

    def _note_call(self, call: ArrayCall, args: list[Any], outputs: list[Place]) -> None:
        number = len(self.calls)
        for place in (*args, *outputs):
            if isinstance(place, Place):
                self.last[place.memory] = number
                if self.made.get(place.memory) != number:
                    self.taken.add(place.memory)
        self.calls.append((call, args, outputs))

    def _output_places(
        self, call: ArrayCall, examples: dict[int, Example]
    ) -> list[Place] | None:  # fmt: skip
        """Where the outputs of a call lie; None if it has others than arrays for tables."""
        out = call.kwargs.get("out")
        out = out[0] if isinstance(out, tuple) and len(out) == 1 else out
        if out is None:
            made = [self._new_place(value, examples.get(value)) for _, value in call.outputs]
            places = [place for place in made if place is not None]
            fits = not call.kwargs and len(places) == len(made) == max(call.width, 1)
            return places if fits else None
        if call.outputs or not isinstance(out, Ref) or len(call.kwargs) > 1:
            return None
        place = self.places[out.value]
        return [place] if place.memory in self.made else self._place_written(place)

    def _place_written(self, place: Place) -> list[Place] | None:
        """Where the output of a call lies that writes to a given array: not in this table."""
        return None

    def _new_place(self, value: int, example: Example | None) -> Place | None:
        """An array of its own; None where its size, dtype or order is not one for tables."""
        if example is None or example.dtype is None or not example.is_array:
            return None
        if not example.is_ordered or example.dtype.char not in "fd":
            return None
        if not 0 < math.prod(example.shape) <= self.max_elements:
            return None
        strides = c_strides(example.shape, example.dtype)
        return Place(value, 0, tuple(example.shape), strides, example.dtype)


def _is_name(item: Item) -> bool:
    """Whether an item makes a value another name of one."""
    if len(item.shared) != 1 or len(item.makes) != 1 or len(item.lines) != 1:
        return False
    return item.lines[0] == f"a{item.makes[0]} = a{next(iter(item.shared))}"


def is_native(call: ArrayCall, args: Sequence[Any], outputs: Sequence[Place]) -> bool:
    """Whether a call can stand in a table, with its own bits."""
    form = [x[2:] if isinstance(x, Place) else (type(x), repr(x)) for x in (*args, *outputs)]
    key = call.name, call.function, tuple(form)
    if key not in _checked:
        _checked[key] = has_bits_of(call, args, outputs)
    return _checked[key]


@functools.cache
def are_there() -> bool:
    """Whether tables can run here: with Numba, and objects in memory as they expect them."""
    if env.KERNELS.read() == "reference" or importlib.util.find_spec("numba") is None:
        return False
    read, array = ctypes.c_int64.from_address, np.empty(1)
    given = (array,)
    return (
        sys.implementation.name == "cpython"
        and read(id(given) + tuple.__basicsize__).value == id(array)
        and read(id(array) + 16).value == array.ctypes.data
        and ctypes.c_int.from_address(id(np.add) + 16).value == np.add.nin
        and ctypes.c_int.from_address(id(np.add) + 48).value == np.add.ntypes
    )
