"""`find_block_run`: the calls of a list that can run block of rows by block of rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dtrain.jit.array_calls import ArrayCall, Example
from dtrain.jit.flat_items import Item, find_root
from dtrain.jit.graph import Ref
from dtrain.jit.row_blocks import BlockRun, is_new_array

#: Calls are moved before so many others, to those whose results they take.
WINDOW = 48


def find_block_run(
    items: Sequence[Item], examples: dict[int, Example], roots: dict[int, int],
    strides: Mapping[int, tuple[int, ...]],
) -> tuple[BlockRun, list[Item], list[Item], int] | None:  # fmt: skip
    """The calls from the first item on that can run together, the lines that are to come before
    them, the other items in between, and how many items that is in all; None if there are none.

    A call moves before others if it needs nothing of theirs, and they write to nothing of its.
    """
    run = BlockRun(roots=roots, strides=strides)
    passed = _Passed(roots)
    taken: list[int] = []
    before: list[int] = []
    end, count = 0, 0  # how many items there are, and are in the run, up to its last call
    for index, item in enumerate(items[:WINDOW]):
        if item.moves == "up" and not item.uses:
            before.append(index)
        elif item.moves == "down":
            continue
        elif _is_movable(item, run, passed) and run.add(item, examples):
            taken.append(index)
            if item.call is not None and not item.shared and not is_new_array(item):
                end, count = index + 1, len(run.items)
        elif not run.calls:
            return None
        else:
            passed.add(item)
    if not run.is_worthwhile():
        return None
    run.cut(count)
    taken = [n for n in taken if any(items[n] is item for item in run.items)]
    ups = [items[n] for n in before if n < end]
    others = [items[n] for n in range(end) if n not in taken and n not in before]
    return run, ups, others, end


def _is_movable(item: Item, run: BlockRun, passed: _Passed) -> bool:
    return run.is_connected(item) and passed.lets_pass(item)


class _Passed:
    """The items that the calls of a run are moved before."""

    def __init__(self, roots: dict[int, int]):
        self._roots = roots
        self._made: set[int] = set()
        self._used: set[int] = set()  # roots
        self._written: set[int] = set()  # roots

    def add(self, item: Item) -> None:
        """Add an item. An item of source lines is taken to write to every value that it uses."""
        self._made.update(item.makes)
        roots = {find_root(self._roots, value) for value in item.uses}
        self._used |= roots
        if (item.call is None and not item.shared) or (item.call is not None and writes(item.call)):
            self._written |= roots

    def lets_pass(self, item: Item) -> bool:
        """Whether an item can come before all of them."""
        roots = {find_root(self._roots, value) for value in item.uses}
        if item.uses & self._made or roots & self._written:
            return False
        return item.call is None or not writes(item.call) or not roots & self._used


def writes(call: ArrayCall) -> bool:
    """Whether a call writes to an array that it is given."""
    return not call.outputs or isinstance(call.kwargs.get("out"), (Ref, tuple))
