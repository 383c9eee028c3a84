"""PyTorch's names for the order of elements in memory; dtrain takes them, and keeps its order."""

from __future__ import annotations


class memory_format:
    """How a copy may lie in memory (torch.memory_format); values do not depend on it."""

    def __init__(self, name: str):
        self._name = name

    def __repr__(self) -> str:
        return f"dtrain.{self._name}"


class layout(memory_format):
    """How elements are stored (torch.layout); only `strided` is here."""


contiguous_format: memory_format = memory_format("contiguous_format")
preserve_format: memory_format = memory_format("preserve_format")
channels_last: memory_format = memory_format("channels_last")
channels_last_3d: memory_format = memory_format("channels_last_3d")
strided: layout = layout("strided")
