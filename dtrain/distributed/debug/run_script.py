"""Runs a script as ranks that are threads: labels its output by rank, and reports failures once."""

from __future__ import annotations

import builtins
import importlib.util
import os
import signal
import sys
import threading
import traceback
from bdb import BdbQuit
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.abc import InspectLoader
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import CodeType, TracebackType
from typing import Any, TextIO

from dtrain.distributed import lifecycle, world
from dtrain.distributed.comm import threads
from dtrain.distributed.context import Replay, process
from dtrain.distributed.debug.debugger import RankDebugger
from dtrain.distributed.debug.rank_environ import set_rank_environ
from dtrain.distributed.trace import timeline
from dtrain.distributed.watchdog.call_site import is_user_frame
from dtrain.errors import DesyncError, LaunchError, RankFailedError


class RankError(Exception):
    """Ranks of a script raised; the message is the first traceback and the other ranks that did."""


def run_script(
    script: str,
    args: Sequence[str],
    ranks: int,
    rank: int | None = None,
    step: int | None = None,
    replay: Path | None = None,
    module: bool = False,
) -> int:
    """Run a script as `ranks` threads of this process; returns its exit status.

    Parameters
    ----------
    script : a Python file, or a module's name, run as `__main__` on every rank
    args : the script's arguments
    ranks : the number of ranks
    rank : the rank on which `breakpoint()` and, on a terminal, an exception open the debugger;
        None is rank 0, and `breakpoint()` alone
    step : the step before which the debugger opens, counted since the run began; None for never
    replay : the checkpoint that the script's `resume` loads
    module : whether `script` is the name of a module

    Raises
    ------
    LaunchError
        If the script, the rank or the step does not exist; before anything runs.
    RankError
        If a rank raised; with the first rank's traceback, from the script's frames on.
    """
    _check(ranks, rank, step)
    if module:
        sys.path[0] = os.getcwd()
    program = _find_module(script) if module else _compile_script(Path(script))
    terminal, errors = sys.stdout, sys.stderr
    debugger = RankDebugger(rank or 0, terminal, step)
    failures = _Failures(program.file, debugger)

    def body() -> None:
        timeline.start_recording(world.communicator())
        try:
            exec(program.code, program.namespace())
        except BaseException as failure:
            opens = world.rank() == rank and sys.__stdin__ is not None and sys.__stdin__.isatty()
            failures.add(world.rank(), failure, errors if opens else None)
            raise

    sys.argv = [program.file, *args]
    if not module:
        sys.path[0] = str(Path(script).resolve().parent)
    sys.stdout, sys.stderr = _LabelledStream(terminal), _LabelledStream(errors)
    sys.breakpointhook, process.before_step = debugger.breakpoint_hook, debugger.before_step
    process.replay = Replay(replay.absolute()) if replay else None
    lifecycle.install_signal_handlers()  # a thread cannot
    interrupted = 0
    try:
        with set_rank_environ(ranks):
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
    return failures.status() or interrupted or _report_unmet_options(debugger)


def _check(ranks: int, rank: int | None, step: int | None) -> None:
    if ranks < 1:
        raise LaunchError(f"-n must be >= 1, got {ranks}")
    if rank is not None and not 0 <= rank < ranks:
        raise LaunchError(f"--rank must be one of the {ranks} ranks, 0 to {ranks - 1}: {rank}")
    if step is not None and step < 0:
        raise LaunchError(f"--step must be >= 0, the number of steps made before it, got {step}")


@dataclass(frozen=True)
class _Program:
    """What every rank executes."""

    code: CodeType
    file: str
    spec: ModuleSpec | None = None

    def namespace(self) -> dict[str, Any]:
        """The global variables with which a rank begins."""
        names = {"__name__": "__main__", "__file__": self.file, "__builtins__": builtins}
        if self.spec is not None:
            names |= {"__spec__": self.spec, "__package__": self.spec.parent}
        return names


def _compile_script(script: Path) -> _Program:
    if not script.is_file():
        raise LaunchError(f"{script}: no such file")
    try:
        return _Program(compile(script.read_bytes(), str(script), "exec"), str(script))
    except (SyntaxError, ValueError):  # the second if it holds null bytes
        raise RankError(traceback.format_exc(limit=0)) from None


