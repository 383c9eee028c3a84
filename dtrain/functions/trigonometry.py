"""PyTorch's signatures of circular and hyperbolic functions."""

from __future__ import annotations

from dtrain.functions.elementwise import floating_pair, of_tensors, smooth
from dtrain.primitives import (
    trigonometry,
)

sin = smooth(trigonometry.sin)


cos = smooth(trigonometry.cos)


tan = smooth(trigonometry.tan)


asin = smooth(trigonometry.asin)


acos = smooth(trigonometry.acos)


atan = smooth(trigonometry.atan)


sinh = smooth(trigonometry.sinh)


cosh = smooth(trigonometry.cosh)


asinh = smooth(trigonometry.asinh)


acosh = smooth(trigonometry.acosh)


atanh = smooth(trigonometry.atanh)


sinc = smooth(trigonometry.sinc)


deg2rad = smooth(trigonometry.deg2rad)


rad2deg = smooth(trigonometry.rad2deg)


atan2 = of_tensors(floating_pair(trigonometry.atan2))


hypot = of_tensors(floating_pair(trigonometry.hypot))
