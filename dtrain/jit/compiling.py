"""`compile`: a model or function as graphs that are recorded as it is called."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dtrain.backend.tracing import current_tracer
from dtrain.jit.compiled_function import ScriptFunction
from dtrain.jit.compiled_module import CompiledModule, make_compiled_module
from dtrain.jit.graph_table import Options
from dtrain.nn.module import Module

#: The names that PyTorch has for `backend` and `mode`; here they choose nothing.
_BACKENDS = ("inductor", "eager", "aot_eager", "cudagraphs", "onnxrt", "openxla", "tvm")
_MODES = (
    None, "default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs",
)  # fmt: skip


def compile(
    model: Any = None,
    *,
    fullgraph: bool = False,
    dynamic: bool | None = None,
    backend: Any = "inductor",
    mode: str | None = None,
    options: dict[str, Any] | None = None,
    disable: bool = False,
) -> Any:
    """A model or function that runs as recorded graphs (torch.compile).

    The first call with arguments of certain shapes, dtypes, `requires_grad`, Python values and
    training modes runs the function and records a graph; the second runs both and compares; later
    calls run the graph, to the same bits, gradients included. Branches on values become further
    paths of the graph. What cannot be recorded runs as it is, and a warning says which line stands
    in the way. Python's side effects, such as `print`, happen while recording only.

    A compiled model shares the model's parameters, under the same names. Of a model that is wrapped
    by DataParallel the part inside is compiled. `repr` tells how many graphs there are, and how
    long recording and compiling took.

    Parameters
    ----------
    model : a Module or a function; without it `compile` is a decorator
    fullgraph : raise CompileError where something cannot be recorded
    dynamic, backend, mode, options : accepted as in PyTorch; they choose nothing here
    disable : return the model as it is

    >>> import dtrain
    >>> @dtrain.compile
    ... def scaled(x, k):
    ...     return x * k if k > 0 else -x
    >>> [scaled(dtrain.ones(2), k).tolist() for k in (2.0, 3.0, -1.0)]
    [[2.0, 2.0], [3.0, 3.0], [-1.0, -1.0]]
    """
    if not callable(backend) and backend not in _BACKENDS:
        raise ValueError(f"compile: expected a backend of {list(_BACKENDS)}, got {backend!r}")
    if mode not in _MODES:
        raise ValueError(f"compile: expected a mode of {list(_MODES)}, got {mode!r}")
    if mode is not None and options is not None:
        raise RuntimeError("compile: expected mode or options, got both")
    if model is None:
        return lambda function: compile(
            function, fullgraph=fullgraph, dynamic=dynamic, backend=backend, mode=mode,
            options=options, disable=disable,
        )  # fmt: skip
    if not callable(model):
        raise TypeError(f"compile: expected a Module or a function, got {type(model).__name__}")
    if disable or isinstance(model, (CompiledModule, ScriptFunction)):
        return model
    return _compile(model, Options("compile", refuses=fullgraph))


def _compile(model: Callable[..., Any], options: Options) -> Any:
    if not isinstance(model, Module):
        return ScriptFunction(model, options)
    inner = getattr(model, "compiled_part", None)
    if inner is None:
        return make_compiled_module(model, options)
    model._modules[inner] = _compile(model._modules[inner], options)
    return model


def is_compiling() -> bool:
    """Whether a graph is being recorded (torch.compiler.is_compiling)."""
    return current_tracer() is not None


def reset() -> None:
    """Nothing: graphs belong to the compiled functions (torch.compiler.reset)."""
