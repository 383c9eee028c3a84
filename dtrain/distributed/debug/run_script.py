"""Running a script as ranks that are threads: its output by rank, and what ended it, once."""

from __future__ import annotations

import builtins
import signal
import sys
import threading
import traceback
from bdb import BdbQuit
from collections.abc import Sequence
from pathlib import Path
from types import CodeType, TracebackType
from typing import Any, TextIO

from dtrain.distributed import lifecycle, world
from dtrain.distributed.comm import threads
from dtrain.distributed.context import Replay, process
from dtrain.distributed.debug.debugger import RankDebugger
from dtrain.distributed.trace import timeline
from dtrain.distributed.watchdog.call_site import is_user_frame
from dtrain.errors import DesyncError, LaunchError, RankFailedError


class RankError(Exception):
    """Ranks of a script raised; the message is the first one's traceback, and who else did."""


def run_script(
    script: Path,
    args: Sequence[str],
    ranks: int,
    rank: int | None = None,
    step: int | None = None,
    replay: Path | None = None,
) -> int:
    """Run a script as `ranks` threads of this process; returns its exit status.

    Parameters
    ----------
    script : a Python file, run as `__main__` on every rank
    args : its arguments
    rank : on which `breakpoint()` opens the debugger and, on a terminal, an exception does; if
        None, `breakpoint()` does on rank 0
    step : before which the debugger opens, too: how many steps have been made since the run began
    replay : the checkpoint that the script is given when it asks for one to go on from

    Raises
    ------
    LaunchError
        Before anything runs, if the script, the ranks or the step do not exist.
    RankError
        With the traceback of the first rank that raised, in the script's frames.
    """
    _check(ranks, rank, step)
    code = _compiled(script)
    terminal, errors = sys.stdout, sys.stderr
    debugger = RankDebugger(rank or 0, terminal, step)
    failures = _Failures(script, debugger)

    def body() -> None:
        timeline.start_recording(world.communicator())
        try:
            exec(code, {"__name__": "__main__", "__file__": str(script), "__builtins__": builtins})
        except BaseException as failure:
            opens = world.rank() == rank and sys.__stdin__ is not None and sys.__stdin__.isatty()
            failures.add(world.rank(), failure, errors if opens else None)
            raise

    sys.argv = [str(script), *args]
    sys.path[0] = str(script.resolve().parent)
    sys.stdout, sys.stderr = _ByRank(terminal), _ByRank(errors)
    sys.breakpointhook, process.before_step = debugger.breakpoint_hook, debugger.before_step
    process.replay = Replay(replay.absolute()) if replay else None
    lifecycle.install_signal_handlers()  # a thread cannot
    interrupted = 0
    try:
        threads.run_ranks(ranks, body)
    except BaseException as failure:
        if not hasattr(failure, "rank"):
            if not isinstance(failure, KeyboardInterrupt):
                raise
            interrupted = 128 + signal.SIGINT  # Ctrl-C
    finally:
        timeline.write_local()
        lifecycle.restore_signal_handlers()
        sys.stdout.flush()
        sys.stderr.flush()
        sys.stdout, sys.stderr = terminal, errors
        sys.breakpointhook, process.before_step = sys.__breakpointhook__, None
    return failures.status() or interrupted or _unmet(debugger)


def _check(ranks: int, rank: int | None, step: int | None) -> None:
    if ranks < 1:
        raise LaunchError(f"-n must be >= 1, got {ranks}")
    if rank is not None and not 0 <= rank < ranks:
        raise LaunchError(f"--rank must be one of the {ranks} ranks, 0 to {ranks - 1}: {rank}")
    if step is not None and step < 0:
        raise LaunchError(f"--step must be >= 0, the number of steps made before it, got {step}")


def _compiled(script: Path) -> CodeType:
    if not script.is_file():
        raise LaunchError(f"{script}: no such file")
    try:
        return compile(script.read_bytes(), str(script), "exec")
    except (SyntaxError, ValueError):  # the second if it holds null bytes
        raise RankError(traceback.format_exc(limit=0)) from None


def _unmet(debugger: RankDebugger) -> int:
    """1 after saying what was asked for and did not happen, in a script that came to its end."""
    unmet = [debugger.missed_step()]
    if process.replay is not None and not process.replay.loaded_by:
        unmet.append(
            "--replay: the script never called dtrain.checkpoint.resume(): nothing was replayed"
        )
    for message in filter(None, unmet):
        print(f"dtrain debug: {message}", file=sys.stderr)
    return int(any(unmet))


