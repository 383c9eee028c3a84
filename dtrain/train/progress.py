"""`Progress`: a loop's progress on rank 0, with means over the epoch and the ranks."""

from __future__ import annotations

import resource
import time
from typing import Any

from dtrain.train.figures import format_figures
from dtrain.train.metric import Metric
from dtrain.train.progress_display import make_display


class Progress:
    """Shows a loop's progress, figures, samples/s, time left and memory; on rank 0 alone.

    On a terminal it is a moving bar, within another one where loops are nested; in a notebook an
    output that changes in place; elsewhere a line is printed once a minute, and one at the end.
    ``DTRAIN_NO_TERMINAL=1`` gives lines on a terminal, too.

    A figure may be a number, or a `Metric`: of this rank's samples while the loop runs, which needs
    no other rank, and of all ranks' at its end, where every rank leaves the with statement. Of
    dicts, lists and tuples of numbers the parts are shown, if they are few; of arrays the shape.

    Parameters
    ----------
    title : stands before the bar
    total : the number of steps

    Attributes
    ----------
    figures : dict by name
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
        self._display = make_display(self._title, self._total)
        return self

    def advance(self, samples: int, **figures: Any) -> None:
        """Count one step, and show the newest figures.

        Parameters
        ----------
        samples : the samples of the step, over all ranks
        **figures : numbers or metrics to show by name; those of earlier steps stay until replaced
        """
        self._done += 1
        self._samples += samples
        self.show(**figures)

    def show(self, **figures: Any) -> None:
        """Show figures, such as those of a validation, without counting a step."""
        self._shown.update(figures)
        self._display.show(self._done, self._describe)

    def __exit__(self, *exception: object) -> None:
        try:
            if exception[0] is None:
                for name, value in self._shown.items():
                    self.figures[name] = value.compute() if isinstance(value, Metric) else value
                self._shown = dict(self.figures)
                self._display.finish(self._describe())
        finally:
            self._display.close()

    def _describe(self) -> str:
        self.figures = {
            name: value.compute_own() if isinstance(value, Metric) else value
            for name, value in self._shown.items()
        }
        rate = self._samples / max(time.perf_counter() - self._began, 1e-9)
        figures = format_figures(self.figures)
        return f"{figures} {rate:,.0f} samples/s  {_peak_memory_mb():,.0f} MB"


def _peak_memory_mb() -> float:
    """The most memory that this process has had, in millions of bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
