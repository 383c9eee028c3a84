"""Values that a graph has as constants: how they are copied, and compared with later ones."""

from __future__ import annotations

import argparse
import dis
import functools
import sys
import sysconfig
from collections.abc import Callable, Iterable, Iterator
from types import CodeType, FunctionType, ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from dtrain.autograd.tensor import Tensor
from dtrain.jit.places import is_library_file
from dtrain.nn.module import Module

_SCALARS = (bool, int, float, complex, str, bytes, type(None), np.dtype)
#: Larger containers, and what is nested deeper, are compared by identity.
_LENGTH, _DEPTH = 100, 5
_ELEMENTS = 1 << 18
_PYTHON = tuple(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib"))


def is_large_array(value: Any) -> bool:
    """Whether a value is an array of NumPy with too many elements to compare them at each call."""
    return isinstance(value, np.ndarray) and value.size > _ELEMENTS


def copy_containers(value: Any, depth: int = 0) -> Any:
    """A copy of an array, or of nested lists, tuples and dicts and the arrays in them."""
    if isinstance(value, np.ndarray):
        return value if is_large_array(value) else value.copy()
    if not isinstance(value, (list, tuple, dict)) or len(value) >= _LENGTH or depth == _DEPTH:
        return value
    if isinstance(value, dict):
        return {key: copy_containers(item, depth + 1) for key, item in value.items()}
    items = [copy_containers(item, depth + 1) for item in value]
    return tuple(items) if isinstance(value, tuple) else items


def is_unchanged(before: Any, now: Any) -> bool:
    """Whether a copy from `copy_containers` and a later one hold the same objects, or numbers,
    strings and arrays of equal type and value."""
    if before is now:
        return True
    if type(before) is not type(now):
        return False
    if isinstance(before, dict):
        same_keys = list(before) == list(now)
        return same_keys and all(map(is_unchanged, before.values(), now.values()))
    if isinstance(before, (list, tuple)):
        return len(before) == len(now) and all(map(is_unchanged, before, now))
    if isinstance(before, np.ndarray) and not is_large_array(before):
        same_form = before.shape == now.shape and before.dtype == now.dtype
        return same_form and before.tobytes() == now.tobytes()
    return isinstance(before, _SCALARS) and repr(before) == repr(now)  # NaN, and 0.0 is not -0.0


def is_compared(value: Any) -> bool:
    """Whether later values are compared with this one."""
    kinds = *_SCALARS, list, tuple, dict, np.ndarray, Tensor, Module, FunctionType
    return isinstance(value, kinds)


def as_key(value: Any, other: Callable[[Any], Any]) -> Any:
    """A value as a key, equal to that of another of which `is_unchanged` holds; `other` makes those
    of objects."""
    if isinstance(value, (list, tuple)):
        return type(value), *(as_key(item, other) for item in value)
    if isinstance(value, dict):
        return dict, *((key, as_key(item, other)) for key, item in value.items())
    return (type(value), repr(value)) if isinstance(value, _SCALARS) else other(value)


def attributes_of(
    name: str, value: Any, seen: set[int] | None = None
) -> Iterator[tuple[str, Callable[[], Any]]]:  # fmt: skip
    """(name, reader) of what an object of a class of the user's has as attributes, and which.

    Attributes that are such objects have theirs.
    """
    seen = set() if seen is None else seen
    if not is_users_object(value) or id(value) in seen or len(value.__dict__) >= _LENGTH:
        return
    seen.add(id(value))
    yield f"the attributes of {name}", functools.partial(_tuple, value.__dict__)
    for key, item in list(value.__dict__.items()):
        if is_compared(item) or is_users_object(item):
            yield f"{name}.{key}", functools.partial(value.__dict__.get, key)
        yield from attributes_of(f"{name}.{key}", item, seen)


def _tuple(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(names)


def is_users_object(value: Any) -> bool:
    """Whether a value is of a class of the user's, with attributes that graphs may depend on."""
    if isinstance(value, (Tensor, Module, type, ModuleType, FunctionType)):
        return False
    if isinstance(value, (SimpleNamespace, argparse.Namespace)):
        return True
    return hasattr(value, "__dict__") and is_users(type(value).__module__)


def is_users(module_name: str) -> bool:
    """Whether a Python module is neither dtrain's, nor Python's own, nor an installed package's."""
    file = getattr(sys.modules.get(module_name), "__file__", None)
    if file is None:
        return module_name == "__main__"
    return not is_library_file(file) and not file.startswith(_PYTHON)


@functools.cache
def read_names(code: CodeType, *operations: str) -> frozenset[str]:
    """The names that instructions of a function's code, and of functions inside, have."""
    names = {
        instruction.argval
        for instruction in dis.get_instructions(code)
        if instruction.opname in operations
    }
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            names |= read_names(constant, *operations)
    return frozenset(names)
