"""Runs of calls on large arrays that are executed block of rows by block of rows.

What a call computes for a block of rows, the next one takes from the cache: a bias and the
activation after it, a residual sum and its normalization, a gradient and the sum of its rows. Each
row is computed by the same loops, and sums of rows are added in their order, so the bits are those
of whole calls.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dtrain.jit.array_calls import ArrayCall, Example
from dtrain.jit.array_places import Place, has_ordered_batch
from dtrain.jit.call_tables import MAX_ELEMENTS, Run, is_native
from dtrain.jit.copied_rows import as_copies
from dtrain.jit.divisions import (
    Division,
    divide_call,
    divide_views,
    find_axes,
    row_step,
    split_rows,
)
from dtrain.jit.flat_items import Item, find_root

#: The bytes of all blocks that are used at a time: a share of a core's second cache.
BLOCK_BYTES = 1 << 17
#: Fewer blocks, or calls, are not worth it.
MIN_BLOCKS, MIN_CALLS = 3, 2
#: Loops take so many elements at a time: blocks of a multiple have no remainders of their own.
_STEP = 64


@dataclass
class BlockRun(Run):
    """Calls in the making of such a run.

    roots : for each value one that stands for its memory
    strides : those of the values for which they are known
    """

    roots: dict[int, int] = field(default_factory=dict)
    strides: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    rows: int = 0
    divisions: list[Division] = field(default_factory=list)
    written: set[int] = field(default_factory=set)  # given values that are written to

    max_elements = 1 << 40

    def is_connected(self, item: Item) -> bool:
        """Whether an item is a view, or uses an array of which this run has a block."""
        memories = {self.places[v].memory for v in item.uses if v in self.places}
        rows = {place.memory for place, kind in self.operands() if kind == "row"}
        return bool(item.shared or memories & rows) or not self.calls or is_new_array(item)

    def _new_place(self, value: int, example: Example | None) -> Place | None:
        strides = self.strides.get(value)
        if example is None or strides is None:
            return super()._new_place(value, example)
        place = super()._new_place(value, example._replace(is_ordered=True))
        return place and place._replace(strides=strides)

    def _add_call(self, item: Item, args: list[Any], examples: dict[int, Example]) -> bool:
        call = item.call
        assert call is not None
        if is_new_array(item):
            return self._add_new_array(item, examples)
        is_put = call.function is operator.setitem
        if is_put and args[0].memory not in self.made:
            return False
        outputs = [] if is_put else self._output_places(call, examples)
        if outputs is None or not self._has_known_order(call, args):
            return False
        if any(find_axes(place) is None for place in outputs):
            return False
        parts = as_copies(call, args, outputs)
        before = self.rows, len(self.divisions), len(self.calls)
        for part in parts:
            division = self._divide(*part)
            if division is None:
                self.rows = before[0]
                del self.divisions[before[1] :], self.calls[before[2] :]
                return False
            self.rows = math.gcd(self.rows, division.rows)
            self.divisions.append(division)
            self.calls.append(part)
        del self.calls[before[2] :]
        if not parts:
            return False
        self._note_outputs(call, outputs)
        for part in parts:
            self._note_call(*part)
        self.items.append(item)
        return True

    def _add_new_array(self, item: Item, examples: dict[int, Example]) -> bool:
        (value,) = item.makes
        place = self._new_place(value, examples.get(value))
        if place is None:
            return False
        self.places[value], self.made[value] = place, len(self.calls)
        self.items.append(item)
        return True

    def _has_known_order(self, call: ArrayCall, args: Sequence[Any]) -> bool:
        """Whether the outputs of a call lie as their Places say."""
        if all(value in self.strides for _, value in call.outputs):
            return True
        if call.function is np.matmul:
            known = self.made.keys() | self.strides.keys()
            return all(a.memory in known and has_ordered_batch(a) for a in _arrays(args))
        return all(place.is_ordered for place in _arrays(args))

    def _divide(
        self, call: ArrayCall, args: Sequence[Any], outputs: Sequence[Place]
    ) -> Division | None:  # fmt: skip
        """How a call can be divided as part of this run; None if it cannot."""
        everything = [*_arrays(args), *outputs]
        if max(math.prod(place.shape) for place in everything) <= MAX_ELEMENTS:
            return None
        if all(map(self.is_whole, everything)):
            division = divide_call(call, args, outputs)
        elif all(map(self._is_read_or_made, everything)):
            division = divide_views(call, args, outputs)
        else:
            return None
        if division is None or not self._fits(division, everything):
            return None
        rows = math.gcd(self.rows, division.rows)
        return division if _has_bits_in_blocks(call, args, outputs, division, rows) else None

    def is_whole(self, place: Place) -> bool:
        """Whether an array is all of a memory, which no other one shares in part."""
        if not place.is_ordered or place.offset:
            return False
        root = find_root(self.roots, place.memory)
        others = [v for v in self.given if find_root(self.roots, v) == root]
        size = math.prod(self.places[place.memory].shape) if place.memory in self.places else None
        return set(others) <= {place.memory} and size in (None, math.prod(place.shape))

    def _is_read_or_made(self, place: Place) -> bool:
        """Whether no given array that is written to shares memory with an array, but itself."""
        root = find_root(self.roots, place.memory)
        written = {v for v in self.written if find_root(self.roots, v) == root}
        return written <= {place.memory}

    def _fits(self, division: Division, places: Sequence[Place]) -> bool:
        rows = math.gcd(self.rows, division.rows)
        if any(d.is_fixed and d.rows != rows for d in (division, *self.divisions)):
            return False
        known = {place.memory: kind for place, kind in self.operands()}
        for place, kind in zip(places, division.kinds, strict=True):
            if kind == "row" and math.prod(place.shape) % rows:
                return False
            if known.get(place.memory, kind) != kind or known.get(place.memory) == "sum":
                return False  # a sum of rows is there after the last block
            if kind == "row" and not division.is_flat and not self._is_local(place, rows):
                return False
        return True

    def _is_local(self, place: Place, rows: int) -> bool:
        """Whether the rows of an array lie in those of its memory."""
        memory = self.places.get(place.memory, place)
        row, step = split_rows(place, rows), row_step(memory, rows)
        if row is None or row.step != step:
            return False
        return memory is place or place.offset + row.bytes(place.dtype) <= step

    def _place_written(self, place: Place) -> list[Place] | None:
        self.written.add(place.memory)
        return [place]

    def cut(self, items: int) -> None:
        """Drop all but the first items, and views that no call uses."""
        used = {place.memory for place, _ in self.operands()}
        self.given = [value for value in self.given if value in used]
        self.places = {v: place for v, place in self.places.items() if place.memory in used}
        self.made = {v: number for v, number in self.made.items() if v in self.places}
        self.items = [i for i in self.items[:items] if self.places.keys() >= {*i.uses, *i.makes}]

    def operands(self) -> list[tuple[Place, str]]:
        """The arrays of all calls, with their kinds."""
        return [operand for _, operands in self._divided() for operand in operands]

    def viewed(self) -> set[int]:
        """The memories of which calls take parts, or elements in another order."""
        return {
            place.memory
            for division, operands in self._divided()
            for place, _ in operands
            if not division.is_flat
        }

    def _divided(self) -> list[tuple[Division, list[tuple[Place, str]]]]:
        return [
            (division, list(zip([*_arrays(args), *outputs], division.kinds)))
            for (_, args, outputs), division in zip(self.calls, self.divisions)
        ]

    def block(self) -> int:
        """The number of rows of a block."""
        unit, row_bytes = 1, {}
        for division, operands in self._divided():
            for place, kind in operands:
                width = math.prod(place.shape) // self.rows
                if kind == "row":
                    row_bytes[place.memory] = width * place.dtype.itemsize
                if kind == "row" and not division.tail:
                    unit = math.lcm(unit, _STEP // math.gcd(_STEP, width))
        return unit * max(1, BLOCK_BYTES // (sum(row_bytes.values()) * unit))

    def is_worthwhile(self) -> bool:
        """Whether there are enough calls, and blocks."""
        return len(self.calls) >= MIN_CALLS and self.rows // self.block() >= MIN_BLOCKS


def _arrays(args: Sequence[Any]) -> list[Place]:
    return [arg for arg in args if isinstance(arg, Place)]


def is_new_array(item: Item) -> bool:
    """Whether an item makes an array without values."""
    return item.call is not None and item.call.function is np.empty


def _has_bits_in_blocks(
    call: ArrayCall, args: Sequence[Any], outputs: Sequence[Place], division: Division, rows: int
) -> bool:
    """Whether a row of a table for a block gives the bits of the call of the block."""
    if division.is_flat:
        # More rows than a kernel adds up at a time, if they are short: this is memory of the step.
        rows, tail = division.rows, math.prod(division.tail)
        size = min(rows, min(33, max(3, (1 << 16) // tail)) if division.tail else 4099)
    else:
        size = min(rows, 3)
    kinds = iter(division.kinds)

    def sample(arg: Any) -> Any:
        if not isinstance(arg, Place):
            return arg
        return division.part(arg, next(kinds), rows, size)._replace(offset=0)

    return is_native(call, [sample(arg) for arg in args], [sample(place) for place in outputs])