class _Failures:
    """What the ranks of a script raised, in that order."""

    def __init__(self, script: Path, debugger: RankDebugger):
        self._script, self._debugger = str(script), debugger
        self._all: list[tuple[int, BaseException]] = []
        self._told: BaseException | None = None  # the traceback was shown, the debugger opened

    def add(self, rank: int, failure: BaseException, errors: TextIO | None) -> None:
        """Note what a rank raised; if it is to be shown at once, open the debugger there."""
        self._all.append((rank, failure))
        mere_end = isinstance(failure, BdbQuit) or not isinstance(failure, Exception)
        if errors is not None and not mere_end and not _is_waiting(failure):
            self._told = _own(failure)
            print(f"rank {rank}: {self._traceback(self._told)}", end="", file=errors, flush=True)
            self._debugger.post_mortem(self._trace(self._told))

    def status(self) -> int:
        """The exit status of the script.

        Raises
        ------
        RankError
            If a rank raised something else than SystemExit.
        """
        waiting = [f for f in self._all if _is_waiting(f[1])]
        own = [(rank, _own(failure)) for rank, failure in self._all if not _is_waiting(failure)]
        exits = [f for f in own if isinstance(f[1], SystemExit) and f[1].code]
        raised = [f for f in own if not isinstance(f[1], (SystemExit, BdbQuit))]
        if not raised and any(isinstance(failure, BdbQuit) for _, failure in own):
            return 1
        for rank, failure in raised or exits or waiting:
            if isinstance(failure, SystemExit):
                return self._exit_status(rank, failure, bool(exits and waiting))
            raise RankError(self._report(raised or [(rank, failure)]))
        return 0

    def _exit_status(self, rank: int, exit: SystemExit, others_waited: bool) -> int:
        is_number = isinstance(exit.code, int)
        if others_waited:
            print(f"rank {rank}: {self._line(exit) if is_number else exit.code}", file=sys.stderr)
        elif not is_number:
            print(exit.code, file=sys.stderr)
        return exit.code if isinstance(exit.code, int) else 1

    def _report(self, raised: list[tuple[int, BaseException]]) -> str:
        """The first with its traceback, and a line for each other thing that ranks raised."""
        # Ranks disagree when one has gone astray: what it raised itself says more.
        raised.sort(key=lambda f: (f[1] is not self._told, isinstance(f[1], DesyncError)))
        ranks: dict[str, list[int]] = {}
        for rank, failure in raised:
            ranks.setdefault(self._line(failure), []).append(rank)
        (rank, first), text = raised[0], ""
        if first is not self._told:
            text = f"rank {rank}: {self._traceback(first)}"
        ranks[self._line(first)].remove(rank)
        for line, others in ranks.items():
            if others:
                who = f"rank{'s' if len(others) > 1 else ''} {', '.join(map(str, sorted(others)))}"
                text += f"{who}: {'the same' if line == self._line(first) else line}\n"
        return text

    def _line(self, failure: BaseException) -> str:
        """What was raised, and the innermost line of the user's that did."""
        text = f"{type(failure).__name__}: {failure}".partition("\n")[0].removesuffix(": ")
        steps = traceback.walk_tb(failure.__traceback__)
        lines = [f"{f.f_code.co_filename}:{number}" for f, number in steps if is_user_frame(f)]
        return f"{text} ({lines[-1]})" if lines else text

    def _traceback(self, failure: BaseException) -> str:
        trace = self._trace(failure)
        return "".join(traceback.format_exception(type(failure), failure, trace))

    def _trace(self, failure: BaseException) -> TracebackType | None:
        """The traceback from the script's first frame on."""
        trace = failure.__traceback__
        while trace is not None and trace.tb_frame.f_code.co_filename != self._script:
            trace = trace.tb_next
        return trace or failure.__traceback__


def _is_waiting(failure: BaseException) -> bool:
    """Whether all began by waiting for another rank, which has failed or left."""
    seen: set[int] = set()
    while id(failure) not in seen:
        seen.add(id(failure))
        failure = failure.__cause__ or failure.__context__ or failure
    return isinstance(failure, RankFailedError)


def _own(failure: BaseException) -> BaseException:
    """What a rank raised before it waited for others while it handled that."""
    while isinstance(failure, RankFailedError) and failure.__context__ is not None:
        failure = failure.__context__
    return failure


class _ByRank:
    """A text stream that begins each line with the rank of the thread that wrote it."""

    def __init__(self, stream: TextIO):
        self._stream = stream
        self._lock = threading.Lock()
        self._lines: dict[int, str] = {}  # what each thread has written of its line

    def write(self, text: str) -> int:
        rank = _current_rank()
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
            if _current_rank() is None:  # at the end: what never ended its line
                for rank, rest in sorted(self._lines.items()):
                    if rest:
                        self._stream.write(f"[{rank}] {rest}\n")
                self._lines = {}
            self._stream.flush()

    def isatty(self) -> bool:
        return False  # several ranks share the screen: no progress bars on one line

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _current_rank() -> int | None:
    if threading.current_thread() is threading.main_thread():
        return None
    return world.current_rank()
