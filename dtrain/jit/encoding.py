"""Python values of a program as JSON, with tensors apart: plain data and names of functions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dtrain.autograd.tensor import Tensor, wrap
from dtrain.backend import default_generator
from dtrain.backend.random import Generator
from dtrain.backend.size import Size
from dtrain.errors import CompileError
from dtrain.jit.graph import Ref
from dtrain.jit.names import find_function, name_of


class Unencodable(Exception):
    """A value that files of programs cannot hold."""


class Encoder:
    """Turns values into JSON; `tensors` collects those met, by name."""

    def __init__(self) -> None:
        self.tensors: dict[str, Tensor] = {}
        self._names: dict[int, str] = {}

    def add_tensor(self, tensor: Tensor, name: str = "") -> str:
        """Keep a tensor, once, under a name or the next free one; returns its name."""
        known = self._names.get(id(tensor))
        if known is None:
            known = name if name and name not in self.tensors else f"#{len(self.tensors)}"
            self._names[id(tensor)] = known
            self.tensors[known] = tensor
        return known

    def encode(self, value: Any) -> Any:
        """A value as JSON: plain values are themselves, all others a list with a tag."""
        if value is None or type(value) in (bool, int, str):
            return value
        if type(value) is float:
            return value if math.isfinite(value) else ["float", repr(value)]
        if isinstance(value, Ref):
            return ["ref", value.value, value.of_array]
        if isinstance(value, Tensor):
            return ["tensor", self.add_tensor(value), value.requires_grad]
        if isinstance(value, Size):
            return ["size", *map(int, value)]
        if type(value) in (tuple, list):
            return ["tuple" if type(value) is tuple else "list", *map(self.encode, value)]
        if type(value) is dict:
            return ["dict", *[[self.encode(k), self.encode(v)] for k, v in value.items()]]
        if isinstance(value, slice):
            ends = (value.start, value.stop, value.step)
            return ["slice", *map(self.encode, ends)]
        if value is Ellipsis:
            return ["ellipsis"]
        if isinstance(value, np.dtype):
            return ["dtype", value.name]
        if isinstance(value, type) and issubclass(value, np.generic):
            return ["scalar type", np.dtype(value).name]
        if isinstance(value, np.generic):
            return ["scalar", self.add_tensor(wrap(np.asarray(value)))]
        if isinstance(value, np.ndarray):
            return ["array", self.add_tensor(wrap(value))]
        if isinstance(value, Generator) and value is default_generator():
            return ["generator"]
        if value is np:
            return ["numpy"]
        return self.encode_other(value)

    def encode_other(self, value: Any) -> Any:
        """A function or type of dtrain's, by name; subclasses know of more."""
        name = name_of(value) if callable(value) else None
        if name is not None:
            return ["function", name]
        kind = getattr(value, "__name__", type(value).__name__)
        raise Unencodable(f"{kind!r} cannot be written to a file")


class Decoder:
    """Turns JSON into values again."""

    def __init__(self, tensors: dict[str, Tensor]):
        self.tensors = tensors

    def tensor(self, name: Any) -> Tensor:
        """The tensor of a name."""
        if not isinstance(name, str) or name not in self.tensors:
            raise CompileError(f"load: the file has no tensor {name!r}")
        return self.tensors[name]

    def decode(self, value: Any) -> Any:
        """The value that `Encoder.encode` turned into this."""
        if value is None or type(value) in (bool, int, str, float):
            return value
        if not isinstance(value, list) or not value or not isinstance(value[0], str):
            raise CompileError(f"load: the file has {value!r} where a value is expected")
        tag, *items = value
        decode = getattr(self, f"_{tag.replace(' ', '_')}", None)
        if decode is None:
            raise CompileError(f"load: the file has a value of an unknown kind, {tag!r}")
        return decode(*items)

    def _float(self, text: str) -> float:
        return float(text)

    def _ref(self, value: int, of_array: bool) -> Ref:
        return Ref(int(value), bool(of_array))

    def _tensor(self, name: str, requires_grad: bool) -> Tensor:
        tensor = self.tensor(name)
        return tensor.requires_grad_() if requires_grad else tensor

    def _size(self, *items: int) -> Size:
        return Size(map(int, items))

    def _tuple(self, *items: Any) -> tuple[Any, ...]:
        return tuple(map(self.decode, items))

    def _list(self, *items: Any) -> list[Any]:
        return list(map(self.decode, items))

    def _dict(self, *items: Any) -> dict[Any, Any]:
        return {self.decode(key): self.decode(item) for key, item in items}

    def _slice(self, *ends: Any) -> slice:
        return slice(*map(self.decode, ends))

    def _ellipsis(self) -> Any:
        return Ellipsis

    def _dtype(self, name: str) -> np.dtype:
        return np.dtype(name)

    def _scalar_type(self, name: str) -> Any:
        return self._dtype(name).type

    def _scalar(self, name: str) -> Any:
        return self.tensor(name).array[()]

    def _array(self, name: str) -> Any:
        return self.tensor(name).array

    def _generator(self) -> Any:
        return default_generator()

    def _numpy(self) -> Any:
        return np

    def _function(self, name: str) -> Any:
        return find_function(name)
