"""Copies of states in host memory, from which a thread writes while training goes on."""

from __future__ import annotations

import threading
from collections.abc import Mapping

import numpy as np

from dtrain.backend import Array, is_cupy
from dtrain.backend.host_memory import copy_to_host, take_host_memory
from dtrain.checkpoint.safetensors_file import StateWriter


class HostCopies:
    """Host memory for copies of states, kept from one copy to the next; pinned for a GPU's arrays.

    `reserve` takes the memory ahead: the first copy would spend most of its time on that.
    """

    def __init__(self) -> None:
        self._memory: dict[str, np.ndarray] = {}
        self._thread: threading.Thread | None = None

    def reserve(self, states: Mapping[str, StateWriter]) -> None:
        """Take the memory for a copy of such states, in a thread."""
        needed = [
            (f"{name}/{key}", array.shape, array.dtype, is_cupy(array))
            for name, state in states.items()
            for key, array in state.arrays
        ]

        def take() -> None:
            for key, shape, dtype, pinned in needed:
                self._memory[key] = take_host_memory(shape, dtype, pinned=pinned)

        self._thread = threading.Thread(target=take, name="host memory", daemon=True)
        self._thread.start()

    def copy(self, states: Mapping[str, StateWriter]) -> None:
        """Copy the arrays of the states, so that their owners may go on changing them."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        copies: list[tuple[Array, np.ndarray]] = []
        for name, state in states.items():
            hosts = [self._memory_for(f"{name}/{key}", array) for key, array in state.arrays]
            copies += [(array, host) for (_, array), host in zip(state.arrays, hosts)]
            state.arrays = [(key, host) for (key, _), host in zip(state.arrays, hosts)]
        copy_to_host(copies)

    def _memory_for(self, key: str, array: Array) -> np.ndarray:
        kept = self._memory.get(key)
        if kept is None or (kept.shape, kept.dtype) != (array.shape, array.dtype):
            kept = take_host_memory(array.shape, array.dtype, pinned=is_cupy(array))
            self._memory[key] = kept
        return kept
