"""Checkpoint folders: a whole job at one step, checksummed, and there whole or not at all.

runs/a/step-00000400/
    manifest.json            step, the job's name, and the sha256 of every other file
    model.safetensors        one file for each object that was given
    optimizer.safetensors
    ...
    random.safetensors       the random generator
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from dtrain.backend import default_generator
from dtrain.checkpoint.state_file import from_bytes, to_bytes
from dtrain.distributed import job_name, lifecycle, world
from dtrain.errors import CheckpointError

_MANIFEST = "manifest.json"
_RANDOM = "random"
_FORMAT = 1


def save_checkpoint(root: str | Path, step: int, **objects: Any) -> Path:
    """Write the states of `objects`, and of the random generator, to `root`/step-NNNNNNNN.

    To be called by every rank; rank 0 writes. The folder is written under another name, synced
    to disk and renamed, so that whatever happens a checkpoint is whole or is not there.
    Under ``dtrain debug --replay`` nothing is written: the run's checkpoints stay as they are.
    Under ``dtrain run --elastic --respawn``, where ranks were lost, the script ends here by
    SystemExit: the job is started again with all ranks, and goes on from here by `resume`.

    Parameters
    ----------
    root : the run's folder
    step : how many steps the run has made
    objects : by name, what has `state_dict()`: model=..., optimizer=..., loader=...

    Returns
    -------
    The folder of the checkpoint.
    """
    folder = Path(root) / f"step-{step:08d}"
    for value in objects.values():
        if hasattr(value, "consolidate_state_dict"):  # its state is spread over the ranks
            value.consolidate_state_dict(to=0)
    writes = world.rank() == 0 and lifecycle.replay is None
    if writes:
        states = {name: value.state_dict() for name, value in objects.items()}
        states[_RANDOM] = default_generator().get_state()
        _write(folder, step, {name: to_bytes(state) for name, state in states.items()})
    lifecycle.exit_for_respawn(writes)
    return folder


def _write(folder: Path, step: int, files: dict[str, bytes]) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    manifest = {
        "format": _FORMAT,
        "step": step,
        "job": job_name(),
        "files": {f"{name}.safetensors": _sha256(data) for name, data in files.items()},
    }
    for ruin in folder.parent.glob(".step-*"):  # of a run that was killed while it wrote
        shutil.rmtree(ruin, ignore_errors=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        for name, data in files.items():
            _write_synced(temporary / f"{name}.safetensors", data)
        _write_synced(temporary / _MANIFEST, json.dumps(manifest, indent=2).encode())
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


def load_checkpoint(path: str | Path, **objects: Any) -> int:
    """Give `objects`, and the random generator, the states in a checkpoint; returns its step.

    To be called by every rank; each reads the files. Under ``dtrain debug --replay`` the first
    call for what that checkpoint holds takes it instead.

    Parameters
    ----------
    path : a checkpoint's folder, or a run's, whose newest checkpoint is then taken
    objects : by name, what has `load_state_dict()`, as given to `save_checkpoint`

    Raises
    ------
    CheckpointError
        If there is none, a file is missing, cut or edited, or the checkpoint is of another
        model, optimizer or loader. The objects are as before then.
    """
    replay = _replay()
    folder = replay if replay and _names(replay) == set(objects) else _folder(Path(path))
    manifest, states = _read(folder)
    random = states.pop(_RANDOM)
    if set(states) != set(objects):
        raise CheckpointError(
            f"{folder}: holds {sorted(states)}, but {sorted(objects)} were asked for"
        )
    before = {name: _copied(_state_of(value)) for name, value in objects.items()}
    name = ""
    try:
        for name, value in objects.items():
            value.load_state_dict(states[name])
    except (RuntimeError, ValueError, KeyError) as reason:
        for loaded, state in before.items():
            objects[loaded].load_state_dict(state)
        raise CheckpointError(
            f"{folder}: its {name} is of another {name} than this program's: {reason}"
        ) from reason
    default_generator().set_state(random)
    if folder == replay and lifecycle.replay is not None:
        lifecycle.replay.loaded_by.add(world.rank())
        if world.rank() == 0:
            print(f"dtrain: replays {folder}, and writes no checkpoint", file=sys.stderr)
    return manifest["step"]


def _replay() -> Path | None:
    """What `dtrain debug --replay` has this rank load; None once it has."""
    if lifecycle.replay is None or world.rank() in lifecycle.replay.loaded_by:
        return None
    return lifecycle.replay.checkpoint


def _names(folder: Path) -> set[str]:
    """What a checkpoint holds."""
    files = _read_manifest(folder)["files"]
    return {name.removesuffix(".safetensors") for name in files} - {_RANDOM}


def _folder(path: Path) -> Path:
    """The checkpoint that a path means: a checkpoint's folder, or a run's, of which the newest."""
    return path if (path / _MANIFEST).exists() else newest_checkpoint(path)


def whole_checkpoint(path: str | Path) -> Path:
    """The folder of the checkpoint that `path` means to `load_checkpoint`, with all files whole.

    Raises
    ------
    CheckpointError
        If there is none, or a file is missing, cut or edited; says which other one is whole.
    """
    folder = Path(path)
    try:
        folder = _folder(folder)
        _read_hashes(folder)
    except CheckpointError as damage:
        raise CheckpointError(f"{damage}. {_alternative(folder)}") from damage
    return folder


def _state_of(value: Any) -> Any:
    """The state of an object on this rank, which every rank asks for."""
    if hasattr(value, "consolidate_state_dict"):
        for rank in range(world.world_size()):
            value.consolidate_state_dict(to=rank)
    return value.state_dict()


def resume(root: str | Path, path: str | Path | None = None, **objects: Any) -> int:
    """Give `objects` the state from which this job has to go on; returns its step, 0 at first.

    A job that `dtrain run` has started again goes on from the newest whole checkpoint which it
    wrote to `root` itself: a run that left others there is another job, by `job_name`. Without
    one of its own it begins as it did the first time: from `path` if there is one, or anew.

    Under ``dtrain debug --replay`` it goes on from the checkpoint that was given there.

    To be called by every rank; rank 0 chooses. It says where the job goes on, and which
    checkpoints are damaged.

    Parameters
    ----------
    root : the run's folder, as given to `save_checkpoint`
    path : as of `load_checkpoint`
    objects : by name, what has `load_state_dict()`, as given to `save_checkpoint`

    Raises
    ------
    CheckpointError
        As `load_checkpoint`.
    """
    replay = _replay()
    if replay is not None:
        return load_checkpoint(replay, **objects)
    own = _newest_of_this_job(Path(root)) if world.rank() == 0 else None
    own = world.communicator().broadcast(own)
    if own is None and path is None:
        return 0
    step = load_checkpoint(own or path, **objects)  # type: ignore[arg-type]
    if world.rank() == 0 and own is not None:
        print(f"dtrain: this job goes on from {own}", file=sys.stderr)
    return step


def _newest_of_this_job(root: Path) -> Path | None:
    name = job_name()
    for folder in reversed(checkpoints(root)) if name is not None else ():
        try:
            if _read_manifest(folder).get("job") == name:
                _read_hashes(folder)
                return folder
        except CheckpointError as damage:
            print(f"dtrain: {folder} is passed over: {damage}", file=sys.stderr)
    return None


def _copied(state: Any) -> Any:
    return from_bytes(to_bytes(state), "state")


def _read(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The manifest and the states of a checkpoint whose files are all whole."""
    manifest = _read_manifest(folder)
    states = {}
    for name, expected in manifest["files"].items():
        try:
            data = (folder / name).read_bytes()
        except OSError as reason:
            raise CheckpointError(f"{folder}: {name} cannot be read: {reason}") from reason
        if _sha256(data) != expected:
            raise CheckpointError(
                f"{folder}: {name} has sha256 {_sha256(data)[:8]}…, the manifest says "
                f"{expected[:8]}…: the file was cut or changed. {_alternative(folder)}"
            )
        states[name.removesuffix(".safetensors")] = from_bytes(data, str(folder / name))
    return manifest, states