def _find_module(name: str) -> _Program:
    """The code of a module, or of a package's `__main__`."""
    try:
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.submodule_search_locations is not None:
            spec = importlib.util.find_spec(f"{name}.__main__")
    except (ImportError, ValueError) as reason:  # of a package above it; a relative name
        raise LaunchError(f"-m {name}: no such module: {reason}") from None
    if spec is None or not isinstance(spec.loader, InspectLoader):
        raise LaunchError(
            f"-m {name}: no such module, or a package without __main__.py; modules are looked for "
            f"in {sys.path[0]} and where Python's packages are"
        )
    try:
        code = spec.loader.get_code(spec.name)
    except (SyntaxError, ValueError):
        raise RankError(traceback.format_exc(limit=0)) from None
    if code is None:
        raise LaunchError(f"-m {name}: the module has no Python code")
    return _Program(code, code.co_filename, spec)


def _report_unmet_options(debugger: RankDebugger) -> int:
    """Print the options that had no effect in a script that ended well; 1 if there are any."""
    unmet = [debugger.explain_missed_step()]
    if process.replay is not None and not process.replay.loaded_by:
        unmet.append(
            "--replay: the script never called dtrain.checkpoint.resume(): nothing was replayed"
        )
    for message in filter(None, unmet):
        print(f"dtrain debug: {message}", file=sys.stderr)
    return int(any(unmet))


class _Failures:
    """The exceptions of a script's ranks, in the order of time."""

    def __init__(self, script: str, debugger: RankDebugger):
        self._script, self._debugger = script, debugger
        self._all: list[tuple[int, BaseException]] = []
        self._shown: BaseException | None = None  # its traceback was printed, the debugger opened

    def add(self, rank: int, failure: BaseException, errors: TextIO | None) -> None:
        """Add a rank's exception; with `errors`, print it there at once and open the debugger."""
        self._all.append((rank, failure))
        is_exit = isinstance(failure, BdbQuit) or not isinstance(failure, Exception)
        if errors is not None and not is_exit and not _is_consequence(failure):
            self._shown = _find_own_failure(failure)
            print(f"rank {rank}: {self._traceback(self._shown)}", end="", file=errors, flush=True)
            self._debugger.post_mortem(self._trace(self._shown))

    def status(self) -> int:
        """The exit status of the script.

        Raises
        ------
        RankError
            If a rank raised an exception other than SystemExit.
        """
        waiting = [f for f in self._all if _is_consequence(f[1])]
        own = [
            (rank, _find_own_failure(failure))
            for rank, failure in self._all
            if not _is_consequence(failure)
        ]
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
        """The first exception with its traceback, and a line for each different one."""
        # A DesyncError often follows from another rank's exception, which tells more.
        raised.sort(key=lambda f: (f[1] is not self._shown, isinstance(f[1], DesyncError)))
        ranks: dict[str, list[int]] = {}
        for rank, failure in raised:
            ranks.setdefault(self._line(failure), []).append(rank)
        (rank, first), text = raised[0], ""
        if first is not self._shown:
            text = f"rank {rank}: {self._traceback(first)}"
        ranks[self._line(first)].remove(rank)
        for line, others in ranks.items():
            if others:
                who = f"rank{'s' if len(others) > 1 else ''} {', '.join(map(str, sorted(others)))}"
                text += f"{who}: {'the same' if line == self._line(first) else line}\n"
        return text

    def _line(self, failure: BaseException) -> str:
        """The exception as one line, with the innermost user line."""
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


def _is_consequence(failure: BaseException) -> bool:
    """Whether an exception only follows from another rank's: its root is a RankFailedError."""
    seen: set[int] = set()
    while id(failure) not in seen:
        seen.add(id(failure))
        failure = failure.__cause__ or failure.__context__ or failure
    return isinstance(failure, RankFailedError)


def _find_own_failure(failure: BaseException) -> BaseException:
    """The exception that a rank raised itself, before it waited for others while handling it."""
    while isinstance(failure, RankFailedError) and failure.__context__ is not None:
        failure = failure.__context__
    return failure


class _LabelledStream:
    """A text stream that begins each line with the rank of the thread that writes it."""

    def __init__(self, stream: TextIO):
        self._stream = stream
        self._lock = threading.Lock()
        self._lines: dict[int, str] = {}  # the incomplete line of each rank

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
            if _current_rank() is None:  # at the end: incomplete lines
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
