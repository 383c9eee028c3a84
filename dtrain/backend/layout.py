"""PyTorch's names for memory formats and layouts; dtrain accepts them without effect."""

from __future__ import annotations


class memory_format:
    """A memory format (torch.memory_format); no value depends on it."""

    def __init__(self, name: str):
        self._name = name

    def __repr__(self) -> str:
        return f"dtrain.{self._name}"


class layout(memory_format):
    """A layout (torch.layout): `strided`, or `sparse_coo` of indices and values."""


contiguous_format: memory_format = memory_format("contiguous_format")
preserve_format: memory_format = memory_format("preserve_format")
channels_last: memory_format = memory_format("channels_last")
channels_last_3d: memory_format = memory_format("channels_last_3d")
strided: layout = layout("strided")
sparse_coo: layout = layout("sparse_coo")
