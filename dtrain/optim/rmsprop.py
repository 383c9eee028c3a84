"""RMSprop: steps scaled by the running mean of squared gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dtrain.backend import Array, kernels
from dtrain.optim.graph_step import one_kernel
from dtrain.optim.optimizer import Optimizer
from dtrain.optim.options import check_options
from dtrain.optim.types import Group, Implementation, Numbers, Params, State

if TYPE_CHECKING:
    from typing_extensions import Unpack


class RMSprop(Optimizer):
    """Steps scaled by the root of the mean squared gradient (torch.optim.RMSprop; Hinton 2012).

    v = alpha * v + (1 - alpha) * g^2; step = g / (sqrt(v) + eps), or with `centered`
    g / (sqrt(v - mean(g)^2) + eps) (Graves 2013); buf = momentum * buf + step; param -= lr * buf.
    """

    def __init__(
        self,
        params: Params,
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        *,
        maximize: bool = False,
        **implementation: Unpack[Implementation],
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

    def _slots(self, group: Group) -> tuple[str, ...]:
        return (
            "square_avg",
            *(["momentum_buffer"] if group["momentum"] else []),
            *(["grad_avg"] if group["centered"] else []),
        )

    @one_kernel
    def _update(
        self, param: Array, grad: Array, state: State, group: Group, numbers: Numbers
    ) -> None:
        kernels.rmsprop(
            param, grad, state["square_avg"], state.get("grad_avg"), state.get("momentum_buffer"),
            group["lr"], group["alpha"], group["eps"], group["weight_decay"], group["momentum"],
            group["maximize"],
        )  # fmt: skip
