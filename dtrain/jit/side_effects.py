"""What a function changes while it is recorded: the random generator, buffers; and its undoing."""

from __future__ import annotations

from typing import Any

from dtrain.backend import default_generator
from dtrain.jit.surroundings import Surroundings


class CountedDraws:
    """Whether the default generator did anything but draw."""

    def __init__(self, generator: Any):
        self._generator = generator
        self._before = generator.get_state()
        self._after = self._before

    def __enter__(self) -> None:
        pass

    def __exit__(self, *exception: object) -> None:
        self._after = self._generator.get_state()

    def moved(self) -> bool:
        """Whether seed, stream, step or microbatch changed, or it went back."""
        before, after = self._before, self._after
        same = [before[k] == after[k] for k in ("seed", "stream")]
        moved = after["place"][0] < before["place"][0] or after["place"][1:] != before["place"][1:]
        return moved or not all(same)


class Undo:
    """Sets back what a recording may have changed before it failed."""

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
        """Set it back."""
        self._generator.set_state(self._state)
        for tensor, array, values in self._buffers:
            tensor.array = array
            array[...] = values
        for module, count in self._pending:
            del module.pending_updates[count:]
