"""Manifests: which checkpoints a run's folder holds, and whether their files are intact.

A checkpoint's manifest.json has its step, the job's name, the sha256 of every other file, and a
sha256 of these entries.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from dtrain.checkpoint.parts import SUFFIX, group_by_object
from dtrain.errors import CheckpointError

MANIFEST = "manifest.json"
#: the file of the random generator
RANDOM = "random"
#: the end of the name of a checkpoint while another one of the same step takes its place
PREVIOUS = ".previous"
_FORMAT = 2
_LARGEST = 1 << 24  # bytes of a manifest
_BLOCK_BYTES = 1 << 22
_SHA256 = re.compile("[0-9a-f]{64}")


def make_manifest(step: int, job: str | None, hashes: Mapping[str, str]) -> bytes:
    """The contents of manifest.json; `hashes` maps file names to their sha256."""
    manifest = {"format": _FORMAT, "step": step, "job": job, "files": dict(hashes)}
    return json.dumps({**manifest, "sha256": _hash_entries(manifest)}, indent=2).encode()


def _hash_entries(manifest: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a checkpoint folder: its "step", "job" and "files" (name to sha256).

    Its sha256 and its form have been checked. Format 1, of dtrain's first days, has no sha256.
    """
    path = folder / MANIFEST
    try:
        with open_file(folder, MANIFEST) as file:
            text = file.read(_LARGEST + 1)
        if len(text) > _LARGEST:
            raise ValueError(f"it is larger than {_LARGEST} bytes")
        manifest = json.loads(text)
        found = manifest["format"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as reason:
        raise CheckpointError(f"{path}: cannot be read: {reason!r}") from reason
    if type(found) is not int or found not in (1, _FORMAT):
        raise CheckpointError(f"{folder}: has format {found!r}, this version reads 1 and {_FORMAT}")
    told = manifest.pop("sha256", None) if found == _FORMAT else None
    if found == _FORMAT and told != _hash_entries(manifest):
        raise CheckpointError(
            f"{path}: its entries do not have the sha256 that it tells: it was cut or changed"
        )
    _check_form(manifest, folder)
    return manifest


def _check_form(manifest: Mapping[str, Any], folder: Path) -> None:
    step, job, files = (manifest.get(name) for name in ("step", "job", "files"))
    number = re.fullmatch("step-([0-9]+)", folder.name)
    wrong = ""
    if set(manifest) != {"format", "step", "job", "files"}:
        wrong = f"has the entries {sorted(manifest)}, expected format, step, job and files"
    elif type(step) is not int or step < 0:
        wrong = f"has the step {step!r}, expected a number of steps"
    elif manifest["format"] == 1 and number and int(number[1]) != step:
        wrong = f"has the step {step}, its folder another one"
    elif job is not None and not isinstance(job, str):
        wrong = f"has the job {job!r}, expected a name or null"
    elif not isinstance(files, dict) or RANDOM + SUFFIX not in files:
        wrong = f"lists no {RANDOM}{SUFFIX} in its files"
    else:
        for name, sha256 in files.items():
            if not name.endswith(SUFFIX) or not is_object_name(name.removesuffix(SUFFIX)):
                wrong = f"lists the file {name!r}, which no object's name gives"
            elif not isinstance(sha256, str) or not _SHA256.fullmatch(sha256):
                wrong = f"has {sha256!r} for {name}, expected a sha256"
        try:
            group_by_object(files)
        except ValueError as reason:
            wrong = wrong or str(reason)
    if wrong:
        raise CheckpointError(f"{folder / MANIFEST}: {wrong}: it was cut or changed")


def is_object_name(name: str) -> bool:
    """Whether an object's name can be a file's name in a checkpoint."""
    printable = name.isprintable() and not name.startswith(".") and not set(name) & set("/\\:")
    return printable and 0 < len(name.encode("utf-8", "surrogatepass")) <= 200


def open_file(folder: Path, name: str) -> BinaryIO:
    """Open a file of a checkpoint for reading: a regular file that lies in the folder itself.

    Raises
    ------
    CheckpointError
        If it is a link out of the folder, a folder, a pipe or a device; nothing is read from it.
    OSError
        If there is none, or it may not be read.
    """
    path = folder / name
    if path.resolve().parent != folder.resolve():
        raise CheckpointError(
            f"{path}: is a link out of the checkpoint's folder, to {path.resolve()}; copy the file"
        )
    # O_NONBLOCK: a pipe would wait for its writer
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise CheckpointError(f"{path}: cannot be read: it is no regular file")
    return os.fdopen(descriptor, "rb")


def hash_file(file: BinaryIO) -> str:
    """The sha256 of a file from its position on, as 64 hexadecimal digits."""
    hasher, block = hashlib.sha256(), memoryview(bytearray(_BLOCK_BYTES))
    while count := file.readinto(block):  # type: ignore[attr-defined]
        hasher.update(block[:count])
    return hasher.hexdigest()


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
    return [folder for folder in step_folders(Path(root)) if _has_manifest(folder)]


def step_folders(root: Path) -> list[Path]:
    """The folders of a run that are named as checkpoints, oldest first.

    A checkpoint that was about to be replaced by another one of its step (`PREVIOUS`) counts if
    the process was killed before the other one was in its place.
    """
    found: dict[int, Path] = {}
    for folder in sorted(root.glob("step-*"), key=lambda path: path.name.endswith(PREVIOUS)):
        number = re.fullmatch(f"step-([0-9]+)({re.escape(PREVIOUS)})?", folder.name)
        if number:
            found.setdefault(int(number[1]), folder)
    return [found[step] for step in sorted(found)]


def _has_manifest(folder: Path) -> bool:
    try:
        return (folder / MANIFEST).exists()
    except OSError:  # the folder may not be read
        return False


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
    for folder in (path, path.with_name(path.name + PREVIOUS) if path.name else path):
        if _has_manifest(folder):
            return folder
    return find_newest_checkpoint(path)


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
        with open_checked(folder, name, expected):
            pass


def open_checked(folder: Path, name: str, expected: str) -> BinaryIO:
    """Open a file of a checkpoint whose contents have the sha256 that is expected."""
    try:
        file = open_file(folder, name)
    except OSError as reason:
        raise CheckpointError(f"{folder}: {name} cannot be read: {reason}") from reason
    try:
        if (found := hash_file(file)) != expected:
            raise CheckpointError(
                f"{folder}: {name} has sha256 {found[:8]}…, the manifest says {expected[:8]}…: "
                "the file was cut or changed"
            )
    except OSError as reason:
        file.close()
        raise CheckpointError(f"{folder}: {name} cannot be read: {reason}") from reason
    except BaseException:
        file.close()
        raise
    return file


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
