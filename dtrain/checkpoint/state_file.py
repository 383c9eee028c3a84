"""State files: nested state as safetensors; everything that is not a tensor is JSON in the header.

Files with PyTorch's suffixes are written and read in PyTorch's format (torch_writer.py,
torch_reader.py). Reading a file never runs code from it, unless `weights_only=False` is given for
one of whole Python objects (object_file.py).
"""

from __future__ import annotations

import io
import os
import stat
from pathlib import Path
from typing import Any, BinaryIO

from dtrain.backend import device
from dtrain.checkpoint.object_file import (
    ObjectWriter,
    holds_objects,
    is_object_file,
    read_objects,
)
from dtrain.checkpoint.safetensors_file import StateWriter, read_state
from dtrain.checkpoint.torch_reader import is_torch_file, read_torch
from dtrain.checkpoint.torch_writer import TorchWriter
from dtrain.errors import CheckpointError

_TORCH_SUFFIXES = (".pth", ".pt", ".bin")


def save(state: Any, f: str | Path | BinaryIO) -> None:
    """Write nested state to a file (torch.save).

    Unlike torch.save, the file is a safetensors file unless the path ends in .pth, .pt or .bin:
    those are written in PyTorch's format, for torch.load(weights_only=True).

    Parameters
    ----------
    state : tensors, arrays, numbers, strings, None, and lists, tuples and dicts of them. With a
        module or an argparse.Namespace in it, it is pickled whole, to be loaded with
        ``weights_only=False`` where their classes can be imported
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
        writer = _find_writer(state, as_torch)
        with Path(f).open("wb") as file:
            writer.write(file)
    else:
        _find_writer(state, as_torch=False).write(f)


def _find_writer(state: Any, as_torch: bool) -> StateWriter | TorchWriter | ObjectWriter:
    """What writes a state, which is checked."""
    if holds_objects(state):
        return ObjectWriter(state)
    return TorchWriter(state) if as_torch else StateWriter(state)


def load(
    f: str | Path | BinaryIO,
    map_location: str | int | device | None = None,
    *,
    weights_only: bool = True,
) -> Any:
    """Read a file written by `dtrain.save`, torch.save or safetensors (torch.load).

    The format is found from the contents, not from the suffix.

    Parameters
    ----------
    f : a path, or a binary file to read from
    map_location : the device of the tensors; the CPU if None
    weights_only : whether files of whole Python objects are refused. With False reading one runs
        the code that it asks for: only for files whose writer you trust

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
        with _open(f) as file:
            size = file.seek(0, io.SEEK_END)
            file.seek(0)
            beginning = file.read(512)  # a tar's header
            file.seek(0)
            if is_object_file(beginning):
                return read_objects(file, name, map_location, weights_only)
            if _is_tar(beginning):
                raise CheckpointError(
                    f"{name}: is a tar archive, as PyTorch wrote before version 0.1.10; load it "
                    "with PyTorch and save it again"
                )
            if is_torch_file(beginning, size):
                return read_torch(file, size, name, map_location)
            return read_state(file, name, map_location)
    except OSError as reason:
        raise CheckpointError(f"{name}: cannot be read: {reason}") from reason


def _open(f: str | Path | BinaryIO) -> BinaryIO:
    """A file to read and seek in; what cannot seek is read into memory."""
    if not isinstance(f, (str, Path)):
        return io.BytesIO(f.read())
    file = Path(f).open("rb")  # noqa: SIM115 - the caller closes it
    if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        return file
    with file:
        return io.BytesIO(file.read())


def _is_tar(beginning: bytes) -> bool:
    import tarfile

    try:
        tarfile.TarInfo.frombuf(beginning, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True
