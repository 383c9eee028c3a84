"""PyTorch's signatures of exponentials and logarithms."""

from __future__ import annotations

from dtrain.autograd.tensor import Tensor
from dtrain.functions.arithmetic import mul, pow
from dtrain.functions.elementwise import floating_pair, of_tensors, smooth
from dtrain.functions.operands import (
    floating,
    require_tensors,
)
from dtrain.primitives import (
    exponentials,
)

exp = smooth(exponentials.exp)


exp2 = smooth(exponentials.exp2)


expm1 = smooth(exponentials.expm1)


log = smooth(exponentials.log)


log2 = smooth(exponentials.log2)


log10 = smooth(exponentials.log10)


log1p = smooth(exponentials.log1p)


logaddexp = of_tensors(floating_pair(exponentials.logaddexp))


logaddexp2 = of_tensors(floating_pair(exponentials.logaddexp2))


xlogy = floating_pair(exponentials.xlogy)


def ldexp(input: Tensor, other: Tensor) -> Tensor:
    """input * 2 ** other (torch.ldexp)."""
    require_tensors("ldexp", input, other)
    return mul(input, pow(2.0, other))


def logit(input: Tensor, eps: float | None = None) -> Tensor:
    """log(input / (1 - input)), of the input limited to [eps, 1 - eps] (torch.logit)."""
    return exponentials.logit(floating(input), eps=eps)
