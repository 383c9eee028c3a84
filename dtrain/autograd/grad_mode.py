"""Whether operations are recorded, and the switches for it, one per thread."""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable
from typing import Any


class _PerThread(threading.local):
    enabled = True
    inference = False


_mode = _PerThread()


def is_grad_enabled() -> bool:
    """Whether operations are recorded for the backward pass (torch.is_grad_enabled)."""
    return _mode.enabled


def is_inference_mode_enabled() -> bool:
    """Whether this runs inside `inference_mode` (torch.is_inference_mode_enabled)."""
    return _mode.inference


class _Switch:
    """A context manager that is a decorator too."""

    def __init__(self, enabled: bool, inference: bool | None = None):
        self._enabled = enabled
        self._inference = inference  # None: as it is outside
        self._before: list[tuple[bool, bool]] = []

    def __enter__(self) -> None:
        self._before.append((_mode.enabled, _mode.inference))
        _mode.enabled = self._enabled
        if self._inference is not None:
            _mode.inference = self._inference

    def __exit__(self, *exception: object) -> None:
        _mode.enabled, _mode.inference = self._before.pop()

    def __call__(self, function: Callable) -> Callable:
        mode = self._enabled, self._inference
        if inspect.isgeneratorfunction(function):
            return _switched_generator(mode, function)

        @functools.wraps(function)
        def switched(*args: Any, **kwargs: Any) -> Any:
            with _Switch(*mode):  # a new one: the decorated function may run on many threads
                return function(*args, **kwargs)

        return switched


def _switched_generator(mode: tuple[bool, bool | None], function: Callable) -> Callable:
    """A generator function that is in the mode while it runs, not between its items."""

    @functools.wraps(function)
    def switched(*args: Any, **kwargs: Any) -> Any:
        generator = function(*args, **kwargs)
        step, value = generator.send, None
        try:
            while True:
                with _Switch(*mode):
                    item = step(value)
                try:
                    step, value = generator.send, (yield item)
                except GeneratorExit:
                    with _Switch(*mode):
                        generator.close()
                    raise
                except BaseException as error:
                    step, value = generator.throw, error
        except StopIteration as end:
            return end.value

    return switched


def _switch(enabled: bool, function: Callable | None) -> Any:
    return _Switch(enabled) if function is None else _Switch(enabled)(function)


def no_grad(function: Callable | None = None) -> Any:
    """Record nothing: a context manager or a decorator (torch.no_grad).

    >>> with no_grad():
    ...     is_grad_enabled()
    False
    """
    return _switch(False, function)


def enable_grad(function: Callable | None = None) -> Any:
    """Record, inside `no_grad` too: a context manager or a decorator (torch.enable_grad)."""
    return _switch(True, function)


def inference_mode(mode: Any = True) -> Any:
    """Record nothing: a context manager or a decorator (torch.inference_mode)."""
    if callable(mode):
        return _Switch(False, True)(mode)
    return _Switch(not mode and is_grad_enabled(), bool(mode))


class set_grad_enabled(_Switch):
    """Record or not, from now on or for a `with` block (torch.set_grad_enabled)."""

    def __init__(self, mode: bool):
        super().__init__(mode)
        self._before.append((_mode.enabled, _mode.inference))
        _mode.enabled = mode

    def __enter__(self) -> None:
        _mode.enabled = self._enabled

    def __call__(self, function: Callable) -> Callable:
        _mode.enabled, _ = self._before.pop()  # as a decorator it holds in the function alone
        return super().__call__(function)
