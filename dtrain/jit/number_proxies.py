"""`NumberProxy`: stands for a float while a graph is recorded (`proxies.py`)."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from dtrain.jit.proxies import Proxy, real


class NumberProxy(Proxy):
    """A float of which every use is recorded: arithmetic as calls, comparisons as decisions."""

    __slots__ = ()

    # isinstance() asks for it
    __class__: Any = property(lambda self: float)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return np.asarray(float(self), dtype)

    def __float__(self) -> float:
        return self._guard(float)

    def __int__(self) -> int:
        return self._guard(int)

    def __bool__(self) -> bool:
        return self._guard(bool)

    def __hash__(self) -> int:
        return hash(float(self))

    def __repr__(self) -> str:
        return repr(float(self))

    def __str__(self) -> str:
        return str(float(self))

    def __format__(self, spec: str) -> str:
        return format(float(self), spec)

    def __round__(self, digits: Any = None) -> Any:
        return self._guard(round) if digits is None else self._guard(round, digits)

    def __trunc__(self) -> int:
        return self._guard(math.trunc)

    def __floor__(self) -> int:
        return self._guard(math.floor)

    def __ceil__(self) -> int:
        return self._guard(math.ceil)

    def is_integer(self) -> bool:
        """float.is_integer."""
        return self._guard(float.is_integer)


def _arithmetic(function: Callable[..., Any], reflected: bool) -> Callable[..., Any]:
    def method(self: Any, *other: Any) -> Any:
        if other and not isinstance(other[0], (int, float)):
            return NotImplemented
        args = (*other, self) if reflected else (self, *other)
        if not self._is_recorded():
            return function(*real(args))
        return self.tracer.call(function, args, {}, f"operator.{function.__name__}")

    return method


def _comparison(function: Callable[..., Any]) -> Callable[..., Any]:
    def method(self: Any, other: Any) -> Any:
        if not isinstance(other, (int, float)):
            return NotImplemented
        result = function(*real((self, other)))
        if not self._is_recorded():
            return result
        name = f"operator.{function.__name__}"
        return self.tracer.guard(self, result, function, (other,), name)

    return method


for _name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow"):
    setattr(NumberProxy, f"__{_name}__", _arithmetic(getattr(operator, _name), False))
    setattr(NumberProxy, f"__r{_name}__", _arithmetic(getattr(operator, _name), True))
for _name in ("neg", "pos", "abs"):
    setattr(NumberProxy, f"__{_name}__", _arithmetic(getattr(operator, _name), False))
for _name in ("lt", "le", "gt", "ge", "eq", "ne"):
    setattr(NumberProxy, f"__{_name}__", _comparison(getattr(operator, _name)))
