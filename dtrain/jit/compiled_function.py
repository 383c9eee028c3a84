"""Functions that run as graphs, and what takes single functions out of graphs."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

from dtrain.backend.tracing import current_tracer, tracers
from dtrain.jit.graph import Graph
from dtrain.jit.graph_table import Options
from dtrain.jit.recorded import RecordedFunction

F = TypeVar("F", bound=Callable[..., Any])


class ScriptFunction:
    """A function from `jit.script`, `jit.trace` or `compile` (torch.jit.ScriptFunction)."""

    def __init__(self, function: Callable[..., Any], options: Options):
        functools.update_wrapper(self, function)
        self.__wrapped_function__ = function
        name = getattr(function, "__name__", type(function).__name__)
        self._compiled = RecordedFunction(function, name, options)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._compiled(*args, **kwargs)

    def __get__(self, owner: Any, kind: Any = None) -> Any:
        return self if owner is None else functools.partial(self, owner)

    @property
    def name(self) -> str:
        """The function's name."""
        return self._compiled.name

    @property
    def graph(self) -> Graph:
        """The graph of the shapes that came last."""
        return self._compiled.graph

    @property
    def code(self) -> str:
        """The program as text, like Python."""
        from dtrain.jit.files import code_of  # files.py makes ScriptFunctions

        return code_of(self)

    def save(self, path: str | Path) -> None:
        """Write the program to a file, see :func:`dtrain.jit.save`."""
        from dtrain.jit.files import save

        save(self, path)

    def __repr__(self) -> str:
        compiled = self._compiled
        return f"<{compiled.options.kind} function {self.name}: {compiled.describe_graphs()}>"


def disable(function: F) -> F:
    """Keep a function out of graphs: it runs as it is, between recorded calls
    (torch.compiler.disable).

    >>> @disable
    ... def log(x):
    ...     print("sum", x.sum().item())
    """

    @functools.wraps(function)
    def called(*args: Any, **kwargs: Any) -> Any:
        if tracers and (tracer := current_tracer()) is not None:
            name = getattr(function, "__name__", "function")
            return tracer.call(function, args, kwargs, name, writes=True, opaque=True)
        return function(*args, **kwargs)

    return cast(F, called)
