"""ASGD: gradient descent that also averages where it has been."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from dtrain.backend import Array, kernels
from dtrain.optim.optimizer import Optimizer, Run, check_options


class ASGD(Optimizer):
    """Gradient descent, and in the state's `ax` the average of the parameters from step t0 on
    (Polyak and Juditsky 1992) (torch.optim.ASGD).

    Parameters
    ----------
    lambd : decay of the parameters, and of the rate with it
    alpha : the power of the rate's decay: lr / (1 + lambd * lr * step)^alpha
    t0 : the step after which the average begins
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0,
        *,
        maximize: bool = False,
        **implementation: Any,
    ):
        inf = float("inf")
        check_options("ASGD", lr=(lr, 0, inf), weight_decay=(weight_decay, 0, inf))
        defaults = {
            "lr": lr, "lambd": lambd, "alpha": alpha, "t0": t0, "weight_decay": weight_decay,
            "maximize": maximize,
        }  # fmt: skip
        super().__init__(params, defaults, implementation)

    def _slots(self, group: dict[str, Any]) -> tuple[str, ...]:
        return ("ax",)

    def _advance(self, numbers: dict[str, float], group: dict[str, Any]) -> None:
        super()._advance(numbers, group)
        numbers.setdefault("eta", _rounded(group["lr"]))
        numbers.setdefault("mu", 1.0)

    def _update_run(self, run: Run, group: dict[str, Any]) -> None:
        super()._update_run(run, group)
        lr, lambd, step = group["lr"], group["lambd"], run.numbers["step"]
        following = {
            "eta": _rounded(lr / (1 + lambd * lr * step) ** group["alpha"]),
            "mu": _rounded(1 / max(1, step - group["t0"])),
        }
        for param in run.params:
            self._numbers[id(param)].update(following)

    def _update(
        self,
        param: Array,
        grad: Array,
        state: dict[str, Array],
        group: dict[str, Any],
        numbers: dict[str, float],
    ) -> None:
        eta = numbers["eta"]
        kernels.asgd(
            param, grad, state["ax"], eta, 1 - group["lambd"] * eta, numbers["mu"],
            group["weight_decay"], group["maximize"],
        )  # fmt: skip


def _rounded(number: float) -> float:
    """In float32, as PyTorch keeps it in the state."""
    return float(np.float32(number))
