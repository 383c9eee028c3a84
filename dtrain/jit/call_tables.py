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
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dtrain import env
from dtrain.jit.array_calls import ArrayCall, Example
from dtrain.jit.flat_items import Item
from dtrain.jit.frames import ALIGNMENT, make_taker
from dtrain.jit.graph import Ref, rebuild
from dtrain.jit.native_calls import Place, Rows, c_strides, has_bits_of, place_view

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

    def place(self, value: int, examples: dict[int, Example]) -> Place | None:
        """Where a value lies; a new one is given, in C order."""
        if value not in self.places:
            place = _new_place(value, examples.get(value))
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
        places = {ref.value: self.place(ref.value, examples) for ref in call.refs()}
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

    def _add_call(self, item: Any, args: list[Any], examples: dict[int, Example]) -> bool:
        call = item.call
        outputs = self._output_places(call, examples)
        if outputs is None or not _is_native(call, args, outputs):
            return False
        number = len(self.calls)
        for (_, value), place in zip(call.outputs, outputs):
            self.places[value] = place
            self.made[value] = number
        for place in (*args, *outputs):
            if isinstance(place, Place):
                self.last[place.memory] = number
                if self.made.get(place.memory) != number:
                    self.taken.add(place.memory)
        self.calls.append((call, args, outputs))
        self.items.append(item)
        return True

    def _output_places(
        self, call: ArrayCall, examples: dict[int, Example]
    ) -> list[Place] | None:  # fmt: skip
        """Where the outputs of a call lie; None if it has others than arrays for tables."""
        out = call.kwargs.get("out")
        out = out[0] if isinstance(out, tuple) and len(out) == 1 else out
        if out is None:
            made = [_new_place(value, examples.get(value)) for _, value in call.outputs]
            places = [place for place in made if place is not None]
            fits = not call.kwargs and len(places) == len(made) == max(call.width, 1)
            return places if fits else None
        if call.outputs or not isinstance(out, Ref) or len(call.kwargs) > 1:
            return None
        place = self.places[out.value]
        return [place] if place.memory in self.made else None  # not into what was given


def _new_place(value: int, example: Example | None) -> Place | None:
    """An array of its own; None where its size, dtype or order is not one for tables."""
    if example is None or example.dtype is None or not example.is_array or not example.is_ordered:
        return None
    if not 0 < math.prod(example.shape) <= MAX_ELEMENTS or example.dtype.char not in "fd":
        return None
    strides = c_strides(example.shape, example.dtype)
    return Place(value, 0, tuple(example.shape), strides, example.dtype)


def _is_name(item: Item) -> bool:
    """Whether an item makes a value another name of one."""
    if len(item.shared) != 1 or len(item.makes) != 1 or len(item.lines) != 1:
        return False
    return item.lines[0] == f"a{item.makes[0]} = a{next(iter(item.shared))}"


def _is_native(call: ArrayCall, args: Sequence[Any], outputs: Sequence[Place]) -> bool:
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


