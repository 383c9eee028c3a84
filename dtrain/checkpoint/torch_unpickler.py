"""Reads the pickles of PyTorch's files without running code.

A pickle could call any function. The unpickler here knows the few names by which PyTorch writes
tensors, containers and numbers, and refuses any other; and pickles that would take time or memory
out of proportion to their size.
"""

from __future__ import annotations

import collections
import functools
import math
import pickle
from collections.abc import Callable, Iterable, Sequence, Sized
from typing import Any, ClassVar

import numpy as np

from dtrain.autograd import Tensor
from dtrain.autograd.tensor import wrap
from dtrain.backend import device, dtypes, move
from dtrain.backend.size import Size
from dtrain.errors import CheckpointError
from dtrain.nn import Parameter

#: The largest ratio of a tensor's elements to its storage's: an expanded tensor repeats them.
_LARGEST_EXPANSION = 1 << 20

#: What objects of a pickle may take, in bytes, beside twice the pickle's size.
_PICKLE_BYTES = 40 << 20

_STORAGES = {
    "BFloat16Storage": "bfloat16", "BoolStorage": "bool_", "ByteStorage": "uint8",
    "CharStorage": "int8", "ComplexDoubleStorage": "complex128",
    "ComplexFloatStorage": "complex64", "DoubleStorage": "float64", "FloatStorage": "float32",
    "HalfStorage": "float16", "IntStorage": "int32", "LongStorage": "int64",
    "ShortStorage": "int16",
}  # fmt: skip
_DTYPES = (
    "bfloat16", "complex64", "complex128", "float16", "float32", "float64", "int8", "int16",
    "int32", "int64", "uint8",
)  # fmt: skip


class Budget:
    """What may be spent on a file: memory, and so time, in proportion to its size."""

    def __init__(self, kind: str, limit: int):
        self._kind, self._limit, self._spent = kind, limit, 0

    def spend(self, amount: int) -> None:
        """Refuse the file if it takes more than its size explains."""
        self._spent += amount
        if self._spent > self._limit:
            raise CheckpointError(
                f"takes more than {self._limit} bytes of memory for {self._kind}, out of "
                "proportion to its size; nothing is loaded"
            )


#: The standard library's unpickler in Python: its opcodes can be restricted.
_Pickle: Any = pickle._Unpickler


