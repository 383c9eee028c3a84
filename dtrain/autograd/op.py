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
from types import CodeType
from typing import Any

import numpy as np

from dtrain.autograd import grad_mode
from dtrain.autograd.graph import INPUTS_OF, KEPT_BY, STATIC_OF, Node
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


def op(rule: Callable | None = None, *, recomputed: bool = False) -> Any:
    """Make an operation over Tensors of a rule over arrays.

    `recomputed` marks a rule whose gradient functions keep arrays made on the way, other than its
    inputs and `out`: for second derivatives it is run again.
    """
    if rule is None:
        return functools.partial(_operation, recomputed=recomputed)
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


def _operation(rule: Callable, recomputed: bool = False) -> Callable[..., Tensor]:
    name = rule.__name__
    kinds = inspect.Parameter
    parameters = inspect.signature(rule).parameters.values()
    names = [p.name for p in parameters if p.kind == kinds.POSITIONAL_OR_KEYWORD]
    kept = _note_kept(rule, names, [p.name for p in parameters if p.kind == kinds.KEYWORD_ONLY])
    if recomputed:
        kept = {*names, *kept}
    kept_inputs = [(index, own) for index, own in enumerate(names) if own in kept]
    keeps_out = "out" in kept

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
        result = record(name, inputs, out, rules)
        node = result._node
        if node is not None and kept:
            saved = [
                (own, inputs[i]._version, inputs[i]._version[0])
                for i, own in kept_inputs
                if i < len(inputs) and isinstance(inputs[i], Tensor)
            ]
            if keeps_out:
                saved.append(("out", result._version, 0))
            node.saved = saved
            if recomputed:
                node.again = (rule, inputs, static)
        return result

    OPS[name] = operation
    return operation


def _note_kept(rule: Callable, inputs: Sequence[str], static: Sequence[str]) -> set[str]:
    """Note in KEPT_BY which inputs, and whether `out`, each function of a rule keeps; returns all.

    A function keeps what its closure names, and what functions do that its closure names.
    """
    codes = [c for c in rule.__code__.co_consts if isinstance(c, CodeType)]
    inner = {code.co_name: code for code in codes}

    def closure_of(code: CodeType) -> set[str]:
        called = [inner[free] for free in code.co_freevars if free in inner]
        return set(code.co_freevars).union(*(c.co_freevars for c in called))

    for code in codes:
        KEPT_BY[code] = frozenset(closure_of(code) & {*inputs, "out"})
        INPUTS_OF[code], STATIC_OF[code] = inputs, static
    return set().union(*(KEPT_BY[code] for code in codes))


def record(name: str, inputs: Sequence[Any], out: Array, rules: Sequence[Callable]) -> Tensor:
    """The output as a Tensor, with a Node behind it if an input wants a gradient."""
    if isinstance(out, (np.generic, int, float)):  # what NumPy's reductions give
        out = np.asarray(out)
    result = wrap(out)
    if not rules or not grad_mode._mode.enabled:
        return result
    parents = [x._graph_edge() if isinstance(x, Tensor) else None for x in inputs]
    for parent in parents:
        if parent is not None:
            result._node = Node(name, parents, rules, out)
            result._requires_grad = True
            break
    return result
