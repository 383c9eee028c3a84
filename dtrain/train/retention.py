"""Which of a run's checkpoints are kept: the newest, and those with the best figures."""

from __future__ import annotations

import math
from dataclasses import dataclass, field


@dataclass
class Retention:
    """The steps of the checkpoints that are kept, and the figure of each.

    Parameters
    ----------
    keep_last : how many of the newest; None: all
    keep_best : how many with the best figures
    mode : "min" if lower figures are better, "max" if higher ones

    >>> retention = Retention(keep_last=1, keep_best=1, mode="min")
    >>> [retention.add(step, loss) for step, loss in ((10, 0.2), (20, 0.5), (30, 0.4))]
    [[], [], [20]]
    >>> retention.best
    10
    """

    keep_last: int | None
    keep_best: int
    mode: str
    figures: dict[int, float | None] = field(default_factory=dict)

    def add(self, step: int, figure: float | None) -> list[int]:
        """Take in a checkpoint; returns the steps of those that are no longer to be kept."""
        self.figures[step] = None if figure is None else float(figure)
        steps = sorted(self.figures)
        last = steps if self.keep_last is None else steps[-self.keep_last :]
        kept = {*last, *self._rank_by_figure()[: self.keep_best]}
        unwanted = [step for step in steps if step not in kept]
        for step in unwanted:
            del self.figures[step]
        return unwanted

    @property
    def best(self) -> int | None:
        """The step with the best figure; None if none has a figure that is a number."""
        ranked = self._rank_by_figure()
        return ranked[0] if ranked and not math.isnan(self.figures[ranked[0]] or 0) else None

    def _rank_by_figure(self) -> list[int]:
        """The steps that have a figure, from the best to the worst; those with NaN come last."""
        sign = 1 if self.mode == "min" else -1
        ranked = sorted(
            (math.isnan(figure), sign * figure, step)
            for step, figure in self.figures.items()
            if figure is not None
        )
        return [step for _, _, step in ranked]
