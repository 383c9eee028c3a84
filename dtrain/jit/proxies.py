"""`Proxy`: stands for an array or a number while a graph is recorded, so that no use is missed.

An `ArrayProxy` (`array_proxies.py`) passes for an array: calls of NumPy functions, operators and
methods with it are recorded. A `NumberProxy` (`number_proxies.py`) passes for a float. Where Python
reads the value itself, the tracer adds a guard, or refuses the recording.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from dtrain.autograd.tensor import Tensor
from dtrain.backend.tracing import current_tracer
from dtrain.jit.graph import Ref, rebuild

if TYPE_CHECKING:
    from dtrain.jit.rule_tracer import RuleTracer
    from dtrain.jit.tracer import GraphTracer

#: Functions that look at shapes, dtypes or memory, not at values.
_ABOUT_MEMORY = {"may_share_memory", "shares_memory", "ndim", "shape", "size", "result_type",
                 "can_cast", "iscomplexobj", "isrealobj"}  # fmt: skip
_MAKING_FUNCTIONS = {"zeros", "ones", "full", "empty", "arange"}


class StandIn(Tensor):
    """An argument while it is recorded: another Tensor, as threads may share the user's own."""

    original: Tensor

    def _graph_edge(self) -> Any:
        return self.original._graph_edge()


class Proxy:
    """Stands for a value while it is recorded.

    real : the array or number itself
    ref : the value of the graph that it is
    """

    __slots__ = ("real", "ref", "tracer")

    def __init__(self, real: Any, ref: Ref, tracer: GraphTracer | RuleTracer):
        self.real: Any = real
        self.ref: Ref = ref
        self.tracer: GraphTracer | RuleTracer = tracer

    def _is_recorded(self) -> bool:
        return current_tracer() is self.tracer

    def _call(self, function: Callable[..., Any], *args: Any, name: str, **kwargs: Any) -> Any:
        if self._is_recorded():
            return self.tracer.call(function, args, kwargs, name)
        return function(*real(args), **real(kwargs))

    def _guard(self, convert: Callable[..., Any], *args: Any) -> Any:
        value = convert(self.real, *args)
        return self.tracer.guard(self, value, convert, args) if self._is_recorded() else value

    def __array_ufunc__(self, ufunc: Any, method: str, *args: Any, **kwargs: Any) -> Any:
        function = ufunc if method == "__call__" else getattr(ufunc, method)
        name = f"numpy.{ufunc.__name__}" + ("" if method == "__call__" else f".{method}")
        return self._call(function, *args, name=name, **kwargs)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if function.__name__ in _ABOUT_MEMORY:
            return function(*real(args), **real(kwargs))
        name = f"{function.__module__}.{function.__name__}"
        return self._call(function, *args, name=name, **kwargs)


class RecordingModule:
    """NumPy or CuPy; a function that is called with a Proxy is recorded as a call."""

    def __init__(self, module: Any):
        self.module = module

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.module, name)
        if isinstance(found, ModuleType):
            return RecordingModule(found)
        if isinstance(found, (type, np.ufunc)) or not callable(found):
            return found

        def called(*args: Any, **kwargs: Any) -> Any:
            tracer = current_tracer()
            makes = tracer is not None and tracer.traces_rules and name in _MAKING_FUNCTIONS
            known = name in _ABOUT_MEMORY or not (makes or has_proxy((args, kwargs)))
            if tracer is None or known:
                return found(*real(args), **real(kwargs))
            return tracer.call(found, args, kwargs, f"{self.module.__name__}.{name}")

        return called


def has_proxy(value: Any) -> bool:
    """Whether a value, or an item of a list, tuple or dict, is a Proxy."""
    if isinstance(value, (list, tuple)):
        return any(map(has_proxy, value))
    if isinstance(value, dict):
        return has_proxy(list(value.values()))
    return isinstance(value, Proxy)


def real(value: Any) -> Any:
    """Real arrays and numbers in place of those that stand for them."""
    return rebuild(value, _real_item)


def _real_item(value: Any) -> Any:
    if isinstance(value, Proxy):
        return value.real
    if type(value) is RecordingModule:
        return value.module
    return value.original if type(value) is StandIn else value
