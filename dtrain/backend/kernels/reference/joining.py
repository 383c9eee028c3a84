"""Arrays written side by side."""

from __future__ import annotations

from collections.abc import Sequence

from dtrain.backend.array_module import Array


def write_parts(flat: Array, arrays: Sequence[Array], starts: Sequence[int]) -> None:
    """Write contiguous arrays of the dtype of `flat`, (n,), to it, each from its start on."""
    for array, start in zip(arrays, starts):
        flat[start : start + array.size] = array.reshape(-1)
