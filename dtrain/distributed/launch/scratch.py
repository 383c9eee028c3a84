"""A temporary folder for Open MPI's files, which it leaves behind when its mpirun is killed."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dtrain.distributed.launch.machine import Machine

_SHARED_MEMORY = Path("/dev/shm")
_PREFIX = "dtrain-launch-"


@contextmanager
def scratch_folder(machine: Machine, one_node: bool) -> Iterator[dict[str, str]]:
    """Context manager: variables that move Open MPI's files to a folder, removed at the end."""
    launcher = machine.launcher
    if launcher.kind != "openmpi" or launcher.version < 5 or not os.access(_SHARED_MEMORY, os.W_OK):
        yield {}
        return
    _remove_abandoned()
    lock = None
    while lock is None:  # until locked, another process may take it for abandoned
        folder = tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=_SHARED_MEMORY)
        lock = _try_lock(folder)
    variables = {}
    if "PRTE_MCA_prte_tmpdir_base" not in machine.environ:  # Open MPI refuses both
        variables["PRTE_MCA_prte_local_tmpdir_base"] = folder
    if one_node:  # on other hosts there is no such folder
        variables["OMPI_MCA_btl_sm_backing_directory"] = folder
    try:
        yield variables
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _remove_abandoned() -> None:
    """Remove the folders of killed processes: no process holds their locks any more."""
    for folder in _SHARED_MEMORY.glob(f"{_PREFIX}*"):
        if (lock := _try_lock(folder)) is not None:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)


def _try_lock(folder: str | Path) -> int | None:
    """Lock a folder: a descriptor that holds the lock until it is closed; None if that fails."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:  # another user's, or removed
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor
