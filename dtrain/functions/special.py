"""PyTorch's signatures of the gamma, Bessel and entropy functions."""

from __future__ import annotations

import math

from dtrain.autograd.tensor import Tensor
from dtrain.functions.arithmetic import add
from dtrain.functions.elementwise import floating_pair, smooth
from dtrain.functions.operands import (
    floating,
)
from dtrain.primitives import (
    bessel,
    exponentials,
    gamma,
    special,
)

i0 = smooth(bessel.i0)
i0e = smooth(bessel.i0e)
i1 = smooth(bessel.i1)
i1e = smooth(bessel.i1e)
lgamma = smooth(gamma.lgamma)
entr = smooth(special.entr)
xlog1py = floating_pair(exponentials.xlog1py)


def digamma(input: Tensor) -> Tensor:
    """The derivative of lgamma (torch.digamma)."""
    return gamma.polygamma(floating(input), n=0)


def polygamma(n: int, input: Tensor) -> Tensor:
    """The derivative of order n of digamma (torch.polygamma)."""
    if n < 0:
        raise RuntimeError(f"polygamma: expected n >= 0, got {n}")
    return gamma.polygamma(floating(input), n=n)


def mvlgamma(input: Tensor, p: int) -> Tensor:
    """The logarithm of the gamma function of p dimensions (torch.mvlgamma)."""
    if p < 1:
        raise RuntimeError(f"mvlgamma: expected p >= 1, got {p}")
    input = floating(input)
    out = lgamma(input)
    for i in range(1, p):
        out = add(out, lgamma(add(input, -i / 2)))
    return add(out, p * (p - 1) / 4 * math.log(math.pi))


def ndtr(input: Tensor) -> Tensor:
    """The distribution function of the normal distribution (torch.special.ndtr)."""
    return erfc(floating(input) * -math.sqrt(0.5)) * 0.5


erf = smooth(special.erf)


erfc = smooth(special.erfc)


erfinv = smooth(special.erfinv)
