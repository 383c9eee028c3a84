"""PyTorch's signatures of circular and hyperbolic functions."""

from __future__ import annotations

from dtrain.functions.elementwise import floating_binary, floating_unary, tensors_only
from dtrain.primitives import trigonometry as primitives

sin = floating_unary(primitives.sin)


cos = floating_unary(primitives.cos)


tan = floating_unary(primitives.tan)


asin = floating_unary(primitives.asin)


acos = floating_unary(primitives.acos)


atan = floating_unary(primitives.atan)


sinh = floating_unary(primitives.sinh)


cosh = floating_unary(primitives.cosh)


asinh = floating_unary(primitives.asinh)


acosh = floating_unary(primitives.acosh)


atanh = floating_unary(primitives.atanh)


sinc = floating_unary(primitives.sinc)


deg2rad = floating_unary(primitives.deg2rad)


rad2deg = floating_unary(primitives.rad2deg)


atan2 = tensors_only(floating_binary(primitives.atan2))


hypot = tensors_only(floating_binary(primitives.hypot))
