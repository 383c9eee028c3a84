"""What all losses do at the end: none, the sum or the mean of them."""

from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import Callable
from typing import Any, TypeVar

from dtrain.autograd import Tensor

F = TypeVar("F", bound=Callable[..., Any])


def reduce_losses(losses: Tensor, reduction: str, weight: Tensor | None = None) -> Tensor:
    """Return the losses, their sum, or their mean (weighted, if there is a weight)."""
    check_reduction(reduction)
    if reduction == "none":
        return losses
    if reduction == "sum":
        return losses.sum()
    return losses.mean() if weight is None else losses.sum() / weight.sum()


def check_reduction(reduction: str) -> None:
    """Raise ValueError unless `reduction` is "none", "mean" or "sum"."""
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"expected reduction 'none', 'mean' or 'sum', got {reduction!r}")


def takes_size_average(function: F) -> F:
    """Decorate a loss, or the constructor of one: `size_average` and `reduce`, PyTorch's options
    before `reduction`, are translated to it with PyTorch's warning.
    """
    signature = inspect.signature(function)
    first = list(signature.parameters).index("size_average")

    @functools.wraps(function)
    def translated(*args: Any, **kwargs: Any) -> Any:
        if len(args) <= first and "size_average" not in kwargs and "reduce" not in kwargs:
            return function(*args, **kwargs)
        given = signature.bind(*args, **kwargs).arguments
        size_average, reduce = given.pop("size_average", None), given.pop("reduce", None)
        for name, value in (("size_average", size_average), ("reduce", reduce)):
            if isinstance(value, str):
                raise TypeError(
                    f"{function.__qualname__}: expected a bool or None as {name}, got {value!r}; "
                    f"give the reduction by its name: reduction={value!r}"
                )
        if size_average is not None or reduce is not None:
            averages = size_average is None or size_average
            reduction = "none" if reduce is not None and not reduce else "sum"
            given["reduction"] = "mean" if averages and reduction == "sum" else reduction
            warnings.warn(
                "size_average and reduce args will be deprecated, please use "
                f"reduction={given['reduction']!r} instead.",
                stacklevel=2,
            )
        return function(**given)

    return translated  # type: ignore[return-value]
