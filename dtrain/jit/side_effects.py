"""What recording a function changes: the random generator and buffers; how it is undone."""

from __future__ import annotations

from typing import Any

from dtrain.backend import default_generator
from dtrain.jit.surroundings import Surroundings


def only_drew(before: dict[str, Any], after: dict[str, Any]) -> bool:
    """Whether a generator did nothing but draw between two of its states: `call` alone grew."""
    same = all(before[key] == after[key] for key in ("seed", "stream"))
    (call, *place), (later, *later_place) = before["place"], after["place"]
    return same and later >= call and later_place == place


class Undo:
    """Restores what a recording that failed may have changed."""

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
