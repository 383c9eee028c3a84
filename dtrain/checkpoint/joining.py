"""Joins the parts of a sharded job's checkpoint: one file for each object, as of any other job."""

from __future__ import annotations

from pathlib import Path

from dtrain.checkpoint.folder_writer import write_checkpoint
from dtrain.checkpoint.loading import read_object
from dtrain.checkpoint.manifest import find_checkpoint, read_manifest
from dtrain.checkpoint.parts import SUFFIX, group_by_object
from dtrain.checkpoint.safetensors_file import StateWriter
from dtrain.checkpoint.saving import checkpoint_folder
from dtrain.distributed.comm.communicator import SoloCommunicator


def join_checkpoint(path: str | Path, root: str | Path) -> Path:
    """Write a checkpoint again with one file for each object, where it has a part of each rank.

    The files have the bytes that the job writes without `fully_shard`. Tensors are copied from file
    to file: the checkpoint may be larger than the memory.

    Parameters
    ----------
    path : a checkpoint's folder, or a run's folder, whose newest checkpoint is then taken
    root : the folder for the new one, which may be the run's own: it then takes the other's place

    Returns
    -------
    Path
        The new checkpoint, step-NNNNNNNN in `root`.

    Raises
    ------
    CheckpointError
        If there is no checkpoint, or a file is missing, cut or edited; nothing is written then.
    OSError
        If the disk is full or not writable; nothing is left behind.

    Examples
    --------
    >>> import tempfile, dtrain
    >>> from dtrain.checkpoint import save_checkpoint
    >>> with tempfile.TemporaryDirectory() as root:
    ...     _ = save_checkpoint(f"{root}/run", 400, model=dtrain.nn.Linear(2, 1))
    ...     whole = join_checkpoint(f"{root}/run", f"{root}/whole")
    ...     sorted(file.name for file in whole.iterdir())
    ['manifest.json', 'model.safetensors', 'random.safetensors']
    """
    folder = find_checkpoint(Path(path))
    manifest = read_manifest(folder)
    files = {
        name + SUFFIX: StateWriter(read_object(folder, manifest, name, mapped=True))
        for name in group_by_object(manifest["files"])
    }
    joined = checkpoint_folder(root, manifest["step"])
    write_checkpoint(SoloCommunicator(), joined, manifest["step"], manifest["job"], files)
    return joined
