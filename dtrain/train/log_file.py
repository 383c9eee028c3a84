"""Files of a log: whole lines at any moment, also where the disk is full for a while."""

from __future__ import annotations

import contextlib
import csv
import fcntl
import io
import json
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dtrain.distributed.launch.descriptors import write_all
from dtrain.errors import DataError

Row = dict[str, Any]


def encode_row(row: Row) -> bytes:
    """A row as a line of JSON; JSON has no NaN and no infinity, so that they become strings."""
    plain = {
        name: str(value) if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in row.items()
    }
    return json.dumps(plain).encode() + b"\n"


def read_rows(path: Path) -> Iterator[Row]:
    """The rows of a file of JSON lines; one that a killed process left half written is omitted."""
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.endswith(b"\n"):
                return
            try:
                row = json.loads(line)
                row["step"] = int(row["step"])
            except (ValueError, TypeError, KeyError) as reason:
                raise DataError(f"{path}: line {number} is no row of a log: {reason!r}") from reason
            yield {name: _as_number(value) for name, value in row.items()}


def _as_number(value: Any) -> Any:
    return float(value) if value in ("nan", "inf", "-inf") else value


def replace_file(path: Path, contents: bytes) -> None:
    """Write a file anew: whole under its name, or the former one."""
    temporary = path.with_name(f".{path.name}.new")
    try:
        temporary.write_bytes(contents)
        temporary.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


class JsonLines:
    """A file of JSON lines that this process alone appends to.

    Raises
    ------
    DataError
        If another process has the file open, or it holds other things than rows.
    """

    def __init__(self, path: Path, first_step: int) -> None:
        """Open the file, without its rows of `first_step` and later: they are written anew."""
        self.path = path
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._descriptor = os.open(path, flags, 0o644)
        try:
            self._lock()
            self.dropped = self._cut(first_step)
        except BaseException:
            os.close(self._descriptor)
            raise
        self._waiting: list[bytes] = []  # lines that could not be written

    def _lock(self) -> None:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DataError(
                f"{self.path}: another process writes this log; give each run a folder of its own"
            ) from None
        except OSError:  # a file system without locks
            pass

    def _cut(self, first_step: int) -> int:
        """Remove the rows from a step on, and a half line; returns how many rows were removed."""
        rows = list(read_rows(self.path))
        kept = [row for row in rows if row["step"] < first_step]
        if kept == rows[: len(kept)]:  # the steps rise: the kept rows stay if this is killed
            with self.path.open("rb") as file:
                self._size = sum(len(line) for line, _ in zip(file, kept))
            os.ftruncate(self._descriptor, self._size)
        else:
            contents = b"".join(map(encode_row, kept))
            os.ftruncate(self._descriptor, 0)
            write_all(self._descriptor, contents)
            self._size = len(contents)
        return len(rows) - len(kept)

    def append(self, row: Row) -> None:
        """Write a row, and rows that could not be written before; OSError keeps it for later."""
        self._waiting.append(encode_row(row))
        contents = b"".join(self._waiting)
        try:
            write_all(self._descriptor, contents)
        except OSError:
            os.ftruncate(self._descriptor, self._size)  # without a half line
            raise
        self._size += len(contents)
        self._waiting.clear()

    @property
    def waiting(self) -> int:
        """How many rows could not be written yet."""
        return len(self._waiting)

    def close(self) -> None:
        """Write to the disk and close."""
        with contextlib.suppress(OSError):
            os.fsync(self._descriptor)
        os.close(self._descriptor)


def list_columns(rows: list[Row]) -> list[str]:
    """The names in the rows, each once; "step" is the first."""
    return list(dict.fromkeys(["step", *(name for row in rows for name in row)]))


def make_csv(rows: list[Row]) -> tuple[list[str], bytes]:
    """The columns of the rows, and a table of CSV with a header."""
    columns = list_columns(rows)
    return columns, format_csv([dict(zip(columns, columns)), *rows], columns)


def format_csv(rows: list[Row], columns: list[str]) -> bytes:
    """Rows as lines of CSV."""
    text = io.StringIO()
    csv.DictWriter(text, columns, restval="", lineterminator="\n").writerows(rows)
    return text.getvalue().encode()
