"""PyTorch's signature of `clone`; conversions are methods (`Tensor.to`, `Tensor.float`)."""

from __future__ import annotations

from typing import Any

from dtrain.autograd.tensor import Tensor
from dtrain.primitives import casts as primitives


def clone(input: Tensor, *, memory_format: Any = None) -> Tensor:
    """A copy of the tensor (torch.clone)."""
    return primitives.clone(input)
