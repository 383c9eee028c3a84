"""Checkpoint folders: the state of a whole job at one step, written completely or not at all.

runs/a/step-00000400/
    manifest.json            step, the job's name, and the sha256 of every other file
    model.safetensors        one file for each object given to `save_checkpoint`
    optimizer.safetensors
    ...
    random.safetensors       the random generator
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any, Protocol

from dtrain.backend import default_generator
from dtrain.checkpoint.manifest import (
    MANIFEST,
    check_hashes,
    checkpoints,
    find_checkpoint,
    hash_bytes,
    make_manifest,
    read_manifest,
    suggest_intact_checkpoint,
)
from dtrain.checkpoint.state_file import deserialize, serialize
from dtrain.distributed import job_name, lifecycle, world
from dtrain.distributed.context import process
from dtrain.errors import CheckpointError

_RANDOM = "random"


class Stateful(Protocol):
    """What a checkpoint can hold: models, optimizers, schedules, loaders, scalers, your own.

    Mirrors torch.distributed.checkpoint.stateful.Stateful.
    """

    def state_dict(self) -> Any:
        """The state: tensors, arrays, numbers, strings, None, and containers of them."""

    def load_state_dict(self, state_dict: Any, /) -> Any:
        """Take over a state that `state_dict` returned, or raise and change nothing."""


def save_checkpoint(root: str | Path, step: int, **objects: Stateful) -> Path:
    """Write the state of `objects` and of the random generator to the folder `root`/step-NNNNNNNN.

    Every rank calls it; rank 0 writes. The files are written to a temporary folder, synced to
    disk and renamed, so that a checkpoint is complete or absent whenever the process is killed.
    Under ``dtrain debug --replay`` nothing is written: the run's checkpoints stay as they are.
    Under ``dtrain run --elastic --respawn``, if ranks have failed, the script ends here by
    SystemExit: the launcher starts the job again with all ranks, and `resume` loads this
    checkpoint.

    Parameters
    ----------
    root : the run's folder; made if it does not exist
    step : the number of optimizer steps that the run has made
    **objects : by name, whatever has `state_dict()`: ``model=model, optimizer=optimizer``

    Returns
    -------
    Path
        The folder of the checkpoint.

    Raises
    ------
    TypeError
        If a state holds anything but tensors, arrays, numbers, strings, None and containers.
    OSError
        If the disk is full or not writable. Earlier checkpoints stay as they are.

    Examples
    --------
    >>> import tempfile, dtrain
    >>> model = dtrain.nn.Linear(2, 1)
    >>> with tempfile.TemporaryDirectory() as root:
    ...     folder = save_checkpoint(root, 400, model=model)
    ...     folder.name, load_checkpoint(root, model=model)
    ('step-00000400', 400)
    """
    folder = Path(root) / f"step-{step:08d}"
    for value in objects.values():
        _gather_state(value, to=0)
    writes = world.rank() == 0 and process.replay is None
    if writes:
        states = {name: value.state_dict() for name, value in objects.items()}
        states[_RANDOM] = default_generator().get_state()
        _write(folder, step, {name: serialize(state) for name, state in states.items()})
    lifecycle.exit_for_respawn(writes)
    return folder


def _write(folder: Path, step: int, states: dict[str, bytes]) -> None:
    files = {f"{name}.safetensors": data for name, data in states.items()}
    manifest = make_manifest(step, job_name(), files)
    folder.parent.mkdir(parents=True, exist_ok=True)
    for leftover in folder.parent.glob(".step-*"):  # of a run that was killed while it wrote
        shutil.rmtree(leftover, ignore_errors=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        for name, data in files.items():
            _write_synced(temporary / name, data)
        _write_synced(temporary / MANIFEST, manifest)
        temporary.chmod(0o755)
        _sync_folder(temporary)
        if folder.exists():  # the same step of a run that was begun again
            shutil.rmtree(folder)
        temporary.rename(folder)
        _sync_folder(folder.parent)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def _write_synced(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def load_checkpoint(path: str | Path, **objects: Stateful) -> int:
    """Load the state of `objects` and of the random generator from a checkpoint.

    Every rank calls it and reads the files; the number of ranks may differ from the run that
    wrote them. Under ``dtrain debug --replay`` the first call for the same names loads the
    replayed checkpoint instead.

    Parameters
    ----------
    path : a checkpoint's folder, or a run's folder, whose newest checkpoint is then taken
    **objects : by name, the same names as given to `save_checkpoint`

    Returns
    -------
    int
        The step of the checkpoint.

    Raises
    ------
    CheckpointError
        If there is no checkpoint, a file is missing, cut or edited, or the checkpoint is of
        another model, optimizer or loader. `objects` and the generator are then unchanged.

    Examples
    --------
    >>> import tempfile, dtrain
    >>> model = dtrain.nn.Linear(2, 1)
    >>> with tempfile.TemporaryDirectory() as root:
    ...     folder = save_checkpoint(root, 400, model=model)
    ...     load_checkpoint(folder, model=dtrain.nn.Linear(2, 1))
    400
    """
    replay = _find_replay()
    if replay is not None and _read_names(replay) == set(objects):
        folder = replay
    else:
        folder = find_checkpoint(Path(path))
    manifest, states = _read(folder)
    random = states.pop(_RANDOM)
    if set(states) != set(objects):
        raise CheckpointError(
            f"{folder}: holds {sorted(states)}, but {sorted(objects)} were asked for"
        )
    before = {name: _copy_state(value) for name, value in objects.items()}
    name = ""
    try:
        for name, value in objects.items():
            value.load_state_dict(states[name])
    except (RuntimeError, ValueError, KeyError) as reason:
        for loaded, state in before.items():
            objects[loaded].load_state_dict(state)
        raise CheckpointError(
            f"{folder}: its {name} does not fit this program's {name}: {reason}"
        ) from reason
    default_generator().set_state(random)
    if folder == replay and process.replay is not None:
        process.replay.loaded_by.add(world.rank())
        if world.rank() == 0:
            print(f"dtrain: replaying from {folder}; no checkpoint is written", file=sys.stderr)
    return manifest["step"]


def _find_replay() -> Path | None:
    """The checkpoint of `dtrain debug --replay`; None once this rank has loaded it."""
    if process.replay is None or world.rank() in process.replay.loaded_by:
        return None
    return process.replay.checkpoint


def _read_names(folder: Path) -> set[str]:
    """The names of the objects in a checkpoint."""
    files = read_manifest(folder)["files"]
    return {name.removesuffix(".safetensors") for name in files} - {_RANDOM}


def _gather_state(value: Any, to: int) -> None:
    """Gather the state on rank `to`, if it is sharded over the ranks. Every rank calls it."""
    if hasattr(value, "consolidate_state_dict"):
        value.consolidate_state_dict(to=to)


def _copy_state(value: Stateful) -> Any:
    """A copy of an object's state; sharded state is gathered on every rank."""
    for rank in range(world.world_size()):
        _gather_state(value, to=rank)
    return deserialize(serialize(value.state_dict()), "state")


