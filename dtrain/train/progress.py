"""`Progress`: a loop's progress on rank 0, with means over the epoch and the ranks."""

from __future__ import annotations

import resource
import sys
import time
from typing import TYPE_CHECKING, Any

from dtrain import env
from dtrain.distributed import world
from dtrain.train.metric import Metric

if TYPE_CHECKING:
    import rich.progress

#: Seconds between lines where stdout is not a terminal.
LINE_EVERY_S = 60.0

#: the moving bars of this process, and how many loops are within each other
_screen: rich.progress.Progress | None = None
_depth = 0


class Progress:
    """Shows a loop's progress, figures, samples/s, time left and memory; on rank 0 alone.

    On a terminal it is a moving bar, within another one where loops are nested; elsewhere a line is
    printed once a minute, and one at the end. ``DTRAIN_NO_TERMINAL=1`` gives lines on a terminal,
    too.

    A figure may be a number, or a `Metric`: of this rank's samples while the loop runs, which needs
    no other rank, and of all ranks' at its end, where every rank leaves the with statement.

    Parameters
    ----------
    title : stands before the bar
    total : the number of steps

    Attributes
    ----------
    figures : dict of str to float
        The figures shown last; after the loop the metrics of all ranks.

    Examples
    --------
    >>> from dtrain.train import Mean
    >>> mean_loss = Mean()
    >>> with Progress("epoch 1", total=2) as progress:
    ...     for loss in (0.5, 0.25):
    ...         mean_loss.update(loss, weight=32)
    ...         progress.advance(samples=32, loss=mean_loss)
    epoch 1  loss 0.3750  ...
    >>> progress.figures
    {'loss': 0.375}
    """

    def __init__(self, title: str, total: int) -> None:
        self._title = title
        self._total = total
        self._done = self._samples = 0
        self._shown: dict[str, Any] = {}
        self.figures: dict[str, Any] = {}

    def __enter__(self) -> Progress:
        self._began = time.perf_counter()
        self._next_line = self._began + LINE_EVERY_S
        self._bar: rich.progress.Progress | None = None
        terminal = sys.stdout.isatty() and not env.NO_TERMINAL.read()
        if world.rank() == 0 and terminal:
            self._bar = _enter_screen()
            self._task = self._bar.add_task(self._title, total=self._total, figures="")
        return self

    def advance(self, samples: int, **figures: Metric[Any] | float) -> None:
        """Count one step, and show the newest figures.

        Parameters
        ----------
        samples : the samples of the step, over all ranks
        **figures : numbers or metrics to show by name; those of earlier steps stay until replaced
        """
        self._done += 1
        self._samples += samples
        self._shown.update(figures)
        if self._bar is not None:
            self._bar.update(self._task, advance=1, figures=self._describe())
            return
        now = time.perf_counter()
        if now >= self._next_line and self._done < self._total and world.rank() == 0:
            self._next_line = now + LINE_EVERY_S
            left = _format_time((now - self._began) / self._done * (self._total - self._done))
            print(self._title, f"{self._done}/{self._total} {self._describe()}  {left} left",
                  flush=True)  # fmt: skip

    def show(self, **figures: Metric[Any] | float) -> None:
        """Show figures, such as those of a validation, without counting a step."""
        self._shown.update(figures)
        if self._bar is not None:
            self._bar.update(self._task, figures=self._describe())

    def __exit__(self, *exception: object) -> None:
        try:
            if exception[0] is None:
                for name, value in self._shown.items():
                    self.figures[name] = value.compute() if isinstance(value, Metric) else value
                self._shown = dict(self.figures)
                if self._bar is not None:
                    self._bar.update(self._task, figures=self._describe())
                elif world.rank() == 0:  # rank 0 changes if it fails
                    print(self._title, self._describe(), flush=True)
        finally:
            if self._bar is not None:
                _leave_screen()

    def _describe(self) -> str:
        self.figures = {
            name: value.compute_own() if isinstance(value, Metric) else value
            for name, value in self._shown.items()
        }
        rate = self._samples / max(time.perf_counter() - self._began, 1e-9)
        figures = "".join(f" {name} {value:.4f} " for name, value in self.figures.items())
        return f"{figures} {rate:,.0f} samples/s  {_peak_memory_mb():,.0f} MB"


def _peak_memory_mb() -> float:
    """The most memory that this process has had, in millions of bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def _format_time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


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
