"""Adam and AdamW."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from dtrain.backend import Array, kernels
from dtrain.optim.optimizer import Optimizer, check_options


class Adam(Optimizer):
    """Adam (Kingma and Ba 2014, algorithm 1), with weight decay added to the gradient
    (torch.optim.Adam).
    """

    _decoupled_decay = False

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        **implementation: Any,
    ):
        inf = float("inf")
        check_options(
            type(self).__name__,
            lr=(lr, 0, inf),
            eps=(eps, 0, inf),
            beta1=(betas[0], 0, 1),
            beta2=(betas[1], 0, 1),
            weight_decay=(weight_decay, 0, inf),
        )
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": tuple(betas),
                "eps": eps,
                "weight_decay": weight_decay,
                "amsgrad": amsgrad,
                "maximize": maximize,
            },
            implementation,
        )

    def _slots(self, group: dict[str, Any]) -> tuple[str, ...]:
        slots = ("exp_avg", "exp_avg_sq")
        return (*slots, "max_exp_avg_sq") if group["amsgrad"] else slots

    def _update(
        self,
        param: Array,
        grad: Array,
        state: dict[str, Array],
        group: dict[str, Any],
        numbers: dict[str, float],
    ) -> None:
        kernels.adam(
            param, grad, state["exp_avg"], state["exp_avg_sq"], state.get("max_exp_avg_sq"),
            group["lr"], group["betas"], group["eps"], group["weight_decay"],
            self._decoupled_decay, group["maximize"], int(numbers["step"]),
        )  # fmt: skip


class AdamW(Adam):
    """Adam with weight decay apart from the gradient (Loshchilov and Hutter 2017)
    (torch.optim.AdamW).
    """

    _decoupled_decay = True

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        **implementation: Any,
    ):
        super().__init__(
            params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize, **implementation
        )
