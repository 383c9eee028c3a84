"""`detect_anomaly`: find the line of the forward pass whose gradient has NaN."""

from __future__ import annotations

import os
import sys
import traceback
from typing import Any

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


class _State:
    """Whether nodes record their call stack, and gradients are checked for NaN."""

    check_nan: bool
    enabled: bool

    __slots__ = ("check_nan", "enabled")

    def __init__(self) -> None:
        self.enabled, self.check_nan = False, True


state: _State = _State()


def is_anomaly_enabled() -> bool:
    """Whether anomaly detection is on (torch.is_anomaly_enabled)."""
    return state.enabled


class set_detect_anomaly:
    """Turn anomaly detection on or off, or for a `with` block (torch.autograd.set_detect_anomaly).

    While it is on, a backward pass raises at the first operation whose gradient has NaN, and shows
    the line of the forward pass that called the operation. Everything is slower.

    Parameters
    ----------
    mode : turn it on or off
    check_nan : False: record the lines of the forward pass, but do not check for NaN

    >>> import dtrain
    >>> x = dtrain.tensor(0.0, requires_grad=True)
    >>> try:
    ...     with set_detect_anomaly(True):
    ...         (x.sqrt() * 0).backward()
    ... except RuntimeError as error:
    ...     print(str(error).splitlines()[0])
    backward: sqrt made NaN as the gradient of its input 0. It had been called here:
    """

    def __init__(self, mode: bool, check_nan: bool = True):
        self._before = state.enabled, state.check_nan
        state.enabled, state.check_nan = bool(mode), check_nan

    def __enter__(self) -> None:
        pass

    def __exit__(self, *exception: object) -> None:
        state.enabled, state.check_nan = self._before


class detect_anomaly:
    """Turn anomaly detection on for a `with` block (torch.autograd.detect_anomaly)."""

    def __init__(self, check_nan: bool = True):
        self._check_nan = check_nan

    def __enter__(self) -> None:
        self._switch = set_detect_anomaly(True, self._check_nan)

    def __exit__(self, *exception: object) -> None:
        self._switch.__exit__(*exception)


def call_stack() -> traceback.StackSummary:
    """The call stack without the frames of dtrain itself."""
    frames = [
        (frame, line)
        for frame, line in traceback.walk_stack(sys._getframe(1))
        if not frame.f_code.co_filename.startswith((_PACKAGE, "<dtrain operation "))
    ]
    return traceback.StackSummary.extract(reversed(frames))


def refuse_nan(name: str, stack: traceback.StackSummary | None, index: int, gradient: Any) -> None:
    """Raise if the gradient that an operation computed for its input `index` has NaN."""
    values = getattr(gradient, "tensor", gradient)
    values = getattr(values, "array", values)
    if getattr(values, "dtype", None) is None or not bool((values != values).any()):
        return
    if stack is None:
        where = "Where it had been called is not known: detect anomalies in forward too."
    else:
        where = "It had been called here:\n" + "".join(stack.format())
    raise RuntimeError(f"backward: {name} made NaN as the gradient of its input {index}. {where}")
