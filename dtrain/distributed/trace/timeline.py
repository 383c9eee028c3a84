"""``DTRAIN_TRACE=out.json``: writes a timeline of all ranks, for ui.perfetto.dev.

The file has Chrome's trace-event format: a process for each rank, with a row for its program and
one for the thread that reduces, on rank 0's clock. Rank 0 gathers and writes it at the end of the
program; a rank that raises writes its own part.
"""

from __future__ import annotations

import json
import os
import socket
import threading
from collections import deque
from pathlib import Path
from typing import Any, NamedTuple

from dtrain import env
from dtrain.backend import profiler
from dtrain.distributed.comm.communicator import Communicator
from dtrain.distributed.context import process

_MAX_SPANS = 500_000  # of a row; the newest are kept


class Row(NamedTuple):
    """The spans of a thread of a rank."""

    rank: int
    host: str
    thread: str
    offset_ns: int  # from this rank's clock to that of rank 0
    spans: deque[profiler.Span]


_lock = threading.Lock()


def trace_path() -> str | None:
    """The path of the timeline's file; None if none is wanted."""
    return env.TRACE.read()


def trace_variable(path: Path | None) -> dict[str, str]:
    """The environment variable that tells ranks the path, as a dict.

    Raises
    ------
    FileNotFoundError
        If its folder does not exist.
    """
    if path is None:
        return {}
    if not path.absolute().parent.is_dir():
        raise FileNotFoundError(f"--trace {path}: no such folder: {path.parent}")
    return {env.TRACE.name: str(path.absolute())}


def start_recording(comm: Communicator, thread: str = "program") -> None:
    """Record the spans of this thread in a row of its rank, if a timeline is wanted.

    The program's own thread comes first: all ranks then compare their clocks.
    """
    if trace_path() is None:
        return
    rank = comm.rank
    offset_ns = next((row.offset_ns for row in process.timeline if row.rank == rank), None)
    if offset_ns is None:
        offset_ns = comm.clock_offset_ns()
    row = Row(rank, socket.gethostname(), thread, offset_ns, deque(maxlen=_MAX_SPANS))
    with _lock:
        process.timeline.append(row)
    profiler.record(row.spans)


def write_gathered(comm: Communicator) -> None:
    """Gather all ranks' spans and write them on rank 0; every rank calls it."""
    ranks = comm.allgather(process.timeline, "the timeline at the end of the program")
    if comm.rank == 0:
        _write([row for rows in ranks for row in rows])


def write_local() -> None:
    """Write this process's spans, if a timeline is wanted and there are any."""
    if trace_path() and process.timeline:
        _write(process.timeline)


def _write(rows: list[Row]) -> None:
    events: list[dict[str, Any]] = []
    rows = sorted(rows, key=lambda row: (row.rank, row.thread))
    for lane, row in enumerate(rows):
        place = {"pid": row.rank, "tid": lane}
        process = f"rank {row.rank} on {row.host}"
        events.append({"name": "process_name", "ph": "M", **place, "args": {"name": process}})
        events.append({"name": "thread_name", "ph": "M", **place, "args": {"name": row.thread}})
        for name, began, ended in sorted(row.spans, key=lambda span: (span[1], -span[2])):
            times = {"ts": (began + row.offset_ns) / 1e3, "dur": (ended - began) / 1e3}
            events.append({"name": name, "ph": "X", **place, **times})
    path = Path(trace_path() or "")
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.write_text(json.dumps({"traceEvents": events, "displayTimeUnit": "ms"}))
    part.replace(path)
