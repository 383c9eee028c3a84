"""Checkpoint folders: the state of a whole job at one step, written completely or not at all.

runs/a/step-00000400/
    manifest.json            step, the job's name, and the sha256 of every other file and of itself
    model.safetensors        one file for each object given to `save_checkpoint`
    optimizer.safetensors
    ...
    random.safetensors       the random generator
"""

from __future__ import annotations

import operator
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from dtrain.backend import default_generator
from dtrain.checkpoint.folder_writer import write_checkpoint
from dtrain.checkpoint.manifest import (
    RANDOM,
    SUFFIX,
    checkpoints,
    find_checkpoint,
    is_object_name,
    open_checked,
    read_manifest,
    step_folders,
    suggest_intact_checkpoint,
)
from dtrain.checkpoint.safetensors_file import StateWriter, read_state
from dtrain.distributed import job_name, lifecycle, recoverable, world
from dtrain.distributed.context import process
from dtrain.errors import CheckpointError
from dtrain.nn import Module
from dtrain.optim import Optimizer

#: snapshots larger than this go to a temporary file
_SNAPSHOT_BYTES = 1 << 24


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

    Every rank calls it; rank 0 writes, and all ranks wait for it. The files are written to a
    temporary folder, synced to disk and renamed, so that a checkpoint is complete or absent
    whenever the process is killed, and one that is replaced stays until then.
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
        If a state holds anything but tensors, arrays, numbers, strings, None and containers, or
        `step` is no integer.
    ValueError
        If `step` is negative, or an object's name cannot be a file's name, or is "random".
    CheckpointError
        If a file or a link is where a folder should be. On the other ranks: if rank 0 failed.
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
    step = _check_step(step)
    for name in objects:
        _check_name(name)
    folder = Path(root) / f"step-{step:08d}"
    writes = _save(folder, step, objects)
    lifecycle.exit_for_respawn(writes)
    return folder


def _check_step(step: int) -> int:
    if isinstance(step, bool) or not hasattr(step, "__index__"):
        raise TypeError(f"save_checkpoint: step is {step!r}, expected the number of steps, an int")
    number = operator.index(step)
    if number < 0:
        raise ValueError(f"save_checkpoint: step is {number}, expected 0 or more")
    return number


def _check_name(name: str) -> None:
    if name == RANDOM:
        raise ValueError(
            f"save_checkpoint: an object is named {RANDOM!r}, under which every checkpoint keeps "
            "the random generator; give it another name"
        )
    if not is_object_name(name):
        raise ValueError(
            f"save_checkpoint: an object is named {name!r}, which cannot be the name of a file in "
            "the checkpoint; use letters, digits and _"
        )


@recoverable
def _save(folder: Path, step: int, objects: Mapping[str, Stateful]) -> bool:
    """Write a checkpoint by rank 0; returns whether this rank has written it."""
    for value in objects.values():
        _gather_state(value, to=0)
    writes = world.rank() == 0 and process.replay is None
    error: Exception | None = None
    if writes:
        try:
            states = {name: value.state_dict() for name, value in objects.items()}
            states[RANDOM] = default_generator().get_state()
            write_checkpoint(folder, step, job_name(), states)
        except Exception as reason:
            error = reason
    told = None if error is None else f"{type(error).__name__}: {error}"
    (failure, *_) = world.communicator().allgather(told, "the checkpoint that rank 0 writes")
    if error is not None:
        raise error
    if failure is not None:
        raise CheckpointError(f"{folder}: rank 0 could not write this checkpoint: {failure}")
    return writes


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
        another model, optimizer or loader, whatever their `load_state_dict` raises. `objects` and
        the generator are then unchanged.

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
    try:
        step, states = _read(folder, objects)
    except _DamagedError as damage:
        raise CheckpointError(f"{damage}. {suggest_intact_checkpoint(folder)}") from damage
    random = states.pop(RANDOM)
    if set(states) != set(objects):
        raise CheckpointError(
            f"{folder}: holds {sorted(states)}, but {sorted(objects)} were asked for"
        )
    _load_all(folder, objects, states, random)
    if folder == replay and process.replay is not None:
        process.replay.loaded_by.add(world.rank())
        if world.rank() == 0:
            print(f"dtrain: replaying from {folder}; no checkpoint is written", file=sys.stderr)
    return step


