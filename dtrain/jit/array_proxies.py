"""`ArrayProxy`: stands for an array while a graph is recorded (`proxies.py`)."""

from __future__ import annotations

import operator
from types import ModuleType
from typing import Any

import numpy as np

from dtrain.jit.array_functions import call_method, get_attribute
from dtrain.jit.proxies import Proxy, RecordingModule, real

#: The attributes of an array that are not its values.
_METADATA = {
    "shape", "dtype", "ndim", "size", "itemsize", "nbytes", "strides", "flags", "ctypes", "base",
    "data", "device", "__array_interface__", "__cuda_array_interface__",
}  # fmt: skip

#: The attributes of an array through which its values can be read.
_MEMORY = {"ctypes", "data", "__array_interface__", "__cuda_array_interface__"}

#: The attributes of an array that may differ between two runs of a graph.
_LAYOUT = _METADATA - {"shape", "dtype", "ndim", "size", "itemsize", "nbytes", "device"}


class ArrayProxy(Proxy, np.lib.mixins.NDArrayOperatorsMixin):
    """An array of which every use is recorded."""

    __slots__ = ()

    # isinstance() asks for it
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


def _module_of(array: Any) -> ModuleType:
    import cupy

    assert isinstance(array, cupy.ndarray)
    return cupy
