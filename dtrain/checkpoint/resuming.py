"""Which checkpoint a job continues from: its own newest intact one, or the one it began from."""

from __future__ import annotations

import sys
from pathlib import Path

from dtrain.checkpoint.loading import find_replay, load_checkpoint, read_states
from dtrain.checkpoint.manifest import checkpoints, find_checkpoint, read_manifest, step_folders
from dtrain.checkpoint.stateful import Stateful
from dtrain.distributed import job_name, world
from dtrain.errors import CheckpointError


def resume(root: str | Path, path: str | Path | None = None, **objects: Stateful) -> int:
    """Load the state from which this job continues; returns its step, 0 for a new run.

    If `dtrain run` has restarted the job, it continues from the newest intact checkpoint that
    the job itself wrote to `root`; checkpoints of other jobs there (by `job_name`) are ignored.
    If the job has written none, it begins as it did the first time: from `path`, or at step 0.
    Of a run's folder as `path`, too, the newest checkpoint that can be read is taken.
    Under ``dtrain debug --replay`` it continues from the checkpoint given there.

    Every rank calls it; rank 0 chooses the checkpoint, and reports the choice and damaged
    checkpoints on stderr.

    Parameters
    ----------
    root : the run's folder, as given to `save_checkpoint`
    path : a checkpoint's or a run's folder to begin from, as of `load_checkpoint`
    **objects : by name, the same names as given to `save_checkpoint`

    Returns
    -------
    int
        The step of the loaded checkpoint; 0 if none was loaded.

    Raises
    ------
    CheckpointError
        As `load_checkpoint`.

    Examples
    --------
    >>> import tempfile, dtrain
    >>> from dtrain.checkpoint import save_checkpoint
    >>> model = dtrain.nn.Linear(2, 1)
    >>> with tempfile.TemporaryDirectory() as root:
    ...     first = resume(root, model=model)  # a new run
    ...     _ = save_checkpoint(root, 400, model=model)
    ...     first, resume(root, path=root, model=model)
    (0, 400)
    """
    replay = find_replay()
    if replay is not None:
        return load_checkpoint(replay, **objects)
    own = start = None
    if world.rank() == 0:
        own = _find_own_checkpoint(Path(root))
        start = None if path is None or own is not None else _choose_start(Path(path))
    own, start = world.communicator().broadcast((own, start))
    chosen = start if own is None else own
    if chosen is None:
        return 0
    step = load_checkpoint(chosen, **objects)
    if world.rank() == 0 and own is not None:
        print(f"dtrain: resumed this job from {own}", file=sys.stderr)
    return step


def _find_own_checkpoint(root: Path) -> Path | None:
    """The newest checkpoint that this job has written and that can be read, None without one."""
    name = job_name()
    for folder in reversed(step_folders(root)) if name is not None else ():
        if _is_readable(folder, name):
            return folder
    return None


def _choose_start(path: Path) -> Path:
    """The checkpoint to begin from: `path` itself, or the newest in it that can be read."""
    found = checkpoints(path)
    if found and find_checkpoint(path) != path:
        for folder in reversed(found):
            if _is_readable(folder):
                return folder
    return path


def _is_readable(folder: Path, job: str | None = None) -> bool:
    """Whether a checkpoint can be read, and is of `job` if that is given; tells of damage."""
    try:
        if job is not None and read_manifest(folder)["job"] != job:
            return False
        read_states(folder, {})
    except (CheckpointError, OSError) as damage:
        print(f"dtrain: skipped the damaged checkpoint {folder}: {damage}", file=sys.stderr)
        return False
    return True
