"""Activations as layers: input of any shape, output of the same shape unless it says otherwise."""

from __future__ import annotations

from typing import Any

from dtrain.autograd import Tensor
from dtrain.functions.creation import full
from dtrain.nn import functional as F
from dtrain.nn.function_layer import FunctionLayer, UnaryLayer
from dtrain.nn.module import Module
from dtrain.nn.parameter import Parameter

# --- piecewise linear ---


class ReLU(UnaryLayer, function=F.relu):
    """max(x, 0) (torch.nn.ReLU)."""

    def __init__(self, inplace: bool = False):
        super().__init__(inplace=inplace)


class LeakyReLU(UnaryLayer, function=F.leaky_relu):
    """x if x > 0 else negative_slope * x (torch.nn.LeakyReLU)."""

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False):
        super().__init__(negative_slope=negative_slope, inplace=inplace)


class PReLU(Module):
    """x if x > 0 else weight * x, with a trained weight (torch.nn.PReLU; He et al. 2015).

    weight: (num_parameters,): 1, or the number of channels, dimension 1 of the input.
    """

    num_parameters: int
    init: float
    weight: Parameter

    def __init__(
        self, num_parameters: int = 1, init: float = 0.25, device: Any = None, dtype: Any = None
    ):
        super().__init__()
        self.num_parameters, self.init = num_parameters, init
        self.weight = Parameter(full((num_parameters,), init, device=device, dtype=dtype))

    def reset_parameters(self) -> None:
        """Set the weight to `init`."""
        self.weight.detach().fill_(self.init)

    def forward(self, input: Tensor) -> Tensor:
        return F.prelu(input, self.weight)

    def extra_repr(self) -> str:
        return f"num_parameters={self.num_parameters}"


class RReLU(FunctionLayer, function=F.rrelu):
    """x if x > 0 else slope * x, where training draws the slope of each element from [lower, upper)
    and evaluation takes the mean of both (torch.nn.RReLU; Xu et al. 2015).
    """

    def __init__(self, lower: float = 1 / 8, upper: float = 1 / 3, inplace: bool = False):
        super().__init__(lower=lower, upper=upper, inplace=inplace)

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input, training=self.training)


class Threshold(UnaryLayer, function=F.threshold):
    """x if x > threshold else value (torch.nn.Threshold)."""

    def __init__(self, threshold: float, value: float, inplace: bool = False):
        super().__init__(threshold=threshold, value=value, inplace=inplace)


class Hardtanh(UnaryLayer, function=F.hardtanh):
    """min(max(x, min_val), max_val) (torch.nn.Hardtanh)."""

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False):
        super().__init__(min_val=min_val, max_val=max_val, inplace=inplace)
        if min_val >= max_val:
            raise ValueError(f"Hardtanh: expected min_val < max_val, got {min_val} and {max_val}")


class ReLU6(Hardtanh):
    """min(max(x, 0), 6) (torch.nn.ReLU6)."""

    def __init__(self, inplace: bool = False):
        super().__init__(0.0, 6.0, inplace)

    def extra_repr(self) -> str:
        return "inplace=True" if self.inplace else ""


class Hardsigmoid(UnaryLayer, function=F.hardsigmoid):
    """min(max(x / 6 + 1/2, 0), 1) (torch.nn.Hardsigmoid; Howard et al. 2019)."""

    def __init__(self, inplace: bool = False):
        super().__init__(inplace=inplace)

    def extra_repr(self) -> str:
        return ""


class Hardswish(UnaryLayer, function=F.hardswish):
    """x * hardsigmoid(x) (torch.nn.Hardswish; Howard et al. 2019)."""

    def __init__(self, inplace: bool = False):
        super().__init__(inplace=inplace)

    def extra_repr(self) -> str:
        return ""


class Hardshrink(UnaryLayer, function=F.hardshrink):
    """x if |x| > lambd else 0 (torch.nn.Hardshrink)."""

    def __init__(self, lambd: float = 0.5):
        super().__init__(lambd=lambd)

    def extra_repr(self) -> str:
        return f"{self.lambd}"


class Softshrink(UnaryLayer, function=F.softshrink):
    """x - sign(x) * lambd if |x| > lambd else 0 (torch.nn.Softshrink)."""

    def __init__(self, lambd: float = 0.5):
        super().__init__(lambd=lambd)

    def extra_repr(self) -> str:
        return f"{self.lambd}"


