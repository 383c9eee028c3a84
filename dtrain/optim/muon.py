"""Muon: orthogonalized momentum for the matrices of hidden layers."""

from __future__ import annotations

import math

from dtrain.backend import Array, array_module, kernels
from dtrain.optim.complex_parts import require_real
from dtrain.optim.optimizer import Optimizer
from dtrain.optim.options import as_number, as_numbers, check_options
from dtrain.optim.types import Group, Numbers, Params, State

_SCALES = {
    None: lambda rows, columns: math.sqrt(max(1, rows / columns)),
    "original": lambda rows, columns: math.sqrt(max(1, rows / columns)),
    "match_rms_adamw": lambda rows, columns: 0.2 * math.sqrt(max(rows, columns)),
}


class Muon(Optimizer):
    """Orthogonalized momentum, for the matrices of hidden layers (torch.optim.Muon; Jordan 2024).

    buf += (1 - momentum) * (grad - buf); param *= 1 - lr * weight_decay;
    param -= lr * scale * orthogonalize(buf), with `nesterov` of grad + momentum * (buf - grad).
    PyTorch iterates in bfloat16, dtrain in the parameter's own dtype.

    Parameters
    ----------
    ns_coefficients : the coefficients of the quintic Newton-Schulz iteration
    adjust_lr_fn : the scale of a step for a matrix (rows, columns): "original" is
        sqrt(max(1, rows / columns)); "match_rms_adamw", for rates tuned with AdamW, is
        0.2 * sqrt(max(rows, columns))
    """

    _by_parameter = True

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = (3.4445, -4.7750, 2.0315),
        eps: float = 1e-7,
        ns_steps: int = 5,
        adjust_lr_fn: str | None = None,
    ):
        inf = float("inf")
        check_options(
            "Muon", lr=(lr, 0, inf), momentum=(momentum, 0, inf),
            weight_decay=(weight_decay, 0, inf), ns_steps=(ns_steps, 0, 100),
        )  # fmt: skip
        as_number("Muon: eps", eps)
        ns_coefficients = as_numbers("Muon: ns_coefficients", ns_coefficients, 3)
        if adjust_lr_fn not in _SCALES:
            raise ValueError(
                "Muon: expected adjust_lr_fn None, 'original' or 'match_rms_adamw', "
                f"got {adjust_lr_fn!r}"
            )
        defaults = {
            "lr": lr, "weight_decay": weight_decay, "momentum": momentum, "nesterov": nesterov,
            "ns_coefficients": ns_coefficients, "eps": eps, "ns_steps": ns_steps,
            "adjust_lr_fn": adjust_lr_fn,
        }  # fmt: skip
        super().__init__(params, defaults)

    def add_param_group(self, group: Group) -> None:
        params = [group["params"]] if hasattr(group["params"], "ndim") else list(group["params"])
        for index, param in enumerate(params):
            matrix = param[1] if isinstance(param, tuple) else param  # (name, tensor)
            if getattr(matrix, "ndim", 2) != 2:
                raise ValueError(
                    f"Muon: parameter {index} has shape {matrix.shape}, expected a matrix; give "
                    "other shapes to AdamW"
                )
        require_real("Muon", [p[1] if isinstance(p, tuple) else p for p in params])
        super().add_param_group({**group, "params": params})

    def _slots(self, group: Group) -> tuple[str, ...]:
        return ("momentum_buffer",)

    def _update(
        self, param: Array, grad: Array, state: State, group: Group, numbers: Numbers
    ) -> None:
        buffer, momentum = state["momentum_buffer"], group["momentum"]
        buffer += (1 - momentum) * (grad - buffer)
        change = grad + momentum * (buffer - grad) if group["nesterov"] else buffer
        change = _orthogonalize(change, group["ns_coefficients"], group["ns_steps"], group["eps"])
        param *= 1 - group["lr"] * group["weight_decay"]
        param -= group["lr"] * _SCALES[group["adjust_lr_fn"]](*param.shape) * change


def _orthogonalize(
    matrix: Array, coefficients: tuple[float, float, float], steps: int, eps: float
) -> Array:
    """Bring the singular values of a matrix near 1 by a quintic Newton-Schulz iteration."""
    xp = array_module(matrix)
    a, b, c = coefficients
    x = matrix.T if matrix.shape[0] > matrix.shape[1] else matrix
    x = x / xp.maximum(xp.sqrt((x * x).sum()), xp.asarray(eps, x.dtype))
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + kernels.matmul(b * gram + c * kernels.matmul(gram, gram), x)
    return x.T if matrix.shape[0] > matrix.shape[1] else x
