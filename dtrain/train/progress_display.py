"""How a loop's progress is shown: lines, moving bars of a terminal, or a notebook's output."""

from __future__ import annotations

import html
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from dtrain import env
from dtrain.distributed import world

if TYPE_CHECKING:
    import rich.progress

#: Seconds between lines where stdout is not a terminal.
LINE_EVERY_S = 60.0
#: Seconds between the changes of a notebook's output.
CHANGE_EVERY_S = 0.25

#: the moving bars of this process, and how many loops are within each other
_screen: rich.progress.Progress | None = None
_depth = 0


class Display(Protocol):
    """Shows the progress of one loop."""

    def show(self, done: int, describe: Callable[[], str]) -> None:
        """Show that `done` steps are done, and the figures, if it is time to."""

    def finish(self, text: str) -> None:
        """Show the last figures of a loop that has ended."""

    def close(self) -> None:
        """End, after an exception, too."""


def make_display(title: str, total: int) -> Display:
    """The display of this process; of ranks other than 0 it shows nothing."""
    if world.rank() == 0:
        if sys.stdout.isatty() and not env.NO_TERMINAL.read():
            return _Bar(title, total)
        display = _find_notebook_display()
        if display is not None:
            return _Output(title, total, display)
    return _Lines(title, total)


class _Lines:
    """A line once a minute, and one at the end; by whichever rank is rank 0 then."""

    def __init__(self, title: str, total: int) -> None:
        self._title, self._total = title, total
        self._began = time.perf_counter()
        self._next_line = self._began + LINE_EVERY_S

    def show(self, done: int, describe: Callable[[], str]) -> None:
        now = time.perf_counter()
        if now >= self._next_line and done < self._total and world.rank() == 0:
            self._next_line = now + LINE_EVERY_S
            left = format_time_left(now - self._began, done, self._total)
            print(self._title, f"{done}/{self._total} {describe()}  {left}", flush=True)

    def finish(self, text: str) -> None:
        if world.rank() == 0:  # which another rank is, if it has failed
            print(self._title, text, flush=True)

    def close(self) -> None:
        pass


class _Output:
    """One output of a notebook's cell, which changes in place."""

    def __init__(self, title: str, total: int, display: Callable[..., Any]) -> None:
        self._title, self._total = title, total
        self._began = self._changed = time.perf_counter()
        self._done = 0
        self._handle = display(self._make(""), raw=True, display_id=True)

    def show(self, done: int, describe: Callable[[], str]) -> None:
        now = time.perf_counter()
        self._done = done
        if now >= self._changed + CHANGE_EVERY_S:
            self._changed = now
            left = format_time_left(now - self._began, done, self._total)
            self._handle.update(self._make(f"{describe()}  {left}"), raw=True)

    def finish(self, text: str) -> None:
        self._handle.update(self._make(text), raw=True)

    def close(self) -> None:
        pass

    def _make(self, text: str) -> dict[str, str]:
        """The output in the forms that a notebook may show."""
        plain = f"{self._title} {self._done}/{self._total} {text}"
        bar = f'<progress value="{self._done}" max="{max(self._total, 1)}"></progress>'
        return {"text/plain": plain, "text/html": f"{bar} {html.escape(plain)}"}


def _find_notebook_display() -> Callable[..., Any] | None:
    """IPython's `display` in a notebook; None elsewhere, also in IPython on a terminal."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return sys.modules["IPython.display"].display if hasattr(shell, "kernel") else None


class _Bar:
    """A moving bar, within the one of an outer loop."""

    def __init__(self, title: str, total: int) -> None:
        self._screen = _enter_screen()
        self._task = self._screen.add_task(title, total=total, figures="")

    def show(self, done: int, describe: Callable[[], str]) -> None:
        self._screen.update(self._task, completed=done, figures=describe())

    def finish(self, text: str) -> None:
        self._screen.update(self._task, figures=text)

    def close(self) -> None:
        _leave_screen()


def _enter_screen() -> rich.progress.Progress:
    """The moving bars, which are drawn by one object while any loop runs."""
    global _screen, _depth
    if _screen is None:
        _screen = _moving_bars()
        _screen.start()
    _depth += 1
    return _screen


def _leave_screen() -> None:
    global _screen, _depth
    _depth -= 1
    if _depth == 0 and _screen is not None:
        _screen.stop()
        _screen = None


def _moving_bars() -> rich.progress.Progress:
    # Imported here: on all ranks it is a sixth of dtrain's import, and one rank at most needs it.
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress as Bars,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    return Bars(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[figures]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(file=sys.stdout),
    )


def format_time_left(seconds: float, done: int, total: int) -> str:
    """The time that the rest of a loop takes, by the time of what is done.

    >>> format_time_left(60.0, 2, 4)
    '1:00 left'
    """
    minutes, rest = divmod(round(seconds / max(done, 1) * (total - done)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02} left" if hours else f"{minutes}:{rest:02} left"
