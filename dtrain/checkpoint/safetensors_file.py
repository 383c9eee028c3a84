"""Nested state as safetensors; everything that is not a tensor is JSON in the header.

Writing and reading stream: neither holds a second copy of the tensors.
"""

from __future__ import annotations

import json
import mmap
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO, Protocol

import numpy as np

from dtrain.autograd import Tensor
from dtrain.autograd.tensor import wrap
from dtrain.backend import Array, device, move, to_host
from dtrain.backend.mapped_file import FileMapping
from dtrain.checkpoint.parts import Part
from dtrain.errors import CheckpointError

_STRUCTURE = "dtrain.structure"
#: in the first of several parts of a state
_WHOLE_STRUCTURE = "dtrain.structure_of_all_parts"
_METADATA = "__metadata__"
_BLOCK_BYTES = 1 << 22
_MOST_AXES = 64  # of a NumPy array
#: smaller arrays are read, larger ones may be mapped
_SMALLEST_MAPPED = 1 << 20

_NAMES = {
    "bool": "BOOL", "uint8": "U8", "int8": "I8", "uint16": "U16", "int16": "I16", "float16": "F16",
    "bfloat16": "BF16", "uint32": "U32", "int32": "I32", "float32": "F32", "uint64": "U64",
    "int64": "I64", "float64": "F64", "complex64": "C64",
}  # fmt: skip
_DTYPES = {name: dtype for dtype, name in _NAMES.items()}


class Sink(Protocol):
    """What a state is written to: a binary file, or a hash beside it."""

    def write(self, data: Any, /) -> Any:
        """Take over all bytes of `data`."""


def write_array(array: Array, to: Sink) -> None:
    """Write the elements of an array in C order, block by block."""
    host = np.asarray(to_host(array), order="C")
    if host.dtype.byteorder == ">":
        host = host.astype(host.dtype.newbyteorder("<"))
    contents = host.reshape(-1).view(np.uint8).data
    for start in range(0, len(contents), _BLOCK_BYTES):
        to.write(contents[start : start + _BLOCK_BYTES])


class StateWriter:
    """A state, or one rank's part of it, that is checked and ready to be written.

    Parameters
    ----------
    state : the whole state
    part : which of its tensors are written; all of them if None

    Attributes
    ----------
    arrays : names and arrays, in the order of the file

    Raises
    ------
    TypeError
        If the state holds anything but tensors, arrays, numbers, strings, None and containers of
        them; names the key.
    """

    def __init__(self, state: Any, part: Part | None = None):
        arrays: dict[str, Array] = {}
        try:
            structure = json.dumps(_flatten(state, "", arrays))
        except RecursionError:
            raise TypeError(
                "save: the state is nested too deeply, or a container holds itself; expected "
                "lists, tuples and dicts of tensors, numbers and strings"
            ) from None
        self.arrays: list[tuple[str, Array]] = sorted(
            (
                (name, array)
                for name, array in arrays.items()
                if part is None or part.writers.get(id(array), 0) == part.rank
            ),
            key=lambda item: (-item[1].dtype.itemsize, item[0]),
        )
        header: dict[str, Any] = {}
        if part is None or part.rank == 0:
            key = _STRUCTURE if part is None else _WHOLE_STRUCTURE
            header[_METADATA] = {key: structure}
        end = 0
        for name, array in self.arrays:
            start, end = end, end + array.nbytes
            header[name] = {
                "dtype": _NAMES[array.dtype.name],
                "shape": list(array.shape),
                "data_offsets": [start, end],
            }
        text = json.dumps(header, separators=(",", ":")).encode()
        self._header = text + b" " * (-len(text) % 8)

    def write(self, to: Sink) -> None:
        """Write the whole file."""
        to.write(len(self._header).to_bytes(8, "little"))
        to.write(self._header)
        for _, array in self.arrays:
            write_array(array, to)


def read_state(
    file: BinaryIO,
    name: str,
    map_location: str | int | device | None = None,
    *,
    mapped: bool = False,
) -> Any:
    """The state in a safetensors file; `name` is the file's name, for errors.

    With `mapped` large arrays are read-only views of the mapped file.
    """
    return join_parts([read_tensors(file, name, map_location, mapped=mapped)], name)


