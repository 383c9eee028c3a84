"""PyTorch's signatures of circular and hyperbolic functions."""

from __future__ import annotations

from dtrain.functions.elementwise import (
    TensorBinaryFunction,
    UnaryFunction,
    floating_binary,
    floating_unary,
    tensors_only,
)
from dtrain.primitives import trigonometry as primitives

sin: UnaryFunction = floating_unary(primitives.sin)


cos: UnaryFunction = floating_unary(primitives.cos)


tan: UnaryFunction = floating_unary(primitives.tan)


asin: UnaryFunction = floating_unary(primitives.asin)


acos: UnaryFunction = floating_unary(primitives.acos)


atan: UnaryFunction = floating_unary(primitives.atan)


sinh: UnaryFunction = floating_unary(primitives.sinh)


cosh: UnaryFunction = floating_unary(primitives.cosh)


asinh: UnaryFunction = floating_unary(primitives.asinh)


acosh: UnaryFunction = floating_unary(primitives.acosh)


atanh: UnaryFunction = floating_unary(primitives.atanh)


sinc: UnaryFunction = floating_unary(primitives.sinc)


deg2rad: UnaryFunction = floating_unary(primitives.deg2rad)


rad2deg: UnaryFunction = floating_unary(primitives.rad2deg)


atan2: TensorBinaryFunction = tensors_only(floating_binary(primitives.atan2))


hypot: TensorBinaryFunction = tensors_only(floating_binary(primitives.hypot))
