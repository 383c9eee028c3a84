"""`script` and `trace` (torch.jit)."""

from __future__ import annotations

import contextlib
import copy
import threading
from collections.abc import Callable, Iterator
from typing import Any, TypeVar, cast

from dtrain.backend.tracing import current_tracer
from dtrain.errors import CompileError
from dtrain.jit.compiled_function import ScriptFunction, disable
from dtrain.jit.compiled_module import CompiledModule, make_compiled_module
from dtrain.jit.graph_table import Options
from dtrain.nn.module import Module

F = TypeVar("F", bound=Callable[..., Any])

#: More graphs than `compile` keeps: a script is expected to take any shape.
_LIMIT = 64

#: Further options of PyTorch's `trace`, which change nothing here.
_OPTIONS = {
    "check_inputs", "check_tolerance", "optimize", "_force_outplace", "_module_class",
    "_compilation_unit", "_store_inputs",
}  # fmt: skip


class _PerThread(threading.local):
    is_tracing = False


_thread = _PerThread()


def script(obj: Any = None, *args: Any, example_inputs: Any = None, **options: Any) -> Any:
    """A function or Module whose control flow is kept (torch.jit.script); a decorator, too.

    Each path through the function is recorded when it is first taken, and runs as a graph from the
    next time on, to the same bits, gradients included; see :func:`dtrain.compile`. What cannot be
    recorded runs as it is, and a warning names the line. `save` writes the program with its
    branches and loops.

    Parameters
    ----------
    obj : a function or a Module; a class is returned as it is
    example_inputs : tuples of arguments; the function is called with each, to record its paths

    >>> import dtrain
    >>> @script
    ... def larger(x, y):
    ...     return x if x.sum() > y.sum() else y
    >>> larger(dtrain.zeros(2), dtrain.ones(2))
    tensor([1., 1.])
    """
    if unknown := options.keys() - {"optimize", "_frames_up", "_rcb"}:
        raise TypeError(f"script: got unexpected keyword arguments {sorted(unknown)}")
    if obj is None:
        return lambda function: script(function, example_inputs=example_inputs)
    if isinstance(obj, (ScriptFunction, CompiledModule, type)):
        return obj
    if not callable(obj):
        raise TypeError(f"script: expected a function or a Module, got {type(obj).__name__}")
    made = _make(obj, Options("script", limit=_LIMIT))
    for inputs in example_inputs or ():
        made(*inputs)
    return made


def _make(function: Any, options: Options) -> Any:
    if isinstance(function, Module):
        return make_compiled_module(function, options)
    return ScriptFunction(function, options)


def trace(
    func: Any,
    example_inputs: Any = None,
    *,
    check_trace: bool = True,
    strict: bool = True,
    example_kwarg_inputs: dict[str, Any] | None = None,
    **ignored: Any,
) -> Any:
    """A function or Module as the graph of one call with example inputs (torch.jit.trace).

    Where Python reads a tensor's value the graph has what came of it as a constant, and a
    TracerWarning names the line: use `script` there. Inputs of other shapes are traced again.

    Parameters
    ----------
    example_inputs : a Tensor or a tuple of arguments
    example_kwarg_inputs : keyword arguments of the call
    check_trace : run the graph, too, and compare

    >>> import dtrain
    >>> double = trace(lambda x: x * 2, dtrain.ones(3))
    >>> double(dtrain.tensor([1.0, 2.0, 3.0]))
    tensor([2., 4., 6.])
    """
    if isinstance(func, (ScriptFunction, CompiledModule)):
        return func
    if not callable(func):
        raise TypeError(f"trace: expected a function or a Module, got {type(func).__name__}")
    if unknown := ignored.keys() - _OPTIONS:
        raise TypeError(f"trace: got unexpected keyword arguments {sorted(unknown)}")
    if example_inputs is None and example_kwarg_inputs is None:
        raise RuntimeError("trace: expected example_inputs or example_kwarg_inputs")
    args = () if example_inputs is None else example_inputs
    args = tuple(args) if isinstance(args, (list, tuple)) else (args,)
    made = _make(func, Options("trace", limit=_LIMIT, one_path=True))
    kwargs = example_kwarg_inputs or {}
    with _tracing():
        made(*args, **kwargs)
    compiled = made._compiled
    graph = compiled.last_graph()
    if graph is None or (reason := _refusal_of(made)) is not None:
        raise CompileError(f"trace: {compiled.name} cannot be traced: {reason}")
    if check_trace:
        with _tracing():
            made(*args, **kwargs)
        if (reason := _refusal_of(made)) is not None:
            raise CompileError(f"trace: {compiled.name} cannot be traced: {reason}")
    return made


def _refusal_of(made: Any) -> str | None:
    compiled = made._compiled
    reasons = [e.refusal for e in compiled.entries().values() if e.refusal is not None]
    return compiled._local.refusal or (reasons[-1] if reasons else None)


@contextlib.contextmanager
def _tracing() -> Iterator[None]:
    outer, _thread.is_tracing = _thread.is_tracing, True
    try:
        yield
    finally:
        _thread.is_tracing = outer


def is_tracing() -> bool:
    """Whether `trace` runs on this thread (torch.jit.is_tracing)."""
    return _thread.is_tracing


def is_scripting() -> bool:
    """Whether a script or compiled function is being recorded (torch.jit.is_scripting)."""
    return current_tracer() is not None and not _thread.is_tracing


def ignore(drop: Any = False, **_: Any) -> Any:
    """Keep a function out of graphs (torch.jit.ignore); see :func:`dtrain.compiler.disable`."""
    return disable(drop) if callable(drop) else disable


def unused(function: F) -> F:
    """Mark a method that scripts do not call; a call raises an error (torch.jit.unused)."""

    def refused(*args: Any, **kwargs: Any) -> Any:
        if is_scripting():
            raise RuntimeError(f"{function.__name__} is marked as unused by scripts")
        return function(*args, **kwargs)

    refused.__name__, refused.__doc__ = function.__name__, function.__doc__
    return cast("F", refused)


def export(function: F) -> F:
    """Mark a method as an entry of a script module; returns it as it is (torch.jit.export)."""
    return function


def annotate(the_type: Any, the_value: Any) -> Any:
    """The value; the type is for TorchScript (torch.jit.annotate)."""
    return the_value


def freeze(mod: Any, preserved_attrs: Any = None, optimize_numerics: bool = True) -> Any:
    """A script module in eval mode whose parameters are constants (torch.jit.freeze).

    The parameters are copied and do not require grad.
    """
    if not isinstance(mod, CompiledModule):
        raise TypeError(f"freeze: expected a module from script or trace, got {type(mod).__name__}")
    if mod._orig_mod.training:
        raise RuntimeError("freeze: expected a module in eval mode; call eval() first")
    frozen = copy.deepcopy(mod)
    frozen._orig_mod.requires_grad_(False)
    return frozen
