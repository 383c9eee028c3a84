"""The source text that runs calls as a table (`call_tables.py`)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from dtrain.jit.array_places import Place
from dtrain.jit.call_tables import Run
from dtrain.jit.frames import ALIGNMENT, make_taker
from dtrain.jit.native_calls import Rows


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

        def placed(x: Any) -> Any:
            if not isinstance(x, Place):
                return x
            if x.memory in numbers:
                return x._replace(memory=numbers[x.memory])
            return x._replace(memory=0, offset=places[x.memory] + x.offset)

        run_table, constants = self._make_run(len(given) + 1, placed, numbers)
        kept = [placed(run.places[value]) for value in self._kept]
        take = make_taker(size, len(given) + 1 + len(constants), kept)
        arrays = "".join(f"a{value}, " for value in given)
        arrays += "".join(f"{self._constant(array)}, " for array in constants)
        lines = [f"{name} = {self._constant(take)}(); f = {name}.frame"]
        if self._kept:
            lines.append("".join(f"a{value}, " for value in self._kept) + "= f.arrays")
        lines += [line for value in self._new for line in self._new_lines(value)]
        lines.append(f"g = ({arrays})")
        lines.append(f"if not {self._constant(run_table)}(f.address, id(g), f.memory):")
        lines += [f"    {line}" for item in run.items for line in plain(item)]
        views = [item for item in run.items if item.shared and set(item.makes) & self._wanted]
        lines += [line for item in views for line in plain(item)]
        return [*lines, "f = g = None"]

    def _make_run(
        self, memories: int, placed: Callable[[Any], Any], numbers: dict[int, int]
    ) -> tuple[Callable[..., bool], list[np.ndarray]]:
        """The function that runs the calls, and the arrays that it takes besides the given ones.

        memories : the number of the first of those; `placed` : the Place in the memories
        numbers : of given values those of their memories
        """
        rows = Rows(memories)
        for call, args, outputs in self._run.calls:
            added = rows.add(call, [placed(x) for x in args], [placed(x) for x in outputs])
            assert added, call.name
        return _Table(rows).run, rows.constants

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
                    size_of_other = self._bytes_in_frame(run.places[other])
                    free.setdefault(size_of_other, []).append(offsets[other])
            if value in self._new:
                continue
            wanted = self._bytes_in_frame(run.places[value])
            if free.get(wanted):
                offsets[value] = free[wanted].pop()
            else:
                offsets[value], size = size, size + wanted
            if value not in self._kept:
                ends.setdefault(run.last[value], []).append(value)
        return size

    def _bytes_in_frame(self, place: Place) -> int:
        size = math.prod(place.shape) * place.dtype.itemsize
        return -(-size // ALIGNMENT) * ALIGNMENT


class _Table:
    """A table; keeps alive the arrays whose addresses are in it."""

    def __init__(self, rows: Rows):
        from dtrain.backend.kernels.cpu.call_table import run_table

        self._run_table, self._rows, self._table = run_table, rows, rows.table()

    def run(self, arena: int, given: int, memory: np.ndarray) -> bool:
        """Run the table; False if a given array is not in C order."""
        return self._run_table(self._table, arena, given, memory)
