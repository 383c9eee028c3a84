"""The form of a call's arguments, by which graphs are chosen, and how messages show it."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from dtrain.autograd import autocast_mode, grad_mode
from dtrain.autograd.tensor import Tensor
from dtrain.backend.dtypes import get_default_dtype
from dtrain.jit.plain_values import as_key, attributes_of, is_users_object
from dtrain.nn.module import Module


def flatten(value: Any, leaves: list[Any], modules: list[Any], seen: dict[int, int]) -> Any:
    """The form of arguments, a key of graphs; appends tensors and floats to `leaves`, modules
    to `modules`."""
    if isinstance(value, Tensor) and not value.is_sparse:
        if id(value) in seen:
            return "same", seen[id(value)]
        seen[id(value)] = len(leaves)
        leaves.append(value)
        array = value.array
        layout = None if type(array) is np.ndarray and array.flags.c_contiguous else array.strides
        return "tensor", array.shape, array.dtype, layout, value.requires_grad, type(array)
    kind = type(value)
    if kind is float:
        leaves.append(value)
        return "float"
    if isinstance(value, (list, tuple)):
        items = [flatten(item, leaves, modules, seen) for item in value]
        return (kind, *items) if kind in (list, tuple) else (kind, *items, _attributes(value))
    if isinstance(value, dict):
        items = [(key, flatten(item, leaves, modules, seen)) for key, item in value.items()]
        return kind, *items
    if isinstance(value, Module):
        modules.append(Identity(value))
        return modules[-1]
    if is_users_object(value):
        read = attributes_of("", value)
        return Identity(value), *((name, as_key(get(), Identity)) for name, get in read)
    return Identity(value) if _is_mutable(value) else (kind, value)


def _attributes(value: Any) -> tuple[Any, ...]:
    """The attributes of an instance of a subclass of list or tuple: constants of graphs."""
    return tuple(
        (name, Identity(item) if _is_mutable(item) else (type(item), item))
        for name, item in getattr(value, "__dict__", {}).items()
    )


def _is_mutable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return True
    return isinstance(value, Tensor)


class Identity:
    """An object in a key: equal to itself alone."""

    def __init__(self, value: Any):
        self._value = value

    def __hash__(self) -> int:
        return id(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Identity) and other._value is self._value

    def __repr__(self) -> str:
        return type(self._value).__name__


def global_modes() -> tuple[Any, ...]:
    """What else chooses among graphs: the grad modes, the default dtype, and autocast."""
    mode, autocast = grad_mode._mode, autocast_mode.get_mode()
    settings = autocast._replace(cache_enabled=True) if autocast.devices else None
    return mode.enabled, mode.inference, get_default_dtype(), settings


def describe_difference(known: Any, new: Any) -> str:
    """Which guard failed, for a message."""
    names = ("arguments", "training mode", "grad mode", "inference mode", "default dtype",
             "autocast")  # fmt: skip
    for name, before, now in zip(names, known, new):
        if before != now:
            return f"{name} were {_describe(before)} last, and are {_describe(now)} now"
    return "nothing differs"


def _describe(form: Any) -> str:
    if isinstance(form, tuple) and form and form[0] == "tensor":
        return f"{form[2]}{list(form[1])}" + (" requiring grad" if form[4] else "")
    if isinstance(form, tuple) and form and isinstance(form[0], type):
        if len(form) == 2 and not isinstance(form[1], tuple):
            return repr(form[1])
        return f"({', '.join(_describe(item) for item in form[1:])})"
    return repr(form)


def inputs_in(value: Any) -> Iterator[Any]:
    """The items of arguments that are no containers, in order."""
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from inputs_in(item)
    elif isinstance(value, dict):
        yield from inputs_in(list(value.values()))
    else:
        yield value


def is_graph_input(value: Any) -> bool:
    """Whether an argument is an input of graphs, not a constant in them."""
    return isinstance(value, Tensor) or type(value) is float


def describe_inputs(args: Any, kwargs: Any) -> list[str]:
    """The shapes and dtypes of arguments, "float" for a float, other values as they print.

    A tensor that is given twice is one input of the graph; its second description ends in "again".
    """
    described: list[str] = []
    seen: set[int] = set()
    for value in inputs_in((args, kwargs)):
        if isinstance(value, Tensor):
            again = " again" if id(value) in seen else ""
            described.append(f"{value.dtype}{list(value.shape)}{again}")
            seen.add(id(value))
        else:
            described.append("float" if is_graph_input(value) else repr(value))
    return described


def graph_inputs(args: Any, kwargs: Any) -> list[Any]:
    """The arguments that are inputs of graphs, in order; a tensor that is given twice, twice."""
    return [value for value in inputs_in((args, kwargs)) if is_graph_input(value)]


def find_repeats(inputs: list[Any]) -> list[int]:
    """For each input its index, or that of the same tensor before it."""
    first: dict[int, int] = {}
    return [
        first.setdefault(id(value), index) if isinstance(value, Tensor) else index
        for index, value in enumerate(inputs)
    ]


def argument_names(function: Callable[..., Any], args: Any, kwargs: Any) -> Iterator[str]:
    """A name for each input of graphs among the arguments: its parameter's, numbered if many."""
    try:
        bound = inspect.signature(function).bind(*args, **kwargs)
    except (TypeError, ValueError):
        return (f"x{i}" for i in itertools.count())
    names: list[str] = []

    def visit(name: str, value: Any) -> None:
        if is_graph_input(value):
            names.append(name)
        elif isinstance(value, (list, tuple)):
            for index, item in enumerate(value):
                visit(f"{name}_{index}", item)
        elif isinstance(value, dict):
            for key, item in value.items():
                visit(f"{name}_{key}" if name else str(key), item)

    positional = list(bound.signature.parameters)
    for index, value in enumerate(args):
        visit(positional[index] if index < len(positional) else f"x{index}", value)
    visit("", kwargs)
    return itertools.chain(names, (f"x{i}" for i in itertools.count(len(names))))
