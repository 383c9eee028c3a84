"""The options of optimizers and schedules: read as Python numbers, and checked by name."""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Real
from typing import Any, TypeVar, cast

from dtrain.optim.types import Implementation

#: the types that need no conversion
_PLAIN = (float, int, bool)

_Numbers = TypeVar("_Numbers", bound=tuple[float, ...])


def as_number(name: str, value: Any) -> float:
    """`value` as a Python number: a number, a NumPy scalar, or a tensor or array of one element.

    Raises
    ------
    TypeError, ValueError
        For anything else; `name` begins the message.

    >>> import dtrain
    >>> as_number("SGD: lr", dtrain.tensor(0.5))
    0.5
    """
    number = value
    if hasattr(value, "item"):
        try:
            number = value.item()
        except (RuntimeError, ValueError, TypeError):
            raise ValueError(
                f"{name}: expected a number or a tensor of one element, got shape "
                f"{tuple(value.shape)}"
            ) from None
    if type(number) in _PLAIN:
        return number
    if isinstance(number, Real):
        return float(number)
    raise TypeError(f"{name}: expected a number, got {type(value).__name__} {value!r}")


def as_numbers(name: str, values: _Numbers, count: int) -> _Numbers:
    """`count` values as Python numbers."""
    parts: tuple[Any, ...] = tuple(values) if isinstance(values, Iterable) else (values,)
    if len(parts) != count or any(isinstance(part, str) for part in parts):
        raise TypeError(f"{name}: expected {count} numbers, got {values!r}")
    return cast(_Numbers, tuple(as_number(f"{name}[{i}]", part) for i, part in enumerate(parts)))


def like_default(name: str, value: Any, default: Any) -> Any:
    """An option of a param group, converted to the kind of its default: a number, or several.

    An option whose default is a flag, None, a name or anything else is returned as it is.
    """
    if isinstance(default, bool) and hasattr(value, "item"):
        return bool(value)
    if type(default) in (float, int):
        return as_number(name, value)
    if isinstance(default, tuple) and all(type(part) in _PLAIN for part in default):
        return as_numbers(name, value, len(default))
    return value


def plain_options(options: dict[str, Any]) -> dict[str, Any]:
    """A copy in which whatever stands for a number is a Python number."""
    return {name: _plain(value) for name, value in options.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(map(_plain, value))
    if isinstance(value, Real) or hasattr(value, "item"):
        try:
            return as_number("", value)
        except (TypeError, ValueError):
            pass
    return value


def check_adam_options(
    name: str,
    lr: float,
    betas: tuple[float, float],
    eps: float,
    **options: tuple[Any, float, float],
) -> tuple[float, float]:
    """Check the options of Adam and its variants, and others; returns betas as Python numbers."""
    inf, betas = float("inf"), as_numbers(f"{name}: betas", betas, 2)
    check_options(
        name, lr=(lr, 0, inf), eps=(eps, 0, inf), beta1=(betas[0], 0, 1), beta2=(betas[1], 0, 1),
        **options,
    )  # fmt: skip
    return betas


def check_options(name: str, **options: tuple[Any, float, float]) -> None:
    """Refuse an option that is no number in [low, high); each is (value, low, high)."""
    for option, (value, low, high) in options.items():
        if not low <= as_number(f"{name}: {option}", value) < high:
            limit = f"{low} <= {option}" if high == float("inf") else f"{low} <= {option} < {high}"
            raise ValueError(f"{name}: expected {limit}, got {value}")


def wants_master_weights(optimizer: str, implementation: Implementation | None) -> bool:
    """Whether an optimizer keeps weights of halves in float32; refuses keywords of no meaning."""
    given = implementation or {}
    for name in given:
        if name not in Implementation.__annotations__:
            raise TypeError(f"{optimizer}: unexpected argument {name!r}")
    if given.get("differentiable"):
        raise NotImplementedError(f"{optimizer}: gradients of a step are not supported")
    return bool(given.get("master_weights"))
