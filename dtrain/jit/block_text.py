"""The source text that runs calls block of rows by block of rows (`row_blocks.py`)."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from typing import Any

import numpy as np

from dtrain.jit.native_calls import Place, Rows
from dtrain.jit.row_blocks import BlockRun, Division, as_block
from dtrain.jit.table_text import TableText


class BlockText(TableText):
    """The source lines that execute a BlockRun.

    Parameters
    ----------
    free : given values into whose memory a result may be written, after their last use
    """

    def __init__(
        self, run: BlockRun, later: set[int], memory: dict[int, str], constant: Any,
        free: Collection[int],
    ):  # fmt: skip
        super().__init__(run, later, set(), memory, constant)
        self._blocks, self._free, self._block = run, list(free), run.block()
        self._kinds = {place.memory: kind for place, kind in run.operands()}

    def _bytes_in_frame(self, place: Place) -> int:
        size = super()._bytes_in_frame(place)
        if self._kinds.get(place.memory) != "row":
            return size
        return super()._bytes_in_frame(as_block(place, (self._width(place) * self._block,)))

    def _width(self, place: Place) -> int:
        return math.prod(place.shape) // self._blocks.rows

    def _make_run(
        self, memories: int, placed: Callable[[Any], Any], numbers: dict[int, int]
    ) -> tuple[Callable[..., bool], list[np.ndarray]]:
        count, rest = divmod(self._blocks.rows, self._block)
        first = Rows(memories)
        block, last = Rows(memories, first), Rows(memories, Rows(memories))
        self._add_rows(block, self._block, placed)
        self._add_rows(last, rest, placed)
        steps = np.zeros(memories + len(block.constants), np.int64)
        for value, number in numbers.items():
            place = self._run.places[value]
            if self._kinds.get(value) == "row":
                steps[number] = self._block * self._width(place) * place.dtype.itemsize
        return _Blocks(first, block, last, count, steps).run, block.constants

    def _add_rows(self, rows: Rows, size: int, placed: Callable[[Any], Any]) -> None:
        """Add the rows that run the calls for a block of this size."""
        for (call, args, outputs), division in zip(self._run.calls, self._blocks.divisions):
            kinds = iter(division.kinds)

            def part(arg: Any, kinds: Any = kinds, division: Division = division) -> Any:
                if not isinstance(arg, Place):
                    return arg
                shape = division.shape(arg, next(kinds), self._blocks.rows, size)
                return as_block(placed(arg), shape)

            added = not size or rows.add(call, [part(x) for x in args], [part(x) for x in outputs])
            assert added, call.name

    def _new_lines(self, value: int) -> list[str]:
        place = self._run.places[value]
        for given in self._free if self._memory.get(value) is None else ():
            if self._may_take(place, given):
                self._free.remove(given)
                same = self._run.places[given].shape == place.shape
                return [f"a{value} = a{given}" + ("" if same else f".reshape({place.shape})")]
        return super()._new_lines(value)

    def _may_take(self, place: Place, given: int) -> bool:
        """Whether a result can be written into the memory of a given value."""
        other, made = self._run.places[given], self._run.made[place.memory]
        if other.dtype != place.dtype or math.prod(other.shape) != math.prod(place.shape):
            return False
        if self._kinds.get(given) != "row" or self._kinds.get(place.memory) != "row":
            return False
        last = self._run.last.get(other.memory, made + 1)
        is_elementwise = isinstance(self._run.calls[made][0].function, np.ufunc)
        return last < made or (last == made and is_elementwise)


class _Blocks:
    """The tables of a BlockRun; keeps alive the arrays whose addresses are in them."""

    def __init__(self, first: Rows, block: Rows, last: Rows, count: int, steps: np.ndarray):
        from dtrain.backend.kernels.cpu.call_table import run_blocks

        self._run_blocks, self._rows = run_blocks, (first, block, last)
        self._given = first.table(), block.table(), last.table(), count, steps

    def run(self, arena: int, given: int, memory: np.ndarray) -> bool:
        """Run them; False if a given array is not in C order."""
        return self._run_blocks(*self._given, arena, given, memory)
