"""Stochastic gradient descent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dtrain.backend import Array, kernels
from dtrain.optim.graph_step import one_kernel
from dtrain.optim.optimizer import Optimizer
from dtrain.optim.options import as_number, check_options
from dtrain.optim.types import Group, Implementation, Numbers, Params, State

if TYPE_CHECKING:
    from typing_extensions import Unpack


class SGD(Optimizer):
    """Gradient descent with momentum (torch.optim.SGD).

    g = grad + weight_decay * param; buf = momentum * buf + (1 - dampening) * g (the first step:
    buf = g); param -= lr * buf, or with `nesterov` lr * (g + momentum * buf).

    >>> import dtrain
    >>> w = dtrain.tensor([1.0], requires_grad=True)
    >>> (w * w).sum().backward()
    >>> SGD([w], lr=0.25).step()
    >>> w
    tensor([0.5000], requires_grad=True)
    """

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        **implementation: Unpack[Implementation],
    ):
        inf = float("inf")
        check_options(
            "SGD", lr=(lr, 0, inf), momentum=(momentum, 0, inf), weight_decay=(weight_decay, 0, inf)
        )
        dampening = as_number("SGD: dampening", dampening)
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("SGD: nesterov needs a momentum and no dampening")
        super().__init__(
            params,
            {
                "lr": lr,
                "momentum": momentum,
                "dampening": dampening,
                "weight_decay": weight_decay,
                "nesterov": nesterov,
                "maximize": maximize,
            },
            implementation,
        )

    def _slots(self, group: Group) -> tuple[str, ...]:
        return ("momentum_buffer",) if group["momentum"] else ()

    @one_kernel
    def _update(
        self, param: Array, grad: Array, state: State, group: Group, numbers: Numbers
    ) -> None:
        kernels.sgd(
            param, grad, state.get("momentum_buffer"), group["lr"], group["momentum"],
            group["dampening"], group["weight_decay"], group["nesterov"], group["maximize"],
            numbers["step"] == 1,
        )  # fmt: skip