def _load_all(
    folder: Path, objects: Mapping[str, Stateful], states: dict[str, Any], random: Any
) -> None:
    """Load all objects and the generator; or raise, with all of them as they were."""
    generator = default_generator()
    random_before = generator.get_state()
    snapshots = {name: _Snapshot(value, folder) for name, value in objects.items()}
    begun: list[str] = []
    try:
        for name, value in objects.items():
            begun.append(name)
            value.load_state_dict(states.pop(name))
        begun.append(RANDOM)
        _check_random(random)
        generator.set_state(random)
    except BaseException as reason:
        generator.set_state(random_before)
        failed = [name for name in begun if name != RANDOM and not snapshots[name].restore()]
        also = f"; {failed} could not be restored: make them anew" if failed else ""
        if not isinstance(reason, Exception):
            raise
        raise CheckpointError(
            f"{folder}: its {begun[-1]} does not fit this program's {begun[-1]}: "
            f"{_describe(reason)}{also}"
        ) from reason
    finally:
        for snapshot in snapshots.values():
            snapshot.file.close()


def _describe(reason: Exception) -> str:
    """An exception's message; with its type where the message alone says little."""
    text = str(reason)
    return text if isinstance(reason, (RuntimeError, ValueError)) else f"{reason!r}"


class _Snapshot:
    """The state of an object before a load; a large one lies in a temporary file."""

    def __init__(self, value: Stateful, folder: Path):
        for rank in range(world.world_size()):
            _gather_state(value, to=rank)  # sharded state is gathered on every rank
        self._value = value
        self.file = tempfile.SpooledTemporaryFile(_SNAPSHOT_BYTES)  # noqa: SIM115 - `_load_all` closes it
        try:
            StateWriter(value.state_dict()).write(self.file)
        except OSError as reason:
            self.file.close()
            raise CheckpointError(
                f"{folder}: is not loaded, for the state before it cannot be kept in "
                f"{tempfile.gettempdir()}: {reason}; set TMPDIR to a folder with more space"
            ) from reason

    def restore(self) -> bool:
        """Load the state again; False if it cannot be loaded."""
        try:
            self._value.load_state_dict(read_state(self.file, "state"))  # type: ignore[arg-type]
        except Exception:
            return False
        return True


def _check_random(state: Any) -> None:
    """Raise if a state is not of the form of the random generator's."""
    numbers = [state["seed"], state["stream"], *state["place"]]
    if len(numbers) != 5 or not all(type(number) is int for number in numbers):
        raise ValueError(f"it is {state}, expected a seed, a stream and a place of three integers")


def _find_replay() -> Path | None:
    """The checkpoint of `dtrain debug --replay`; None once this rank has loaded it."""
    if process.replay is None or world.rank() in process.replay.loaded_by:
        return None
    return process.replay.checkpoint


def _read_names(folder: Path) -> set[str]:
    """The names of the objects in a checkpoint."""
    files = read_manifest(folder)["files"]
    return {name.removesuffix(SUFFIX) for name in files} - {RANDOM}


def _gather_state(value: Any, to: int) -> None:
    """Gather the state on rank `to`, if it is sharded over the ranks. Every rank calls it."""
    if hasattr(value, "consolidate_state_dict"):
        value.consolidate_state_dict(to=to)


class _DamagedError(CheckpointError):
    """A checkpoint whose files cannot be read, whatever the program is."""


def _read(folder: Path, objects: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
    """The step and the states of a checkpoint; every file is compared with its sha256.

    Large arrays of objects that copy their state lie in the mapped files.
    """
    manifest = read_manifest(folder)
    states = {}
    for file_name, sha256 in manifest["files"].items():
        name = file_name.removesuffix(SUFFIX)
        try:
            with open_checked(folder, file_name, sha256) as file:
                mapped = _copies_state(objects.get(name))
                states[name] = read_state(file, str(folder / file_name), mapped=mapped)
        except CheckpointError as damage:
            raise _DamagedError(str(damage)) from damage
    return manifest["step"], states


def _copies_state(value: Any) -> bool:
    """Whether an object copies the arrays of a state that it loads, and keeps none of them."""
    inner = getattr(value, "optim", None) if hasattr(value, "consolidate_state_dict") else None
    copying = (Module.load_state_dict, Optimizer.load_state_dict)
    return getattr(type(inner or value), "load_state_dict", None) in copying


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
        _read(folder, {})
    except (CheckpointError, OSError) as damage:
        print(f"dtrain: skipped the damaged checkpoint {folder}: {damage}", file=sys.stderr)
        return False
    return True
