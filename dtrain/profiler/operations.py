"""Spans of operations: while a profiler records, each primitive is timed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from dtrain.autograd.op import OPS
from dtrain.backend import is_cupy, profiler

_lock = threading.Lock()
_primitives: dict[str, Callable[..., Any]] = {}  # those that are replaced by timed ones
_users = 0


def time_operations(waits: bool) -> None:
    """Record a span of each operation from now on; `waits`: until the GPU has done it."""
    global _users
    with _lock:
        _users += 1
        if _users > 1:
            return
        for name, operation in OPS.items():
            namespace = find_namespace(operation)
            _primitives[name] = namespace["function"]
            namespace["function"] = _make_timed(name, namespace["function"], waits)


def stop_timing() -> None:
    """Undo one `time_operations`; after the last, operations are as they were."""
    global _users
    with _lock:
        _users -= 1
        if _users:
            return
        for name, primitive in _primitives.items():
            find_namespace(OPS[name])["function"] = primitive
        _primitives.clear()


def find_namespace(operation: Any) -> dict[str, Any]:
    """The names that the text of an operation sees; "function" is its primitive."""
    namespace: dict[str, Any] = operation.__globals__
    return namespace


def _make_timed(name: str, primitive: Callable[..., Any], waits: bool) -> Callable[..., Any]:
    def timed(*inputs: Any, **static: Any) -> Any:
        with profiler.span(name):
            result = primitive(*inputs, **static)
            if waits and is_cupy(result[0]):
                import cupy

                cupy.cuda.get_current_stream().synchronize()
            return result

    return timed
