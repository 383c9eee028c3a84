"""`Progress`: a progress bar on rank 0."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

from dtrain import env
from dtrain.distributed import world

if TYPE_CHECKING:
    import rich.progress

#: Seconds between lines where stdout is not a terminal.
LINE_EVERY_S = 30.0


class Progress:
    """Shows a loop's progress, figures and samples/s on rank 0; other ranks print nothing.

    On a terminal it is a moving bar; elsewhere a line is printed twice a minute, and one at the
    end. ``DTRAIN_NO_TERMINAL=1`` gives lines on a terminal, too.

    Parameters
    ----------
    title : stands before the bar
    total : the number of steps

    Examples
    --------
    >>> with Progress("epoch 1", total=2) as progress:
    ...     for loss in (0.5, 0.25):
    ...         progress.advance(samples=32, loss=loss)
    epoch 1 ...
    """

    def __init__(self, title: str, total: int) -> None:
        self._title = title
        self._total = total
        self._done = self._samples = 0
        self._figures: dict[str, Any] = {}

    def __enter__(self) -> Progress:
        self._began = time.perf_counter()
        self._next_line = self._began + LINE_EVERY_S
        self._bar: rich.progress.Progress | None = None
        terminal = sys.stdout.isatty() and not env.NO_TERMINAL.read()
        if world.rank() == 0 and terminal:
            self._bar = _moving_bar()
            self._task = self._bar.add_task(self._title, total=self._total, figures="")
            self._bar.start()
        return self

    def advance(self, samples: int, **figures: float) -> None:
        """Count one step, and show the newest figures.

        Parameters
        ----------
        samples : the samples of the step, over all ranks
        **figures : numbers to show by name; those of earlier steps stay until replaced
        """
        self._done += 1
        self._samples += samples
        self._figures.update(figures)
        now = time.perf_counter()
        if self._bar is not None:
            self._bar.update(self._task, advance=1, figures=self._format_figures())
        elif now >= self._next_line and self._done < self._total and world.rank() == 0:
            self._next_line = now + LINE_EVERY_S
            print(self._title, f"{self._done}/{self._total}", self._format_figures(), flush=True)

    def __exit__(self, *exception: object) -> None:
        if self._bar is not None:
            self._bar.stop()
        elif world.rank() == 0 and exception[0] is None:  # rank 0 changes if it fails
            print(self._title, self._format_figures(), flush=True)

    def _format_figures(self) -> str:
        rate = self._samples / max(time.perf_counter() - self._began, 1e-9)
        figures = "  ".join(f"{name} {value:.4f}" for name, value in self._figures.items())
        return f"{figures}  {rate:,.0f} samples/s"


def _moving_bar() -> rich.progress.Progress:
    # Imported here: on all ranks it is a sixth of dtrain's import, and one rank at most needs it.
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress as Bar,
        TextColumn,
        TimeElapsedColumn,
    )

    return Bar(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[figures]}"),
        TimeElapsedColumn(),
        console=Console(file=sys.stdout),
    )
