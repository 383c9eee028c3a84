"""Writes PyTorch's files, for `torch.load(weights_only=True)`, without PyTorch.

The file is a zip archive: a pickle of the structure, written opcode by opcode, and one entry for
each storage.
"""

from __future__ import annotations

import struct
import sys
import zipfile
from collections.abc import Mapping
from typing import Any, BinaryIO

import numpy as np

from dtrain.autograd import Tensor
from dtrain.backend import to_host
from dtrain.checkpoint.safetensors_file import write_array
from dtrain.nn import Parameter

_STORAGES = {
    "bfloat16": "BFloat16Storage", "bool": "BoolStorage", "uint8": "ByteStorage",
    "int8": "CharStorage", "complex128": "ComplexDoubleStorage",
    "complex64": "ComplexFloatStorage", "float64": "DoubleStorage", "float32": "FloatStorage",
    "float16": "HalfStorage", "int32": "IntStorage", "int64": "LongStorage",
    "int16": "ShortStorage",
}  # fmt: skip


class TorchWriter:
    """A state that is checked and ready to be written as a `.pth` file.

    Raises
    ------
    TypeError
        If the state holds anything but tensors, arrays, numbers, strings, None and containers of
        them; names the key.
    """

    def __init__(self, state: Any):
        self._pickle = _Pickle()
        self._pickle.write(state, "")

    def write(self, to: BinaryIO) -> None:
        """Write the whole file."""
        with zipfile.ZipFile(to, "w", zipfile.ZIP_STORED) as archive:

            def add(name: str, size: int) -> Any:
                entry = zipfile.ZipInfo(f"archive/{name}")  # dated 1980: equal states, equal files
                entry.file_size = size
                return archive.open(entry, "w")

            def add_bytes(name: str, contents: bytes) -> None:
                with add(name, len(contents)) as file:
                    file.write(contents)

            add_bytes("data.pkl", b"\x80\x02" + bytes(self._pickle.opcodes) + b".")
            add_bytes("byteorder", sys.byteorder.encode())
            for key, array in enumerate(self._pickle.storages):
                with add(f"data/{key}", array.nbytes) as file:
                    write_array(array, file)
            add_bytes("version", b"3\n")


class _Pickle:
    """The opcodes (protocol 2; see the standard library's pickletools) of a structure."""

    def __init__(self) -> None:
        self.opcodes = bytearray()
        self.storages: list[np.ndarray] = []
        self._keys: dict[tuple[int, str], int] = {}  # storage numbers by address, dtype and size

    def write(self, value: Any, path: str) -> None:
        """Append the opcodes that build `value`; `path` is its key, for errors."""
        if isinstance(value, np.generic):
            value = value.item()
        if value is None:
            self.opcodes += b"N"
        elif isinstance(value, bool):
            self.opcodes += b"\x88" if value else b"\x89"
        elif isinstance(value, int):
            self._integer(value)
        elif isinstance(value, float):
            self.opcodes += b"G" + struct.pack(">d", value)
        elif isinstance(value, str):
            text = value.encode("utf-8", "surrogatepass")
            self.opcodes += b"X" + struct.pack("<I", len(text)) + text
        elif isinstance(value, Parameter):
            self._call("torch._utils", "_rebuild_parameter", value.detach(), value.requires_grad)
        elif isinstance(value, Tensor):
            self._tensor(to_host(value.array), value.requires_grad)
        elif isinstance(value, np.ndarray):
            self._tensor(value, False)
        elif isinstance(value, Mapping):
            self._items(value, path)
        elif isinstance(value, (list, tuple)):
            self.opcodes += b"(" if isinstance(value, tuple) else b"]("
            for i, item in enumerate(value):
                self.write(item, f"{path}.{i}" if path else str(i))
            self.opcodes += b"t" if isinstance(value, tuple) else b"e"
        else:
            raise TypeError(
                f"save: {path or 'state'} is a {type(value).__name__}; expected tensors, arrays, "
                "numbers, strings, None, and lists, tuples and dicts of them"
            )

    def _items(self, value: Mapping[Any, Any], path: str) -> None:
        self.opcodes += b"}("
        for key, item in value.items():
            if not isinstance(key, (str, int)) or isinstance(key, bool):
                raise TypeError(f"save: {path or 'state'} has the key {key!r}; keys are str or int")
            self.write(key, path)
            self.write(item, f"{path}.{key}" if path else str(key))
        self.opcodes += b"u"

    def _integer(self, value: int) -> None:
        if -(2**31) <= value < 2**31:
            self.opcodes += b"J" + struct.pack("<i", value)
        else:
            length = value.bit_length() // 8 + 1
            self.opcodes += (
                b"\x8a" + bytes([length]) + value.to_bytes(length, "little", signed=True)
            )

    def _tensor(self, array: np.ndarray, requires_grad: bool) -> None:
        if str(array.dtype) not in _STORAGES:
            raise TypeError(f"save: PyTorch files cannot hold a tensor of dtype {array.dtype}")
        array = np.asarray(array, order="C")
        where = (array.__array_interface__["data"][0], f"{array.dtype}{array.size}")
        if where not in self._keys:
            self._keys[where] = len(self.storages)
            self.storages.append(array)
        self._global("torch._utils", "_rebuild_tensor_v2")
        self.opcodes += b"(("
        self.write("storage", "")
        self._global("torch", _STORAGES[str(array.dtype)])
        self.write(str(self._keys[where]), "")
        self.write("cpu", "")
        self._integer(array.size)
        self.opcodes += b"tQ"
        strides = tuple(step // array.itemsize for step in array.strides)
        for value in (0, array.shape, strides, requires_grad):
            self.write(value, "")
        self._no_hooks()
        self.opcodes += b"tR"

    def _call(self, module: str, name: str, *arguments: Any) -> None:
        self._global(module, name)
        self.opcodes += b"("
        for argument in arguments:
            self.write(argument, "")
        self._no_hooks()
        self.opcodes += b"tR"

    def _global(self, module: str, name: str) -> None:
        self.opcodes += f"c{module}\n{name}\n".encode()

    def _no_hooks(self) -> None:
        self._global("collections", "OrderedDict")
        self.opcodes += b")R"
