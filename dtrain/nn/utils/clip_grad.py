"""Gradient clipping: by the norm of all gradients together, or by value."""

from __future__ import annotations

import math
from collections.abc import Iterable

from dtrain.autograd import Tensor, no_grad
from dtrain.backend.dtypes import float32, is_half
from dtrain.functions.creation import tensor
from dtrain.functions.joining import stack
from dtrain.functions.reductions import norm


def _all(tensors: Tensor | Iterable[Tensor]) -> list[Tensor]:
    return [tensors] if isinstance(tensors, Tensor) else list(tensors)


def _widen(x: Tensor) -> Tensor:
    return x.to(float32) if is_half(x.dtype) else x


def _gradients(parameters: Tensor | Iterable[Tensor]) -> list[Tensor]:
    return [param.grad for param in _all(parameters) if param.grad is not None]


@no_grad
def get_total_norm(
    tensors: Tensor | Iterable[Tensor],
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """The norm of all tensors as if they were one vector (torch.nn.utils.get_total_norm).

    That of float16 and bfloat16 tensors is float32: it may be larger than a half can be.

    `foreach` has no effect, here and below.

    Raises
    ------
    RuntimeError
        If `error_if_nonfinite` and the norm is NaN or infinite.

    >>> import dtrain
    >>> get_total_norm([dtrain.tensor([3.0]), dtrain.tensor([4.0])])
    tensor(5.)
    """
    norms = [norm(_widen(x), norm_type) for x in _all(tensors)]
    if not norms:
        return tensor(0.0)
    total = norm(stack(norms), norm_type)
    if error_if_nonfinite and not math.isfinite(total.item()):
        raise RuntimeError(
            f"the norm of order {norm_type} of the gradients is {total.item()}: "
            "it cannot be clipped; give error_if_nonfinite=False to scale all the same"
        )
    return total


@no_grad
def clip_grads_with_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    total_norm: Tensor,
    foreach: bool | None = None,
) -> None:
    """Scale all gradients, whose common norm is `total_norm`, to a norm of at most `max_norm`
    (torch.nn.utils.clip_grads_with_norm_)."""
    scale = (float(max_norm) / (total_norm + 1e-6)).clamp(max=1.0)
    for grad in _gradients(parameters):
        if is_half(grad.dtype):  # a small scale is 0 in float16
            grad.copy_(_widen(grad) * scale.to(grad.device, float32))
        else:
            grad.mul_(scale.to(grad.device, grad.dtype))


def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """Scale all gradients so that their common norm is at most `max_norm`; returns the norm before
    scaling (torch.nn.utils.clip_grad_norm_).

    Raises
    ------
    RuntimeError
        If `error_if_nonfinite` and the norm is NaN or infinite; the gradients are unchanged.

    >>> import dtrain
    >>> w = dtrain.zeros(2, requires_grad=True)
    >>> w.grad = dtrain.tensor([3.0, 4.0])
    >>> clip_grad_norm_([w], 1.0)
    tensor(5.)
    >>> w.grad
    tensor([0.6000, 0.8000])
    """
    params = _all(parameters)
    total = get_total_norm(_gradients(params), norm_type, error_if_nonfinite)
    clip_grads_with_norm_(params, max_norm, total)
    return total


@no_grad
def clip_grad_value_(
    parameters: Tensor | Iterable[Tensor], clip_value: float, foreach: bool | None = None
) -> None:
    """Clamp each element of the gradients to [-clip_value, clip_value]
    (torch.nn.utils.clip_grad_value_)."""
    for grad in _gradients(parameters):
        grad.clamp_(-clip_value, clip_value)


def clip_grad_norm(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """The old name of `clip_grad_norm_` (torch.nn.utils.clip_grad_norm)."""
    return clip_grad_norm_(parameters, max_norm, norm_type, error_if_nonfinite, foreach)
