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
import linecache
import threading
from collections.abc import Callable, Sequence
from types import CodeType
from typing import Any, ParamSpec, TypeAlias, TypeVar, cast, overload

import numpy as np

from dtrain.autograd import grad_mode
from dtrain.autograd.graph import INPUTS_OF, KEPT_BY, STATIC_OF, Node
from dtrain.autograd.tensor import Tensor, wrap
from dtrain.autograd.view import set_view_metadata
from dtrain.backend import Array, on_device_of
from dtrain.backend.dtypes import float32, is_half, promote

P = ParamSpec("P")
T = TypeVar("T")

#: The gradient of the output -> the gradient of one input (a vector-Jacobian product).
VJP: TypeAlias = Callable[[Array], Array]

#: What a primitive returns: its output, and one vjp for each positional argument.
OutputAndVJPs: TypeAlias = tuple[Array, Sequence[VJP]]

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


@overload
def op(primitive: Callable[P, OutputAndVJPs]) -> Callable[P, Tensor]: ...


@overload
def op(*, recomputed: bool) -> Callable[[Callable[P, OutputAndVJPs]], Callable[P, Tensor]]: ...


def op(primitive: Any = None, *, recomputed: bool = False) -> Any:
    """Make a primitive, a function of arrays, an operation on Tensors that autograd records.

    float16 and bfloat16 on the host are computed in float32, and the output is rounded once.
    `recomputed` marks a primitive whose vjps keep arrays other than its inputs and `out`: for
    second derivatives it is run again.
    """
    if primitive is None:
        return functools.partial(_operation, widens=True, recomputed=recomputed)
    return _operation(primitive, widens=True)


def exact_op(primitive: Callable[P, OutputAndVJPs]) -> Callable[P, Tensor]:
    """`op` for a primitive that never rounds: it moves, chooses, compares or converts."""
    return _operation(primitive, widens=False)


def view_op(primitive: Callable[P, OutputAndVJPs]) -> Callable[P, Tensor]:
    """`op` for a primitive whose output may share the memory of its first argument."""
    operation = _operation(primitive, widens=False)

    @functools.wraps(primitive)
    def view(source: Any, **static: Any) -> Any:
        result = operation(source, **static)
        set_view_metadata(
            result,
            source,
            lambda base: operation(base, **static),
            lambda array: primitive(array, **static)[0],
        )
        return result

    OPS[primitive.__name__] = view
    return cast("Callable[P, Tensor]", view)


def memoize_by_gradient(function: Callable[[Array], T]) -> Callable[[Array], T]:
    """Memoize a computation that several vjps share, keyed by the incoming gradient.

    Only the last gradient is kept; it is compared by identity.
    """
    last: list[Any] = []

    def memoized(g: Array) -> T:
        if not last or last[0] is not g:
            last[:] = g, function(g)
        return last[1]

    return memoized


def record(name: str, inputs: Sequence[Any], out: Array, rules: Sequence[Callable]) -> Tensor:
    """The output as a Tensor, with a Node behind it if an input wants a gradient."""
    result = wrap(_as_array(out))
    if rules and grad_mode.is_grad_enabled():
        edges = [x._graph_edge() if isinstance(x, Tensor) else None for x in inputs]
        if any(edge is not None for edge in edges):
            result._node = Node(name, edges, rules, result.array)
            result._requires_grad = True
    return result


#: An operation, written out for its inputs: that takes half of the time of loops over them.
_SOURCE = """\
def operation({parameters}, **static):
    {arrays}
    try:
        if type({first}) is ndarray and {first}.itemsize != 2:
            out, rules = quiet.run(rule, {array_names}, **static)
        elif widens and (half := host_half({array_names})) is not None:
            return in_float32(operation, half, ({names},), static)
        else:
            out, rules = run_on_device(rule, {array_names}, **static)
    except (ValueError, OverflowError) as error:
        raise refusal(name, error)
    if type(out) is not ndarray:
        out = as_array(out)
    result = new(Tensor)
    result.array = out
    result._version = [0]
    if not rules or not mode.enabled:
        return result
    {edges}
    if {no_edge}:
        return result
    result._node = node = Node(name, ({edge_names},), rules, out)
    result._requires_grad = True
    {saved}
    return result
"""

