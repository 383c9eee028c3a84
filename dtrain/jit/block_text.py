"""The source text that runs calls block of rows by block of rows (`row_blocks.py`)."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from typing import Any

import numpy as np

from dtrain.jit.array_places import Place
from dtrain.jit.divisions import Division, as_block, find_axes, row_step
from dtrain.jit.native_calls import Rows
from dtrain.jit.row_blocks import BlockRun
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
        self._viewed = run.viewed()

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
            if self._kinds.get(value) == "row":
                step = row_step(self._run.places[value], self._blocks.rows)
                assert step is not None
                steps[number] = self._block * step
        free = [n for value, n in numbers.items() if not self._run.places[value].is_ordered]
        in_any_order = np.array(sorted(free), np.int64)
        return _Blocks(first, block, last, count, steps, in_any_order).run, block.constants

    def _add_rows(self, rows: Rows, size: int, placed: Callable[[Any], Any]) -> None:
        """Add the rows that run the calls for a block of this size."""
        for (call, args, outputs), division in zip(self._run.calls, self._blocks.divisions):
            kinds = iter(division.kinds)

            def part(arg: Any, kinds: Any = kinds, division: Division = division) -> Any:
                if not isinstance(arg, Place):
                    return arg
                return division.part(placed(arg), next(kinds), self._blocks.rows, size)

            added = not size or rows.add(call, [part(x) for x in args], [part(x) for x in outputs])
            assert added, call.name

    def _new_lines(self, value: int) -> list[str]:
        place = self._run.places[value]
        if not place.is_ordered:
            return [f"a{value} = {self._new_in_order(place)}"]
        for given in self._free if self._memory.get(value) is None else ():
            if self._may_take(place, given):
                self._free.remove(given)
                same = self._run.places[given].shape == place.shape
                return [f"a{value} = a{given}" + ("" if same else f".reshape({place.shape})")]
        return super()._new_lines(value)

    def _new_in_order(self, place: Place) -> str:
        """The text of a new array whose axes lie in another order."""
        axes = find_axes(place)
        assert axes is not None
        shape = tuple(place.shape[n] for n in axes)
        back = tuple(sorted(range(len(axes)), key=lambda n: axes[n]))
        new = f"{self._constant(np.empty)}({shape}, {self._constant(place.dtype)})"
        return f"{new}.transpose({back})"

    def _may_take(self, place: Place, given: int) -> bool:
        """Whether a result can be written into the memory of a given value."""
        other, made = self._run.places[given], self._run.made[place.memory]
        if other.dtype != place.dtype or math.prod(other.shape) != math.prod(place.shape):
            return False
        if self._kinds.get(given) != "row" or self._kinds.get(place.memory) != "row":
            return False
        if self._viewed & {given, place.memory} or not self._blocks.is_whole(other):
            return False
        last = self._run.last.get(other.memory, made + 1)
        is_elementwise = isinstance(self._run.calls[made][0].function, np.ufunc)
        return last < made or (last == made and is_elementwise)


class _Blocks:
    """The tables of a BlockRun; keeps alive the arrays whose addresses are in them."""

    def __init__(
        self, first: Rows, block: Rows, last: Rows, count: int, steps: np.ndarray,
        in_any_order: np.ndarray,
    ):  # fmt: skip
        from dtrain.backend.kernels.cpu.call_table import run_blocks

        self._run_blocks, self._rows = run_blocks, (first, block, last)
        self._given = first.table(), block.table(), last.table(), count, steps, in_any_order

    def run(self, arena: int, given: int, memory: np.ndarray) -> bool:
        """Run them; False if a given array is not in C order."""
        return self._run_blocks(*self._given, arena, given, memory)
