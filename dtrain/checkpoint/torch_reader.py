"""Reads PyTorch's files (`.pth`, `.pt`, `.bin`) without PyTorch and without running code.

Such a file is a pickle, which could call any function. The unpickler here knows the few names by
which PyTorch writes tensors, containers and numbers; any other name is refused.
"""

from __future__ import annotations

import collections
import io
import math
import pickle
import sys
import zipfile
from collections.abc import Callable, Sequence
from typing import Any, BinaryIO, ClassVar

import numpy as np

from dtrain.autograd import Tensor
from dtrain.autograd.tensor import wrap
from dtrain.backend import device, dtypes, move
from dtrain.backend.size import Size
from dtrain.errors import CheckpointError
from dtrain.nn import Parameter

#: The largest ratio of a tensor's elements to its storage's: an expanded tensor repeats them.
_LARGEST_EXPANSION = 1 << 20

#: The first number in files from before PyTorch 1.6.
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C

#: The largest directory of a zip archive, in bytes: about 60,000 storages.
_LARGEST_DIRECTORY = 6 << 20

#: What objects of a pickle may take, in bytes, beside twice the pickle's size.
_PICKLE_BYTES = 48 << 20

_STORAGES = {
    "BFloat16Storage": "bfloat16", "BoolStorage": "bool_", "ByteStorage": "uint8",
    "CharStorage": "int8", "DoubleStorage": "float64", "FloatStorage": "float32",
    "HalfStorage": "float16", "IntStorage": "int32", "LongStorage": "int64",
    "ShortStorage": "int16",
}  # fmt: skip
_DTYPES = ("bfloat16", "float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8")


def is_torch_file(data: bytes, size: int) -> bool:
    """Whether a file of `size` bytes that begins with `data` is a zip archive or a pickle."""
    if data[:4] == b"PK\x03\x04":
        return True
    # A safetensors file begins with the length of its header; 640 looks like a pickle's magic.
    in_safetensors = int.from_bytes(data[:8], "little") <= size
    return data[:1] == b"\x80" and data[1:2] in (b"\2", b"\3", b"\4", b"\5") and not in_safetensors


def read_torch(file: BinaryIO, size: int, name: str, map_location: str | device | None) -> Any:
    """The object in a PyTorch file of `size` bytes; `name` is the file's name, for errors.

    Raises
    ------
    CheckpointError
        If the file is cut, is not PyTorch's, or holds anything but tensors, containers and
        numbers.
    """
    try:
        beginning = file.read(2)
        file.seek(0)
        if beginning == b"PK":
            return _read_zip(file, size, map_location)
        return _read_legacy(file, size, map_location)
    except CheckpointError as reason:
        raise CheckpointError(f"{name}: {reason}") from None
    except Exception as reason:  # of pickle, zipfile or zlib, all of them for damaged files
        raise CheckpointError(
            f"{name}: is not a complete PyTorch file: it was cut or changed ({reason})"
        ) from reason


def _read_zip(file: BinaryIO, size: int, map_location: str | device | None) -> Any:
    _check_directory(file)
    archive = zipfile.ZipFile(file)
    names = set(archive.namelist())
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
        raise CheckpointError(
            "is a compressed zip archive, which PyTorch never writes and which could expand to "
            "any size in memory; unpack it and pack it again without compression"
        )
    pickles = [entry for entry in archive.namelist() if entry.endswith("/data.pkl")]
    if not pickles:
        raise CheckpointError("is a zip archive without data.pkl, so not a PyTorch file")
    folder = pickles[0].removesuffix("data.pkl")
    if any(entry.startswith(f"{folder}code/") for entry in names):
        raise CheckpointError(
            "is a TorchScript program, which holds code; save the model's state_dict() instead"
        )
    order = b"little"
    if f"{folder}byteorder" in names:
        with archive.open(f"{folder}byteorder") as entry:
            order = entry.read(16)
    if order not in (b"little", b"big"):
        raise CheckpointError(f"has the byte order {order!r}, expected little or big")
    budget = _Budget("storages", size)

    def storage(key: str, dtype: np.dtype, count: int) -> np.ndarray:
        info = archive.getinfo(f"{folder}data/{key}")
        if info.file_size < count * dtype.itemsize:
            raise CheckpointError(
                f"storage {key} has {info.file_size} bytes where {count} of {dtype} are expected"
            )
        budget.spend(info.file_size)
        values = np.empty(count, dtype)
        with archive.open(info) as contents:
            _fill(values, contents, key)
            while contents.read(1 << 20):  # to its end, where the checksum is compared
                pass
        return values if order.decode() == sys.byteorder else values.byteswap()

    pickled = archive.getinfo(pickles[0])
    if pickled.file_size > size:
        raise CheckpointError("is not complete: it was cut or changed")
    with archive.open(pickled) as contents:
        data = contents.read()
    return _Unpickler(io.BytesIO(data), len(data), storage, map_location).load()


def _check_directory(file: BinaryIO) -> None:
    """Refuse an archive of more files than any model has tensors, before they are listed."""
    end = zipfile._EndRecData(file)  # type: ignore[attr-defined]
    if end is not None and end[zipfile._ECD_SIZE] > _LARGEST_DIRECTORY:  # type: ignore[attr-defined]
        raise CheckpointError(
            f"is a zip archive whose list of files has {end[5]} bytes, expected at most "
            f"{_LARGEST_DIRECTORY}"
        )
    file.seek(0)


