"""What recording a function changes: the random generator and buffers; how it is undone."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import Any

from dtrain.backend import default_generator
from dtrain.jit.proxies import real
from dtrain.jit.surroundings import Surroundings


def only_drew(before: dict[str, Any], after: dict[str, Any]) -> bool:
    """Whether a generator did nothing but draw between two of its states: `call` alone grew."""
    same = all(before[key] == after[key] for key in ("seed", "stream"))
    (call, *place), (later, *later_place) = before["place"], after["place"]
    return same and later >= call and later_place == place


class Undo:
    """Restores the state that a failed recording may have changed."""

    def __init__(self, surroundings: Surroundings):
        self._generator = default_generator()
        self._state = self._generator.get_state()
        self._buffers = [
            (tensor, tensor.array, tensor.array.copy())
            for kind, _, tensor in surroundings.named_tensors()
            if kind == "buffer"
        ]
        self._pending = [
            (module, len(module.pending_updates))
            for _, module in surroundings.modules
            if getattr(module, "pending_updates", None) is not None
        ]

    def undo(self) -> None:
        """Restore the random generator, the buffers and the queues of deferred updates."""
        self._generator.set_state(self._state)
        for tensor, array, values in self._buffers:
            tensor.array = array
            array[...] = values
        for module, count in self._pending:
            del module.pending_updates[count:]


class ArgumentContainers:
    """The lists and dicts among arguments, and the copies of them that a function gets instead."""

    def __init__(self, given: Any, copies: Any):
        self._pairs = list(_containers(given, copies))
        self._before = [_items(copy) for _, copy in self._pairs]

    def take_changes(self) -> bool:
        """Change them as the function has changed their copies; returns whether it has."""
        originals = {id(copy): given for given, copy in self._pairs}
        changed = False
        for (given, copy), before in zip(self._pairs, self._before):
            now = _items(copy)
            if len(now) == len(before) and all(map(operator.is_, now, before)):
                continue
            changed = True
            items = [originals.get(id(item), real(item)) for item in now]
            if isinstance(given, dict):
                half = len(items) // 2
                given.clear()
                given.update(zip(items[:half], items[half:]))
            else:
                given[:] = items
        return changed


def _containers(given: Any, copy: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(given, (list, dict)):
        yield given, copy
    if isinstance(given, (list, tuple, dict)):
        values = (x.values() if isinstance(x, dict) else x for x in (given, copy))
        for pair in zip(*values):
            yield from _containers(*pair)


def _items(container: Any) -> list[Any]:
    if isinstance(container, dict):
        return [*container.keys(), *container.values()]
    return list(container)
