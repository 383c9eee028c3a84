"""`save` and `load` of scripts and traces: a zip file of JSON and safetensors (torch.jit.save).

A file holds programs (functions as restricted source), modules (their attributes, parameters and
methods), and for traces the recorded graphs. Reading it runs nothing but what `names` lists.
"""

from __future__ import annotations

import hashlib
import io
import json
import sys
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

from dtrain.autograd.tensor import Tensor
from dtrain.checkpoint.safetensors_file import StateWriter, read_state
from dtrain.errors import CheckpointError, CompileError
from dtrain.jit.compiled_function import ScriptFunction
from dtrain.jit.compiled_module import CompiledModule
from dtrain.jit.packing import Packer
from dtrain.jit.unpacking import Unpacker

FORMAT, VERSION = "dtrain.jit", 1
_PROGRAM, _TENSORS, _MANIFEST = "program.json", "tensors.safetensors", "manifest.json"


def save(m: Any, f: str | Path | BinaryIO, _extra_files: dict[str, Any] | None = None) -> None:
    """Write a function or module from `script` or `trace` to a file (torch.jit.save).

    A script is written with its branches and loops, and takes inputs of any shape when it is
    loaded; of a trace the recorded graphs are written. Parameters stay parameters. The user's
    classes are not needed to load the file.

    Raises
    ------
    CompileError
        If a part of it cannot be written; names the file and line, or the attribute.

    >>> import dtrain, io
    >>> double = dtrain.jit.script(lambda x: x * 2)
    >>> file = io.BytesIO()
    >>> save(double, file)
    >>> dtrain.jit.load(file)(dtrain.ones(2))
    tensor([2., 2.])
    """
    if not isinstance(m, (ScriptFunction, CompiledModule)):
        raise TypeError(
            f"save: expected a function or module from script or trace, got {type(m).__name__}"
        )
    packer = Packer()
    program = packer.pack(m)
    program |= {"format": FORMAT, "version": VERSION, "dtrain": _version()}
    tensors = io.BytesIO()
    StateWriter({"tensors": dict(packer.encoder.tensors)}).write(tensors)
    entries = {_PROGRAM: json.dumps(program, indent=1).encode(), _TENSORS: tensors.getvalue()}
    for name, content in (_extra_files or {}).items():
        entries[f"extra/{name}"] = content.encode() if isinstance(content, str) else content
    manifest = {name: hashlib.sha256(data).hexdigest() for name, data in entries.items()}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in (*entries.items(), (_MANIFEST, json.dumps(manifest).encode())):
            archive.writestr(zipfile.ZipInfo(name), data)
    if isinstance(f, (str, Path)):
        Path(f).write_bytes(buffer.getvalue())
    else:
        f.write(buffer.getvalue())


def load(
    f: str | Path | BinaryIO, map_location: Any = None,
    _extra_files: dict[str, Any] | None = None,
) -> Any:  # fmt: skip
    """The function or module that `save` wrote (torch.jit.load).

    Parameters
    ----------
    f : a path, or a binary file
    map_location : the device for the tensors

    Raises
    ------
    CompileError
        If the file is cut, edited, foreign, or of a newer version. Nothing has run then.
    """
    name = str(f) if isinstance(f, (str, Path)) else getattr(f, "name", "the file")
    if isinstance(f, (str, Path)):
        data = Path(f).read_bytes()
    else:
        f.seek(0)
        data = f.read()
    entries = _read_entries(data, name)
    for extra in _extra_files or {}:
        if f"extra/{extra}" in entries:
            assert _extra_files is not None
            _extra_files[extra] = entries[f"extra/{extra}"]
    try:
        program = json.loads(entries[_PROGRAM])
        found, version = program.get("format"), program.get("version")
    except (ValueError, AttributeError, RecursionError):
        raise CompileError(f"load: {name}: {_PROGRAM} is not JSON") from None
    if found != FORMAT or not isinstance(version, int):
        raise CompileError(f"load: {name} is not a file of dtrain.jit.save")
    if version > VERSION:
        raise CompileError(
            f"load: {name} has version {version}, written by dtrain {program.get('dtrain')}; this "
            f"is dtrain {_version()}, which reads versions up to {VERSION}: update dtrain"
        )
    try:
        tensors = read_state(io.BytesIO(entries[_TENSORS]), name, map_location)["tensors"]
        if not all(isinstance(tensor, Tensor) for tensor in tensors.values()):
            raise CompileError(f"load: {name} holds a tensor that is none")
        return Unpacker(program, tensors).unpack()
    except (CheckpointError, KeyError, TypeError, ValueError, AttributeError, IndexError,
            RecursionError) as error:  # fmt: skip
        raise CompileError(
            f"load: {name} is not in the form that save writes ({type(error).__name__}: {error})"
        ) from error


def _version() -> str:
    return str(sys.modules["dtrain"].__version__)


def _read_entries(data: bytes, name: str) -> dict[str, bytes]:
    """The entries of a file, whose checksums are right."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = archive.namelist()
            _require_names(names, name)
            entries = {entry: archive.read(entry) for entry in names}
        manifest = json.loads(entries[_MANIFEST])
    except (zipfile.BadZipFile, ValueError, EOFError, NotImplementedError) as error:
        raise CompileError(
            f"load: {name} is no complete file of dtrain.jit.save ({error})"
        ) from None
    for entry, content in entries.items():
        if entry != _MANIFEST and manifest.get(entry) != hashlib.sha256(content).hexdigest():
            raise CompileError(
                f"load: {name}: {entry} has another sha256 than the manifest says: the file was "
                "cut or changed"
            )
    return entries


def _require_names(names: Iterable[str], name: str) -> None:
    missing = {_PROGRAM, _TENSORS, _MANIFEST} - set(names)
    if missing:
        raise CompileError(
            f"load: {name} is not a file of dtrain.jit.save: it has no {sorted(missing)[0]}"
        )


def code_of(made: Any) -> str:
    """The program of a script, or the graph of a trace, as text."""
    if made._compiled.options.kind == "trace":
        return str(made.graph)
    packer = Packer()
    program = packer.pack(made)
    return "\n\n".join(function["text"] for function in program["functions"])
