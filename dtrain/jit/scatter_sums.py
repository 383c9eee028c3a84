"""Sums of arrays that are zeros but for one part each, as `chunk` and slices have in their backward
pass: the parts are put into one array instead.

A sum with zeros changes -0.0 to 0.0 alone, which one addition of 0.0 to the whole array does, too.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dtrain.jit.array_calls import ArrayCall, Example
from dtrain.jit.array_functions import call_method
from dtrain.jit.flat_items import Item
from dtrain.jit.graph import Ref, refs_in


@dataclass
class _Scatter:
    """An array of zeros into which one part is put: the items that make it and that write to it."""

    zeros: int
    setitem: int
    call: ArrayCall

    @property
    def index(self) -> Any:
        """Where the part is put."""
        return self.call.args[1]


def join_scatters(
    items: Sequence[Item], examples: dict[int, Example], new_value: Callable[[], int]
) -> list[Item]:
    """The items with sums of such arrays as one array each.

    examples : of each value its shape and dtype; gets those of new values
    new_value : the number of a new value
    """
    users: dict[int, list[int]] = {}
    for n, item in enumerate(items):
        for value in {*item.uses, *item.makes}:
            users.setdefault(value, []).append(n)
    scatters = _find_scatters(items, users, examples)
    made = [[item] for item in items]
    for total, sums in _find_sums(items, users, scatters):
        parts = [scatters[value] for n in sums for value in items[n].uses if value in scatters]
        covered = _covered(parts, examples[total])
        if covered is None:
            continue
        for part in parts:
            made[part.zeros] = []
            made[part.setitem] = _put(part, total, items, users, examples, made, new_value)
        new: Any = np.empty if covered else np.zeros
        like = examples[total]
        call = ArrayCall(
            f"numpy.{new.__name__}", new, (like.shape, like.dtype), {}, [((), total)], False, ""
        )
        first = min(part.setitem for part in parts)
        made[first].insert(0, Item(set(), [total], call, label=items[first].label))
        add = ArrayCall("numpy.add", np.add, (Ref(total), 0.0), {"out": Ref(total)}, [], False, "")
        for n in sums:
            made[n] = []
        made[sums[-1]] = [Item({total}, [], add)]
    return [item for group in made for item in group]


def _find_scatters(
    items: Sequence[Item], users: dict[int, list[int]], examples: dict[int, Example]
) -> dict[int, _Scatter]:
    """The values that are zeros with one part, and are used once."""
    found: dict[int, _Scatter] = {}
    for n, item in enumerate(items):
        if item.call is None or item.call.function is not np.zeros or item.call.kwargs:
            continue
        value = item.makes[0]
        _, put, *sums = users[value]
        call = items[put].call
        if len(sums) != 1 or call is None or call.function is not operator.setitem:
            continue
        target, index, part = call.args
        if target != Ref(value) or not isinstance(part, Ref) or any(refs_in(index)):
            continue
        region = np.empty(examples[value].shape, bool)[index]
        if examples[part.value][:2] == (region.shape, examples[value].dtype):
            found[value] = _Scatter(n, put, call)
    return found


def _find_sums(
    items: Sequence[Item], users: dict[int, list[int]], scatters: dict[int, _Scatter]
) -> list[tuple[int, list[int]]]:
    """(total, the items that add up) of sums of scatters, two or more."""
    found = []
    for n, item in enumerate(items):
        call = item.call
        is_sum = call is not None and call.function is np.add and not call.kwargs
        if not is_sum or len(item.uses) != 2 or not item.uses <= scatters.keys():
            continue
        (total,), sums = item.makes, [n]
        for user in users[total][1:]:
            (part,) = items[user].uses - {total} if len(items[user].uses) == 2 else (None,)
            call = items[user].call
            is_added = call is not None and call.kwargs == {"out": Ref(total)}
            if part not in scatters or not is_added:
                break
            sums.append(user)
        found.append((total, sums))
    return found


def _covered(parts: Sequence[_Scatter], like: Example) -> bool | None:
    """Whether the parts cover all of an array; None if they overlap, or copy what they index."""
    count = np.zeros(like.shape, np.int8)
    for part in parts:
        if not np.may_share_memory(count, count[part.index]):
            return None
        count[part.index] += 1
    return bool(count.all()) if count.max(initial=0) <= 1 else None


def _put(
    part: _Scatter, total: int, items: Sequence[Item], users: dict[int, list[int]],
    examples: dict[int, Example], made: list[list[Item]], new_value: Callable[[], int],
) -> list[Item]:  # fmt: skip
    """The items that write the gradient of a slice into the array `total`; where that is possible,
    in place of a reshape that copies."""
    source = part.call.args[2].value
    label = items[part.setitem].label

    def setitem(target: int, index: Any, value: int) -> Item:
        args = (Ref(target), index, Ref(value))
        call = ArrayCall("array.setitem", operator.setitem, args, {}, [], False, "")
        return Item({target, value}, [], call, label=label)

    maker = users[source][0]
    copy = items[maker].call
    region = np.empty(examples[total].shape, bool)[part.index]
    if copy is not None and copy.function is call_method and copy.name == "array.reshape":
        before = copy.args[1]
        shape = examples[before.value].shape if isinstance(before, Ref) else ()
        is_alone = len(users[source]) == 2 and shape
        if is_alone and np.may_share_memory(region.reshape(shape), region):
            made[maker] = []
            view, shaped = new_value(), new_value()
            examples[view] = Example(region.shape, examples[total].dtype, True, False)
            examples[shaped] = examples[view]._replace(shape=shape)
            args: tuple[Any, ...] = (Ref(total), part.index)
            get = ArrayCall(
                "array.getitem", operator.getitem, args, {}, [((), view)], False, "",
                shared={total},
            )  # fmt: skip
            args = ("reshape", Ref(view), shape)
            reshape = ArrayCall(
                "array.reshape", call_method, args, {}, [((), shaped)], False, "", shared={view}
            )
            return [
                Item({total}, [view], get, shared={total}, label=label),
                Item({view}, [shaped], reshape, shared={view}, label=label),
                setitem(shaped, Ellipsis, before.value),
            ]
    return [setitem(total, part.index, source)]
