"""`@op`: from a rule over arrays to an operation over Tensors that is recorded.

A rule takes arrays and returns the output and one gradient function per positional argument;
keyword-only arguments are static. It names what its gradient functions keep: its own arguments
and, as `out`, its output. An empty tuple in place of the gradient functions says that the
operation has no gradient.
"""

from __future__ import annotations

import contextvars
import functools
import inspect
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dtrain.autograd import grad_mode
from dtrain.autograd.graph import Node
from dtrain.autograd.tensor import Tensor, wrap
from dtrain.autograd.view import note_view
from dtrain.backend import Array, on_device_of

#: Every operation by name; the tests walk it.
OPS: dict[str, Callable[..., Tensor]] = {}


class _Quiet(threading.local):
    """Runs a rule without NumPy's warnings: NaN and infinity are values here, as in PyTorch.

    A context made once costs a tenth of `np.errstate` around each operation.
    """

    def __init__(self) -> None:
        context = contextvars.copy_context()
        context.run(np.seterr, all="ignore")
        self.run = context.run


_quiet = _Quiet()


def op(rule: Callable) -> Callable[..., Tensor]:
    """Make an operation over Tensors of a rule over arrays."""
    return _operation(rule)


def view_op(rule: Callable) -> Callable[..., Tensor]:
    """Like `op`, for a rule whose output may share the memory of its first argument."""
    operation = _operation(rule)

    @functools.wraps(rule)
    def view(source: Any, **static: Any) -> Tensor:
        result = operation(source, **static)
        note_view(
            result,
            source,
            lambda base: operation(base, **static),
            lambda array: rule(array, **static)[0],
        )
        return result

    return view


def _operation(rule: Callable) -> Callable[..., Tensor]:
    name = rule.__name__
    kinds = inspect.Parameter
    parameters = inspect.signature(rule).parameters.values()
    names = (*(p.name for p in parameters if p.kind == kinds.POSITIONAL_OR_KEYWORD), "out")
    variadic = any(p.kind == kinds.VAR_POSITIONAL for p in parameters)

    @functools.wraps(rule)
    def operation(*inputs: Any, **static: Any) -> Tensor:
        arrays = [x._array if isinstance(x, Tensor) else x for x in inputs]
        try:
            if type(arrays[0]) is np.ndarray:
                out, rules = _quiet.run(rule, *arrays, **static)
            else:
                with on_device_of(*arrays):
                    out, rules = _quiet.run(rule, *arrays, **static)
        except ValueError as error:  # shapes that do not fit; NumPy's AxisError is an IndexError
            if isinstance(error, IndexError):
                raise
            raise RuntimeError(f"{name}: {error}") from error
        return record(name, () if variadic else names, inputs, out, rules)

    OPS[name] = operation
    return operation


def record(
    name: str, names: tuple[str, ...], inputs: Sequence[Any], out: Array, rules: Sequence[Callable]
) -> Tensor:
    """The output as a Tensor, with a Node behind it if an input wants a gradient.

    `names` are those of the inputs, then that of the output, as the rules know them.
    """
    if isinstance(out, (np.generic, int, float)):  # what NumPy's reductions give
        out = np.asarray(out)
    result = wrap(out)
    if not (rules and grad_mode._mode.enabled):
        return result
    parents = [x._graph_edge() if isinstance(x, Tensor) else None for x in inputs]
    if any(parent is not None for parent in parents):
        node = Node(name, parents, rules, out)
        node.names = names
        if names:
            node.versions = [
                (x._version, x._version[0]) if isinstance(x, Tensor) else None
                for x in (*inputs, *(None,) * (len(names) - 1 - len(inputs)), result)
            ]
        result._node = node
        result._requires_grad = True
    return result
