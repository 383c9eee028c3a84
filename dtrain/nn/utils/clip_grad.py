"""What is done to the gradients of many parameters at once (torch.nn.utils)."""

from __future__ import annotations

import math
from collections.abc import Iterable

from dtrain.autograd import Tensor, no_grad
from dtrain.ops.creation import tensor
from dtrain.ops.operators.joining import stack
from dtrain.ops.operators.reductions import norm


def _gradients(parameters: Tensor | Iterable[Tensor]) -> list[Tensor]:
    params = [parameters] if isinstance(parameters, Tensor) else parameters
    return [param.grad for param in params if param.grad is not None]


@no_grad
def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
) -> Tensor:
    """Scale all gradients so that the norm of them all is at most `max_norm`; returns the norm
    that they had (torch.nn.utils.clip_grad_norm_).

    Raises
    ------
    RuntimeError
        If `error_if_nonfinite` and the norm is NaN or infinite; nothing was scaled then.

    >>> import dtrain
    >>> w = dtrain.zeros(2, requires_grad=True)
    >>> w.grad = dtrain.tensor([3.0, 4.0])
    >>> clip_grad_norm_([w], 1.0)
    tensor(5.)
    >>> w.grad
    tensor([0.6000, 0.8000])
    """
    grads = _gradients(parameters)
    if not grads:
        return tensor(0.0)
    total = norm(stack([norm(grad, norm_type) for grad in grads]), norm_type)
    if error_if_nonfinite and not math.isfinite(total.item()):
        raise RuntimeError(
            f"clip_grad_norm_: the norm of order {norm_type} of the gradients is {total.item()}: "
            "it cannot be clipped; give error_if_nonfinite=False to scale all the same"
        )
    scale = (max_norm / (total + 1e-6)).clamp(max=1.0)
    for grad in grads:
        grad.mul_(scale.to(grad.dtype))
    return total


@no_grad
def clip_grad_value_(parameters: Tensor | Iterable[Tensor], clip_value: float) -> None:
    """Limit each element of the gradients to [-clip_value, clip_value]
    (torch.nn.utils.clip_grad_value_)."""
    for grad in _gradients(parameters):
        grad.clamp_(-clip_value, clip_value)
