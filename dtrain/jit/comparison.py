"""Whether two calls are the same: their arguments, or their results."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from dtrain.autograd.primitive import is_inexact_array
from dtrain.autograd.tensor import Tensor


def same_results(first: Any, second: Any) -> bool:
    """Whether two results have the same structure and equal values; NaN by its bits."""
    return same_structure(first, second, _same_result)


def same_structure(first: Any, second: Any, same: Callable[[Any, Any], bool]) -> bool:
    """Whether two values are the same containers of items of which `same` holds."""

    def same_inside(first: Any, second: Any) -> bool:
        return same_structure(first, second, same)

    if type(first) is type(second):
        if isinstance(first, (list, tuple)):
            return len(first) == len(second) and all(map(same_inside, first, second))
        if isinstance(first, dict):
            keys = first.keys()
            return keys == second.keys() and all(same_inside(first[k], second[k]) for k in keys)
        if isinstance(first, slice):
            ends = (second.start, second.stop, second.step)
            return same_inside((first.start, first.stop, first.step), ends)
    return same(first, second)


def same_items(first: Any, second: Any) -> bool:
    """Whether two values that are no containers are equal, arrays by elements; NaN is itself."""
    if first is second:
        return True
    if type(first) is not type(second):
        return False
    if isinstance(first, (np.ndarray, np.generic)):
        nan_too = is_inexact_array(first)
        return first.dtype == second.dtype and np.array_equal(first, second, equal_nan=nan_too)
    if callable(first) and hasattr(first, "__code__"):
        return first.__code__ is second.__code__
    return bool(first == second) or (first != first and second != second)


def _same_result(first: Any, second: Any) -> bool:
    if not (isinstance(first, Tensor) and isinstance(second, Tensor)):
        return same_items(first, second)
    a, b = first.array, second.array
    if a.shape != b.shape or a.dtype != b.dtype or first.requires_grad != second.requires_grad:
        return False
    return a is b or bool((a == b).all()) or a.tobytes() == b.tobytes()


def without_history(result: Any) -> Any:
    """A Tensor that holds nothing but its own values, and requires grad as before."""
    if not isinstance(result, Tensor):
        return result
    alone = result.detach()
    return alone.requires_grad_() if result.requires_grad else alone