class TableText:
    """The source lines that run a table, and the values that they read and define.

    Parameters
    ----------
    later : the values that are used after the run; `kept` : those of them that are only used while
        the frame is taken, the others get memory of their own
    memory : the text of the memory, or None, for those that are yielded
    """

    def __init__(
        self, run: Run, later: set[int], kept: set[int], memory: dict[int, str], constant: Any
    ):
        self._run, self._constant = run, constant
        wanted = self._with_sources(later)
        self.makes = sorted(wanted & run.places.keys() - set(run.given))
        roots = [value for value in run.made if value in wanted]
        outside = {run.places[value].memory for value in wanted & run.places.keys() - kept}
        self._kept = [value for value in roots if value not in outside]
        self._new = [value for value in roots if value in outside]
        self._memory = {
            run.places[value].memory: text
            for value, text in memory.items()
            if value in run.places
            and run.places[value][1:3] == (0, run.places[run.places[value].memory].shape)
            and run.places[value].memory not in run.taken
        }
        self._wanted = wanted

    def _with_sources(self, later: set[int]) -> set[int]:
        """The values that are used later, and those of which they are views."""
        wanted = set(later)
        for item in reversed(self._run.items):
            if item.shared and set(item.makes) & wanted:
                wanted |= item.shared
        return wanted

    def lines(self, name: str, plain: Callable[[Any], Iterable[str]]) -> list[str]:
        """The lines; `name` is the variable of the frame, `plain` gives the lines of an item."""
        run = self._run
        given = [*run.given, *self._new]
        numbers = {value: n + 1 for n, value in enumerate(given)}
        places: dict[int, int] = {}
        size = self._lay_out(places)
        rows = Rows(len(given) + 1)

        def placed(x: Any) -> Any:
            if not isinstance(x, Place):
                return x
            if x.memory in numbers:
                return x._replace(memory=numbers[x.memory])
            return x._replace(memory=0, offset=places[x.memory] + x.offset)

        for call, args, outputs in run.calls:
            added = rows.add(call, [placed(x) for x in args], [placed(x) for x in outputs])
            assert added, call.name
        kept = [placed(run.places[value]) for value in self._kept]
        memories = len(given) + 1 + len(rows.constants)
        take = make_taker(size, memories, kept)
        table = _Table(rows)
        arrays = "".join(f"a{value}, " for value in given)
        arrays += "".join(f"{self._constant(array)}, " for array in rows.constants)
        lines = [f"{name} = {self._constant(take)}(); f = {name}.frame"]
        if self._kept:
            lines.append("".join(f"a{value}, " for value in self._kept) + "= f.arrays")
        lines += [line for value in self._new for line in self._new_lines(value)]
        lines.append(f"g = ({arrays})")
        lines.append(f"if not {self._constant(table.run)}(f.address, id(g), f.memory):")
        lines += [f"    {line}" for item in run.items for line in plain(item)]
        views = [item for item in run.items if item.shared and set(item.makes) & self._wanted]
        lines += [line for item in views for line in plain(item)]
        return [*lines, "f = g = None"]

    def _new_lines(self, value: int) -> list[str]:
        place = self._run.places[value]
        dtype, text = self._constant(place.dtype), self._memory.get(value)
        new = f"{self._constant(np.empty)}({place.shape}, {dtype})"
        if text is None:
            return [f"a{value} = {new}"]
        return [f"a{value} = {text}", f"if a{value} is None: a{value} = {new}"]

    def _lay_out(self, offsets: dict[int, int]) -> int:
        """Give each value in the frame an offset; returns the size of the frame in bytes."""
        run, size = self._run, 0
        free: dict[int, list[int]] = {}
        ends: dict[int, list[int]] = {}
        for value, number in run.made.items():
            for earlier in [n for n in ends if n < number]:
                for other in ends.pop(earlier):
                    free.setdefault(_bytes(run.places[other]), []).append(offsets[other])
            if value in self._new:
                continue
            wanted = _bytes(run.places[value])
            if free.get(wanted):
                offsets[value] = free[wanted].pop()
            else:
                offsets[value], size = size, size + wanted
            if value not in self._kept:
                ends.setdefault(run.last[value], []).append(value)
        return size


def _bytes(place: Place) -> int:
    size = math.prod(place.shape) * place.dtype.itemsize
    return -(-size // ALIGNMENT) * ALIGNMENT


class _Table:
    """The rows of a table, and what their addresses belong to."""

    def __init__(self, rows: Rows):
        from dtrain.backend.kernels.cpu.call_table import run_table

        self._run_table, self._rows, self._table = run_table, rows, rows.table()

    def run(self, arena: int, given: int, memory: np.ndarray) -> bool:
        """Run the table; False if a given array is not in C order."""
        return self._run_table(self._table, arena, given, memory)
