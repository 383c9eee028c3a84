"""PyTorch's signatures of the gamma, Bessel and entropy functions."""

from __future__ import annotations

import math
from typing import Any

from dtrain.autograd.tensor import Tensor
from dtrain.ops import bessel, gamma, index
from dtrain.ops.operators.comparison import eq, isnan
from dtrain.ops.operators.elementwise import add, erfc, log, log1p, mul, smooth, where
from dtrain.ops.operators.operands import floating, pair, scalar_like

i0, i0e = smooth(bessel.i0), smooth(bessel.i0e)
i1, i1e = smooth(bessel.i1), smooth(bessel.i1e)
lgamma = smooth(gamma.lgamma)


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


def entr(input: Tensor) -> Tensor:
    """-input * log(input), the summand of an entropy; 0 at 0 (torch.special.entr)."""
    input = floating(input)
    positive = index.where(input, input * 0 + 1, condition=(input > 0)._array)
    out = where(eq(input, 0), 0.0, mul(-input, log(positive)))
    return where(input < 0, -math.inf, where(isnan(input), input, out))


def xlog1py(input: Any, other: Any) -> Tensor:
    """input * log1p(other); 0 where input is 0 (torch.special.xlog1py)."""
    x, y = (floating(v) if isinstance(v, Tensor) else v for v in pair(input, other))
    y = y if isinstance(y, Tensor) else scalar_like(y, x)
    x = x if isinstance(x, Tensor) else scalar_like(x, y)
    zero = (x == 0) & ~isnan(y)
    return where(zero, 0.0, mul(x, log1p(y)))


def ndtr(input: Tensor) -> Tensor:
    """The distribution function of the normal distribution (torch.special.ndtr)."""
    return erfc(floating(input) * -math.sqrt(0.5)) * 0.5