def read_tensors(
    file: BinaryIO,
    name: str,
    map_location: str | int | device | None = None,
    *,
    mapped: bool = False,
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors and the metadata of a safetensors file; as `read_state`."""
    size = file.seek(0, 2)
    try:
        header, start = _read_header(file, size)
        metadata = dict(header.pop(_METADATA, None) or {})
        _check_header(header, size - start)
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError) as reason:
        raise CheckpointError(
            f"{name}: is not a complete safetensors file ({reason}); dtrain.load reads what "
            "dtrain.save or torch.save wrote, and other safetensors files"
        ) from reason
    mapping = FileMapping(file.fileno(), 0, access=mmap.ACCESS_READ) if mapped and size else None
    where = "cpu" if map_location is None else map_location
    tensors = {}
    for key, entry in header.items():
        array = _read_array(file, start + entry["data_offsets"][0], entry, mapping)
        tensors[key] = wrap(move(array, where))
    return tensors, metadata


def join_parts(parts: Sequence[tuple[dict[str, Tensor], dict[str, str]]], name: str) -> Any:
    """The state in files that `read_tensors` has read: one, or all parts; `name`: of the first."""
    tensors = {key: tensor for each, _ in parts for key, tensor in each.items()}
    key = _STRUCTURE if len(parts) == 1 else _WHOLE_STRUCTURE
    structure = parts[0][1].get(key)
    if structure is None and len(parts) == 1:
        return tensors
    try:
        return _unflatten(json.loads(structure or "no structure"), tensors)
    except (ValueError, TypeError, KeyError, RecursionError) as reason:
        raise CheckpointError(
            f"{name}: its header's {key} is not in the form that dtrain.save writes ({reason!r})"
        ) from reason


def _read_header(file: BinaryIO, size: int) -> tuple[dict[str, Any], int]:
    """The header, and where the data begins."""
    file.seek(0)
    length = int.from_bytes(file.read(8), "little")
    if size < 8 or length > size - 8:
        raise ValueError(f"it has {size} bytes, its header alone {length}")
    header = json.loads(file.read(length))
    if not isinstance(header, dict):
        raise TypeError(f"its header is a {type(header).__name__}, expected a dict")
    return header, 8 + length


def _check_header(header: Mapping[str, Any], size: int) -> None:
    """Raise if the arrays do not fill the data exactly, one after the other."""
    end = 0
    for name, entry in sorted(header.items(), key=lambda item: tuple(item[1]["data_offsets"])):
        shape, (start, stop) = entry["shape"], entry["data_offsets"]
        if len(shape) > _MOST_AXES:
            raise ValueError(f"{name} has {len(shape)} axes, expected at most {_MOST_AXES}")
        if not all(type(n) is int and n >= 0 for n in (*shape, start, stop)):
            raise ValueError(f"{name} has the shape {shape} from {start} to {stop}")
        count = _dtype_of(entry).itemsize
        for n in shape:
            count *= n
        if start != end or stop - start != count:
            raise ValueError(f"{name} lies from {start} to {stop}, expected {end} to {end + count}")
        end = stop
    if end != size:
        raise ValueError(f"it has {size} bytes of data, expected {end}")


def _dtype_of(entry: Mapping[str, Any]) -> np.dtype:
    return np.dtype(_DTYPES[entry["dtype"]])


def _read_array(
    file: BinaryIO, start: int, entry: Mapping[str, Any], mapping: FileMapping | None
) -> np.ndarray:
    dtype, shape = _dtype_of(entry), entry["shape"]
    size = entry["data_offsets"][1] - entry["data_offsets"][0]
    if mapping is not None and size >= _SMALLEST_MAPPED and start % dtype.itemsize == 0:
        return np.frombuffer(mapping, dtype, size // dtype.itemsize, start).reshape(shape)
    array = np.empty(shape, dtype)
    contents = array.reshape(-1).view(np.uint8).data
    file.seek(start)
    if file.readinto(contents) != size:  # type: ignore[attr-defined]
        raise CheckpointError("the file was cut while it was read")
    return array


# The structure is JSON. Tensors, arrays, dicts, lists and tuples are [kind, contents] in it.


def _flatten(value: Any, path: str, tensors: dict[str, Array]) -> Any:
    if isinstance(value, (Tensor, np.ndarray)):
        array = value.array if isinstance(value, Tensor) else value
        if array.dtype.name not in _NAMES:
            raise TypeError(
                f"save: {path or 'state'} has the dtype {array.dtype}, which no file has; save "
                "one that safetensors knows, of complex128 view_as_real()"
            )
        name = path or "value"
        if not name.isprintable() and any("\ud800" <= letter <= "\udfff" for letter in name):
            raise TypeError(
                f"save: the tensor {name!a} has half of a character in its name, which other "
                "readers of safetensors refuse; expected valid Unicode: rename it"
            )
        while name in tensors or name == _METADATA:  # {"a.b": x, "a": {"b": y}}
            name += "'"
        tensors[name] = array
        return ["tensor" if isinstance(value, Tensor) else "array", name]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, (str, int)) or isinstance(key, bool):
                raise TypeError(f"save: {path or 'state'} has the key {key!r}; keys are str or int")
        items = [
            (k, _flatten(v, f"{path}.{k}" if path else str(k), tensors)) for k, v in value.items()
        ]
        return ["dict", [list(item) for item in items]]
    if isinstance(value, (list, tuple)):
        kind = "tuple" if isinstance(value, tuple) else "list"
        items = [
            _flatten(v, f"{path}.{i}" if path else str(i), tensors) for i, v in enumerate(value)
        ]
        return [kind, items]
    raise TypeError(
        f"save: {path or 'state'} is a {type(value).__name__}; expected tensors, arrays, numbers, "
        "strings, None, and lists, tuples and dicts of them"
    )


def _unflatten(value: Any, tensors: dict[str, Tensor]) -> Any:
    if not isinstance(value, list):
        return value
    kind, contents = value
    if kind == "tensor":
        return tensors[contents]
    if kind == "array":
        return tensors[contents].array
    if kind == "dict":
        return {key: _unflatten(item, tensors) for key, item in contents}
    if kind not in ("tuple", "list"):
        raise ValueError(f"{kind!r} is not a kind of container")
    items = [_unflatten(item, tensors) for item in contents]
    return tuple(items) if kind == "tuple" else items
