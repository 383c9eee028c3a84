"""Manifests: which checkpoints a run's folder holds, and whether their files are intact.

A checkpoint's manifest.json has its step, the job's name and the sha256 of every other file.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dtrain.errors import CheckpointError

MANIFEST = "manifest.json"
_FORMAT = 1


def make_manifest(step: int, job: str | None, files: Mapping[str, bytes]) -> bytes:
    """The contents of manifest.json for `files`, which maps file names to their contents."""
    hashes = {name: hash_bytes(data) for name, data in files.items()}
    manifest = {"format": _FORMAT, "step": step, "job": job, "files": hashes}
    return json.dumps(manifest, indent=2).encode()


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a checkpoint folder: its "step", "job" and "files" (name to sha256)."""
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
        found, _ = manifest["format"], manifest["files"].items()
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as reason:
        raise CheckpointError(f"{folder / MANIFEST}: cannot be read: {reason!r}") from reason
    if found != _FORMAT:
        raise CheckpointError(f"{folder}: has format {found}, this version reads {_FORMAT}")
    return manifest


def hash_bytes(data: bytes) -> str:
    """The sha256 as 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def checkpoints(root: str | Path) -> list[Path]:
    """List the checkpoint folders of a run, oldest first.

    Parameters
    ----------
    root : the run's folder, as given to `save_checkpoint`

    Returns
    -------
    list of Path
        The ``step-NNNNNNNN`` folders that have a manifest; their files are not read.

    Examples
    --------
    >>> checkpoints("a-folder-that-is-not-there")
    []
    """
    found = [p for p in Path(root).glob("step-*") if re.fullmatch(r"step-\d+", p.name)]
    return sorted((p for p in found if (p / MANIFEST).exists()), key=lambda p: int(p.name[5:]))


def find_newest_checkpoint(root: str | Path) -> Path:
    """Find the checkpoint of a run with the highest step.

    Parameters
    ----------
    root : the run's folder, as given to `save_checkpoint`

    Returns
    -------
    Path
        The checkpoint's folder; its files are not read.

    Raises
    ------
    CheckpointError
        If the folder holds no checkpoint.

    Examples
    --------
    >>> import tempfile, dtrain
    >>> with tempfile.TemporaryDirectory() as root:
    ...     for step in (100, 200):
    ...         _ = dtrain.checkpoint.save_checkpoint(root, step, model=dtrain.nn.Linear(2, 1))
    ...     find_newest_checkpoint(root).name
    'step-00000200'
    """
    found = checkpoints(root)
    if not found:
        raise CheckpointError(f"{root}: is no checkpoint and holds none (step-NNNNNNNN folders)")
    return found[-1]


def find_checkpoint(path: Path) -> Path:
    """`path` if it is a checkpoint's folder, else the newest checkpoint in it."""
    return path if (path / MANIFEST).exists() else find_newest_checkpoint(path)


def verify_checkpoint(path: str | Path) -> Path:
    """Compare every file of a checkpoint with the sha256 in its manifest.

    Parameters
    ----------
    path : a checkpoint's folder, or a run's folder, whose newest checkpoint is then taken

    Returns
    -------
    Path
        The folder of the checkpoint.

    Raises
    ------
    CheckpointError
        If there is no checkpoint, or a file is missing, cut or edited; names the newest intact
        checkpoint of the run.

    Examples
    --------
    >>> import tempfile, dtrain
    >>> with tempfile.TemporaryDirectory() as root:
    ...     folder = dtrain.checkpoint.save_checkpoint(root, 100, model=dtrain.nn.Linear(2, 1))
    ...     verify_checkpoint(root) == folder
    True
    """
    folder = Path(path)
    try:
        folder = find_checkpoint(folder)
        check_hashes(folder)
    except CheckpointError as damage:
        raise CheckpointError(f"{damage}. {suggest_intact_checkpoint(folder)}") from damage
    return folder


def check_hashes(folder: Path) -> None:
    """Raise a CheckpointError for the first file that is missing, cut or edited."""
    for name, expected in read_manifest(folder)["files"].items():
        path = folder / name
        if not path.exists() or hash_bytes(path.read_bytes()) != expected:
            raise CheckpointError(f"{path}: is missing, or was cut or changed")


def suggest_intact_checkpoint(damaged: Path) -> str:
    """A sentence for errors: which other checkpoint of the run to resume from."""
    for other in reversed(checkpoints(damaged.parent)):
        if other.name != damaged.name:
            try:
                check_hashes(other)
            except CheckpointError:
                continue
            return f"The newest intact checkpoint is {other.name}: resume with {other}"
    return "The run has no other intact checkpoint."
