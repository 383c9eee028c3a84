"""Shares memory with arrays of other libraries (torch.utils.dlpack)."""

from typing import Any

from dtrain.autograd import Tensor
from dtrain.functions.creation import from_dlpack as from_dlpack


def to_dlpack(tensor: Tensor) -> Any:
    """A DLPack capsule of the tensor, which shares its memory (torch.utils.dlpack.to_dlpack)."""
    return tensor.__dlpack__()