_SOURCE_OF_MANY = """\
def operation(*inputs, **static):
    arrays = [x.array if isinstance(x, Tensor) else x for x in inputs]
    try:
        return record(name, inputs, *run_on_device(rule, *arrays, **static))
    except (ValueError, OverflowError) as error:
        raise refusal(name, error)
"""


def _operation(rule: Callable[P, OutputAndVJPs], widens: bool, recomputed: bool = False) -> Any:
    kinds = inspect.Parameter
    parameters = list(inspect.signature(rule).parameters.values())
    inputs = [p for p in parameters if p.kind == kinds.POSITIONAL_OR_KEYWORD]
    static = [p.name for p in parameters if p.kind == kinds.KEYWORD_ONLY]
    kept = _note_kept(rule, [p.name for p in inputs], static)
    if inputs:
        source = _source(inputs, kept, recomputed)
    else:
        assert not kept, "a rule of many inputs keeps none of them"
        source = _SOURCE_OF_MANY

    name = rule.__name__
    namespace: dict[str, Any] = {
        "Node": Node, "Tensor": Tensor, "as_array": _as_array, "host_half": _host_half,
        "in_float32": _in_float32, "mode": grad_mode._mode, "name": name, "ndarray": np.ndarray,
        "new": object.__new__, "quiet": _quiet, "record": record, "refusal": _refusal,
        "rule": rule, "run_on_device": _run_on_device, "widens": widens,
    }  # fmt: skip
    filename = f"<dtrain operation {name}>"
    linecache.cache[filename] = len(source), None, source.splitlines(True), filename
    exec(compile(source, filename, "exec"), namespace)
    operation = functools.wraps(rule)(namespace["operation"])
    OPS[name] = operation
    return operation


def _source(inputs: Sequence[inspect.Parameter], kept: set[str], recomputed: bool) -> str:
    """The text of an operation with these inputs, of which some, or `out`, are kept."""
    names = [p.name for p in inputs]
    saved = [
        f"None if {x} is {x}_array else ('{x}', {x}._version, {x}._version[0])"
        for x in names
        if x in kept or recomputed
    ]
    if "out" in kept:
        saved.append("('out', result._version, 0)")
    lines = [f"node.saved = ({', '.join(saved)},)"] if saved else []
    if recomputed:
        lines.append(f"node.again = rule, ({', '.join(f'{x}_array' for x in names)},), static")

    def each(form: str, separator: str = "; ") -> str:
        return separator.join(form.replace("X", x) for x in names)

    return _SOURCE.format(
        parameters=", ".join(p.name if p.default is p.empty else f"{p.name}=None" for p in inputs),
        arrays=each("X_array = X.array if isinstance(X, Tensor) else X"),
        first=f"{names[0]}_array",
        names=", ".join(names),
        array_names=each("X_array", ", "),
        edges=each(
            "X_edge = None if X is X_array else "
            "X._graph_edge() if X._node is None or X._view is not None else X._node"
        ),
        edge_names=each("X_edge", ", "),
        no_edge=each("X_edge is None", " and "),
        saved="; ".join(lines),
    )


def _run_on_device(rule: Callable, *arrays: Any, **static: Any) -> Any:
    with on_device_of(*arrays):
        return _quiet.run(rule, *arrays, **static)


def _host_half(*arrays: Any) -> np.dtype | None:
    """The dtype of the arrays if it is a half one; devices compute with those themselves."""
    dtypes = {x.dtype for x in arrays if isinstance(x, np.ndarray) and is_half(x.dtype)}
    return functools.reduce(promote, dtypes) if dtypes else None


def _in_float32(operation: Callable, half: np.dtype, inputs: Sequence, static: dict) -> Tensor:
    cast = OPS["cast"]
    wide = [
        cast(x, dtype=float32) if isinstance(x, Tensor) and is_half(x.dtype) else x for x in inputs
    ]
    out = operation(*wide, **static)
    return cast(out, dtype=half) if out.dtype == float32 else out


def _as_array(out: Any) -> Array:
    """The output as an array, also where it is a number, which NumPy's reductions give."""
    return out if type(out).__module__.startswith("cupy") else np.asarray(out)


def _refusal(name: str, error: ValueError | OverflowError) -> Exception:
    """Shapes or numbers that do not fit are a RuntimeError in PyTorch, wrong axes an IndexError."""
    if isinstance(error, IndexError):
        return error
    refusal = RuntimeError(f"{name}: {error}")
    refusal.__cause__ = error
    return refusal


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
