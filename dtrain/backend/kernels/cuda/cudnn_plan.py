"""Graphs of cuDNN, through the package nvidia-cudnn-frontend: built once for each layout of arrays,
run on the current stream.

Only engines are taken whose results are the same bits each time, and that add in float32. cuDNN's
heuristics choose among them, from the graph and the GPU alone. None is timed.
"""

from __future__ import annotations

import functools
import importlib
import threading
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from dtrain.backend import settings
from dtrain.backend.array_module import Array

#: dtype of arrays -> its name in cuDNN
TYPES = {"f": "FLOAT", "e": "HALF", "E": "BFLOAT16"}
#: Engines with these notes are never taken.
_EXCLUDED = "NONDETERMINISTIC", "REDUCED_PRECISION_REDUCTION", "DOWN_CONVERT_INPUTS"
#: Nor those with these, for products of float32 that are to be exact.
_ROUNDING = (
    "TENSOR_CORE", "FFT", "WINOGRAD", "WINOGRAD_TILE_4x4", "WINOGRAD_TILE_6x6",
    "WINOGRAD_TILE_13x13",
)  # fmt: skip
#: The most bytes of memory that an engine may take beside its arrays.
_WORKSPACE = 1 << 30
#: cuDNN reads and writes units of so many bytes.
_ALIGNMENT = 16

#: Adds an operation to a graph: takes the graph, its input tensors and numbers; returns outputs.
Define = Callable[..., Sequence[Any]]


class Layout(NamedTuple):
    """What a graph is built for, of each array."""

    kind: str
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class Plan(NamedTuple):
    """A graph whose engine is compiled, and the bytes of memory that it needs."""

    graph: Any
    workspace: int


@functools.cache
def find_library() -> Any:
    """The module `cudnn` of nvidia-cudnn-frontend; None if it or cuDNN itself is not installed."""
    try:
        library = importlib.import_module("cudnn")
        library.backend_version()
    except (ImportError, OSError, RuntimeError):
        return None
    return library


def is_enabled() -> bool:
    """Whether cuDNN is installed, and `backends.cudnn.enabled` is True."""
    return settings.cudnn.enabled and find_library() is not None


def compute(define: Define, inputs: Sequence[Array], outputs: Sequence[Array], *how: Any) -> bool:
    """Write the results of the operation that `define` adds to a graph to the arrays `outputs`.

    False, and nothing is computed, if cuDNN has no engine for these layouts.

    how : numbers, which `define` takes after its tensors
    """
    from cupy import cuda

    inputs = [x if _is_readable(x) else x.copy() for x in inputs]
    device, thread = cuda.runtime.getDevice(), threading.get_ident()
    layouts = tuple(map(_layout, inputs)), tuple(map(_layout, outputs))
    plan = _find_plan(device, thread, define, *layouts, how, _allows_rounding(inputs[0]))
    if plan is None:
        return False
    handle = _handle(device, thread)
    find_library().set_stream(handle=handle, stream=cuda.get_current_stream().ptr)
    memory = cuda.alloc(plan.workspace)  # of the stream's pool: used again in its order alone
    pointers = {uid: x.data.ptr for uid, x in enumerate((*inputs, *outputs), 1)}
    plan.graph.execute(pointers, memory.ptr, handle=handle)
    return True


def _is_readable(x: Array) -> bool:
    """Whether cuDNN may read this array as it lies: broadcast ones are copied."""
    is_broadcast = any(step == 0 and size > 1 for step, size in zip(x.strides, x.shape))
    return x.data.ptr % _ALIGNMENT == 0 and not is_broadcast


def _layout(x: Array) -> Layout:
    """The array's layout; axes of one element, whose steps say nothing, follow the axis after."""
    steps: list[int] = []
    packed = 1
    for size, step in zip(reversed(x.shape), reversed(x.strides)):
        steps.append(packed if size == 1 else step // x.itemsize)
        packed = steps[-1] * size
    return Layout(x.dtype.char, x.shape, tuple(reversed(steps)))


def _allows_rounding(x: Array) -> bool:
    """Whether engines may round factors to TensorFloat32; halves are rounded already."""
    precision = settings.get_float32_matmul_precision()
    return x.dtype.char != "f" or (settings.cudnn.allow_tf32 and precision != "highest")


@functools.cache
def _handle(device: int, thread: int) -> Any:
    """cuDNN's state of the current device. Two threads may not use one at the same time."""
    return find_library().create_handle()


@functools.lru_cache(maxsize=1024)
def _find_plan(
    device: int, thread: int, define: Define, inputs: tuple[Layout, ...],
    outputs: tuple[Layout, ...], how: tuple, allows_rounding: bool,
) -> Plan | None:  # fmt: skip
    """Build the graph of an operation; None if no engine may compute it."""
    cudnn = find_library()
    real = cudnn.data_type.FLOAT
    graph = cudnn.pygraph(
        handle=_handle(device, thread), intermediate_data_type=real, compute_data_type=real
    )
    tensors = [
        graph.tensor(dim=[*x.shape], stride=[*x.strides], data_type=_data_type(x), uid=uid)
        for uid, x in enumerate(inputs, 1)
    ]
    results = define(graph, *tensors, *how)
    for uid, (tensor, x) in enumerate(zip(results, outputs), 1 + len(inputs)):
        tensor.set_output(True).set_data_type(_data_type(x)).set_uid(uid)
        tensor.set_dim([*x.shape]).set_stride([*x.strides])
    excluded = _EXCLUDED if allows_rounding else _EXCLUDED + _ROUNDING
    try:
        graph.validate()
        graph.build_operation_graph()
        graph.create_execution_plans([cudnn.heur_mode.A, cudnn.heur_mode.FALLBACK])
        graph.deselect_numeric_notes([getattr(cudnn.numerical_note, name) for name in excluded])
        graph.deselect_workspace_greater_than(_WORKSPACE)
        graph.check_support()
        graph.build_plans(cudnn.build_plan_policy.HEURISTICS_CHOICE)
    except cudnn.cudnnGraphNotSupportedError:
        return None
    return Plan(graph, graph.get_workspace_size())


def _data_type(x: Layout) -> Any:
    return getattr(find_library().data_type, TYPES[x.kind])
