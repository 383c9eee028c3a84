"""State files: nested state as safetensors; everything that is not a tensor is JSON in the header.

Files with PyTorch's suffixes are written and read in PyTorch's format (torch_writer.py,
torch_reader.py). Reading a file never runs code from it.
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
from dtrain.backend import device, dtypes, move, to_host
from dtrain.checkpoint.torch_reader import deserialize_torch, is_torch_file
from dtrain.checkpoint.torch_writer import serialize_torch
from dtrain.errors import CheckpointError

_TORCH_SUFFIXES = (".pth", ".pt", ".bin")
_STRUCTURE = "dtrain.structure"


def save(state: Any, f: str | Path | BinaryIO) -> None:
    """Write nested state to a file (torch.save).

    Unlike torch.save, the file is a safetensors file unless the path ends in .pth, .pt or .bin:
    those are written in PyTorch's format, for torch.load(weights_only=True).

    Parameters
    ----------
    state : tensors, arrays, numbers, strings, None, and lists, tuples and dicts of them
    f : a path, or a binary file to write to

    Raises
    ------
    TypeError
        If the state holds anything else; names the key. No file is written.

    Examples
    --------
    >>> import io, dtrain
    >>> file = io.BytesIO()
    >>> save({"w": dtrain.ones(2), "step": 3}, file)
    >>> load(io.BytesIO(file.getvalue()))
    {'w': tensor([1., 1.]), 'step': 3}
    """
    if isinstance(f, (str, Path)):
        as_torch = Path(f).suffix in _TORCH_SUFFIXES
        Path(f).write_bytes(serialize_torch(state) if as_torch else serialize(state))
    else:
        f.write(serialize(state))


def load(
    f: str | Path | BinaryIO,
    map_location: str | device | None = None,
    *,
    weights_only: bool = True,
) -> Any:
    """Read a file written by `dtrain.save`, torch.save or safetensors (torch.load).

    The format is found from the contents, not from the suffix.

    Parameters
    ----------
    f : a path, or a binary file to read from
    map_location : the device of the tensors; the CPU if None
    weights_only : accepted for PyTorch's sake, and always true: only tensors, containers and
        numbers are read

    Returns
    -------
    The state as it was given to `save`; for other safetensors files a dict of tensors by name.

    Raises
    ------
    CheckpointError
        If the file is missing or cut, is of another format, or holds anything but tensors,
        containers and numbers; names it.

    Examples
    --------
    >>> import tempfile, dtrain
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     dtrain.save({"w": dtrain.ones(2)}, f"{folder}/model.safetensors")
    ...     load(f"{folder}/model.safetensors")
    {'w': tensor([1., 1.])}
    """
    name = str(f) if isinstance(f, (str, Path)) else "file"
    try:
        data = Path(f).read_bytes() if isinstance(f, (str, Path)) else f.read()
    except OSError as reason:
        raise CheckpointError(f"{name}: cannot be read: {reason}") from reason
    if is_torch_file(data):
        return deserialize_torch(data, name, map_location)
    return deserialize(data, name, map_location)


def serialize(state: Any) -> bytes:
    """The contents of a safetensors file of nested state."""
    tensors: dict[str, np.ndarray] = {}
    structure = _flatten(state, "", tensors)
    return safetensors.numpy.save(tensors, {_STRUCTURE: json.dumps(structure)})


def deserialize(data: bytes, name: str, map_location: str | device | None = None) -> Any:
    """The state in the contents of a safetensors file; `name` is the file's name, for errors."""
    try:
        arrays = {
            key: np.frombuffer(part["data"], _dtype(part["dtype"])).reshape(part["shape"])
            for key, part in safetensors.deserialize(data)
        }
    except (safetensors.SafetensorError, KeyError, ValueError, TypeError) as reason:
        raise CheckpointError(
            f"{name}: is not a complete safetensors file ({reason}); dtrain.load reads what "
            "dtrain.save or torch.save wrote, and other safetensors files"
        ) from reason
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    structure = header.get("__metadata__", {}).get(_STRUCTURE)

    tensors = {key: wrap(move(array, map_location or "cpu")) for key, array in arrays.items()}
    if structure is None:
        return tensors
    try:
        return _unflatten(json.loads(structure), tensors)
    except (ValueError, TypeError, KeyError, RecursionError) as reason:
        raise CheckpointError(
            f"{name}: its header's {_STRUCTURE} is not in the form that dtrain.save writes "
            f"({reason!r})"
        ) from reason


def _dtype(name: str) -> np.dtype:
    """The dtype of a safetensors name, such as F32, I64 or BF16."""
    if name in ("BF16", "BOOL"):
        return dtypes.bfloat16 if name == "BF16" else dtypes.bool_
    kind = {"F": "float", "I": "int", "U": "uint"}[name[0]]
    return np.dtype(f"{kind}{name[1:]}")


# The structure is JSON. Tensors, arrays, dicts, lists and tuples are [kind, contents] in it.


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
        raise ValueError(f"{kind!r} is not a kind of container")
    items = [_unflatten(item, tensors) for item in contents]
    return tuple(items) if kind == "tuple" else items