def _fill(values: np.ndarray, file: Any, key: str) -> None:
    """Read the elements of a storage."""
    contents = values.view(np.uint8).data
    if file.readinto(contents) != len(contents):
        raise CheckpointError(f"storage {key} is cut: the file was not written to its end")


def _read_legacy(file: BinaryIO, size: int, map_location: str | device | None) -> Any:
    """Reads a file from before PyTorch 1.6: five pickles, then all storages."""
    storages: dict[str, np.ndarray] = {}
    budget = _Budget("storages", size)

    def storage(key: str, dtype: np.dtype, count: int) -> np.ndarray:
        if count * dtype.itemsize > size:
            raise CheckpointError(f"storage {key} of {count} {dtype} is larger than the file")
        budget.spend(count * dtype.itemsize)
        return storages.setdefault(key, np.zeros(count, dtype))

    def unpickle() -> Any:
        return _Unpickler(_Bounded(file, size), size, storage, map_location).load()

    if unpickle() != _LEGACY_MAGIC:
        raise CheckpointError(
            "is a pickle, but not PyTorch's; dtrain.load reads files that dtrain.save or "
            "torch.save wrote"
        )
    unpickle()  # the version of the protocol
    machine = unpickle()  # the byte order and the sizes of numbers where it was written
    little = machine.get("little_endian", True) if isinstance(machine, dict) else None
    if not isinstance(little, bool):
        raise CheckpointError("does not tell its byte order; save it again where it was made")
    result = unpickle()
    keys = unpickle()
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise CheckpointError("has no list of its storages: it was cut or changed")
    if len(keys) != len(storages) or set(keys) != set(storages):
        raise CheckpointError(
            f"lists {len(keys)} storages where its tensors have {len(storages)}: it was cut or "
            "changed"
        )
    for key in keys:
        values = storages[key]
        if int.from_bytes(file.read(8), "little" if little else "big") != values.size:
            raise CheckpointError(f"storage {key} is cut: the file was not written to its end")
        _fill(values, file, key)
        if little != (sys.byteorder == "little"):
            values.byteswap(inplace=True)
    return result


class _Bounded:
    """A file of which no more is asked than it has left, whatever lengths a pickle claims."""

    def __init__(self, file: BinaryIO, size: int):
        self._file, self._size = file, size
        self.readline = file.readline

    def read(self, count: int) -> bytes:
        return self._file.read(min(count, self._size))

    def readinto(self, buffer: Any) -> int:
        return self._file.readinto(buffer)  # type: ignore[attr-defined]


class _Budget:
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


class _Unpickler(_Pickle):
    """Refuses all names but those of tensors, containers and numbers."""

    #: the opcodes, without those whose buffers may claim any size
    dispatch: ClassVar = {
        code: operation
        for code, operation in _Pickle.dispatch.items()
        if bytes([code]) not in (pickle.BYTEARRAY8, pickle.NEXT_BUFFER, pickle.READONLY_BUFFER)
    }

    def __init__(
        self,
        file: Any,
        size: int,
        storage: Callable[[str, np.dtype, int], np.ndarray],
        map_location: str | device | None,
    ):
        super().__init__(file, encoding="utf-8")
        self._budget = _Budget("its pickle's objects", _PICKLE_BYTES + 2 * size)
        self._storage = storage
        self._storages: dict[str, np.ndarray] = {}
        self._device = map_location or "cpu"

    def find_class(self, module: str, name: str) -> Any:
        if module == "torch" and name in _STORAGES:
            return getattr(dtypes, _STORAGES[name])
        if module == "torch" and name in _DTYPES:
            return getattr(dtypes, name)
        if module == "torch._utils" and name in ("_rebuild_tensor", "_rebuild_tensor_v2"):
            return self._tensor
        if (module, name) in _KNOWN:
            return _KNOWN[module, name]
        raise CheckpointError(
            f"holds {module}.{name}, which is not a tensor, container or number; nothing was run. "
            "Save a state_dict() of tensors where the file was made"
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

    def persistent_load(self, pid: Any) -> np.ndarray:
        kind, dtype, key, _, count = pid[:5]
        if kind != "storage" or not isinstance(dtype, np.dtype):
            raise CheckpointError(f"refers to {kind} {dtype}, which dtrain cannot read")
        if len(pid) > 5 and pid[5] is not None:
            raise CheckpointError(
                "has storages that are views of other storages; save it again with a newer PyTorch"
            )
        if type(count) is not int or count < 0:
            raise CheckpointError(f"refers to a storage of {count} elements")
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
        *_: Any,
    ) -> Tensor:
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
        tensor = wrap(move(view, self._device))
        return tensor.requires_grad_() if requires_grad else tensor


def _parameter(data: Tensor, requires_grad: bool = True, *_: Any) -> Parameter:
    return Parameter(data, requires_grad)


def _device_name(kind: str, index: int | None = None) -> str:
    return kind if index is None else f"{kind}:{index}"


_KNOWN: dict[tuple[str, str], Any] = {
    ("torch", "Size"): Size,
    ("torch", "bool"): dtypes.bool_,
    ("torch", "device"): _device_name,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    ("collections", "Counter"): collections.Counter,
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("collections", "defaultdict"): collections.defaultdict,
    **{
        (module, kind.__name__): kind
        for module in ("builtins", "__builtin__")
        for kind in (complex, dict, frozenset, list, set)
    },
}
