"""Runs of calls on large arrays that are executed block of rows by block of rows.

What a call computes for a block of rows, the next one takes from the cache: a bias and the
activation after it, a residual sum and its normalization, a gradient and the sum of its rows. Each
row is computed by the same loops, and sums of rows are added in their order, so the bits are those
of whole calls.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from dtrain.backend import kernels
from dtrain.jit.array_calls import ArrayCall, Example
from dtrain.jit.array_functions import call_method
from dtrain.jit.call_tables import MAX_ELEMENTS, Run, is_native
from dtrain.jit.flat_items import Item, find_root
from dtrain.jit.native_calls import COLUMN_SUMS, EXACT, Place, c_strides

#: The bytes of all blocks that are used at a time: a share of a core's second cache.
BLOCK_BYTES = 1 << 17
#: Fewer blocks, or calls, are not worth it.
MIN_BLOCKS, MIN_CALLS = 3, 2
#: Loops take so many elements at a time: blocks of a multiple have no remainders of their own.
_STEP = 64

_ACTIVATION, _NORM = f"{kernels.__name__}.cpu.activation", f"{kernels.__name__}.cpu.norm"


class Division(NamedTuple):
    """How a call can be divided.

    rows : into so many at most, where `is_fixed`, else into any divisor of it
    tail : the shape of a row in the call's own view of its arrays; () where it does not matter
    kinds : for each array among arguments and outputs: "row" by row, "whole" for each block, or
        a "sum" of rows
    """

    rows: int
    tail: tuple[int, ...]
    kinds: tuple[str, ...]
    is_fixed: bool = True

    def shape(self, place: Place, kind: str, rows: int, block: int) -> tuple[int, ...]:
        """The shape of a block of an array of which there are so many rows."""
        size, inner = math.prod(place.shape), math.prod(self.tail)
        if kind != "row":
            return (size,)
        width = size // rows
        if width % inner:  # a number for each row, or for each group of one
            return block * width, 1
        return (block * (width // inner), *self.tail)


#: The kinds of the arrays of kernels for rows that have the shape of the first output's, but for
#: the first axis.
_NORMS = {
    "layer_norm": ("row", "whole", "whole", "row", "row", "row"),
    "layer_norm_backward": ("row", "row", "whole", "row", "row", "row", "sum", "sum"),
    "group_norm": ("row", "whole", "whole", "row", "row", "row"),
    "group_norm_backward": ("row", "row", "whole", "row", "row", "row", "sum", "sum"),
}


def divide_call(call: ArrayCall, args: Sequence[Any], outputs: Sequence[Place]) -> Division | None:
    """How a call can be divided into blocks of rows; None if it cannot."""
    function: Any = call.function
    given = [arg for arg in args if isinstance(arg, Place)]
    (out, *_), size = outputs, math.prod(outputs[0].shape)
    module, name = getattr(function, "__module__", ""), getattr(function, "__name__", "")
    if isinstance(function, np.ufunc):
        found = [_kind_of_operand(place.shape, out.shape) for place in given]
        widths = {math.prod(p.shape) for p, kind in zip(given, found) if kind == "whole"}
        if function not in EXACT or None in found or len(widths) > 1:
            return None
        tail = tuple(widths)
        return Division(size // math.prod(tail), tail, (*filter(None, found), "row"), False)
    if module == _ACTIVATION and all(place.shape == out.shape for place in given):
        return Division(size, (), ("row",) * (len(given) + 1), False)
    if module == _NORM and name in _NORMS and len(given) + len(outputs) == len(_NORMS[name]):
        return Division(out.shape[0], out.shape[1:], _NORMS[name])
    is_sum = function is call_method and list(args[:1]) + list(args[2:]) == ["sum", 0]
    if (is_sum or (module, name) == COLUMN_SUMS) and len(given[0].shape) == 2:
        return Division(given[0].shape[0], given[0].shape[1:], ("row", "sum"))
    return None


def _kind_of_operand(shape: tuple[int, ...], like: tuple[int, ...]) -> str | None:
    if shape == like:
        return "row"
    while shape[:1] == (1,):
        shape = shape[1:]
    return "whole" if shape and shape == like[-len(shape) :] else None


@dataclass
class BlockRun(Run):
    """Calls in the making of such a run.

    roots : for each value one that stands for its memory
    """

    roots: dict[int, int] = field(default_factory=dict)
    rows: int = 0
    divisions: list[Division] = field(default_factory=list)
    written: set[int] = field(default_factory=set)  # given values that are written to

    max_elements = 1 << 40

    def is_connected(self, item: Item) -> bool:
        """Whether an item is a view, or uses an array that a call of this run makes."""
        memories = {self.places[v].memory for v in item.uses if v in self.places}
        return (
            bool(item.shared)
            or not self.calls
            or any(m in self.made or m in self.written for m in memories)
        )

    def _add_call(self, item: Item, args: list[Any], examples: dict[int, Example]) -> bool:
        assert item.call is not None
        outputs = self._output_places(item.call, examples)
        sizes = [math.prod(place.shape) for place in _arrays(args)]
        if not outputs or max(sizes, default=0) <= MAX_ELEMENTS:
            return False
        everything = [*_arrays(args), *outputs]
        if not all(self._is_whole(place) for place in everything):
            return False
        division = divide_call(item.call, args, outputs)
        if division is None or not self._fits(division, everything):
            return False
        if not _has_bits_in_blocks(item.call, args, outputs, division):
            return False
        self.rows = math.gcd(self.rows, division.rows)
        self.divisions.append(division)
        self._note_call(item, args, outputs)
        return True

    def _is_whole(self, place: Place) -> bool:
        """Whether an array is all of a memory, which no other one shares in part."""
        if not place.is_ordered or place.offset:
            return False
        root = find_root(self.roots, place.memory)
        others = [v for v in self.given if find_root(self.roots, v) == root]
        size = math.prod(self.places[place.memory].shape) if place.memory in self.places else None
        return set(others) <= {place.memory} and size in (None, math.prod(place.shape))

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
        return True

    def _place_written(self, place: Place) -> list[Place] | None:
        self.written.add(place.memory)
        return [place]

    def cut(self, items: int) -> None:
        """Drop all but the first items, and views that no call uses."""
        used = {place.memory for place, _ in self.operands()}
        self.given = [value for value in self.given if value in used]
        self.places = {v: place for v, place in self.places.items() if place.memory in used}
        self.items = [i for i in self.items[:items] if self.places.keys() >= {*i.uses, *i.makes}]

    def operands(self) -> list[tuple[Place, str]]:
        """The arrays of all calls, with their kinds."""
        return [operand for _, operands in self._divided() for operand in operands]

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


def _has_bits_in_blocks(
    call: ArrayCall, args: Sequence[Any], outputs: Sequence[Place], division: Division
) -> bool:
    """Whether a row of a table for a block gives the bits of the call of the block."""
    # More rows than a kernel adds up at a time, if they are short: this is memory of the step.
    wanted = min(33, max(3, (1 << 16) // math.prod(division.tail))) if division.tail else 4099
    rows = min(division.rows, wanted)
    kinds = iter(division.kinds)

    def sample(arg: Any) -> Any:
        if not isinstance(arg, Place):
            return arg
        return as_block(arg, division.shape(arg, next(kinds), division.rows, rows))

    return is_native(call, [sample(arg) for arg in args], [sample(place) for place in outputs])


def as_block(place: Place, shape: tuple[int, ...]) -> Place:
    """The beginning of an array, in another shape."""
    return place._replace(shape=shape, strides=c_strides(shape, place.dtype))