def _read_manifest(folder: Path) -> dict[str, Any]:
    try:
        manifest = json.loads((folder / _MANIFEST).read_bytes())
        found, _ = manifest["format"], manifest["files"].items()
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as reason:
        raise CheckpointError(f"{folder / _MANIFEST}: cannot be read: {reason!r}") from reason
    if found != _FORMAT:
        raise CheckpointError(f"{folder}: has format {found}, this version reads {_FORMAT}")
    return manifest


def checkpoints(root: str | Path) -> list[Path]:
    """The checkpoint folders in a run's folder, oldest first."""
    found = [p for p in Path(root).glob("step-*") if re.fullmatch(r"step-\d+", p.name)]
    return sorted((p for p in found if (p / _MANIFEST).exists()), key=lambda p: int(p.name[5:]))


def newest_checkpoint(root: str | Path) -> Path:
    """The checkpoint in a run's folder that has made the most steps."""
    found = checkpoints(root)
    if not found:
        raise CheckpointError(f"{root}: is no checkpoint and holds none (step-NNNNNNNN folders)")
    return found[-1]


def _alternative(folder: Path) -> str:
    """Which other checkpoint of the run is whole."""
    for other in reversed(checkpoints(folder.parent)):
        if other.name != folder.name:
            try:
                _read_hashes(other)
            except CheckpointError:
                continue
            return f"The newest whole checkpoint is {other.name}: resume with {other}"
    return "The run has no other whole checkpoint."


def _read_hashes(folder: Path) -> None:
    for name, expected in _read_manifest(folder)["files"].items():
        path = folder / name
        if not path.exists() or _sha256(path.read_bytes()) != expected:
            raise CheckpointError(f"{path}: is not whole")


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
