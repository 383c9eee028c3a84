"""The options of a Trainer, checked before anything is trained."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping
from typing import Any

from dtrain.train.figures import is_number
from dtrain.train.metric import Metric

#: columns of the log
_OWN_FIGURES = ("loss", "val_loss", "lr", "epoch", "step", "time")


def check_options(metrics: Any, precision: str | None, ema: float | None) -> None:
    """Refuse options of other types or out of range."""
    if precision not in (None, "bfloat16", "float16"):
        raise ValueError(
            f"Trainer: expected precision None, 'bfloat16' or 'float16', got {precision!r}"
        )
    if ema is not None and not 0 < ema < 1:
        raise ValueError(f"Trainer: expected ema between 0 and 1, got {ema!r}")
    if not callable(metrics):
        raise TypeError(
            "Trainer: expected metrics to be a function that makes them, as lambda: "
            f"{{'accuracy': Accuracy()}}, got {metrics!r}"
        )


def check_loaders(train: Any, val: Any) -> None:
    """Refuse one loader for both."""
    if val is train:
        raise ValueError(
            "Trainer.fit: train and val are one loader, which would count an evaluation as an "
            "epoch: give another DataLoader of the same dataset as val"
        )


def check_metrics(
    metrics: Mapping[str, Any], monitor: str, has_val: bool, is_patient: bool
) -> None:
    """Refuse names that figures have already, and a figure to monitor that no epoch will have."""
    taken = [name for name in metrics if name in _OWN_FIGURES]
    if taken:
        raise ValueError(
            f"Trainer: a metric is named {taken[0]!r}, as a figure of the trainer's: name it "
            "otherwise"
        )
    if monitor.startswith("val_") and not has_val and is_patient:
        raise ValueError(f"Trainer.fit: patience needs val=, for it monitors {monitor!r}")
    names = ["loss", *metrics]
    names += [f"val_{name}" for name in names] if has_val else []
    if monitor not in names and (is_patient or monitor != "val_loss"):
        raise ValueError(
            f"Trainer.fit: expected monitor to be one of the figures {', '.join(names)}, got "
            f"{monitor!r}"
        )
    metric = metrics.get(monitor.removeprefix("val_"))
    figure = _first_figure(metric)
    if not is_number(figure):
        raise ValueError(
            f"Trainer.fit: expected monitor to be a figure of one number, got {monitor!r}, of "
            f"which {type(metric).__name__} makes a {type(figure).__name__}"
        )


def _first_figure(metric: Any) -> Any:
    """The figure of no samples; NaN where that has none."""
    if isinstance(metric, Metric):
        with contextlib.suppress(Exception):  # the epoch's will have samples
            return metric.figure(metric.initial_state())
    return math.nan
