"""RMSprop."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from dtrain.backend import Array, kernels
from dtrain.optim.optimizer import Optimizer, check_options


class RMSprop(Optimizer):
    """The gradient over the root of its mean square (Hinton 2012) (torch.optim.RMSprop).

    With `centered` over its standard deviation (Graves 2013).
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        *,
        maximize: bool = False,
        **implementation: Any,
    ):
        inf = float("inf")
        check_options(
            "RMSprop", lr=(lr, 0, inf), alpha=(alpha, 0, inf), eps=(eps, 0, inf),
            weight_decay=(weight_decay, 0, inf), momentum=(momentum, 0, inf),
        )  # fmt: skip
        defaults = {
            "lr": lr, "alpha": alpha, "eps": eps, "weight_decay": weight_decay,
            "momentum": momentum, "centered": centered, "maximize": maximize,
        }  # fmt: skip
        super().__init__(params, defaults, implementation)

    def _slots(self, group: dict[str, Any]) -> tuple[str, ...]:
        return (
            "square_avg",
            *(["momentum_buffer"] if group["momentum"] else []),
            *(["grad_avg"] if group["centered"] else []),
        )

    def _update(
        self,
        param: Array,
        grad: Array,
        state: dict[str, Array],
        group: dict[str, Any],
        numbers: dict[str, float],
    ) -> None:
        kernels.rmsprop(
            param, grad, state["square_avg"], state.get("grad_avg"), state.get("momentum_buffer"),
            group["lr"], group["alpha"], group["eps"], group["weight_decay"], group["momentum"],
            group["maximize"],
        )  # fmt: skip