class Unpickler(_Pickle):
    """Refuses all names but those of tensors, containers and numbers."""

    #: the opcodes, without those whose buffers may claim any size
    dispatch: ClassVar = {
        code: operation
        for code, operation in _Pickle.dispatch.items()
        if bytes([code]) not in (pickle.BYTEARRAY8, pickle.NEXT_BUFFER, pickle.READONLY_BUFFER)
    }
    stack: list[Any]

    def __init__(
        self,
        file: Any,
        size: int,
        storage: Callable[[str, np.dtype, int], np.ndarray],
        map_location: str | int | device | None,
    ):
        super().__init__(file, encoding="utf-8")
        self._budget = Budget("its pickle's objects", _PICKLE_BYTES + 2 * size)
        self.dispatch = _CountedOpcodes(type(self).dispatch, self._budget)  # type: ignore[misc]
        self._storage = storage
        self._storages: dict[str, np.ndarray] = {}
        self._device = "cpu" if map_location is None else map_location

    def find_class(self, module: str, name: str) -> Any:
        if module == "torch" and name in _STORAGES:
            return getattr(dtypes, _STORAGES[name])
        if module == "torch" and name in _DTYPES:
            return getattr(dtypes, name)
        if module == "torch._utils" and name in ("_rebuild_tensor", "_rebuild_tensor_v2"):
            return self._tensor
        if (module, name) in _CONTAINERS:
            return functools.partial(self._container, _CONTAINERS[module, name])
        if (module, name) in _KNOWN:
            return _KNOWN[module, name]
        raise CheckpointError(
            f"holds {module[:100]}.{name[:100]}, which is not a tensor, container or number; "
            "nothing was run. Save a state_dict() of tensors where the file was made"
        )

    def load_build(self) -> None:
        """Set the attributes of an OrderedDict (a state dict's); refuse those of anything else."""
        state, made = self.stack.pop(), self.stack[-1]
        if type(made) is not collections.OrderedDict or not isinstance(state, dict):
            raise CheckpointError(
                f"would change a {type(made).__name__}; nothing was run. Save a state_dict() of "
                "tensors where the file was made"
            )
        vars(made).update(state)

    dispatch[pickle.BUILD[0]] = load_build

    def _container(self, kind: type, *arguments: Any) -> Any:
        """Make a container of what is in others: they are copied, and hashed as keys."""
        for argument in arguments:
            if isinstance(argument, Tensor):
                raise CheckpointError(f"makes a {kind.__name__} of a tensor, as PyTorch never does")
            if isinstance(argument, Sized):
                self._budget.spend(_CONTAINER_BYTES * len(argument))
            if kind not in (list, Size) and isinstance(argument, Iterable):
                pairs = kind not in (set, frozenset, collections.Counter)
                for item in () if isinstance(argument, dict) else argument:
                    _require_key(item[0] if pairs else item)
        if kind is collections.defaultdict and arguments:
            factory = arguments[0]
            if factory is not None and not isinstance(factory, functools.partial):
                raise CheckpointError("has a defaultdict of what is no container")
            arguments = (factory and factory.args[0], *arguments[1:])
        return kind(*arguments)

    def load_setitem(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._set_items([key, value])

    dispatch[pickle.SETITEM[0]] = load_setitem

    def load_setitems(self) -> None:
        self._set_items(self.pop_mark())

    dispatch[pickle.SETITEMS[0]] = load_setitems

    def load_dict(self) -> None:
        items = self.pop_mark()
        self.stack.append({})
        self._set_items(items)

    dispatch[pickle.DICT[0]] = load_dict

    def _set_items(self, items: list[Any]) -> None:
        made = self.stack[-1]
        if not isinstance(made, dict):
            raise CheckpointError(f"sets items of a {type(made).__name__}, expected a dict")
        for key, value in zip(items[::2], items[1::2], strict=True):
            _require_key(key)
            made[key] = value

    def load_append(self) -> None:
        value = self.stack.pop()
        self._extend([value])

    dispatch[pickle.APPEND[0]] = load_append

    def load_appends(self) -> None:
        self._extend(self.pop_mark())

    dispatch[pickle.APPENDS[0]] = load_appends

    def _extend(self, items: list[Any]) -> None:
        made = self.stack[-1]
        if not isinstance(made, list):
            raise CheckpointError(f"appends to a {type(made).__name__}, expected a list")
        made.extend(items)

    def load_additems(self) -> None:
        items, made = self.pop_mark(), self.stack[-1]
        if not isinstance(made, set):
            raise CheckpointError(f"adds to a {type(made).__name__}, expected a set")
        for item in items:
            _require_key(item)
            made.add(item)

    dispatch[pickle.ADDITEMS[0]] = load_additems

    def load_frozenset(self) -> None:
        items = self.pop_mark()
        for item in items:
            _require_key(item)
        self.stack.append(frozenset(items))

    dispatch[pickle.FROZENSET[0]] = load_frozenset

    def persistent_load(self, pid: Any) -> np.ndarray:
        if not isinstance(pid, tuple) or not 5 <= len(pid) <= 6:
            raise CheckpointError("refers to a storage in no form of PyTorch's")
        kind, dtype, key, _, count = pid[:5]
        if not isinstance(kind, str) or kind != "storage" or not isinstance(dtype, np.dtype):
            raise CheckpointError("refers to what is no storage of a dtype that dtrain can read")
        if not isinstance(key, str):
            raise CheckpointError(f"refers to a storage by a {type(key).__name__}, expected a str")
        if len(pid) > 5 and pid[5] is not None:
            raise CheckpointError(
                "has storages that are views of other storages; save it again with a newer PyTorch"
            )
        if type(count) is not int or not 0 <= count < 1 << 60:
            told = count if type(count) is int and abs(count) < 1 << 99 else type(count).__name__
            raise CheckpointError(f"refers to a storage of {told} elements")
        if key not in self._storages:
            self._storages[key] = self._storage(key, dtype, count)
        return self._storages[key]

    def _tensor(
        self,
        storage: np.ndarray,
        offset: int,
        size: Sequence[int],
        stride: Sequence[int],
        requires_grad: bool = False,
        hooks: Any = None,
        metadata: Any = None,
        *_: Any,
    ) -> Tensor:
        if not all(isinstance(numbers, tuple) and len(numbers) <= 64 for numbers in (size, stride)):
            raise CheckpointError("has a tensor whose sizes and strides are no short tuples")
        if not all(type(n) is int and abs(n) < 1 << 60 for n in (offset, *size, *stride)):
            raise CheckpointError("has a tensor whose sizes and strides are no integers")
        last = offset + sum((n - 1) * step for n, step in zip(size, stride))
        if min((offset, *size, *stride)) < 0 or (0 not in size and last >= storage.size):
            raise CheckpointError(
                f"has a tensor of sizes {tuple(size)} and strides {tuple(stride)} from {offset} "
                f"that reaches beyond its {storage.size} elements"
            )
        if math.prod(size) > _LARGEST_EXPANSION * max(storage.size, 1):
            raise CheckpointError(
                f"has a tensor of sizes {tuple(size)} in {storage.size} elements: it could need "
                "any amount of memory"
            )
        strides = [step * storage.itemsize for step in stride]
        view = np.lib.stride_tricks.as_strided(storage[offset:], size, strides)
        flags = metadata if isinstance(metadata, dict) else {}
        view = view.conj() if flags.get("conj") else view  # PyTorch's lazy conjugate and negative
        view = -view if flags.get("neg") else view
        tensor = wrap(move(view, self._device))
        return tensor.requires_grad_() if requires_grad else tensor


def _parameter(data: Tensor, requires_grad: bool = True, *_: Any) -> Parameter:
    return Parameter(data, requires_grad)


def _device_name(kind: str, index: int | None = None) -> str:
    if not isinstance(kind, str) or not (index is None or type(index) is int):
        raise CheckpointError("has a device whose name is no text")
    return kind if index is None else f"{kind}:{index}"


_KNOWN: dict[tuple[str, str], Any] = {
    ("torch", "bool"): dtypes.bool_,
    ("torch", "device"): _device_name,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    ("builtins", "complex"): complex,
    ("__builtin__", "complex"): complex,
}

#: containers that are made of others
_CONTAINERS: dict[tuple[str, str], type] = {
    ("torch", "Size"): Size,
    ("collections", "Counter"): collections.Counter,
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("collections", "defaultdict"): collections.defaultdict,
    **{
        (module, kind.__name__): kind
        for module in ("builtins", "__builtin__")
        for kind in (dict, frozenset, list, set)
    },
}


class _CountedOpcodes(dict[int, Any]):
    """The opcodes by number; each spends the memory of what it makes."""

    def __init__(self, opcodes: dict[int, Any], budget: Budget):
        super().__init__(opcodes)
        self._spend = budget.spend

    def __getitem__(self, code: int) -> Any:
        self._spend(_COSTS.get(code, _VALUE_BYTES))
        return super().__getitem__(code)


#: what an opcode makes: a value, a container or a mark, an object (a tensor with its array)
_VALUE_BYTES, _CONTAINER_BYTES, _OBJECT_BYTES = 24, 72, 400
_COSTS = {
    **{
        code[0]: _CONTAINER_BYTES
        for code in (
            pickle.EMPTY_LIST, pickle.EMPTY_DICT, pickle.EMPTY_SET, pickle.MARK, pickle.TUPLE1,
            pickle.TUPLE2, pickle.TUPLE3, pickle.BINPERSID, pickle.PERSID,
        )
    },
    **{
        code[0]: _OBJECT_BYTES
        for code in (
            pickle.REDUCE, pickle.INST, pickle.OBJ, pickle.NEWOBJ, pickle.NEWOBJ_EX,
        )
    },
}  # fmt: skip


def _require_key(key: Any) -> None:
    """Refuse keys whose hash may take any time, such as tuples of tuples."""
    items = key if isinstance(key, tuple) and len(key) <= 32 else (key,)
    for item in items:
        if isinstance(item, int) and item.bit_length() > 1024:
            raise CheckpointError("has an integer of more than 1024 bits as a key")
        if not isinstance(item, (str, bytes, int, float, complex, np.dtype, type(None))):
            raise CheckpointError(
                f"has a key that holds a {type(item).__name__}; expected text, numbers, or short "
                "tuples of them"
            )