def _read(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The manifest and the states of a checkpoint; every file is compared with its sha256."""
    manifest = read_manifest(folder)
    states = {}
    for name, expected in manifest["files"].items():
        try:
            data = (folder / name).read_bytes()
        except OSError as reason:
            raise CheckpointError(f"{folder}: {name} cannot be read: {reason}") from reason
        if (found := hash_bytes(data)) != expected:
            raise CheckpointError(
                f"{folder}: {name} has sha256 {found[:8]}…, the manifest says {expected[:8]}…: "
                f"the file was cut or changed. {suggest_intact_checkpoint(folder)}"
            )
        states[name.removesuffix(".safetensors")] = deserialize(data, str(folder / name))
    return manifest, states


def resume(root: str | Path, path: str | Path | None = None, **objects: Stateful) -> int:
    """Load the state from which this job continues; returns its step, 0 for a new run.

    If `dtrain run` has restarted the job, it continues from the newest intact checkpoint that
    the job itself wrote to `root`; checkpoints of other jobs there (by `job_name`) are ignored.
    If the job has written none, it begins as it did the first time: from `path`, or at step 0.
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
    >>> model = dtrain.nn.Linear(2, 1)
    >>> with tempfile.TemporaryDirectory() as root:
    ...     first = resume(root, model=model)  # a new run
    ...     _ = save_checkpoint(root, 400, model=model)
    ...     first, resume(root, path=root, model=model)
    (0, 400)
    """
    replay = _find_replay()
    if replay is not None:
        return load_checkpoint(replay, **objects)
    own = _find_own_checkpoint(Path(root)) if world.rank() == 0 else None
    own = world.communicator().broadcast(own)
    chosen = path if own is None else own
    if chosen is None:
        return 0
    step = load_checkpoint(chosen, **objects)
    if world.rank() == 0 and own is not None:
        print(f"dtrain: resumed this job from {own}", file=sys.stderr)
    return step


def _find_own_checkpoint(root: Path) -> Path | None:
    """The newest intact checkpoint that this job has written, None if there is none."""
    name = job_name()
    for folder in reversed(checkpoints(root)) if name is not None else ():
        try:
            if read_manifest(folder).get("job") == name:
                check_hashes(folder)
                return folder
        except CheckpointError as damage:
            print(f"dtrain: skipped the damaged checkpoint {folder}: {damage}", file=sys.stderr)
    return None
