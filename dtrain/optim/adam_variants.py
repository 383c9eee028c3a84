"""Adamax, NAdam and RAdam."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from dtrain.backend import Array, kernels
from dtrain.optim.adam import AdamBase
from dtrain.optim.graph_step import one_kernel
from dtrain.optim.options import check_options
from dtrain.optim.types import Group, Implementation, Numbers, Params, State

if TYPE_CHECKING:
    from typing_extensions import Unpack


def _decay(group: Group) -> tuple[float, float]:
    """(weight decay added to the gradient, factor of the parameter: decoupled weight decay)."""
    decay = group["weight_decay"]
    return (0, 1 - group["lr"] * decay) if group["decoupled_weight_decay"] else (decay, 1)


class Adamax(AdamBase):
    """Adam with the largest gradient in place of the mean square (torch.optim.Adamax).

    m = beta1 * m + (1 - beta1) * g; u = max(beta2 * u, |g| + eps);
    param -= lr / (1 - beta1^t) * m / u. Kingma and Ba 2014, section 7.
    """

    def __init__(
        self,
        params: Params,
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        *,
        maximize: bool = False,
        **implementation: Unpack[Implementation],
    ):
        options = {"maximize": maximize}
        super().__init__(params, lr, betas, eps, weight_decay, options, implementation)

    def _slots(self, group: Group) -> tuple[str, ...]:
        return ("exp_avg", "exp_inf")

    @one_kernel
    def _update(
        self, param: Array, grad: Array, state: State, group: Group, numbers: Numbers
    ) -> None:
        kernels.adamax(
            param, grad, state["exp_avg"], state["exp_inf"],
            group["lr"] / (1 - group["betas"][0] ** numbers["step"]), group["betas"], group["eps"],
            group["weight_decay"], group["maximize"],
        )  # fmt: skip


class NAdam(AdamBase):
    """Adam with Nesterov's momentum (torch.optim.NAdam; Dozat 2016).

    mu_t = beta1 * (1 - 0.96^(t * momentum_decay) / 2), M_t = mu_1 ... mu_t; m, v as in Adam;
    param -= lr * (mu_(t+1) * m / (1 - M_(t+1)) + (1 - mu_t) * g / (1 - M_t))
    / (sqrt(v / (1 - beta2^t)) + eps).
    """

    def __init__(
        self,
        params: Params,
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        maximize: bool = False,
        **implementation: Unpack[Implementation],
    ):
        check_options("NAdam", momentum_decay=(momentum_decay, 0, float("inf")))
        options = {
            "momentum_decay": momentum_decay, "decoupled_weight_decay": decoupled_weight_decay,
            "maximize": maximize,
        }  # fmt: skip
        super().__init__(params, lr, betas, eps, weight_decay, options, implementation)

    def _momentum(self, step: float, group: Group) -> float:
        return group["betas"][0] * (1 - 0.5 * 0.96 ** (step * group["momentum_decay"]))

    def _advance(self, numbers: Numbers, group: Group) -> None:
        super()._advance(numbers, group)
        momentum = self._momentum(numbers["step"], group)
        numbers["mu_product"] = numbers.get("mu_product", 1) * momentum

    @one_kernel
    def _update(
        self, param: Array, grad: Array, state: State, group: Group, numbers: Numbers
    ) -> None:
        step, product, lr = numbers["step"], numbers["mu_product"], group["lr"]
        now, next_ = self._momentum(step, group), self._momentum(step + 1, group)
        rates = lr * (1 - now) / (1 - product), lr * next_ / (1 - product * next_)
        decay, shrink = _decay(group)
        kernels.nadam(
            param, grad, state["exp_avg"], state["exp_avg_sq"], rates, group["betas"],
            group["eps"], decay, shrink, 1 - group["betas"][1] ** step, group["maximize"],
        )  # fmt: skip


class RAdam(AdamBase):
    """Adam with a rectified variance (torch.optim.RAdam; Liu et al. 2019).

    r_inf = 2 / (1 - beta2) - 1; r = r_inf - 2 t beta2^t / (1 - beta2^t); m, v as in Adam.
    If r > 5, param -= lr * m / (1 - beta1^t) * sqrt((r - 4) (r - 2) r_inf * (1 - beta2^t)
    / ((r_inf - 4) (r_inf - 2) r)) / (sqrt(v) + eps); else param -= lr * m / (1 - beta1^t).
    """

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        decoupled_weight_decay: bool = False,
        *,
        maximize: bool = False,
        **implementation: Unpack[Implementation],
    ):
        options = {"decoupled_weight_decay": decoupled_weight_decay, "maximize": maximize}
        super().__init__(params, lr, betas, eps, weight_decay, options, implementation)

    @one_kernel
    def _update(
        self, param: Array, grad: Array, state: State, group: Group, numbers: Numbers
    ) -> None:
        (beta1, beta2), step, root = group["betas"], numbers["step"], 0.0
        rest = 1 - beta2**step
        longest = 2 / (1 - beta2) - 1
        length = longest - 2 * step * beta2**step / rest
        if length > 5:
            variance = (length - 4) * (length - 2) * longest
            variance /= (longest - 4) * (longest - 2) * length
            root = math.sqrt(variance * rest)
        decay, shrink = _decay(group)
        kernels.radam(
            param, grad, state["exp_avg"], state["exp_avg_sq"], group["lr"] / (1 - beta1**step),
            group["betas"], group["eps"], decay, shrink, root, group["maximize"],
        )  # fmt: skip
