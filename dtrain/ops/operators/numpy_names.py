"""NumPy's names of arguments, which PyTorch's functions take too: axis for dim, x for input."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

_NAMES = {
    "a": "input",
    "axis": "dim",
    "keepdims": "keepdim",
    "x": "input",
    "x1": "input",
    "x2": "other",
}


def numpy_names(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, which takes its arguments under NumPy's names, too.

    >>> import dtrain
    >>> dtrain.ones(2, 3).sum(axis=1)
    tensor([3., 3.])
    """
    own = inspect.signature(function).parameters
    names = {alias: name for alias, name in _NAMES.items() if name in own and alias not in own}
    if not names:
        return function

    @functools.wraps(function)
    def renamed(*args: Any, **kwargs: Any) -> Any:
        if kwargs:
            kwargs = {names.get(name, name): value for name, value in kwargs.items()}
        return function(*args, **kwargs)

    return renamed
