"""Adam and AdamW."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dtrain.backend import Array, kernels
from dtrain.optim.graph_step import one_kernel
from dtrain.optim.optimizer import Optimizer
from dtrain.optim.options import check_adam_options
from dtrain.optim.types import Group, Implementation, Numbers, Params, State

if TYPE_CHECKING:
    from typing_extensions import Unpack


class AdamBase(Optimizer):
    """The options and the state that Adam and its variants share."""

    def __init__(
        self,
        params: Params,
        lr: float,
        betas: tuple[float, float],
        eps: float,
        weight_decay: float,
        options: dict[str, Any],
        implementation: Implementation,
    ):
        betas = check_adam_options(
            type(self).__name__, lr, betas, eps, weight_decay=(weight_decay, 0, float("inf"))
        )
        defaults = {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, **options,
        }  # fmt: skip
        super().__init__(params, defaults, implementation)

    def _slots(self, group: Group) -> tuple[str, ...]:
        return ("exp_avg", "exp_avg_sq")


class Adam(AdamBase):
    """Adam with weight decay added to the gradient (torch.optim.Adam).

    g = grad + weight_decay * param; m = beta1 * m + (1 - beta1) * g;
    v = beta2 * v + (1 - beta2) * g^2;
    param -= lr * (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps).
    `amsgrad` takes the largest v so far. Kingma and Ba 2014, algorithm 1; Reddi et al. 2018.
    """

    _decoupled_decay = False

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        **implementation: Unpack[Implementation],
    ):
        options = {"amsgrad": amsgrad, "maximize": maximize}
        super().__init__(params, lr, betas, eps, weight_decay, options, implementation)

    def _slots(self, group: Group) -> tuple[str, ...]:
        slots = super()._slots(group)
        return (*slots, "max_exp_avg_sq") if group["amsgrad"] else slots

    @one_kernel
    def _update(
        self, param: Array, grad: Array, state: State, group: Group, numbers: Numbers
    ) -> None:
        kernels.adam(
            param, grad, state["exp_avg"], state["exp_avg_sq"], state.get("max_exp_avg_sq"),
            group["lr"], group["betas"], group["eps"], group["weight_decay"],
            self._decoupled_decay, group["maximize"], int(numbers["step"]),
        )  # fmt: skip


class AdamW(Adam):
    """Adam with decoupled weight decay: first param *= 1 - lr * weight_decay, then Adam's step
    without decay (torch.optim.AdamW; Loshchilov and Hutter 2017).
    """

    _decoupled_decay = True

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        **implementation: Unpack[Implementation],
    ):
        super().__init__(
            params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize, **implementation
        )
