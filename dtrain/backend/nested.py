"""Nested values: lists, tuples, named tuples and dicts, with tensors and other items in them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

T = TypeVar("T")


def map_nested(
    value: Any, kind: type[Any] | tuple[type[Any], ...], function: Callable[[Any], Any]
) -> Any:
    """The same containers, with `function(item)` in place of each instance of `kind`.

    >>> map_nested({"a": [1, (2.5, 3)]}, int, lambda item: -item)
    {'a': [-1, (2.5, -3)]}
    """
    if isinstance(value, kind):
        return function(value)
    if isinstance(value, (list, tuple)):
        items = [map_nested(item, kind, function) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    if isinstance(value, dict):
        made = {key: map_nested(item, kind, function) for key, item in value.items()}
        return mapping_like(value, made)
    return value


def find_nested(values: Iterable[Any], kind: type[T]) -> Iterator[T]:
    """The instances of `kind` among `values`, and in the containers and slices among them.

    >>> list(find_nested(["a", [1, {"b": (2.5, 3)}]], int))
    [1, 3]
    """
    for value in values:
        if isinstance(value, kind):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from find_nested(value, kind)
        elif isinstance(value, dict):
            yield from find_nested(value.values(), kind)
        elif isinstance(value, slice):
            yield from find_nested((value.start, value.stop, value.step), kind)


def mapping_like(mapping: Mapping[Any, Any], values: dict[Any, Any]) -> Any:
    """The values as a mapping of the same type, with what a defaultdict has beside its items."""
    if type(mapping) is dict:
        return values
    like: Any = mapping
    try:
        made = like.copy()  # a mutable mapping keeps its extras
        made.clear()
        made.update(values)
        return made
    except (AttributeError, TypeError):  # an immutable one, or one without copy()
        return values


def list_like(like: list[Any], items: list[Any]) -> Any:
    """The items as a list of the same type, with what a subclass has beside its items."""
    if type(like) is list:
        return items
    made = copy.copy(like)
    made[:] = items
    return made
