"""Calls on arrays in a graph: attributes, methods, and the arguments that a call writes to."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

#: Methods that change their array.
_WRITING_METHODS = {"fill", "sort", "partition", "put", "resize", "setfield", "byteswap"}

#: Functions of the array module that change their first argument.
_WRITING_FUNCTIONS = {"copyto", "put", "place", "putmask", "fill_diagonal", "put_along_axis"}


def get_attribute(array: Any, name: str) -> Any:
    return getattr(array, name)


def call_method(name: str, array: Any, *args: Any, **kwargs: Any) -> Any:
    return getattr(array, name)(*args, **kwargs)


def written_arguments(function: Callable[..., Any], args: Any, kwargs: Any, name: str) -> list[Any]:
    """The arrays to which a call of the array module writes."""
    out = kwargs.get("out")
    written = list(out) if isinstance(out, tuple) else [out]
    module, _, short = name.rpartition(".")  # a primitive has no module
    writes = module and short in (*_WRITING_FUNCTIONS, "at")
    if function is operator.setitem or writes:
        written.append(args[0])
    elif function is call_method and short in _WRITING_METHODS:
        written.append(args[1])
    return [array for array in written if array is not None]
