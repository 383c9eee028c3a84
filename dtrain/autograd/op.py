"""`@op`: from a primitive, a function of arrays, to an operation on Tensors that is recorded.

A primitive returns its output and one vjp (vector-Jacobian product: the gradient of the output ->
the gradient of that input) for each positional argument; keyword-only arguments are static. An
empty tuple in place of the vjps says that the operation has no gradient.
"""

from __future__ import annotations

import contextvars
import functools
import inspect
import threading
from collections.abc import Callable, Sequence
from types import FunctionType
from typing import Any, ParamSpec, TypeVar, overload

import numpy as np

from dtrain.autograd import grad_mode
from dtrain.autograd.anomaly import call_stack, state as anomaly
from dtrain.autograd.graph import Node, node_order
from dtrain.autograd.primitive import OUTPUT, VJP, OutputAndVJPs, Primitive
from dtrain.autograd.tensor import Tensor, wrap
from dtrain.autograd.view import set_view_metadata
from dtrain.backend import Array, is_cupy, on_device_of
from dtrain.backend.dtypes import float32, is_half, promote
from dtrain.backend.generated_code import make_at_first_call, make_function
from dtrain.backend.tracing import current_tracer, tracers

P = ParamSpec("P")
T = TypeVar("T")

#: Every operation by name; the tests walk it.
OPS: dict[str, Callable[..., Tensor]] = {}


#: The dtypes of host arrays that a primitive is run on as they are; halves are widened.
_REAL = frozenset(map(np.dtype, ("?", "u1", "i1", "i2", "i4", "i8", "f4", "f8")))
_ALL = _REAL | frozenset(map(np.dtype, ("c8", "c16")))


class _Quiet(threading.local):
    """Runs a primitive without NumPy's warnings: NaN and infinity are values here, as in PyTorch.

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
def op(
    *, recomputed: bool = False, takes_complex: bool = False, takes_halves: bool = False
) -> Callable[[Callable[P, OutputAndVJPs]], Callable[P, Tensor]]: ...


def op(
    primitive: Any = None,
    *,
    recomputed: bool = False,
    takes_complex: bool = False,
    takes_halves: bool = False,
) -> Any:
    """Make a primitive, a function of arrays, an operation on Tensors that autograd records.

    float16 and bfloat16 are computed in float32, and the output is rounded once: by conversions
    before and after it, or, on a GPU, by the kernels of a primitive that is marked `takes_halves`.
    `recomputed` marks a primitive of which a static argument was computed from an input, as a
    batch's mean: for second derivatives it is run again, and computes that itself. Primitives
    whose vjps keep intermediates are run again without being marked.

    `takes_complex` marks a primitive that is defined for complex numbers; others refuse them. Its
    vjps are transposed maps, without conjugates, as for real numbers: if it is holomorphic, one
    rule serves both (`autograd/graph.py` says which gradients run through the graph).
    """
    return _decorator(
        primitive, widens=True, recomputed=recomputed, takes_complex=takes_complex,
        takes_halves=takes_halves,
    )  # fmt: skip


@overload
def exact_op(primitive: Callable[P, OutputAndVJPs]) -> Callable[P, Tensor]: ...


@overload
def exact_op(
    *, takes_complex: bool
) -> Callable[[Callable[P, OutputAndVJPs]], Callable[P, Tensor]]: ...


def exact_op(primitive: Any = None, *, takes_complex: bool = False) -> Any:
    """`op` for a primitive that never rounds: it moves, chooses, compares or converts."""
    return _decorator(primitive, widens=False, takes_complex=takes_complex)


def _decorator(primitive: Any, **options: Any) -> Any:
    if primitive is None:
        return functools.partial(_operation, **options)
    return _operation(primitive, **options)


def view_op(primitive: Callable[P, OutputAndVJPs]) -> Callable[P, Tensor]:
    """`op` for a primitive whose output may share the memory of its first argument."""
    return _view_operation(primitive)


def part_view_op(primitive: Callable[P, OutputAndVJPs]) -> Callable[P, Tensor]:
    """`view_op` for a primitive that views complex numbers as real ones, or the other way."""
    return _view_operation(primitive, keeps_dtype=False)


def _view_operation(primitive: Callable[..., Any], keeps_dtype: bool = True) -> Any:
    operation = _operation(primitive, widens=False, takes_complex=True)

    @functools.wraps(operation)
    def view(source: Any, **static: Any) -> Any:
        result = operation(source, **static)
        set_view_metadata(
            result,
            source,
            lambda base: operation(base, **static),
            lambda array: primitive(array, **static)[0],
            keeps_dtype,
        )
        return result

    operation.primitive.is_view = True
    OPS[primitive.__name__] = view
    return view


def memoize_by_gradient(function: Callable[[Array], T]) -> Callable[[Array], T]:
    """Memoize a computation that several vjps share, keyed by the incoming gradient.

    Only the last gradient is kept; it is compared by identity.
    """
    last: list[Any] = []

    def memoized(g: Array) -> T:
        if not last or last[0] is not g:
            last[:] = g, function(g)
        return last[1]

    memoized.last = last  # type: ignore[attr-defined]
    return memoized


def record(
    primitive: Primitive | str, inputs: Sequence[Any], out: Array, vjps: Sequence[VJP]
) -> Tensor:
    """The output as a Tensor, with a Node behind it if an input requires grad."""
    result = wrap(as_array(out))
    if vjps and grad_mode.is_grad_enabled():
        edges = [x._graph_edge() if isinstance(x, Tensor) else None for x in inputs]
        if any(edge is not None for edge in edges):
            result._node = Node(primitive, edges, vjps, result.array)
            result._requires_grad = True
    return result


#: An operation, written out for its inputs: that takes half of the time of loops over them.
_SOURCE = """\
def operation({parameters}, **static):
    if tracers and (tracer := current_tracer()) is not None:
        return tracer.call(operation, ({names},), static, name, recorded=ops[name])
    {arrays}
    try:
        if type({first}) is ndarray and {first}.dtype in dtypes:
            out, vjps = quiet.run(function, {array_names}, **static)
        elif widens and (half := half_of({array_names})) is not None:
            return in_float32(operation, half, ({names},), static)
        else:
            out, vjps = run_on_device(function, {array_names}, **static)
            if takes_halves and is_wider(out, {array_names}):
                return in_float32(operation, half_of_any({array_names}), ({names},), static)
    except (ValueError, OverflowError) as error:
        raise refusal(name, error)
    result = new(Tensor)
    result.array = array = out if type(out) is ndarray else as_array(out)
    result._version = [0]
    if not vjps or not mode.enabled:
        return result
    {edges}
    if {no_edge}:
        return result
    result._node = node = new(Node)  # what Node() does: a call less
    node.primitive, node.parents, node.vjps = primitive, ({edge_names},), vjps
    node.shape, node.dtype, node.order = array.shape, array.dtype, next(order)
    if anomaly.enabled:
        node.stack = call_stack()
    result._requires_grad = True
    {saved}
    return result
