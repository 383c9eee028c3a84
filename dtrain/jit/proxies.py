"""What stands for arrays and numbers while a graph is recorded, so that no use of them is missed.

An `ArrayProxy` passes for an array: what NumPy functions, operators and methods do with it is
recorded. A `NumberProxy` passes for a float. Where a value leaves for Python, the tracer guards
it, or notes that the function cannot be recorded.
"""

from __future__ import annotations

import math
import operator
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

#: What an array tells of itself without its values.
_METADATA = {
    "shape", "dtype", "ndim", "size", "itemsize", "nbytes", "strides", "flags", "ctypes", "base",
    "data", "device", "__array_interface__", "__cuda_array_interface__",
}  # fmt: skip

#: What of that gives its values away.
_MEMORY = {"ctypes", "data", "__array_interface__", "__cuda_array_interface__"}

#: What of that may differ between two runs of a graph.
_LAYOUT = _METADATA - {"shape", "dtype", "ndim", "size", "itemsize", "nbytes", "device"}

#: Methods whose result is a view or an array, or nothing; all others are guarded by value.
_WRITING_METHODS = {"fill", "sort", "partition", "put", "resize", "setfield", "byteswap"}

#: Functions that look at memory alone, or change their first argument.
_ABOUT_MEMORY = {"may_share_memory", "shares_memory", "ndim", "shape", "size", "result_type",
                 "can_cast", "iscomplexobj", "isrealobj"}  # fmt: skip
_MAKING_FUNCTIONS = {"zeros", "ones", "full", "empty", "arange"}
_WRITING_FUNCTIONS = {"copyto", "put", "place", "putmask", "fill_diagonal", "put_along_axis"}


class StandIn(Tensor):
    """An argument while it is recorded: another Tensor, as threads may share the user's own."""

    original: Tensor

    def _graph_edge(self) -> Any:
        return self.original._graph_edge()


class _Proxy:
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


class ArrayProxy(_Proxy, np.lib.mixins.NDArrayOperatorsMixin):
    """An array of which every use is recorded."""

    __slots__ = ()

    # what isinstance() asks
    __class__: Any = property(lambda self: type(self.real))

    # Not NumPy's `power`, as the mixin has: of scalars, and of small integers, it has other bits.
    def __pow__(self, other: Any) -> Any:
        return self._call(operator.pow, self, other, name="operator.pow")

    def __rpow__(self, other: Any) -> Any:
        return self._call(operator.pow, other, self, name="operator.pow")

    @property
    def array_module(self) -> Any:
        """NumPy or CuPy, such that functions like `asarray` are recorded, too."""
        module = np if isinstance(self.real, (np.ndarray, np.generic)) else _module_of(self.real)
        return RecordingModule(module) if self._is_recorded() else module

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        if self._is_recorded():
            self.tracer.refuse("an array's values were read by code that cannot be recorded")
        return np.array(self.real, dtype) if copy else np.asarray(self.real, dtype)

    def __getattr__(self, name: str) -> Any:
        if name in _METADATA:
            attribute = getattr(self.real, name)  # AttributeError as an array's own
            if self._is_recorded():
                if name in _MEMORY:  # by NumPy, as where an array is indexed by this one
                    self.tracer.refuse(
                        "an array's values were read by code that cannot be recorded"
                    )
                elif name in _LAYOUT and self.tracer.traces_rules:
                    self.tracer.refuse(f"the `{name}` of an array is read")
            return attribute
        attribute = getattr(self.real, name)  # AttributeError as an array's own
        if name.startswith("__") and name != "__getitem__":
            raise AttributeError(name)
        if not callable(attribute):  # T, real, imag, flat
            return self._call(get_attribute, self, name, name=f"array.{name}")

        def method(*args: Any, **kwargs: Any) -> Any:
            called = operator.methodcaller(name, *real(args), **real(kwargs))
            if not self._is_recorded():
                return called(self.real)
            if name == "item" and self.real.dtype.kind not in "fV":
                return self.tracer.guard(self, called(self.real), name="number.item")
            return self.tracer.call(call_method, (name, self, *args), kwargs, f"array.{name}")

        return method

    def __getitem__(self, index: Any) -> Any:
        return self._call(operator.getitem, self, index, name="array.getitem")

    def __setitem__(self, index: Any, value: Any) -> None:
        self._call(operator.setitem, self, index, value, name="array.setitem")

    def __len__(self) -> int:
        return len(self.real)

    def __iter__(self) -> Any:
        return (self[i] for i in range(len(self)))

    def __bool__(self) -> bool:
        return self._guard(bool)

    def __int__(self) -> int:
        return self._guard(int)

    def __float__(self) -> float:
        return self._guard(float)

    def __index__(self) -> int:
        return self._guard(operator.index)

    def __format__(self, spec: str) -> str:
        return format(self._guard(np.ndarray.tolist), spec)

    def __repr__(self) -> str:
        return repr(self.real)

    __hash__ = object.__hash__


def get_attribute(array: Any, name: str) -> Any:
    return getattr(array, name)


def call_method(name: str, array: Any, *args: Any, **kwargs: Any) -> Any:
    return getattr(array, name)(*args, **kwargs)


def _module_of(array: Any) -> ModuleType:
    import cupy

    assert isinstance(array, cupy.ndarray)
    return cupy


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


class RecordingModule:
    """NumPy or CuPy, with functions that record what they do with an ArrayProxy."""

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
            known = name in _ABOUT_MEMORY or not (makes or _has_proxy((args, kwargs)))
            if tracer is None or known:
                return found(*real(args), **real(kwargs))
            return tracer.call(found, args, kwargs, f"{self.module.__name__}.{name}")

        return called


def _has_proxy(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return any(map(_has_proxy, value))
    if isinstance(value, dict):
        return _has_proxy(list(value.values()))
    return type(value) in (ArrayProxy, NumberProxy)


def real(value: Any) -> Any:
    """Real arrays and numbers in place of those that stand for them."""
    return rebuild(value, _real_item)


def _real_item(value: Any) -> Any:
    kind = type(value)
    if kind in (ArrayProxy, NumberProxy):
        return value.real
    if kind is RecordingModule:
        return value.module
    return value.original if kind is StandIn else value


class NumberProxy(_Proxy):
    """A float of which every use is recorded: arithmetic as calls, comparisons as decisions."""

    __slots__ = ()

    # what isinstance() asks
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
