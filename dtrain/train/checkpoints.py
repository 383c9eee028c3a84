"""`Checkpoints`: a thread writes checkpoints beside training; the newest and best are kept."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dtrain import env
from dtrain.checkpoint import Stateful, load_checkpoint, resume
from dtrain.checkpoint.folder_writer import remove_checkpoint, write_checkpoint
from dtrain.checkpoint.host_copies import HostCopies
from dtrain.checkpoint.safetensors_file import StateWriter
from dtrain.checkpoint.saving import check_object_name, checkpoint_folder, collect_on_all_ranks
from dtrain.checkpoint.stateful import collect_files, is_in_parts, needs_gathering
from dtrain.distributed import job_name, lifecycle, recoverable, world
from dtrain.distributed.comm.communicator import Communicator, SoloCommunicator
from dtrain.distributed.context import process
from dtrain.distributed.watchdog.activity import activity
from dtrain.errors import CheckpointError
from dtrain.train.early_stopping import check_mode
from dtrain.train.retention import Retention

_OWN = "checkpoints"


class Checkpoints:
    """Saves a run's objects while training goes on, and keeps the newest and best checkpoints.

    `save` copies the state of the objects to host memory; a thread of rank 0, and of each rank with
    a part of a sharded object, writes the copy, as `save_checkpoint` does: whole under its name, or
    not there, whenever the process is killed. The next `save`, and the end of the with statement,
    wait until it is written. Every rank calls each method.

    Parameters
    ----------
    folder : the run's folder
    objects : what a checkpoint holds, by name: ``{"model": model, "optimizer": optimizer}``
    keep_last : how many of the newest checkpoints are kept; None: all
    keep_best : how many with the best figures are kept beside them
    monitor : the figure, by its name in `save`, that says which are the best
    mode : "min" if lower figures are better, "max" if higher ones
    every_steps, every_minutes : when `save_if_due` saves

    Examples
    --------
    >>> import tempfile, dtrain
    >>> model = dtrain.nn.Linear(2, 1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with Checkpoints(folder, {"model": model}, keep_last=1, monitor="loss") as kept:
    ...         for step, loss in ((10, 0.2), (20, 0.5), (30, 0.4)):
    ...             _ = kept.save(step, loss=loss)
    ...     sorted(path.name for path in Path(folder).iterdir()), kept.best.name
    (['step-00000010', 'step-00000030'], 'step-00000010')
    """

    def __init__(
        self,
        folder: str | Path,
        objects: Mapping[str, Stateful],
        *,
        keep_last: int | None = 3,
        keep_best: int = 1,
        monitor: str | None = None,
        mode: str = "min",
        every_steps: int | None = None,
        every_minutes: float | None = None,
    ) -> None:
        for name, value, least in (
            ("keep_last", keep_last, 1),
            ("keep_best", keep_best, 0),
            ("every_steps", every_steps, 1),
        ):
            optional = value is None and name != "keep_best"
            if not optional and (not isinstance(value, int) or value < least):
                raise ValueError(f"Checkpoints: expected {name} of {least} or more, got {value!r}")
        if every_minutes is not None and not every_minutes > 0:
            raise ValueError(f"Checkpoints: expected every_minutes > 0, got {every_minutes!r}")
        for name in objects:
            check_object_name(name)
            if name == _OWN:
                raise ValueError(f"Checkpoints: {_OWN!r} names its own record: rename the object")
        self.folder: Path = Path(folder)
        self.monitor: str | None = monitor
        self.every_steps: int | None = every_steps
        self.every_minutes: float | None = every_minutes
        self._objects: dict[str, Stateful] = {**objects, _OWN: self}
        self._retention = Retention(keep_last, keep_best, check_mode(mode, "Checkpoints"))
        self._figures_before: dict[int, float | None] = {}  # the last `save`
        self._copies = HostCopies()
        self._has_memory = False
        self._last: tuple[Path, list[Path]] | None = None  # the last `save`, and what it replaces
        self._has_written = False  # it, by this rank's thread
        self._writer: threading.Thread | None = None
        self._writers: Communicator | None = None  # the ranks whose threads write
        self._error: BaseException | None = None
        self._saved_at = time.monotonic()

    def resume(self, path: str | Path | None = None) -> int:
        """Load the state from which the job continues, as `dtrain.checkpoint.resume`; its step."""
        return resume(self.folder, path, **self._objects)

    def save_if_due(self, step: int, **figures: float) -> bool:
        """`save` if `every_steps` or `every_minutes` says so; returns whether it did."""
        due = self.every_steps is not None and step % self.every_steps == 0
        if self.every_minutes is not None:
            late = time.monotonic() - self._saved_at >= 60 * self.every_minutes
            due = _ask_rank_0(late) or due
        if due:
            self.save(step, **figures)
        elif not self._has_memory and world.rank() == 0:
            self._reserve_memory()
        return due

    def _reserve_memory(self) -> None:
        """Have memory at hand when the first `save` copies; what is sharded is left to it."""
        self._has_memory = True
        whole = {name: value for name, value in self._objects.items() if not needs_gathering(value)}
        self._copies.reserve(collect_files(whole))

    def save(self, step: int, **figures: float) -> Path:
        """Copy the state, and have it written; returns the folder that will be there.

        Parameters
        ----------
        step : the number of optimizer steps that the run has made
        **figures : such as ``val_loss=0.3``, the same on all ranks

        Raises
        ------
        ValueError
            If there is no figure of the name `monitor` where others are.
        OSError, CheckpointError
            If rank 0 could not write this checkpoint's predecessor: the disk is full, for example.
            Earlier checkpoints are whole. The other ranks raise CheckpointError.
        """
        folder = checkpoint_folder(self.folder, step)
        if self.monitor is not None and figures and self.monitor not in figures:
            raise ValueError(
                f"Checkpoints.save: expected a figure {self.monitor!r}, which monitor= names, got "
                f"{sorted(figures)}"
            )
        self.wait()
        self._figures_before = dict(self._retention.figures)
        figure = figures.get(self.monitor) if self.monitor is not None else None
        unwanted = [checkpoint_folder(self.folder, n) for n in self._retention.add(step, figure)]
        try:
            writes = self._copy_and_write(folder, step, unwanted)
        except BaseException:
            self._retention.figures = self._figures_before
            raise
        self._last, self._has_written = (folder, unwanted), writes
        self._saved_at = time.monotonic()
        if env.RESPAWN.read():  # the script may end here, with a checkpoint that is complete
            self.wait()
            lifecycle.exit_for_respawn(writes)
        return folder

    @recoverable
    def _copy_and_write(self, folder: Path, step: int, unwanted: list[Path]) -> bool:
        files = collect_on_all_ranks(folder, self._objects)
        if process.replay is not None:
            return False
        comm = self._find_writers()
        if comm is None:
            return False
        self._join()  # of a transaction that runs again
        self._copies.copy(files)
        self._has_memory = True
        arguments = (comm, folder, step, job_name(), files, unwanted)
        self._writer = threading.Thread(target=self._write, args=arguments, name="checkpoint")
        self._writer.start()
        return True

    def _find_writers(self) -> Communicator | None:
        """The ranks that write, if this rank is one of them: rank 0, or all with their parts."""
        if not any(is_in_parts(value) for value in self._objects.values()):
            return SoloCommunicator() if world.rank() == 0 else None
        if self._writers is None:
            self._writers = world.communicator().duplicate()
        return self._writers

    def _write(
        self,
        comm: Communicator,
        folder: Path,
        step: int,
        job: str | None,
        files: dict[str, StateWriter],
        unwanted: list[Path],
    ) -> None:
        try:
            write_checkpoint(comm, folder, step, job, files)
            for path in unwanted if comm.rank == 0 else ():
                remove_checkpoint(path)
        except BaseException as reason:
            self._error = reason  # for `wait`, to which a run that ends early does not come
            print(f"dtrain: {folder}: could not be written: {reason}", file=sys.stderr)

    def wait(self) -> None:
        """Wait until the last checkpoint is written.

        Under ``--elastic`` one whose writer, rank 0, failed meanwhile is told, and not counted.

        Raises
        ------
        OSError, CheckpointError
            If rank 0 could not write it. Earlier checkpoints are whole.
        """
        with activity(f"writing a checkpoint to {self.folder}"):
            self._join()
        failure, is_lost = self._find_failure()
        error, self._error = self._error, None
        self._last = None
        if failure is not None:
            self._retention.figures = self._figures_before
        if error is not None:
            raise error
        if failure is not None and not is_lost:
            raise CheckpointError(
                f"{self.folder}: rank 0 could not write the last checkpoint: {failure}"
            )

    @recoverable
    def _find_failure(self) -> tuple[str | None, bool]:
        """What rank 0 says of the last checkpoint: why it is not there, and if its writer is lost.

        Rank 0 may be a survivor, which was another rank when the checkpoint was begun.
        """
        failure, is_lost = None, False
        if self._error is not None:
            failure = f"{type(self._error).__name__}: {self._error}"
        elif self._last is not None and not self._has_written and world.rank() == 0:
            failure, is_lost = self._look_for_last(*self._last)
        told: tuple[str | None, bool] = world.communicator().broadcast((failure, is_lost))
        return told

    def _look_for_last(self, folder: Path, unwanted: list[Path]) -> tuple[str | None, bool]:
        """Finish what a failed rank 0 has begun, or say that it is lost."""
        if process.replay is not None:  # nothing is written
            return None, False
        if not folder.is_dir():
            failure = "the rank that wrote it has failed"
            print(f"dtrain: {folder}: is not there: {failure}; the run goes on", file=sys.stderr)
            return failure, True
        for path in unwanted:
            remove_checkpoint(path)
        return None, False

    def _join(self) -> None:
        if self._writer is not None:
            self._writer.join()
            self._writer = None

    @property
    def best(self) -> Path | None:
        """The folder of the checkpoint with the best figure; None without any."""
        best = self._retention.best
        return None if best is None else checkpoint_folder(self.folder, best)

    def load_best(self) -> int:
        """Load the checkpoint with the best figure, by its objects; returns its step."""
        self.wait()
        if self.best is None:
            raise CheckpointError(
                f"{self.folder}: no checkpoint has a figure: give monitor= and, to save, the figure"
            )
        figures = dict(self._retention.figures)
        step = load_checkpoint(self.best, **self._objects)
        self._retention.figures = figures
        return step

    def state_dict(self) -> dict[str, Any]:
        """The figures of the kept checkpoints."""
        figures = self._retention.figures
        return {"figures": {str(step): value for step, value in figures.items()}}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a state that `state_dict` returned."""
        figures = {int(step): value for step, value in state_dict["figures"].items()}
        self._retention.figures = figures

    def __enter__(self) -> Checkpoints:
        return self

    def __exit__(self, *exception: object) -> None:
        if exception[0] is None:
            self.wait()
        else:
            self._join()  # the other ranks may not come


@recoverable
def _ask_rank_0(value: Any) -> Any:
    return world.communicator().broadcast(value)