# --- smooth ---


class ELU(UnaryLayer, function=F.elu):
    """x if x > 0 else alpha * (exp(x) - 1) (torch.nn.ELU; Clevert et al. 2016)."""

    def __init__(self, alpha: float = 1.0, inplace: bool = False):
        super().__init__(alpha=alpha, inplace=inplace)


class SELU(UnaryLayer, function=F.selu):
    """scale * elu(x, alpha), with constants for which activations tend to mean 0 and variance 1
    (torch.nn.SELU; Klambauer et al. 2017).
    """

    def __init__(self, inplace: bool = False):
        super().__init__(inplace=inplace)


class CELU(UnaryLayer, function=F.celu):
    """x if x > 0 else alpha * (exp(x / alpha) - 1) (torch.nn.CELU; Barron 2017)."""

    def __init__(self, alpha: float = 1.0, inplace: bool = False):
        super().__init__(alpha=alpha, inplace=inplace)


class GELU(UnaryLayer, function=F.gelu):
    """x * Phi(x), Phi the normal distribution's cumulative function (torch.nn.GELU; Hendrycks and
    Gimpel 2016); `approximate="tanh"`: x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3))).
    """

    def __init__(self, approximate: str = "none"):
        super().__init__(approximate=approximate)


class SiLU(UnaryLayer, function=F.silu):
    """x * sigmoid(x) (torch.nn.SiLU; Elfwing et al. 2017)."""

    def __init__(self, inplace: bool = False):
        super().__init__(inplace=inplace)


class Mish(UnaryLayer, function=F.mish):
    """x * tanh(softplus(x)) (torch.nn.Mish; Misra 2019)."""

    def __init__(self, inplace: bool = False):
        super().__init__(inplace=inplace)


class GLU(UnaryLayer, function=F.glu):
    """a * sigmoid(b), a and b the halves of the input along `dim` (torch.nn.GLU).

    Shape: (..., 2 n, ...) to (..., n, ...). Dauphin et al. 2017.
    """

    def __init__(self, dim: int = -1):
        super().__init__(dim=dim)


class Sigmoid(UnaryLayer, function=F.sigmoid):
    """1 / (1 + exp(-x)) (torch.nn.Sigmoid)."""


class LogSigmoid(UnaryLayer, function=F.logsigmoid):
    """log(sigmoid(x)) (torch.nn.LogSigmoid)."""


class Softplus(UnaryLayer, function=F.softplus):
    """log(1 + exp(beta * x)) / beta, and x where beta * x > threshold (torch.nn.Softplus)."""

    def __init__(self, beta: float = 1.0, threshold: float = 20.0):
        super().__init__(beta=beta, threshold=threshold)


class Softsign(UnaryLayer, function=F.softsign):
    """x / (1 + |x|) (torch.nn.Softsign)."""


class Tanh(UnaryLayer, function=F.tanh):
    """The hyperbolic tangent (torch.nn.Tanh)."""


class Tanhshrink(UnaryLayer, function=F.tanhshrink):
    """x - tanh(x) (torch.nn.Tanhshrink)."""


# --- along a dimension ---


class Softmax(UnaryLayer, function=F.softmax):
    """exp(x) / sum(exp(x)) along `dim` (torch.nn.Softmax)."""

    def __init__(self, dim: int | None = None):
        super().__init__(dim=dim)


class Softmin(UnaryLayer, function=F.softmin):
    """softmax(-x) along `dim` (torch.nn.Softmin)."""

    def __init__(self, dim: int | None = None):
        super().__init__(dim=dim)


class LogSoftmax(UnaryLayer, function=F.log_softmax):
    """log(softmax(x)) along `dim` (torch.nn.LogSoftmax)."""

    def __init__(self, dim: int | None = None):
        super().__init__(dim=dim)


class Softmax2d(Module):
    """Softmax over the channels of an input (n, c, h, w) or (c, h, w) (torch.nn.Softmax2d)."""

    def forward(self, input: Tensor) -> Tensor:
        if input.ndim not in (3, 4):
            raise ValueError(f"Softmax2d: expected (n, c, h, w) or (c, h, w), got {input.shape}")
        return F.softmax(input, -3)
