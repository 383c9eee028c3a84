"""`Logs`: figures by step, to CSV, JSON lines and TensorBoard, written by rank 0."""

from __future__ import annotations

import json
import operator
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dtrain.distributed import restart_count, world
from dtrain.distributed.context import process
from dtrain.errors import DataError
from dtrain.train.figures import split_figures
from dtrain.train.log_file import (
    JsonLines,
    Row,
    format_csv,
    list_columns,
    make_csv,
    read_rows,
    replace_file,
)
from dtrain.train.run_description import describe_run
from dtrain.utils.tensorboard import SummaryWriter

LOG, TABLE, RUN = "log.jsonl", "log.csv", "run.json"
_FORMATS = ("jsonl", "csv", "tensorboard")


class Logs:
    """Writes figures by step to a run's folder. Every rank may call it; rank 0 writes.

    log.jsonl has a line for each call of `log`, with the seconds since 1970 as "time"; log.csv is
    the same as a table. run.json has, for each start of the run, the git revision, the arguments,
    versions and the number of ranks. A line is with the operating system when `log` returns. A run
    that resumes replaces the lines from its first step on, so that no step is there twice. Where
    the disk is full, training goes on, with a warning, and the lines are written once there is
    space. Under ``dtrain debug --replay`` nothing is written.

    Parameters
    ----------
    folder : the run's folder; made if it does not exist
    formats : which of "jsonl", "csv" and "tensorboard" (needs tensorboardX) are written beside
        log.jsonl, which always is
    config : options of the run, for run.json

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with Logs(folder) as logs:
    ...         logs.log(1, loss=0.5)
    ...         logs.log(2, loss=0.25, accuracy=1.0)
    ...     print(Path(folder, "log.csv").read_text().splitlines()[0])
    ...     read_log(folder)["loss"]
    step,time,loss,accuracy
    [0.5, 0.25]
    """

    def __init__(
        self,
        folder: str | Path,
        formats: Sequence[str] = ("jsonl", "csv"),
        config: dict[str, Any] | None = None,
    ) -> None:
        unknown = [name for name in formats if name not in _FORMATS]
        if isinstance(formats, str) or unknown:
            raise ValueError(f"Logs: expected formats of {', '.join(_FORMATS)}, got {formats!r}")
        try:
            json.dumps(config)
        except (TypeError, ValueError) as reason:
            raise TypeError(
                f"Logs: expected config of numbers, strings, lists and dicts: {reason}"
            ) from None
        self.folder: Path = Path(folder)
        self.formats: tuple[str, ...] = tuple(formats)
        self.config: dict[str, Any] | None = config
        self._lines: JsonLines | None = None
        self._columns: list[str] = []  # of the table; empty where it is to be written anew
        self._board: SummaryWriter | None = None
        self._is_full = False

    def log(self, step: int, **values: Any) -> None:
        """Write figures of a step.

        Parameters
        ----------
        step : the number of the step, 0 or more
        **values : numbers, tensors of one element, or strings; or dicts, lists and tuples of them,
            whose parts have columns of their own, such as "f1.0"

        Raises
        ------
        TypeError
            If a value is none of these.
        DataError
            If another process writes the same log, or the file is no log.
        """
        number = _as_step(step)
        if world.rank() != 0 or process.replay is not None:
            return
        row = {"step": number, "time": round(time.time(), 3)}
        parts = split_figures(values)
        row.update({name: _as_value(name, value) for name, value in parts.items()})
        try:
            if self._lines is None:
                self._lines = self._open(number)
            self._lines.append(row)
            self._write_table(row)
            self._write_board(row)
            self._is_full = False
        except OSError as reason:
            if not self._is_full:
                warnings.warn(
                    f"{self.folder}: the log cannot be written: {reason}; training goes on, and "
                    "the lines are written once that is possible",
                    stacklevel=2,
                )
            self._is_full, self._columns = True, []

    def _open(self, first_step: int) -> JsonLines:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._note_start()
        lines = JsonLines(self.folder / LOG, first_step)
        if lines.dropped and not restart_count():  # a restarted job goes on as expected
            print(
                f"dtrain: {lines.path}: {lines.dropped} lines from step {first_step} on are "
                "written anew",
                file=sys.stderr,
            )
        if "tensorboard" in self.formats:
            self._board = SummaryWriter(str(self.folder), purge_step=first_step)
        return lines

    def _note_start(self) -> None:
        path = self.folder / RUN
        starts = json.loads(path.read_text())["starts"] if path.exists() else []
        starts.append(describe_run(self.config))
        replace_file(path, json.dumps({"starts": starts}, indent=2).encode())

    def _write_table(self, row: Row) -> None:
        if "csv" not in self.formats:
            return
        path = self.folder / TABLE
        if set(row) <= set(self._columns):
            with path.open("ab") as file:
                file.write(format_csv([row], self._columns))
        else:  # the first row, or one with a new column
            self._columns, table = make_csv(list(read_rows(self.folder / LOG)))
            replace_file(path, table)

    def _write_board(self, row: Row) -> None:
        if self._board is None:
            return
        for name, value in row.items():
            if name not in ("step", "time") and not isinstance(value, str):
                self._board.add_scalar(name, value, row["step"])
        self._board.flush()

    def close(self) -> None:
        """Close the files; warns of lines that could not be written."""
        if self._board is not None:
            self._board.close()
        if self._lines is not None:
            if self._lines.waiting:
                warnings.warn(
                    f"{self._lines.path}: {self._lines.waiting} lines could not be written",
                    stacklevel=2,
                )
            self._lines.close()
        self._lines = self._board = None
        self._columns = []

    def __enter__(self) -> Logs:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _as_step(step: int) -> int:
    try:
        number = -1 if isinstance(step, bool) else operator.index(step)
    except TypeError:
        number = -1
    if number < 0:
        raise ValueError(f"Logs.log: expected a step of 0 or more, got {step!r}")
    return number


def _as_value(name: str, value: Any) -> Any:
    if name in ("step", "time"):
        raise ValueError(
            f"Logs.log: every line has a {name!r} of its own: name the value otherwise"
        )
    if isinstance(value, (int, float, str)):
        return value
    raise TypeError(
        f"Logs.log: expected {name} to be a number, a tensor of one element or a string, got "
        f"{type(value).__name__} {value!r:.60}"
    )


def read_log(folder: str | Path) -> dict[str, list[Any]]:
    """The columns of a run's log, a list each, for pandas.DataFrame; None where a row has no value.

    Parameters
    ----------
    folder : the run's folder, or its log.jsonl

    Raises
    ------
    DataError
        If there is no log, or the file is none.
    """
    path = Path(folder)
    path = path / LOG if path.is_dir() else path
    if not path.is_file():
        raise DataError(f"{folder}: has no {LOG}; give a folder that dtrain.train.Logs wrote to")
    rows = list(read_rows(path))
    return {name: [row.get(name) for row in rows] for name in list_columns(rows)}
