"""Rprop: steps by the sign of the gradient alone."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from dtrain.backend import Array, kernels
from dtrain.optim.optimizer import Optimizer, check_options


class Rprop(Optimizer):
    """Each element's step grows while its gradient keeps its sign, and shrinks when it turns
    (Riedmiller and Braun 1993) (torch.optim.Rprop).

    For gradients of the whole data set: the noise of small batches turns signs at random.

    Parameters
    ----------
    lr : the first step of every element
    etas : factors of a step whose gradient turned, below 1, and of one whose did not, above 1
    step_sizes : the least and the largest step

    >>> import dtrain
    >>> x = dtrain.tensor([1.0], requires_grad=True)
    >>> x.grad = dtrain.tensor([300.0])
    >>> Rprop([x], lr=0.25).step()
    >>> x
    tensor([0.7500], requires_grad=True)
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50),
        *,
        maximize: bool = False,
        **implementation: Any,
    ):
        check_options("Rprop", lr=(lr, 0, float("inf")))
        if not 0 < etas[0] < 1 < etas[1]:
            raise ValueError(f"Rprop: expected etas with 0 < etas[0] < 1 < etas[1], got {etas}")
        defaults = {
            "lr": lr, "etas": tuple(etas), "step_sizes": tuple(step_sizes), "maximize": maximize,
        }  # fmt: skip
        super().__init__(params, defaults, implementation)

    def _slots(self, group: dict[str, Any]) -> tuple[str, ...]:
        return ("prev", "step_size")

    def _fill(self, name: str, group: dict[str, Any]) -> float:
        return group["lr"] if name == "step_size" else 0

    def _update(
        self,
        param: Array,
        grad: Array,
        state: dict[str, Array],
        group: dict[str, Any],
        numbers: dict[str, float],
    ) -> None:
        kernels.rprop(
            param, grad, state["prev"], state["step_size"], group["etas"], group["step_sizes"],
            group["maximize"],
        )  # fmt: skip
