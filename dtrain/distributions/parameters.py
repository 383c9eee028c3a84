"""What distributions do to their parameters: broadcasting, conversion, computing on demand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeAlias, TypeVar, overload

from dtrain.autograd.grad_mode import enable_grad
from dtrain.autograd.tensor import Tensor
from dtrain.backend.dtypes import finfo, get_default_dtype, is_floating
from dtrain.functions import creation, joining

#: A parameter as the user gives it.
Parameter: TypeAlias = Tensor | float

T = TypeVar("T")


def broadcast_all(*values: Parameter) -> tuple[Tensor, ...]:
    """The values as tensors of their common shape; numbers take the dtype and device of tensors."""
    like = next((value for value in values if isinstance(value, Tensor)), None)
    for value in values:
        if not isinstance(value, (Tensor, int, float)):
            raise ValueError(
                "a distribution's parameters: expected numbers or tensors, "
                f"got {type(value).__name__}"
            )
    dtype = like.dtype if like is not None and is_floating(like.dtype) else get_default_dtype()
    device = None if like is None else like.device
    return joining.broadcast_tensors(
        *(
            value
            if isinstance(value, Tensor)
            else creation.tensor(value, dtype=dtype, device=device)
            for value in values
        )
    )


def clamp_probs(probs: Tensor) -> Tensor:
    """Probabilities in [eps, 1 - eps], so that their logarithms are finite."""
    eps = finfo(probs.dtype).eps
    return probs.clamp(eps, 1 - eps)


def probs_to_logits(probs: Tensor, is_binary: bool = False) -> Tensor:
    """log(p / (1 - p)) of binary probabilities, else log p."""
    probs = clamp_probs(probs)
    return probs.log() - (-probs).log1p() if is_binary else probs.log()


def logits_to_probs(logits: Tensor, is_binary: bool = False) -> Tensor:
    """Probabilities of logits: the sigmoid of binary ones, else the softmax over the last dim."""
    return logits.sigmoid() if is_binary else logits.softmax(-1)


def require_one(name: str, **given: Any) -> None:
    """Refuse two forms of a parameter, or none."""
    if sum(value is not None for value in given.values()) != 1:
        raise ValueError(
            f"{name}: expected exactly one of {', '.join(given)}, "
            f"got {[key for key, value in given.items() if value is not None] or 'none of them'}"
        )


class lazy_property(Generic[T]):
    """An attribute computed, with gradients, when it is first asked for."""

    def __init__(self, compute: Callable[[Any], T]):
        self._compute = compute
        self._name = compute.__name__
        self.__doc__ = compute.__doc__

    @overload
    def __get__(self, instance: None, owner: type) -> lazy_property[T]: ...

    @overload
    def __get__(self, instance: object, owner: type) -> T: ...

    def __get__(self, instance: object | None, owner: type) -> Any:
        if instance is None:
            return self
        with enable_grad():
            value = self._compute(instance)
        vars(instance)[self._name] = value  # found before this descriptor from now on
        return value
