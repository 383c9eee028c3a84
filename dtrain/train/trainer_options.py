"""The options of a Trainer, checked before anything is trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


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


def check_monitor(monitor: str, metrics: Sequence[str], has_val: bool, is_patient: bool) -> None:
    """Refuse to monitor a figure that no epoch will have, where the best one is asked for."""
    if monitor.startswith("val_") and not has_val and is_patient:
        raise ValueError(f"Trainer.fit: patience needs val=, for it monitors {monitor!r}")
    names = ["loss", *metrics]
    names += [f"val_{name}" for name in names] if has_val else []
    if monitor not in names and (is_patient or monitor != "val_loss"):
        raise ValueError(
            f"Trainer.fit: expected monitor to be one of the figures {', '.join(names)}, got "
            f"{monitor!r}"
        )
