"""Loads a checkpoint folder, as a transaction: all objects and the generator, or none of them."""

from __future__ import annotations

import io
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, cast

from dtrain.backend import default_generator
from dtrain.checkpoint.manifest import (
    RANDOM,
    find_checkpoint,
    open_checked,
    read_manifest,
    suggest_intact_checkpoint,
)
from dtrain.checkpoint.parts import group_by_object
from dtrain.checkpoint.safetensors_file import StateWriter, join_parts, read_state, read_tensors
from dtrain.checkpoint.stateful import Stateful, copies_state, gather_state, is_in_parts
from dtrain.distributed import world
from dtrain.distributed.context import process
from dtrain.errors import CheckpointError

#: snapshots larger than this go to a temporary file
_SNAPSHOT_BYTES = 1 << 24


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
    >>> from dtrain.checkpoint import save_checkpoint
    >>> model = dtrain.nn.Linear(2, 1)
    >>> with tempfile.TemporaryDirectory() as root:
    ...     folder = save_checkpoint(root, 400, model=model)
    ...     load_checkpoint(folder, model=dtrain.nn.Linear(2, 1))
    400
    """
    replay = find_replay()
    if replay is not None and _read_names(replay) == set(objects):
        folder = replay
    else:
        folder = find_checkpoint(Path(path))
    try:
        step, states = read_states(folder, objects)
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


def find_replay() -> Path | None:
    """The checkpoint of `dtrain debug --replay`; None once this rank has loaded it."""
    if process.replay is None or world.rank() in process.replay.loaded_by:
        return None
    return process.replay.checkpoint


def _read_names(folder: Path) -> set[str]:
    """The names of the objects in a checkpoint."""
    return set(group_by_object(read_manifest(folder)["files"])) - {RANDOM}


class _DamagedError(CheckpointError):
    """A checkpoint whose files cannot be read, whatever the program is."""


def read_states(folder: Path, objects: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
    """The step and the states of a checkpoint; every file is compared with its sha256.

    Large arrays of objects that copy their state lie in the mapped files.
    """
    manifest = read_manifest(folder)
    states = {}
    for name in group_by_object(manifest["files"]):
        mapped = copies_state(objects.get(name))
        try:
            states[name] = read_object(folder, manifest, name, mapped)
        except CheckpointError as damage:
            raise _DamagedError(str(damage)) from damage
    return manifest["step"], states


def read_object(folder: Path, manifest: Mapping[str, Any], name: str, mapped: bool) -> Any:
    """The state of an object, in one file or in all parts of it, compared with their sha256."""
    parts = []
    file_names = group_by_object(manifest["files"])[name]
    for file_name in file_names:
        with open_checked(folder, file_name, manifest["files"][file_name]) as file:
            parts.append(read_tensors(file, str(folder / file_name), mapped=mapped))
    return join_parts(parts, str(folder / file_names[0]))


def _load_all(
    folder: Path, objects: Mapping[str, Stateful], states: dict[str, Any], random: Any
) -> None:
    """Load all objects and the generator; or raise, with all of them as they were."""
    generator = default_generator()
    random_before = generator.get_state()
    # A snapshot of a sharded object would be whole on each rank: these have none, and are loaded
    # last, after every check has passed.
    sharded = [name for name, value in objects.items() if is_in_parts(value)]
    others = [name for name in objects if name not in sharded]
    snapshots = {name: _Snapshot(objects[name], folder) for name in others}
    begun: list[str] = []
    changed: list[str] = []  # sharded
    try:
        for name in others:
            begun.append(name)
            objects[name].load_state_dict(states.pop(name))
        begun.append(RANDOM)
        _check_random(random)
        generator.set_state(random)
        for name in sharded:
            begun.append(name)
            cast(Any, objects[name])._check_state_dict(states[name])
        for name in sharded:
            begun.append(name)
            changed.append(name)
            objects[name].load_state_dict(states.pop(name))
    except BaseException as reason:
        generator.set_state(random_before)
        failed = [name for name in begun if name in snapshots and not snapshots[name].restore()]
        failed += changed
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


class _Snapshot:
    """The state of an object before a load; a large one lies in a temporary file."""

    file: BinaryIO

    def __init__(self, value: Stateful, folder: Path):
        for rank in range(world.world_size()):
            gather_state(value, to=rank)  # sharded state is gathered on every rank
        self._value = value
        self.file = io.BytesIO()
        writer = StateWriter(value.state_dict())
        try:
            if sum(array.nbytes for _, array in writer.arrays) > _SNAPSHOT_BYTES:
                self.file = tempfile.TemporaryFile()  # noqa: SIM115 - `_load_all` closes it
            writer.write(self.file)
        except OSError as reason:
            self.file.close()
            raise CheckpointError(
                f"{folder}: is not loaded, for the state before it cannot be kept in "
                f"{tempfile.gettempdir()}: {reason}; set TMPDIR to a folder with more space"
            ) from reason

    def restore(self) -> bool:
        """Load the state again; False if it cannot be loaded."""
        try:
            self._value.load_state_dict(read_state(self.file, "state"))
        except Exception:
            return False
        return True


def _check_random(state: Any) -> None:
    """Raise if a state is not of the form of the random generator's."""
    numbers = [state["seed"], state["stream"], *state["place"]]
    if len(numbers) != 5 or not all(type(number) is int for number in numbers):
        raise ValueError(f"it is {state}, expected a seed, a stream and a place of three integers")


def _describe(reason: Exception) -> str:
    """An exception's message; with its type where the message alone says little."""
    text = str(reason)
    return text if isinstance(reason, (RuntimeError, ValueError)) else f"{reason!r}"
