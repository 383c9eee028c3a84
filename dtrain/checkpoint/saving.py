"""Checkpoint folders: the state of a whole job at one step, written completely or not at all.

runs/a/step-00000400/
    manifest.json            step, the job's name, and the sha256 of every other file and of itself
    model.safetensors        one file for each object given to `save_checkpoint`
    optimizer.safetensors
    ...
    random.safetensors       the random generator

Of a model that `fully_shard` has sharded, and its optimizer, each rank writes a part: parts.py.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping
from pathlib import Path

from dtrain.checkpoint.folder_writer import do_on_all_ranks, write_checkpoint
from dtrain.checkpoint.manifest import RANDOM, is_object_name
from dtrain.checkpoint.parts import is_part_name
from dtrain.checkpoint.safetensors_file import StateWriter
from dtrain.checkpoint.stateful import Stateful, collect_files
from dtrain.distributed import job_name, lifecycle, recoverable, world
from dtrain.distributed.context import process
from dtrain.distributed.watchdog.activity import activity


def save_checkpoint(root: str | Path, step: int, **objects: Stateful) -> Path:
    """Write the state of `objects` and of the random generator to the folder `root`/step-NNNNNNNN.

    Every rank calls it; rank 0 writes, of what is sharded each rank its part, and all of them wait
    for the others. The files are written to a temporary folder, synced to disk and renamed, so that
    a checkpoint is complete or absent whenever the process is killed, and one that is replaced
    stays until then.
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
        If a file or a link is where a folder should be. On the other ranks: if one has failed.
    OSError
        If the disk is full or not writable. Earlier checkpoints stay as they are.

    Examples
    --------
    >>> import tempfile, dtrain
    >>> from dtrain.checkpoint import load_checkpoint
    >>> model = dtrain.nn.Linear(2, 1)
    >>> with tempfile.TemporaryDirectory() as root:
    ...     folder = save_checkpoint(root, 400, model=model)
    ...     folder.name, load_checkpoint(root, model=model)
    ('step-00000400', 400)
    """
    folder = checkpoint_folder(root, step)
    for name in objects:
        check_object_name(name)
    writes = _save(folder, operator.index(step), objects)
    lifecycle.exit_for_respawn(writes)
    return folder


def checkpoint_folder(root: str | Path, step: int) -> Path:
    """The folder of a step's checkpoint; refuses what is no number of steps."""
    if isinstance(step, bool) or not hasattr(step, "__index__"):
        raise TypeError(f"save_checkpoint: step is {step!r}, expected the number of steps, an int")
    number = operator.index(step)
    if number < 0:
        raise ValueError(f"save_checkpoint: step is {number}, expected 0 or more")
    return Path(root) / f"step-{number:08d}"


def check_object_name(name: str) -> None:
    """Refuse a name that no object of a checkpoint can have."""
    if name == RANDOM:
        raise ValueError(
            f"save_checkpoint: an object is named {RANDOM!r}, under which every checkpoint keeps "
            "the random generator; give it another name"
        )
    if not is_object_name(name) or is_part_name(name):
        raise ValueError(
            f"save_checkpoint: an object is named {name!r}, which cannot be the name of a file in "
            "the checkpoint; use letters, digits and _"
        )


@recoverable
def _save(folder: Path, step: int, objects: Mapping[str, Stateful]) -> bool:
    """Write a checkpoint; returns whether this rank is the one that has ended it."""
    comm = world.communicator()
    with activity(f"writing checkpoint {folder}"):
        files = collect_on_all_ranks(folder, objects)
        if process.replay is None:
            write_checkpoint(comm, folder, step, job_name(), files)
    return comm.rank == 0 and process.replay is None


def collect_on_all_ranks(folder: Path, objects: Mapping[str, Stateful]) -> dict[str, StateWriter]:
    """The files that this rank writes; raises on all ranks if a state of one cannot be written."""
    comm = world.communicator()
    files: dict[str, StateWriter] = {}
    do_on_all_ranks(comm, folder, lambda: files.update(collect_files(objects)))
    return files
