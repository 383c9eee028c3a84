"""Values of variables that branches and loops change: what they are, and when two can be one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from dtrain.autograd.tensor import Tensor
from dtrain.jit.graph import rebuild
from dtrain.jit.number_proxies import NumberProxy
from dtrain.jit.places import find_place
from dtrain.onnx.proto import Unsupported


class Number(Tensor):
    """An int or bool of the program that depends on tensors: no operation changes it in place."""


def as_number(tensor: Any) -> Any:
    """A tensor of one element that was made for this, as a Number."""
    tensor.__class__ = Number
    return tensor


def _immutable(name: str) -> Callable[..., Any]:
    def method(self: Any, *others: Any) -> Any:
        if any(isinstance(other, (list, tuple, str)) for other in others):
            raise Unsupported(f"{find_place()}: an int that depends on a tensor meets a sequence")
        result = getattr(Tensor, f"__{name}__")(self, *others)
        plain = all(isinstance(other, (int, float, Number)) for other in others)
        return as_number(result) if plain and isinstance(result, Tensor) else result

    return method


for _name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "and", "or", "xor"):
    setattr(Number, f"__{_name}__", _immutable(_name))
    setattr(Number, f"__r{_name}__", _immutable(f"r{_name}"))
    setattr(Number, f"__i{_name}__", _immutable(_name))
for _name in ("neg", "abs", "invert", "lt", "le", "gt", "ge", "eq", "ne"):
    setattr(Number, f"__{_name}__", _immutable(_name))


class Missing:
    """Stands for a variable that has no value, or none that a file can have; any use is refused."""

    def __init__(self, reason: str):
        self.__dict__["reason"] = reason

    @property
    def reason_text(self) -> str:
        """Why there is no value."""
        return str(self.__dict__["reason"])

    def refuse(self, *_: Any) -> Any:
        """Refuse the use, with the reason."""
        raise Unsupported(self.reason_text)

    __getattr__ = __bool__ = __iter__ = __len__ = __call__ = __getitem__ = __index__ = refuse


for _name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul"):
    setattr(Missing, f"__{_name}__", Missing.refuse)
    setattr(Missing, f"__r{_name}__", Missing.refuse)


@dataclass(frozen=True)
class Kind:
    """What a value is: a tensor, or a number of Python, which has no dtype if it is a float."""

    is_number: bool
    dtype: Any
    shape: tuple[int, ...] = ()

    def __str__(self) -> str:
        if not self.is_number:
            return f"{self.dtype}{list(self.shape)}"
        return "float" if self.dtype is None else {"b": "bool"}.get(self.dtype.kind, "int")

    @property
    def level(self) -> int:
        """The order in which kinds of dtypes are converted to each other."""
        return 2 if self.dtype is None else {"b": 0, "u": 1, "i": 1, "c": 3}.get(self.dtype.kind, 2)


_NUMBERS = {bool: np.dtype(bool), int: np.dtype(np.int64), float: None}


def kind_of(value: Any) -> Kind | None:
    """The Kind of a tensor or number; None of anything else."""
    if type(value) in _NUMBERS:
        return Kind(True, _NUMBERS[type(value)])
    if type(value) is NumberProxy:
        return Kind(True, None)
    if isinstance(value, Number):
        dtype = np.dtype(value.dtype)
        return Kind(True, None if dtype.kind == "f" else dtype)
    if isinstance(value, Tensor):
        return Kind(False, np.dtype(value.dtype), tuple(map(int, value.shape)))
    return None


def common_kind(first: Kind | None, second: Kind | None, promotes: bool = False) -> Kind | None:
    """What both can be, or None; `promotes`: an int and a float are a float."""
    if first is None or second is None:
        return None
    if first == second:
        return first
    low, high = sorted((first, second), key=lambda kind: (not kind.is_number, kind.level))
    if high.is_number:
        return high if promotes else None
    fits = low.is_number and not high.shape and low.level <= high.level
    return high if fits else None


def describe(value: Any) -> str:
    """A value in a message."""
    kind = kind_of(value)
    if kind is not None:
        return str(kind)
    return "None" if value is None else type(value).__name__


def structure(value: Any) -> Any:
    """The nesting of lists, tuples and dicts in a value, without what is in them."""
    if isinstance(value, (list, tuple)):
        return (type(value), *map(structure, value))
    if isinstance(value, dict):
        return (type(value), *((key, structure(item)) for key, item in value.items()))
    if isinstance(value, slice):
        return (slice,)
    return None


def leaves_in(value: Any) -> list[Any]:
    """What is in nested lists, tuples and dicts, in order."""
    found: list[Any] = []
    rebuild(value, found.append)
    return found


def is_same(first: Any, second: Any) -> bool:
    """Whether two values are one object, or equal constants."""
    if first is second:
        return True
    if isinstance(first, Tensor) or type(first) is not type(second) or type(first) is NumberProxy:
        return False
    try:
        return bool(first == second)
    except Exception:
        return False
