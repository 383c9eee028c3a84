"""One file of nested state: safetensors, with everything that is no tensor as JSON beside them.

Files that are named as PyTorch's are written, and read, as PyTorch's. Reading a file never runs
code from it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import safetensors
import safetensors.numpy

from dtrain.autograd import Tensor
from dtrain.autograd.tensor import wrap
from dtrain.backend import dtypes, move, to_host
from dtrain.checkpoint.torch_reader import is_torch_file, read as read_torch_file
from dtrain.checkpoint.torch_writer import to_torch_bytes
from dtrain.errors import CheckpointError

_TORCH_SUFFIXES = (".pth", ".pt", ".bin")
_STRUCTURE = "dtrain.structure"


def save(state: Any, f: str | Path | BinaryIO) -> None:
    """Write nested state to a file (torch.save).

    A path that ends in .pth, .pt or .bin gets a file that torch.load(weights_only=True) reads,
    anything else a safetensors file.

    Parameters
    ----------
    state : tensors, arrays, numbers, strings, None, and lists, tuples and dicts of them
    f : a path, or a binary file to write to

    Raises
    ------
    TypeError
        For anything else; names where it is. No file is made.

    >>> import io
    >>> import dtrain
    >>> file = io.BytesIO()
    >>> save({"w": dtrain.ones(2), "step": 3}, file)
    >>> load(io.BytesIO(file.getvalue()))
    {'w': tensor([1., 1.]), 'step': 3}
    """
    if isinstance(f, (str, Path)):
        as_torch = Path(f).suffix in _TORCH_SUFFIXES
        Path(f).write_bytes(to_torch_bytes(state) if as_torch else to_bytes(state))
    else:
        f.write(to_bytes(state))


def load(f: str | Path | BinaryIO, map_location: Any = None, *, weights_only: bool = True) -> Any:
    """Read what `save` or `torch.save` wrote, or any safetensors file (torch.load).

    Parameters
    ----------
    map_location : the device of the tensors; the CPU if None
    weights_only : taken for PyTorch's sake; nothing but tensors, containers and numbers is ever
        read

    Raises
    ------
    CheckpointError
        If the file is missing, cut, of another kind, or holds anything else, which it names.
    """
    name = str(f) if isinstance(f, (str, Path)) else "file"
    try:
        data = Path(f).read_bytes() if isinstance(f, (str, Path)) else f.read()
    except OSError as reason:
        raise CheckpointError(f"{name}: cannot be read: {reason}") from reason
    if is_torch_file(data):
        return read_torch_file(data, name, map_location)
    return from_bytes(data, name, map_location)


def to_bytes(state: Any) -> bytes:
    """The contents of the file for `state`."""
    tensors: dict[str, np.ndarray] = {}
    structure = _flatten(state, "", tensors)
    return safetensors.numpy.save(tensors, {_STRUCTURE: json.dumps(structure)})


def from_bytes(data: bytes, name: str, map_location: Any = None) -> Any:
    """The state in a file's contents; `name` is the file's, for errors."""
    try:
        arrays = {
            key: np.frombuffer(part["data"], _dtype(part["dtype"])).reshape(part["shape"])
            for key, part in safetensors.deserialize(data)
        }
    except (safetensors.SafetensorError, KeyError, ValueError, TypeError) as reason:
        raise CheckpointError(
            f"{name}: is not a whole safetensors file ({reason}); dtrain.load reads what "
            "dtrain.save or torch.save wrote, and other safetensors files"
        ) from reason
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    structure = header.get("__metadata__", {}).get(_STRUCTURE)

    def tensor(array: np.ndarray) -> Tensor:
        return wrap(move(array, map_location or "cpu"))

    tensors = {key: tensor(array) for key, array in arrays.items()}
    if structure is None:
        return tensors
    try:
        return _unflatten(json.loads(structure), tensors)
    except (ValueError, TypeError, KeyError, RecursionError) as reason:
        raise CheckpointError(
            f"{name}: its header says {_STRUCTURE}, but not how dtrain.save writes it ({reason!r})"
        ) from reason


def _dtype(name: str) -> np.dtype:
    """The dtype of a safetensors name, such as F32, I64 or BF16."""
    if name in ("BF16", "BOOL"):
        return dtypes.bfloat16 if name == "BF16" else dtypes.bool_
    kind = {"F": "float", "I": "int", "U": "uint"}[name[0]]
    return np.dtype(f"{kind}{name[1:]}")


# The structure is JSON, with what JSON has not as a list: [kind, contents].


def _flatten(value: Any, path: str, tensors: dict[str, np.ndarray]) -> Any:
    if isinstance(value, (Tensor, np.ndarray)):
        array = to_host(value.array) if isinstance(value, Tensor) else value
        name = path or "value"
        while name in tensors:  # {"a.b": x, "a": {"b": y}}
            name += "'"
        tensors[name] = np.asarray(array, order="C")  # ascontiguousarray makes 0-d 1-d
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
        raise ValueError(f"{kind!r} is no kind of container")
    items = [_unflatten(item, tensors) for item in contents]
    return tuple(items) if kind == "tuple" else items
