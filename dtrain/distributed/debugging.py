"""Running a script as ranks that are threads: its output by rank, and a debugger on one of them."""

from __future__ import annotations

import os
import pdb  # noqa: T100  the command is a debugger
import sys
import threading
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any, TextIO

from dtrain.distributed import job, threads, timeline, world
from dtrain.errors import LaunchError


class RankError(Exception):
    """A rank of a script raised; the message is its traceback."""


def run_script(script: Path, args: Sequence[str], ranks: int, stop_rank: int = 0) -> int:
    """Run a script as `ranks` threads of this process; returns its exit status.

    Parameters
    ----------
    script : a Python file, run as `__main__` on every rank
    args : its arguments
    stop_rank : the rank on which `breakpoint()` opens the debugger

    Raises
    ------
    LaunchError
        Before anything runs, if the script or the ranks do not exist.
    RankError
        With the traceback of the first rank that raised, in the script's frames.
    """
    if ranks < 1:
        raise LaunchError(f"-n must be >= 1, got {ranks}")
    if not 0 <= stop_rank < ranks:
        raise LaunchError(f"--rank must be one of the {ranks} ranks, 0 to {ranks - 1}: {stop_rank}")
    if not script.is_file():
        raise LaunchError(f"{script}: no such file")
    try:
        code = compile(script.read_bytes(), str(script), "exec")
    except SyntaxError:
        raise RankError(traceback.format_exc(limit=0)) from None

    sys.argv = [str(script), *args]
    sys.path[0] = str(script.resolve().parent)
    terminal = sys.stdout
    sys.stdout, sys.stderr = _ByRank(sys.stdout), _ByRank(sys.stderr)
    sys.breakpointhook = _debugger(stop_rank, terminal)
    job.catch_signals()  # a thread cannot

    def body() -> None:
        timeline.start(world.communicator())
        exec(code, {"__name__": "__main__", "__file__": str(script), "__builtins__": __builtins__})

    try:
        threads.run_ranks(ranks, body)
    except SystemExit as exit:
        return _status(exit)
    except BaseException as failure:
        raise RankError(_in_script(failure, str(script))) from None
    finally:
        timeline.write_own()
        job.release_signals()
        sys.stdout.flush()
        sys.stderr.flush()
        sys.stdout, sys.stderr = terminal, sys.stderr._stream
        sys.breakpointhook = sys.__breakpointhook__
    return 0


def _status(exit: SystemExit) -> int:
    if exit.code is None or isinstance(exit.code, int):
        return exit.code or 0
    print(exit.code, file=sys.stderr)
    return 1


def _in_script(failure: BaseException, script: str) -> str:
    """The traceback from the script's first frame on, and the rank."""
    trace = failure.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename != script:
        trace = trace.tb_next
    text = "".join(traceback.format_exception(type(failure), failure, trace))
    rank = getattr(failure, "rank", None)
    return text if rank is None else f"rank {rank}: {text}"


class _ByRank:
    """A text stream that begins each line with the rank of the thread that wrote it."""

    def __init__(self, stream: TextIO):
        self._stream = stream
        self._lock = threading.Lock()
        self._lines: dict[int, str] = {}  # what each thread has written of its line

    def write(self, text: str) -> int:
        rank = _rank_of_thread()
        if rank is None:
            return self._stream.write(text)
        with self._lock:
            whole = self._lines.get(rank, "") + text
            *lines, self._lines[rank] = whole.split("\n")
            for line in lines:
                self._stream.write(f"[{rank}] {line}\n")
        return len(text)

    def flush(self) -> None:
        with self._lock:
            if _rank_of_thread() is None:  # at the end: what never ended its line
                for rank, rest in sorted(self._lines.items()):
                    if rest:
                        self._stream.write(f"[{rank}] {rest}\n")
                self._lines = {}
            self._stream.flush()

    def isatty(self) -> bool:
        return False  # several ranks share the screen: no progress bars on one line

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _rank_of_thread() -> int | None:
    if threading.current_thread() is threading.main_thread():
        return None
    return world.rank_of_thread()


def _debugger(stop_rank: int, terminal: TextIO) -> Any:
    def stop(*_: Any, **__: Any) -> None:
        if _rank_of_thread() == stop_rank:
            caller: FrameType = sys._getframe(1)
            debugger = pdb.Pdb(stdin=sys.__stdin__, stdout=terminal)
            debugger.prompt = f"(rank {stop_rank}) "
            debugger.use_rawinput = os.isatty(0) and terminal.isatty()
            debugger.set_trace(caller)

    return stop
