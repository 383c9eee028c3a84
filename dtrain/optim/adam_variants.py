"""Adamax, NAdam and RAdam."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from dtrain.backend import Array, kernels
from dtrain.optim.optimizer import Optimizer, check_options


class _AdamVariant(Optimizer):
    """What the variants share: two running means, and their options."""

    def __init__(
        self,
        params: Iterable[Any],
        lr: float,
        betas: tuple[float, float],
        eps: float,
        weight_decay: float,
        options: dict[str, Any],
        implementation: dict[str, Any],
    ):
        inf = float("inf")
        check_options(
            type(self).__name__, lr=(lr, 0, inf), eps=(eps, 0, inf), beta1=(betas[0], 0, 1),
            beta2=(betas[1], 0, 1), weight_decay=(weight_decay, 0, inf),
        )  # fmt: skip
        defaults = {
            "lr": lr, "betas": tuple(betas), "eps": eps, "weight_decay": weight_decay, **options,
        }  # fmt: skip
        super().__init__(params, defaults, implementation)

    def _slots(self, group: dict[str, Any]) -> tuple[str, ...]:
        return ("exp_avg", "exp_avg_sq")


def _decay(group: dict[str, Any]) -> tuple[float, float]:
    """The weight decay that is added to the gradient, and the factor of one that is decoupled."""
    decay = group["weight_decay"]
    return (0, 1 - group["lr"] * decay) if group["decoupled_weight_decay"] else (decay, 1)


class Adamax(_AdamVariant):
    """Adam by the largest gradient instead of the mean square (Kingma and Ba 2014, section 7)
    (torch.optim.Adamax).
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        *,
        maximize: bool = False,
        **implementation: Any,
    ):
        options = {"maximize": maximize}
        super().__init__(params, lr, betas, eps, weight_decay, options, implementation)

    def _slots(self, group: dict[str, Any]) -> tuple[str, ...]:
        return ("exp_avg", "exp_inf")

    def _update(
        self,
        param: Array,
        grad: Array,
        state: dict[str, Array],
        group: dict[str, Any],
        numbers: dict[str, float],
    ) -> None:
        kernels.adamax(
            param, grad, state["exp_avg"], state["exp_inf"],
            group["lr"] / (1 - group["betas"][0] ** numbers["step"]), group["betas"], group["eps"],
            group["weight_decay"], group["maximize"],
        )  # fmt: skip


class NAdam(_AdamVariant):
    """Adam with Nesterov's momentum (Dozat 2016) (torch.optim.NAdam)."""

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        maximize: bool = False,
        **implementation: Any,
    ):
        check_options("NAdam", momentum_decay=(momentum_decay, 0, float("inf")))
        options = {
            "momentum_decay": momentum_decay, "decoupled_weight_decay": decoupled_weight_decay,
            "maximize": maximize,
        }  # fmt: skip
        super().__init__(params, lr, betas, eps, weight_decay, options, implementation)

    def _momentum(self, step: float, group: dict[str, Any]) -> float:
        return group["betas"][0] * (1 - 0.5 * 0.96 ** (step * group["momentum_decay"]))

    def _advance(self, numbers: dict[str, float], group: dict[str, Any]) -> None:
        super()._advance(numbers, group)
        momentum = self._momentum(numbers["step"], group)
        numbers["mu_product"] = numbers.get("mu_product", 1) * momentum

    def _update(
        self,
        param: Array,
        grad: Array,
        state: dict[str, Array],
        group: dict[str, Any],
        numbers: dict[str, float],
    ) -> None:
        step, product, lr = numbers["step"], numbers["mu_product"], group["lr"]
        now, next_ = self._momentum(step, group), self._momentum(step + 1, group)
        rates = lr * (1 - now) / (1 - product), lr * next_ / (1 - product * next_)
        decay, shrink = _decay(group)
        kernels.nadam(
            param, grad, state["exp_avg"], state["exp_avg_sq"], rates, group["betas"],
            group["eps"], decay, shrink, 1 - group["betas"][1] ** step, group["maximize"],
        )  # fmt: skip


class RAdam(_AdamVariant):
    """Adam that waits until its mean square is sure enough (Liu et al. 2019)
    (torch.optim.RAdam).
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        decoupled_weight_decay: bool = False,
        *,
        maximize: bool = False,
        **implementation: Any,
    ):
        options = {"decoupled_weight_decay": decoupled_weight_decay, "maximize": maximize}
        super().__init__(params, lr, betas, eps, weight_decay, options, implementation)

    def _update(
        self,
        param: Array,
        grad: Array,
        state: dict[str, Array],
        group: dict[str, Any],
        numbers: dict[str, float],
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
