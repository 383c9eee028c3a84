"""ASGD: gradient descent with an average of the parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dtrain.backend import Array, kernels
from dtrain.optim.graph_step import one_kernel
from dtrain.optim.optimizer import Optimizer, Run
from dtrain.optim.options import as_number, check_options
from dtrain.optim.types import Group, Implementation, Numbers, Params, State

if TYPE_CHECKING:
    from typing_extensions import Unpack


class ASGD(Optimizer):
    """Averaged gradient descent (torch.optim.ASGD; Polyak and Juditsky 1992).

    eta = lr / (1 + lambd * lr * t)^alpha; param = (1 - lambd * eta) * param - eta * g;
    ax += mu * (param - ax) with mu = 1 / max(1, t - t0): `ax` in the state is the average.

    Parameters
    ----------
    lambd : decay of the parameters, also in the decay of the rate
    alpha : exponent of the decay of the rate
    t0 : the step after which the average begins
    """

    def __init__(
        self,
        params: Params,
        lr: float = 1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0,
        *,
        maximize: bool = False,
        **implementation: Unpack[Implementation],
    ):
        inf = float("inf")
        check_options("ASGD", lr=(lr, 0, inf), weight_decay=(weight_decay, 0, inf))
        for option, value in (("lambd", lambd), ("alpha", alpha), ("t0", t0)):
            as_number(f"ASGD: {option}", value)
        defaults = {
            "lr": lr, "lambd": lambd, "alpha": alpha, "t0": t0, "weight_decay": weight_decay,
            "maximize": maximize,
        }  # fmt: skip
        super().__init__(params, defaults, implementation)

    def _slots(self, group: Group) -> tuple[str, ...]:
        return ("ax",)

    def _advance(self, numbers: Numbers, group: Group) -> None:
        super()._advance(numbers, group)
        numbers.setdefault("eta", _rounded(group["lr"]))
        numbers.setdefault("mu", 1.0)

    def _update_run(self, run: Run, group: Group) -> None:
        super()._update_run(run, group)
        lr, lambd, step = group["lr"], group["lambd"], run.numbers["step"]
        following = {
            "eta": _rounded(lr / (1 + lambd * lr * step) ** group["alpha"]),
            "mu": _rounded(1 / max(1, step - group["t0"])),
        }
        for param in run.params:
            self._numbers[id(param)].update(following)

    @one_kernel
    def _update(
        self, param: Array, grad: Array, state: State, group: Group, numbers: Numbers
    ) -> None:
        eta = numbers["eta"]
        kernels.asgd(
            param, grad, state["ax"], eta, 1 - group["lambd"] * eta, numbers["mu"],
            group["weight_decay"], group["maximize"],
        )  # fmt: skip


def _rounded(number: float) -> float:
    """Rounded to float32, the precision in which PyTorch keeps it in the state."""
    return float(np.float32(number))
