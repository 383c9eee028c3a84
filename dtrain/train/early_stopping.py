"""`EarlyStopping`: whether a figure has stopped getting better."""

from __future__ import annotations

import math
from typing import Any


def check_mode(mode: str, kind: str) -> str:
    """ "min" or "max": which figures are better."""
    if mode not in ("min", "max"):
        raise ValueError(f"{kind}: expected mode 'min' or 'max', got {mode!r}")
    return mode


class EarlyStopping:
    """Says when a figure has not improved for `patience` epochs.

    Give it figures of all ranks, such as those of `Metric.compute`: all ranks then agree. It can be
    saved in a checkpoint.

    Parameters
    ----------
    patience : epochs without an improvement after which to stop
    mode : "min" if lower figures are better, "max" if higher ones
    min_delta : a change up to this much is no improvement

    Examples
    --------
    >>> stopping = EarlyStopping(patience=2)
    >>> [stopping.update(loss) for loss in (0.5, 0.4, 0.6, 0.45)]
    [False, False, False, True]
    >>> stopping.best
    0.4
    """

    def __init__(self, patience: int = 5, mode: str = "min", min_delta: float = 0.0) -> None:
        if isinstance(patience, bool) or not isinstance(patience, int) or patience < 1:
            raise ValueError(f"EarlyStopping: expected patience of 1 or more, got {patience!r}")
        if not min_delta >= 0:
            raise ValueError(f"EarlyStopping: expected min_delta >= 0, got {min_delta!r}")
        self.patience: int = patience
        self.mode: str = check_mode(mode, "EarlyStopping")
        self.min_delta: float = min_delta
        self.best: float | None = None
        self.epochs_without: int = 0

    def update(self, value: float) -> bool:
        """Take the figure of an epoch; returns whether to stop. NaN is no improvement."""
        if self._is_better(float(value)):
            self.best, self.epochs_without = float(value), 0
        else:
            self.epochs_without += 1
        return self.should_stop

    def _is_better(self, value: float) -> bool:
        """Whether a figure is better than the best one so far; NaN never is."""
        if self.best is None:
            return not math.isnan(value)
        if self.mode == "min":
            return value < self.best - self.min_delta
        return value > self.best + self.min_delta

    @property
    def should_stop(self) -> bool:
        """Whether the last `patience` figures were no improvement."""
        return self.epochs_without >= self.patience

    def state_dict(self) -> dict[str, Any]:
        """The best figure, and the epochs since."""
        return {"best": self.best, "epochs_without": self.epochs_without}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a state that `state_dict` returned."""
        best, without = state_dict["best"], state_dict["epochs_without"]
        self.best, self.epochs_without = best, int(without)
