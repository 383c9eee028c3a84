"""Rprop: steps by the sign of the gradient alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dtrain.backend import Array, kernels
from dtrain.optim.graph_step import one_kernel
from dtrain.optim.optimizer import Optimizer
from dtrain.optim.options import as_numbers, check_options
from dtrain.optim.types import Group, Implementation, Numbers, Params, State

if TYPE_CHECKING:
    from typing_extensions import Unpack


class Rprop(Optimizer):
    """A step size per element, from the signs of its gradients (torch.optim.Rprop).

    size *= etas[1] where the gradient kept its sign; size *= etas[0], and no step, where the sign
    changed; param -= sign(grad) * size. For gradients of the whole data set: the noise of small
    batches changes signs at random. Riedmiller and Braun 1993.

    Parameters
    ----------
    lr : the initial step size of every element
    etas : factors of the step size (below 1 after a change of sign, above 1 otherwise)
    step_sizes : the smallest and the largest step size

    >>> import dtrain
    >>> x = dtrain.tensor([1.0], requires_grad=True)
    >>> x.grad = dtrain.tensor([300.0])
    >>> Rprop([x], lr=0.25).step()
    >>> x
    tensor([0.7500], requires_grad=True)
    """

    def __init__(
        self,
        params: Params,
        lr: float = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50),
        *,
        maximize: bool = False,
        **implementation: Unpack[Implementation],
    ):
        check_options("Rprop", lr=(lr, 0, float("inf")))
        etas = as_numbers("Rprop: etas", etas, 2)
        step_sizes = as_numbers("Rprop: step_sizes", step_sizes, 2)
        if not 0 < etas[0] < 1 < etas[1]:
            raise ValueError(f"Rprop: expected etas with 0 < etas[0] < 1 < etas[1], got {etas}")
        defaults = {
            "lr": lr, "etas": etas, "step_sizes": step_sizes, "maximize": maximize,
        }  # fmt: skip
        super().__init__(params, defaults, implementation)

    def _slots(self, group: Group) -> tuple[str, ...]:
        return ("prev", "step_size")

    def _fill(self, name: str, group: Group) -> float:
        return group["lr"] if name == "step_size" else 0

    @one_kernel
    def _update(
        self, param: Array, grad: Array, state: State, group: Group, numbers: Numbers
    ) -> None:
        kernels.rprop(
            param, grad, state["prev"], state["step_size"], group["etas"], group["step_sizes"],
            group["maximize"],
        )  # fmt: skip
