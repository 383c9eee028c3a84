"""Writes a checkpoint folder: complete under its name, or absent, at whatever moment it is killed.

Each rank writes its own files; rank 0 makes the folder, and names it when all files are there.

Jobs may write to the same folder at the same time: what another one is writing is left alone.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from dtrain.checkpoint.manifest import MANIFEST, PREVIOUS, make_manifest
from dtrain.checkpoint.safetensors_file import StateWriter
from dtrain.distributed.comm.communicator import Communicator
from dtrain.errors import CheckpointError

R = TypeVar("R")


def do_on_all_ranks(comm: Communicator, folder: Path, work: Callable[[], R]) -> list[R]:
    """Run `work`, a step of writing the checkpoint `folder`, on each rank; every rank's result.

    Raises
    ------
    CheckpointError
        On each rank, if it failed on another one; where it failed, what it raised there.
    """
    result, error = None, None
    try:
        result = work()
    except Exception as reason:
        error = reason
    failure = None if error is None else f"{type(error).__name__}: {error}"
    told = comm.allgather((result, failure), "the writing of a checkpoint")
    if error is not None:
        raise error
    for rank, (_, failure) in enumerate(told):
        if failure is not None:
            raise CheckpointError(
                f"{folder}: rank {rank} could not write this checkpoint: {failure}"
            )
    return [result for result, _ in told]


def write_checkpoint(
    comm: Communicator, folder: Path, step: int, job: str | None, files: Mapping[str, StateWriter]
) -> None:
    """Write a checkpoint to `folder`, replacing an earlier one there; every rank calls it.

    Parameters
    ----------
    comm : the ranks that write files
    files : those of this rank, by name

    Raises
    ------
    CheckpointError
        If a file or a link is where a folder should be, or another rank could not write its files.
    """
    with contextlib.ExitStack() as held:

        def begin() -> Path | None:
            return held.enter_context(_temporary_folder(folder)) if comm.rank == 0 else None

        def write() -> dict[str, str]:
            assert temporary is not None
            return {name: _write_file(temporary / name, state) for name, state in files.items()}

        def end() -> None:
            if comm.rank == 0:
                assert temporary is not None
                hashes = {name: sha256 for told in written for name, sha256 in told.items()}
                _write_synced(temporary / MANIFEST, make_manifest(step, job, hashes))
                temporary.chmod(0o755)
                _sync_folder(temporary)
                with _lock(folder.parent):
                    _put_in_place(temporary, folder)

        temporary = do_on_all_ranks(comm, folder, begin)[0]
        written = do_on_all_ranks(comm, folder, write)
        do_on_all_ranks(comm, folder, end)


@contextlib.contextmanager
def _temporary_folder(folder: Path) -> Iterator[Path]:
    """A folder in which the checkpoint is written; nothing is left of it after an exception."""
    _make_root(folder.parent)
    _require_folder(folder)
    with contextlib.ExitStack() as held:
        with _lock(folder.parent) as locked:
            if locked:
                _remove_leftovers(folder.parent)
            temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
            held.enter_context(_lock(temporary))  # until all is done: nobody else clears it away
        try:
            yield temporary
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise


def _make_root(root: Path) -> None:
    try:
        root.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as reason:
        raise CheckpointError(
            f"{root}: a checkpoint cannot be saved there, for a file or a broken link is where a "
            f"folder is expected ({reason}); give another folder, or move the file away"
        ) from reason


def _require_folder(folder: Path) -> None:
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        kind = "a link" if folder.is_symlink() else "no folder"
        raise CheckpointError(
            f"{folder}: is {kind}, so the checkpoint cannot take its place; move it away"
        )


@contextlib.contextmanager
def _lock(folder: Path, wait: bool = True) -> Iterator[bool]:
    """Hold the lock of a folder; False where it is taken, or the file system has no locks."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except OSError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


def _remove_leftovers(root: Path) -> None:
    """Remove what killed processes have left. The caller holds the lock of `root`."""
    for leftover in root.glob(".step-*"):
        with contextlib.suppress(OSError), _lock(leftover, wait=False) as ended:
            if ended:
                shutil.rmtree(leftover, ignore_errors=True)
    for previous in root.glob(f"step-*{PREVIOUS}"):
        if previous.with_name(previous.name.removesuffix(PREVIOUS)).is_dir():
            _remove(previous)


def _remove(previous: Path) -> None:
    """Remove a checkpoint, which is not seen any more from the first moment on."""
    with contextlib.suppress(OSError):
        shutil.rmtree(previous.rename(Path(tempfile.mkdtemp(prefix=".step-", dir=previous.parent))))


def remove_checkpoint(folder: Path) -> None:
    """Remove a checkpoint, if it is there: wholly, or it stays whole."""
    if folder.is_dir():
        with _lock(folder.parent):
            _remove(folder)


def _put_in_place(temporary: Path, folder: Path) -> None:
    """Rename a whole checkpoint to its name; at any moment one of this step is whole and found."""
    _require_folder(folder)
    previous = folder.with_name(folder.name + PREVIOUS)
    if folder.exists():  # the same step of a run that was begun again
        if previous.exists():
            _remove(previous)
        folder.rename(previous)
    temporary.rename(folder)
    _sync_folder(folder.parent)
    if previous.exists():
        _remove(previous)


class _HashedFile:
    """A file whose sha256 is taken while it is written."""

    def __init__(self, file: BinaryIO):
        self._file, self.hasher = file, hashlib.sha256()

    def write(self, data: Any, /) -> None:
        self.hasher.update(data)
        self._file.write(data)


def _write_file(path: Path, state: StateWriter) -> str:
    """Write a state file; returns its sha256."""
    with path.open("xb") as file:
        hashed = _HashedFile(file)
        state.write(hashed)
        _sync(file)
    return hashed.hasher.hexdigest()


def _write_synced(path: Path, data: bytes) -> None:
    with path.open("xb") as file:
        file.write(data)
        _sync(file)


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
