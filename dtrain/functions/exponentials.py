"""PyTorch's signatures of exponentials and logarithms."""

from __future__ import annotations

from dtrain.autograd.tensor import Tensor
from dtrain.functions.arithmetic import mul, pow
from dtrain.functions.elementwise import (
    BinaryFunction,
    TensorBinaryFunction,
    UnaryFunction,
    floating_binary,
    floating_unary,
    tensors_only,
)
from dtrain.functions.operands import (
    require_tensors,
    to_floating,
)
from dtrain.primitives import exponentials as primitives

exp: UnaryFunction = floating_unary(primitives.exp)


exp2: UnaryFunction = floating_unary(primitives.exp2)


expm1: UnaryFunction = floating_unary(primitives.expm1)


log: UnaryFunction = floating_unary(primitives.log)


log2: UnaryFunction = floating_unary(primitives.log2)


log10: UnaryFunction = floating_unary(primitives.log10)


log1p: UnaryFunction = floating_unary(primitives.log1p)


logaddexp: TensorBinaryFunction = tensors_only(floating_binary(primitives.logaddexp))


logaddexp2: TensorBinaryFunction = tensors_only(floating_binary(primitives.logaddexp2))


xlogy: BinaryFunction = floating_binary(primitives.xlogy)


def ldexp(input: Tensor, other: Tensor) -> Tensor:
    """input * 2 ** other (torch.ldexp)."""
    require_tensors("ldexp", input, other)
    return mul(input, pow(2.0, other))


def logit(input: Tensor, eps: float | None = None) -> Tensor:
    """log(input / (1 - input)), of the input limited to [eps, 1 - eps] (torch.logit)."""
    return primitives.logit(to_floating(input), eps=eps)
