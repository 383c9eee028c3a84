"""Adagrad and Adadelta."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dtrain.backend import Array, kernels
from dtrain.optim import flat_state
from dtrain.optim.graph_step import one_kernel
from dtrain.optim.optimizer import Optimizer
from dtrain.optim.options import as_number, check_options
from dtrain.optim.types import Group, Implementation, Numbers, Params, State

if TYPE_CHECKING:
    from typing_extensions import Unpack


class Adagrad(Optimizer):
    """Steps scaled by the root of the sum of squared gradients (torch.optim.Adagrad).

    sum += g^2; param -= lr / (1 + (t - 1) * lr_decay) * g / (sqrt(sum) + eps), with
    g = grad + weight_decay * param. Duchi et al. 2011.
    """

    def __init__(
        self,
        params: Params,
        lr: float = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        *,
        maximize: bool = False,
        **implementation: Unpack[Implementation],
    ):
        inf = float("inf")
        check_options(
            "Adagrad", lr=(lr, 0, inf), lr_decay=(lr_decay, 0, inf), eps=(eps, 0, inf),
            weight_decay=(weight_decay, 0, inf),
            initial_accumulator_value=(initial_accumulator_value, 0, inf),
        )  # fmt: skip
        defaults = {
            "lr": lr, "lr_decay": lr_decay, "eps": eps, "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value, "maximize": maximize,
        }  # fmt: skip
        super().__init__(params, defaults, implementation)

    def add_param_group(self, group: Group) -> None:
        super().add_param_group(group)
        added = self.param_groups[-1]
        for param in added["params"]:  # PyTorch creates their state here, not at the first step
            self._numbers[id(param)] = {"step": 0}
            if param._bucket in self._flat:  # made when the group was not known
                flat_state.write_initial(self, param, added)

    def _slots(self, group: Group) -> tuple[str, ...]:
        return ("sum",)

    def _fill(self, name: str, group: Group) -> float:
        return group["initial_accumulator_value"]

    @one_kernel
    def _update(
        self, param: Array, grad: Array, state: State, group: Group, numbers: Numbers
    ) -> None:
        lr = group["lr"] / (1 + (numbers["step"] - 1) * group["lr_decay"])
        kernels.adagrad(
            param, grad, state["sum"], lr, group["eps"], group["weight_decay"], group["maximize"]
        )


class Adadelta(Optimizer):
    """Adagrad with running means and without a rate to tune (torch.optim.Adadelta; Zeiler 2012).

    v = rho * v + (1 - rho) * g^2; d = sqrt(u + eps) / sqrt(v + eps) * g;
    u = rho * u + (1 - rho) * d^2; param -= lr * d.
    """

    def __init__(
        self,
        params: Params,
        lr: float = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0,
        *,
        maximize: bool = False,
        **implementation: Unpack[Implementation],
    ):
        inf = float("inf")
        check_options(
            "Adadelta", lr=(lr, 0, inf), eps=(eps, 0, inf), weight_decay=(weight_decay, 0, inf)
        )
        if not 0 <= as_number("Adadelta: rho", rho) <= 1:
            raise ValueError(f"Adadelta: expected 0 <= rho <= 1, got {rho}")
        defaults = {
            "lr": lr, "rho": rho, "eps": eps, "weight_decay": weight_decay, "maximize": maximize,
        }  # fmt: skip
        super().__init__(params, defaults, implementation)

    def _slots(self, group: Group) -> tuple[str, ...]:
        return ("square_avg", "acc_delta")

    @one_kernel
    def _update(
        self, param: Array, grad: Array, state: State, group: Group, numbers: Numbers
    ) -> None:
        kernels.adadelta(
            param, grad, state["square_avg"], state["acc_delta"], group["lr"], group["rho"],
            group["eps"], group["weight_decay"], group["maximize"],
        )  # fmt: skip
