"""Activations as layers."""

from __future__ import annotations

from typing import Any

from dtrain.autograd import Tensor
from dtrain.functions.creation import full
from dtrain.nn import functional as F
from dtrain.nn.function_layer import FunctionLayer
from dtrain.nn.module import Module
from dtrain.nn.parameter import Parameter

# --- straight lines ---


class ReLU(FunctionLayer, of=F.relu):
    """max(x, 0) (torch.nn.ReLU)."""

    def __init__(self, inplace: bool = False):
        super().__init__(inplace=inplace)


class LeakyReLU(FunctionLayer, of=F.leaky_relu):
    """x where positive, negative_slope * x elsewhere (torch.nn.LeakyReLU)."""

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False):
        super().__init__(negative_slope=negative_slope, inplace=inplace)


class PReLU(Module):
    """x where positive, weight * x elsewhere; the weight is learned (torch.nn.PReLU).

    One weight, or one for each channel, dimension 1 of the input (He et al. 2015).
    """

    def __init__(
        self, num_parameters: int = 1, init: float = 0.25, device: Any = None, dtype: Any = None
    ):
        super().__init__()
        self.num_parameters, self.init = num_parameters, init
        self.weight = Parameter(full((num_parameters,), init, device=device, dtype=dtype))

    def reset_parameters(self) -> None:
        """Begin anew with `init`."""
        self.weight.detach().fill_(self.init)

    def forward(self, input: Tensor) -> Tensor:
        return F.prelu(input, self.weight)

    def extra_repr(self) -> str:
        return f"num_parameters={self.num_parameters}"


class RReLU(FunctionLayer, of=F.rrelu):
    """LeakyReLU with random slopes while training (Xu et al. 2015) (torch.nn.RReLU)."""

    def __init__(self, lower: float = 1 / 8, upper: float = 1 / 3, inplace: bool = False):
        super().__init__(lower=lower, upper=upper, inplace=inplace)

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input, training=self.training)


class Threshold(FunctionLayer, of=F.threshold):
    """x where it is above the threshold, else `value` (torch.nn.Threshold)."""

    def __init__(self, threshold: float, value: float, inplace: bool = False):
        super().__init__(threshold=threshold, value=value, inplace=inplace)


class Hardtanh(FunctionLayer, of=F.hardtanh):
    """x within [min_val, max_val] (torch.nn.Hardtanh)."""

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False):
        super().__init__(min_val=min_val, max_val=max_val, inplace=inplace)
        if min_val >= max_val:
            raise ValueError(f"Hardtanh: expected min_val < max_val, got {min_val} and {max_val}")


class ReLU6(Hardtanh):
    """x within [0, 6] (torch.nn.ReLU6)."""

    def __init__(self, inplace: bool = False):
        super().__init__(0.0, 6.0, inplace)

    def extra_repr(self) -> str:
        return "inplace=True" if self.inplace else ""


class Hardsigmoid(FunctionLayer, of=F.hardsigmoid):
    """x / 6 + 1/2 within [0, 1] (Howard et al. 2019) (torch.nn.Hardsigmoid)."""

    def __init__(self, inplace: bool = False):
        super().__init__(inplace=inplace)

    def extra_repr(self) -> str:
        return ""


class Hardswish(FunctionLayer, of=F.hardswish):
    """x * hardsigmoid(x) (Howard et al. 2019) (torch.nn.Hardswish)."""

    def __init__(self, inplace: bool = False):
        super().__init__(inplace=inplace)

    def extra_repr(self) -> str:
        return ""


class Hardshrink(FunctionLayer, of=F.hardshrink):
    """0 in [-lambd, lambd], x elsewhere (torch.nn.Hardshrink)."""

    def __init__(self, lambd: float = 0.5):
        super().__init__(lambd=lambd)

    def extra_repr(self) -> str:
        return f"{self.lambd}"


class Softshrink(FunctionLayer, of=F.softshrink):
    """0 in [-lambd, lambd], else x - sign(x) * lambd (torch.nn.Softshrink)."""

    def __init__(self, lambd: float = 0.5):
        super().__init__(lambd=lambd)

    def extra_repr(self) -> str:
        return f"{self.lambd}"


