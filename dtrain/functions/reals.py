"""PyTorch's functions of complex numbers, of which dtrain's numbers are the real ones."""

from __future__ import annotations

import math

from dtrain.autograd.tensor import Tensor
from dtrain.functions.arithmetic import mul
from dtrain.functions.comparison import ge, lt
from dtrain.functions.indexing import masked_fill
from dtrain.functions.operands import to_floating


def real(input: Tensor) -> Tensor:
    """The tensor itself (torch.real)."""
    return input


def conj(input: Tensor) -> Tensor:
    """The tensor itself (torch.conj)."""
    return input


def angle(input: Tensor) -> Tensor:
    """pi of what is negative, 0 of what is not, NaN of NaN (torch.angle)."""
    input = to_floating(input)
    positive = masked_fill(mul(input, 0), ge(input, 0), 0)  # NaN, without a gradient
    return masked_fill(positive, lt(input, 0), math.pi)
