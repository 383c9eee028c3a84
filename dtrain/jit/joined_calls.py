"""Calls of array functions that one call can stand for, with their bits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dtrain.jit.array_calls import ArrayCall, Example
from dtrain.jit.array_functions import call_method
from dtrain.jit.flat_items import Item, find_root
from dtrain.jit.graph import Ref

_SOFTMAX = "dtrain.backend.kernels.cpu.softmax", "softmax"


def join_calls(
    items: Sequence[Item], examples: dict[int, Example], needed: set[int]
) -> list[Item]:  # fmt: skip
    """The items with sums that only a softmax takes as part of it, as masked attention has them.

    examples : of each value its shape and dtype; needed : those that are used afterwards
    """
    users: dict[int, list[int]] = {}
    for n, item in enumerate(items):
        for value in {*item.uses, *item.makes}:
            users.setdefault(value, []).append(n)
    made: list[Item | None] = list(items)
    for n, item in enumerate(items):
        call = item.call
        if call is None or call.function is not np.add or call.kwargs or len(item.makes) != 1:
            continue
        added, (total,) = call.args, item.makes
        takers = users[total][1:]
        if len(takers) != 1 or total in needed or not _is_mask(added, total, examples):
            continue
        taker = items[takers[0]]
        if taker.call is not None and _is_softmax(taker.call, examples[total]):
            made[n], made[takers[0]] = None, _joined(added, taker)
    return [item for item in made if item is not None]


def _is_mask(added: Sequence[object], total: int, examples: dict[int, Example]) -> bool:
    """Whether the second of two values that are added is one for the last axes of the first."""
    if not all(isinstance(x, Ref) for x in added):
        return False
    x, mask = (examples[ref.value] for ref in added if isinstance(ref, Ref))
    shape = tuple(mask.shape)
    while shape[:1] == (1,):
        shape = shape[1:]
    like = examples[total]
    fits = (x.shape, x.dtype, mask.dtype) == (like.shape, like.dtype, like.dtype)
    return fits and 0 < len(shape) <= len(x.shape) and shape == x.shape[-len(shape) :]


def _is_softmax(call: ArrayCall, x: Example) -> bool:
    """Whether a call is the compiled softmax along the last axis."""
    function = call.function
    name = getattr(function, "__module__", ""), getattr(function, "__name__", "")
    return name == _SOFTMAX and call.args[1] in (-1, len(x.shape) - 1) and not call.kwargs


def _joined(added: Sequence[Ref], softmax: Item) -> Item:
    from dtrain.backend.kernels.cpu.masked_softmax import masked_softmax  # imports Numba

    assert softmax.call is not None
    outputs = softmax.call.outputs
    call = ArrayCall("masked_softmax", masked_softmax, tuple(added), {}, outputs, False, "")
    return Item({ref.value for ref in added}, softmax.makes, call, label=softmax.label)


def share_reshapes(items: Sequence[Item], roots: dict[int, int]) -> list[Item]:
    """The items with one reshape of an array instead of several to the same shape, each of which
    would copy an array that does not lie in C order.

    roots : for each value one that stands for its memory
    """
    known: dict[str, int] = {}  # the text of a call: the result
    made: list[Item] = []
    for item in items:
        call = item.call
        if call is not None and call.function is call_method and call.args[0] == "reshape":
            (result,), text = item.makes, repr((call.args, call.kwargs))
            first = known.setdefault(text, result)
            if first != result:
                line = f"a{result} = a{first}"
                item = Item({first}, [result], lines=[line], shared={first}, label=item.label)
        elif call is None or not item.makes:  # it may write to what it uses
            touched = {find_root(roots, value) for value in item.uses}
            known = {t: v for t, v in known.items() if find_root(roots, v) not in touched}
        made.append(item)
    return made
