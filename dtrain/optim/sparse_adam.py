"""`SparseAdam`: Adam for embeddings, where a step reads few rows of the table."""

from __future__ import annotations

import math

import numpy as np

from dtrain.backend import Array, array_module
from dtrain.optim.complex_parts import require_real
from dtrain.optim.optimizer import Optimizer
from dtrain.optim.options import check_adam_options
from dtrain.optim.types import Group, Numbers, Params, State


class SparseAdam(Optimizer):
    """Adam that updates only the rows that have a gradient (torch.optim.SparseAdam).

    A row is param[i]; a row without a gradient keeps its means as well. Gradients are dense here,
    also those of ``nn.Embedding(sparse=True)``: a row whose gradient is all zeros counts as a row
    without a gradient. Under DataParallel a row is updated if it has a
    gradient on any rank.

    >>> import dtrain
    >>> x = dtrain.ones(2, 2, requires_grad=True)
    >>> x.grad = dtrain.tensor([[0.0, 0.0], [3.0, 5.0]])
    >>> SparseAdam([x], lr=0.5).step()
    >>> x
    tensor([[1.0000, 1.0000],
            [0.5000, 0.5000]], requires_grad=True)
    """

    _by_parameter = True

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        maximize: bool = False,
    ):
        betas = check_adam_options("SparseAdam", lr, betas, eps)
        defaults = {"lr": lr, "betas": betas, "eps": eps, "maximize": maximize}
        super().__init__(params, defaults)

    def _read_options(self, group: Group) -> None:
        require_real("SparseAdam", group["params"])
        super()._read_options(group)

    def _slots(self, group: Group) -> tuple[str, ...]:
        return ("exp_avg", "exp_avg_sq")

    def _update(
        self, param: Array, grad: Array, state: State, group: Group, numbers: Numbers
    ) -> None:
        if not param.size:
            return
        xp, (beta1, beta2), step = array_module(param), group["betas"], numbers["step"]
        shape = (param.shape[0] if param.ndim else 1, -1)
        x, g, mean, square = (
            array.reshape(shape) for array in (param, grad, state["exp_avg"], state["exp_avg_sq"])
        )
        has_grad = (g != 0).any(1)
        on_host = isinstance(param, np.ndarray)
        # A device would have to tell the host how many rows there are: it computes all of them.
        rows = xp.flatnonzero(has_grad) if on_host else slice(None)
        g = -g[rows] if group["maximize"] else g[rows]

        def keep(change: Array) -> Array:
            return change if on_host else xp.where(has_grad[:, None], change, 0)

        mean[rows] += keep((1 - beta1) * (g - mean[rows]))
        square[rows] += keep((1 - beta2) * (g * g - square[rows]))
        size = group["lr"] * math.sqrt(1 - beta2**step) / (1 - beta1**step)
        x[rows] -= keep(size * mean[rows] / (xp.sqrt(square[rows]) + group["eps"]))
