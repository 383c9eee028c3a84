"""PyTorch's signatures of the gamma, Bessel and entropy functions."""

from __future__ import annotations

import math

from dtrain.autograd.tensor import Tensor
from dtrain.functions.arithmetic import add
from dtrain.functions.elementwise import (
    BinaryFunction,
    UnaryFunction,
    floating_binary,
    floating_unary,
)
from dtrain.functions.half_precision import in_float32
from dtrain.functions.operands import (
    to_floating,
)
from dtrain.primitives import special as primitives

i0: UnaryFunction = floating_unary(primitives.i0)
i0e: UnaryFunction = floating_unary(primitives.i0e, "torch.special")
i1: UnaryFunction = floating_unary(primitives.i1, "torch.special")
i1e: UnaryFunction = floating_unary(primitives.i1e, "torch.special")
lgamma: UnaryFunction = floating_unary(primitives.lgamma)
entr: UnaryFunction = floating_unary(primitives.entr, "torch.special")
gammainc: BinaryFunction = floating_binary(primitives.gammainc, "torch.special")
gammaincc: BinaryFunction = floating_binary(primitives.gammaincc, "torch.special")
xlog1py: BinaryFunction = floating_binary(primitives.xlog1py, "torch.special")


def digamma(input: Tensor) -> Tensor:
    """The derivative of lgamma (torch.digamma)."""
    return primitives.polygamma(to_floating(input), n=0)


def polygamma(n: int, input: Tensor) -> Tensor:
    """The derivative of order n of digamma (torch.polygamma)."""
    if n < 0:
        raise RuntimeError(f"polygamma: expected n >= 0, got {n}")
    return primitives.polygamma(to_floating(input), n=n)


@in_float32
def mvlgamma(input: Tensor, p: int) -> Tensor:
    """The logarithm of the gamma function of p dimensions (torch.mvlgamma)."""
    if p < 1:
        raise RuntimeError(f"mvlgamma: expected p >= 1, got {p}")
    input = to_floating(input)
    out = lgamma(input)
    for i in range(1, p):
        out = add(out, lgamma(add(input, -i / 2)))
    return add(out, p * (p - 1) / 4 * math.log(math.pi))


@in_float32
def ndtr(input: Tensor) -> Tensor:
    """The distribution function of the normal distribution (torch.special.ndtr)."""
    return erfc(to_floating(input) * -math.sqrt(0.5)) * 0.5


erf: UnaryFunction = floating_unary(primitives.erf)


erfc: UnaryFunction = floating_unary(primitives.erfc)


erfinv: UnaryFunction = floating_unary(primitives.erfinv)