"""

_SOURCE_OF_MANY = """\
def operation(*inputs, **static):
    if tracers and (tracer := current_tracer()) is not None:
        return tracer.call(operation, inputs, static, name, recorded=ops[name])
    arrays = [x.array if isinstance(x, Tensor) else x for x in inputs]
    try:
        if arrays and type(arrays[0]) is ndarray and arrays[0].dtype in dtypes:
            out, vjps = quiet.run(function, *arrays, **static)
        else:
            out, vjps = run_on_device(function, *arrays, **static)
    except (ValueError, OverflowError) as error:
        raise refusal(name, error)
    result = record(primitive, inputs, out, vjps)
    {saved}
    return result
"""


def _operation(
    function: Callable[..., Any],
    widens: bool,
    recomputed: bool = False,
    takes_complex: bool = False,
    takes_halves: bool = False,
) -> Any:
    """The operation of a primitive. What it saves is written out once it is known (`save`)."""
    kinds = inspect.Parameter
    parameters = inspect.signature(function).parameters.values()
    inputs = [p for p in parameters if p.kind == kinds.POSITIONAL_OR_KEYWORD]
    name = function.__name__
    primitive = Primitive(function, [p.name for p in inputs], recomputed)

    def save(result: Tensor, inputs: Sequence[Any], arrays: Any, out: Any, static: dict) -> None:
        """Give the node of a result what its vjps keep, found by inspecting them."""
        node = result._node
        if node is None or node.vjps is None:
            return
        rerun = primitive.inspect(node.vjps, arrays, out, static.values())
        saved = [
            None if x is array else (index, x._version, x._version[0])
            for index, (x, array) in enumerate(zip(inputs, arrays))
            if rerun or index in primitive.kept
        ]
        if OUTPUT in primitive.kept:
            saved.append((OUTPUT, result._version, 0))
        node.saved = saved
        if rerun:
            node.call = function, arrays, static
        if primitive.is_settled:
            operation.__code__ = write().__code__

    namespace: dict[str, Any] = {
        "Node": Node, "OUTPUT": OUTPUT, "Tensor": Tensor, "anomaly": anomaly, "as_array": as_array,
        "call_stack": call_stack, "current_tracer": current_tracer,
        "dtypes": _ALL if takes_complex else _REAL, "function": function,
        "half_of": _host_half if takes_halves else _half, "half_of_any": _half,
        "is_wider": _is_wider, "takes_halves": takes_halves,
        "in_float32": _in_float32, "mode": grad_mode._mode, "name": name, "ndarray": np.ndarray,
        "new": object.__new__, "ops": OPS, "order": node_order,
        "primitive": primitive, "quiet": _quiet, "record": record, "refusal": refusal_of,
        "run_on_device": _run_on_device if takes_complex else _run_real, "save": save,
        "tracers": tracers, "widens": widens,
    }  # fmt: skip

    def write() -> FunctionType:
        source = _source(primitive, inputs) if inputs else _source_of_many(primitive)
        return make_function(source, f"<dtrain operation {name}>", namespace)

    operation = make_at_first_call(function, namespace, write)
    namespace["operation"] = operation
    operation.primitive = primitive
    OPS[name] = operation
    return operation


def _source(primitive: Primitive, inputs: Sequence[inspect.Parameter]) -> str:
    """The text of an operation with these inputs."""
    names = primitive.inputs

    def each(form: str, separator: str = "; ") -> str:
        return separator.join(form.replace("X", x) for x in names)

    arrays = each("X_array", ", ")
    if primitive.is_settled:
        saved = _saved_source(primitive)
    else:
        saved = f"save(result, ({', '.join(names)},), ({arrays},), out, static)"
    return _SOURCE.format(
        parameters=", ".join(p.name if p.default is p.empty else f"{p.name}=None" for p in inputs),
        arrays=each("X_array = X.array if isinstance(X, Tensor) else X"),
        first=f"{names[0]}_array",
        names=", ".join(names),
        array_names=arrays,
        edges=each(
            "X_edge = None if X is X_array else "
            "X._graph_edge() if X._node is None or X._view is not None else X._node"
        ),
        edge_names=each("X_edge", ", "),
        no_edge=each("X_edge is None", " and "),
        saved=saved,
    )


def _saved_source(primitive: Primitive) -> str:
    """The lines that do what `save` does, for a primitive of which every call keeps the same."""
    saved = [
        f"None if {x} is {x}_array else ({index}, {x}._version, {x}._version[0])"
        for index, x in enumerate(primitive.inputs)
        if primitive.is_recomputed or index in primitive.kept
    ]
    if OUTPUT in primitive.kept:
        saved.append("(OUTPUT, result._version, 0)")
    lines = [f"node.saved = ({', '.join(saved)},)"] if saved else []
    if primitive.is_recomputed:
        arrays = ", ".join(f"{x}_array" for x in primitive.inputs)
        lines.append(f"node.call = function, ({arrays},), static")
    return "; ".join(lines)


def _source_of_many(primitive: Primitive) -> str:
    keeps = not primitive.is_settled or primitive.kept or primitive.is_recomputed
    saved = "save(result, inputs, arrays, out, static)" if keeps else ""
    return _SOURCE_OF_MANY.format(saved=saved)


def _run_on_device(function: Callable[..., Any], *arrays: Any, **static: Any) -> Any:
    with on_device_of(*arrays):
        return _quiet.run(function, *arrays, **static)


def _run_real(function: Callable[..., Any], *arrays: Any, **static: Any) -> Any:
    """Run a primitive that is not defined for complex numbers."""
    for array in arrays:
        if isinstance(array, complex) or getattr(getattr(array, "dtype", None), "kind", "") == "c":
            raise NotImplementedError(
                f"{function.__name__}: expected real numbers, got "
                f"{getattr(array, 'dtype', 'a complex number')}; use real, imag, abs or "
                "view_as_real"
            )
    return _run_on_device(function, *arrays, **static)


def _half(*arrays: Any) -> np.dtype | None:
    """The dtype of the arrays that hold halves, None if none does."""
    dtypes = {
        x.dtype for x in arrays if (isinstance(x, np.ndarray) or is_cupy(x)) and is_half(x.dtype)
    }
    return functools.reduce(promote, dtypes) if dtypes else None


def _host_half(*arrays: Any) -> np.dtype | None:
    """`_half` of the arrays in host memory."""
    return _half(*(x for x in arrays if isinstance(x, np.ndarray)))


def _is_wider(out: Any, *arrays: Any) -> bool:
    """Whether the output is float32 though arrays on a GPU are halves: CuPy takes a product of
    bfloat16 and a Python number for one."""
    return is_cupy(out) and out.dtype == float32 and _half(*arrays) is not None


def _in_float32(operation: Callable, half: np.dtype, inputs: Sequence, static: dict) -> Tensor:
    out = operation(*map(_widen, inputs), **static)
    return OPS["cast"](out, dtype=half) if out.dtype == float32 else out


def _widen(value: Any) -> Any:
    """A float32 copy of a tensor or an array of halves, another value itself."""
    if isinstance(value, Tensor):
        return OPS["cast"](value, dtype=float32) if is_half(value.dtype) else value
    return value if _half(value) is None else value.astype(float32)


def as_array(out: Any) -> Array:
    """The output as an array, also where it is a number, which NumPy's reductions give."""
    return out if is_cupy(out) else np.asarray(out)


def refusal_of(name: str, error: ValueError | OverflowError) -> Exception:
    """Shapes or numbers that do not fit are a RuntimeError in PyTorch, wrong axes an IndexError."""
    if isinstance(error, IndexError):
        return error
    refusal = RuntimeError(f"{name}: {error}")
    refusal.__cause__ = error
    return refusal
