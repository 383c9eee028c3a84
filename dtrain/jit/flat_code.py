"""`FlatCode`: the text of calls of array functions, one after the other, that reuse arrays.

A result is written into an argument that nobody needs any more, where shape, dtype and order in
memory are its own, and values are dropped after their last use. The calls, their order and their
arguments are those that were given, so the bits are, too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import numpy as np

from dtrain.jit import call_tables
from dtrain.jit.array_calls import ArrayCall, Example
from dtrain.jit.array_layouts import ArrayLayouts
from dtrain.jit.block_search import find_block_run
from dtrain.jit.block_text import BlockText
from dtrain.jit.call_text import CallText
from dtrain.jit.code_text import CodeText
from dtrain.jit.flat_items import Item, find_root, makes_arrays
from dtrain.jit.graph import Ref, find_last_uses, rebuild
from dtrain.jit.joined_calls import join_calls, share_reshapes
from dtrain.jit.row_blocks import BlockRun
from dtrain.jit.scatter_sums import join_scatters
from dtrain.jit.table_text import TableText


class FlatCode:
    """Calls in the making. A value n is the variable `a<n>`.

    Parameters
    ----------
    code : where constants are put; its text of a Ref to value n must be `a<n>`
    first : the first number that is free for values that are not the graph's
    assumable : values that may be taken to lie in C order (`layouts.assumed`)
    """

    def __init__(self, code: CodeText, first: int, assumable: Collection[int] = ()):
        self._code = code
        self._free = first
        self._items: list[Item] = []
        self._examples: dict[int, Example] = {}
        self._foreign: set[int] = set()  # arrays that code outside of this text refers to, too
        #: how arrays lie in memory, in every run: sums depend on the order
        self.layouts = ArrayLayouts(self._examples, assumable)

    def new_value(self) -> int:
        """The number of a new value."""
        self._free += 1
        return self._free - 1

    def hold(self, values: Iterable[int]) -> None:
        """Never write into the memory of these values: other code refers to them."""
        self._foreign |= set(values)

    def add_lines(
        self, lines: Sequence[str], uses: Iterable[int] = (), makes: Sequence[int] = (),
        label: str = "", moves: str = "",
    ) -> None:  # fmt: skip
        """Add lines of text. The values that they use and define are never written into."""
        self._items.append(Item({*uses}, [*makes], lines=lines, label=label, moves=moves))
        self.hold([*uses, *makes])

    def add_yield(self, value: int, memory: str | None) -> None:
        """Yield a value; `memory` is the text of an array of its shape and dtype, or None, into
        which it may be written."""
        self._items.append(
            Item({value}, [], lines=[f"yield a{value}"], memory=memory, moves="down")
        )
        self.hold([value])

    def add_name(self, value: int, source: int) -> None:
        """Make a value another name of one."""
        line = f"a{value} = a{source}"
        self._items.append(Item({source}, [value], lines=[line], shared={source}))
        if source in self.layouts.strides:
            self.layouts.strides[value] = self.layouts.strides[source]

    def add_new_sum(self, first: int, second: int, example: Example) -> int:
        """Add up two values; returns the number of the sum."""
        total = self.new_value()
        args = (Ref(first), Ref(second))
        call = ArrayCall("numpy.add", np.add, args, {}, [((), total)], False, "")
        self._examples[total] = example
        for value in (first, second):
            self._examples.setdefault(value, example)
        self._items.append(Item({first, second}, [total], call))
        self.layouts.note(call)
        return total

    def add_sum(self, total: int, part: int) -> None:
        """Add a part to a total that is an array of its own, in place."""
        args, out = (Ref(total), Ref(part)), {"out": Ref(total)}
        call = ArrayCall("numpy.add", np.add, args, out, [], False, "")
        self._items.append(Item({total, part}, [], call))

    def add_calls(
        self, calls: Sequence[ArrayCall], examples: Sequence[Example], numbers: dict[int, int],
        label: str = "",
    ) -> None:  # fmt: skip
        """Add calls of a rule; `numbers` has the numbers of its values here, and gets new ones."""
        for call in calls:
            outputs = []
            for path, value in call.outputs:
                if value not in numbers:
                    numbers[value] = self.new_value()
                self._examples[numbers[value]] = examples[value]
                outputs.append((path, numbers[value]))
            for ref in call.refs():
                self._examples.setdefault(numbers[ref.value], examples[ref.value])
            args, kwargs = rebuild((call.args, call.kwargs), lambda x: _renumbered(x, numbers))
            shared = {numbers[value] for value in call.shared}
            here = ArrayCall(
                call.name, call.function, args, kwargs, outputs, False, "",
                shared=shared, width=call.width,
            )  # fmt: skip
            uses = {ref.value for ref in here.refs()}
            made = [value for _, value in outputs]
            self.layouts.note(here)
            is_copy = self.layouts.is_copy(here)
            if is_copy:
                here.shared = shared = set()
            self._items.append(Item(uses, made, here, (), shared, label))
            if not shared and not is_copy and not makes_arrays(call):
                self.hold(made)

    # --- text ---

    def write(
        self, needed: Iterable[int], indent: str, labels: dict[int, str],
        kept: Iterable[int] = (),
    ) -> list[str]:  # fmt: skip
        """Write all; returns the variables of the frames that must live as long as `kept`.

        needed, kept : used afterwards; `kept` may lie in frames (call_tables.py)
        labels : gets the labels of the lines by number
        """
        self._items = join_calls(self._items, self._examples, {*needed, *kept})
        self._items = join_scatters(self._items, self._examples, self.new_value)
        self._items = share_reshapes(self._items, self._find_roots())
        roots = self._find_roots()
        opaque = [item for item in self._items if item.call is None and not item.shared]
        reached = {find_root(roots, value) for value in needed}  # others may hold these
        reached |= {find_root(roots, value) for item in opaque for value in item.uses}
        needed = {*needed, *kept}
        kept = {value for value in kept if find_root(roots, value) not in reached}
        memory = self._find_memory(roots)
        self._text = CallText(self._code, self._examples, self.layouts, memory)
        frames = self._make_tables(needed, kept, roots) if call_tables.are_there() else []
        last: dict[int, int] = {}  # of each memory, the last item that uses it
        for index, item in enumerate(self._items):
            last.update((find_root(roots, value), index) for value in (*item.uses, *item.makes))
        held = {find_root(roots, value) for value in needed | self._foreign}
        dropped = find_last_uses([item.uses | set(item.makes) for item in self._items], needed)
        for index, item in enumerate(self._items):
            ends = {v for v in item.uses if last[find_root(roots, v)] == index}
            free = [v for v in sorted(ends) if find_root(roots, v) not in held]
            lines = item.lines if item.call is None else self._text.lines(item.call, free)
            unused = sorted(set(dropped[index]))
            if unused:
                lines = [*lines, " = ".join(f"a{value}" for value in unused) + " = None"]
            for line in lines:
                self._code.lines.append(indent + line)
                labels[len(self._code.lines)] = item.label
        return frames

    def _make_tables(
        self, needed: set[int], kept: set[int], roots: dict[int, int]
    ) -> list[str]:  # fmt: skip
        """Have runs of calls execute as tables; returns the variables of their frames."""
        rest: list[Item] = self._items
        frames: list[str] = []
        self._items = []
        while rest:
            name = f"t{len(frames)}"
            if table := self._find_run(rest):
                run, ups, others, after = table
                later, into = _find_uses([*others, *rest[after:]], needed)
                text = TableText(run, later, kept, into, self._code.constant)
                lines = text.lines(name, self._plain_lines)
                frames.append(name)
                self.hold([*run.given, *text.makes])
            elif blocks := find_block_run(rest, self._examples, roots, self.layouts.strides):
                run, ups, others, after = blocks
                later, into = _find_uses([*others, *rest[after:]], needed)
                free = self._free_after(blocks[0], later, roots)
                text = BlockText(blocks[0], later, into, self._code.constant, free)
                lines = [*text.lines(name, self._plain_lines), f"{name} = None"]
            else:
                self._items.append(rest.pop(0))
                continue
            self._items += [*ups, Item(run.uses(), text.makes, lines=lines)]
            rest = [*others, *rest[after:]]
        return frames

    def _free_after(self, run: BlockRun, later: set[int], roots: dict[int, int]) -> list[int]:
        """The values given to a run that nobody has, or uses after it."""
        held = {find_root(roots, value) for value in later | self._foreign}
        return [value for value in run.given if find_root(roots, value) not in held]

    def _find_run(
        self, items: Sequence[Item]
    ) -> tuple[call_tables.Run, list[Item], list[Item], int] | None:
        """The calls from the first item on that can run as one table, the lines between them that
        move before it and after it, and how many items that is in all; None if they are few."""
        run, others, index = call_tables.Run(), [], 0
        while index < len(items):
            item = items[index]
            moves = item.moves == "down" or (item.moves == "up" and not item.uses)
            if moves:
                others.append(item)
            elif not run.add(item, self._examples):
                break
            index += 1
        if len(run.calls) < call_tables.MIN_CALLS:
            return None
        up, down = ([item for item in others if item.moves == way] for way in ("up", "down"))
        return run, up, down, index

    def _plain_lines(self, item: Item) -> Sequence[str]:
        return item.lines if item.call is None else self._text.lines(item.call, ())

    def _find_memory(self, roots: dict[int, int]) -> dict[int, str]:
        """The memory for values that nobody takes but who gets them."""
        takers: dict[int, int] = {}
        for item in self._items:
            for root in {find_root(roots, value) for value in (*item.uses, *item.makes)}:
                takers[root] = takers.get(root, 0) + 1
        return {
            value: item.memory
            for item in self._items
            if item.memory is not None
            for value in item.uses
            if takers[find_root(roots, value)] == 2
        }

    def _find_roots(self) -> dict[int, int]:
        """For each value a value that stands for its memory."""
        roots: dict[int, int] = {}
        for item in self._items:
            for made in item.makes:
                for other in item.shared:
                    first, second = find_root(roots, made), find_root(roots, other)
                    if first != second:
                        roots[first] = second
            for value in (*item.uses, *item.makes):
                roots.setdefault(value, value)
        return roots


def _find_uses(items: Sequence[Item], needed: set[int]) -> tuple[set[int], dict[int, str]]:
    """The values that are used by items or needed after them, and the memory of yielded ones."""
    later = needed.union(*(item.uses for item in items))
    return later, {v: item.memory for item in items if item.memory for v in item.uses}


def _renumbered(item: Any, numbers: dict[int, int]) -> Any:
    return Ref(numbers[item.value]) if isinstance(item, Ref) else item
