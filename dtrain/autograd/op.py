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
from dtrain.autograd.op_source import write_source
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
    *, recomputed: bool = False, takes_complex: bool = False, takes_halves: bool = False,
    into_memory: int | None = None,
) -> Callable[[Callable[P, OutputAndVJPs]], Callable[P, Tensor]]: ...  # fmt: skip


def op(
    primitive: Any = None,
    *,
    recomputed: bool = False,
    takes_complex: bool = False,
    takes_halves: bool = False,
    into_memory: int | None = None,
) -> Any:
    """Make a primitive, a function of arrays, an operation on Tensors that autograd records.

    float16 and bfloat16 are computed in float32, and the output is rounded once: by conversions
    before and after it, or, on a GPU, by the kernels of a primitive that is marked `takes_halves`.
    `recomputed` marks a primitive of which a static argument was computed from an input, as a
    batch's mean: for second derivatives it is run again, and computes that itself. Primitives
    whose vjps keep intermediates are run again without being marked.

    `takes_complex` marks a primitive that is defined for complex numbers; others refuse them. Its
    vjps are transposed maps, without conjugates, as for real numbers: if it is holomorphic, one
    rule serves both (`autograd/backward_pass.py` says which gradients run through the graph).

    `into_memory` is the index of an input whose vjp takes memory for the gradient (`Primitive`).
    """
    return _decorator(
        primitive, widens=True, recomputed=recomputed, takes_complex=takes_complex,
        takes_halves=takes_halves, into_memory=into_memory,
    )  # fmt: skip


@overload
def exact_op(primitive: Callable[P, OutputAndVJPs]) -> Callable[P, Tensor]: ...


@overload
def exact_op(
    *, takes_complex: bool, adds: bool = False
) -> Callable[[Callable[P, OutputAndVJPs]], Callable[P, Tensor]]: ...


def exact_op(primitive: Any = None, *, takes_complex: bool = False, adds: bool = False) -> Any:
    """`op` for a primitive that never rounds: it moves, chooses, compares or converts.

    `adds`: its vjps can add to a gradient in place (`Primitive`).
    """
    return _decorator(primitive, widens=False, takes_complex=takes_complex, adds=adds)


def _decorator(primitive: Any, **options: Any) -> Any:
    if primitive is None:
        return functools.partial(_operation, **options)
    return _operation(primitive, **options)


@overload
def view_op(primitive: Callable[P, OutputAndVJPs]) -> Callable[P, Tensor]: ...


@overload
def view_op(*, adds: bool) -> Callable[[Callable[P, OutputAndVJPs]], Callable[P, Tensor]]: ...


def view_op(primitive: Any = None, *, adds: bool = False) -> Any:
    """`op` for a primitive whose output may share the memory of its first argument.

    `adds`: its vjps can add to a gradient in place (`Primitive`).
    """
    if primitive is None:
        return functools.partial(_view_operation, adds=adds)
    return _view_operation(primitive, adds=adds)


def part_view_op(primitive: Callable[P, OutputAndVJPs]) -> Callable[P, Tensor]:
    """`view_op` for a primitive that views complex numbers as real ones, or the other way."""
    return _view_operation(primitive, keeps_dtype=False)


def _view_operation(
    primitive: Callable[..., Any], keeps_dtype: bool = True, adds: bool = False
) -> Any:
    return _operation(
        primitive, widens=False, takes_complex=True, adds=adds, view_keeps_dtype=keeps_dtype
    )


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
        edges = [
            None
            if not isinstance(x, Tensor)
            else x._graph_edge()
            if x._view is not None
            else x._node or (x if x._requires_grad else None)
            for x in inputs
        ]
        if any(edge is not None for edge in edges):
            result._node = Node(primitive, edges, vjps, result.array)
            result._requires_grad = True
    return result


def _operation(
    function: Callable[..., Any],
    widens: bool,
    recomputed: bool = False,
    takes_complex: bool = False,
    takes_halves: bool = False,
    adds: bool = False,
    into_memory: int | None = None,
    view_keeps_dtype: bool | None = None,
) -> Any:
    """The operation of a primitive. What it saves is written out once it is known (`save`).

    view_keeps_dtype : of an operation that may return a view, whether that has the same dtype
    """
    kinds = inspect.Parameter
    parameters = inspect.signature(function).parameters.values()
    inputs = [p for p in parameters if p.kind == kinds.POSITIONAL_OR_KEYWORD]
    name = function.__name__
    primitive = Primitive(function, [p.name for p in inputs], recomputed, adds, into_memory)
    primitive.is_view = view_keeps_dtype is not None

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
        "set_view_metadata": set_view_metadata, "tracers": tracers,
        "view_keeps_dtype": view_keeps_dtype, "widens": widens,
    }  # fmt: skip

    def write() -> FunctionType:
        return make_function(
            write_source(primitive, inputs), f"<dtrain operation {name}>", namespace
        )

    operation = make_at_first_call(function, namespace, write)
    namespace["operation"] = operation
    operation.primitive = primitive
    OPS[name] = operation
    return operation


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