# --- curves ---


class ELU(FunctionLayer, of=F.elu):
    """x where positive, alpha * (exp(x) - 1) elsewhere (Clevert et al. 2016) (torch.nn.ELU)."""

    def __init__(self, alpha: float = 1.0, inplace: bool = False):
        super().__init__(alpha=alpha, inplace=inplace)


class SELU(FunctionLayer, of=F.selu):
    """elu scaled so that it normalizes (Klambauer et al. 2017) (torch.nn.SELU)."""

    def __init__(self, inplace: bool = False):
        super().__init__(inplace=inplace)


class CELU(FunctionLayer, of=F.celu):
    """x where positive, alpha * (exp(x / alpha) - 1) elsewhere (Barron 2017) (torch.nn.CELU)."""

    def __init__(self, alpha: float = 1.0, inplace: bool = False):
        super().__init__(alpha=alpha, inplace=inplace)


class GELU(FunctionLayer, of=F.gelu):
    """x times the normal distribution's cumulative function (torch.nn.GELU)."""

    def __init__(self, approximate: str = "none"):
        super().__init__(approximate=approximate)


class SiLU(FunctionLayer, of=F.silu):
    """x * sigmoid(x) (Elfwing et al. 2017) (torch.nn.SiLU)."""

    def __init__(self, inplace: bool = False):
        super().__init__(inplace=inplace)


class Mish(FunctionLayer, of=F.mish):
    """x * tanh(softplus(x)) (Misra 2019) (torch.nn.Mish)."""

    def __init__(self, inplace: bool = False):
        super().__init__(inplace=inplace)


class GLU(FunctionLayer, of=F.glu):
    """The first half along `dim` times the sigmoid of the second (torch.nn.GLU)."""

    def __init__(self, dim: int = -1):
        super().__init__(dim=dim)


class Sigmoid(FunctionLayer, of=F.sigmoid):
    """1 / (1 + exp(-x)) (torch.nn.Sigmoid)."""


class LogSigmoid(FunctionLayer, of=F.logsigmoid):
    """log(sigmoid(x)) (torch.nn.LogSigmoid)."""


class Softplus(FunctionLayer, of=F.softplus):
    """log(1 + exp(beta x)) / beta (torch.nn.Softplus)."""

    def __init__(self, beta: float = 1.0, threshold: float = 20.0):
        super().__init__(beta=beta, threshold=threshold)


class Softsign(FunctionLayer, of=F.softsign):
    """x / (1 + |x|) (torch.nn.Softsign)."""


class Tanh(FunctionLayer, of=F.tanh):
    """The hyperbolic tangent (torch.nn.Tanh)."""


class Tanhshrink(FunctionLayer, of=F.tanhshrink):
    """x - tanh(x) (torch.nn.Tanhshrink)."""


# --- along a dimension ---


class Softmax(FunctionLayer, of=F.softmax):
    """exp(x) / sum(exp(x)) along `dim` (torch.nn.Softmax)."""

    def __init__(self, dim: int | None = None):
        super().__init__(dim=dim)


class Softmin(FunctionLayer, of=F.softmin):
    """softmax(-x) along `dim` (torch.nn.Softmin)."""

    def __init__(self, dim: int | None = None):
        super().__init__(dim=dim)


class LogSoftmax(FunctionLayer, of=F.log_softmax):
    """log(softmax(x)) along `dim` (torch.nn.LogSoftmax)."""

    def __init__(self, dim: int | None = None):
        super().__init__(dim=dim)


class Softmax2d(Module):
    """Softmax over the channels of images (n, c, h, w) or (c, h, w) (torch.nn.Softmax2d)."""

    def forward(self, input: Tensor) -> Tensor:
        if input.ndim not in (3, 4):
            raise ValueError(f"Softmax2d: expected (n, c, h, w) or (c, h, w), got {input.shape}")
        return F.softmax(input, -3)
