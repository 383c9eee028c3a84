"""Recordings for export: of one path through a function, at one or several sizes, joined."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dtrain.autograd.grad_mode import no_grad
from dtrain.autograd.tensor import Tensor
from dtrain.backend import array_module, to_host
from dtrain.functions.subscripts import setitem, split_index
from dtrain.jit.arguments import argument_names
from dtrain.jit.graph import Call, Graph, Ref, Step, Value, rebuild
from dtrain.jit.places import is_library_file
from dtrain.jit.proxies import real
from dtrain.jit.segments import is_primitive, primitive_of
from dtrain.jit.side_effects import Undo
from dtrain.jit.surroundings import Surroundings
from dtrain.jit.tracer import GraphTracer
from dtrain.jit.tracer_warning import warn_of_places
from dtrain.onnx.blocks import Block, BlockCall, all_calls, all_refs, blocks_of, remove_unused
from dtrain.onnx.proto import Unsupported
from dtrain.onnx.sizes import Dim, Repeated, find_pattern, unify_numbers, unify_shapes
from dtrain.primitives.indexing import getitem


class ExportTracer(GraphTracer):
    """Records in-place methods as the operation, then a write, "copy_"; x[index] = value as a view
    of x, then a "setitem" by arrays of indices alone."""

    takes_other_sizes = True
    _frees_values = False  # blocks are recorded several times, from where they begin

    def __init__(self, name: str, on_decision: Callable[[str], None]):
        super().__init__(name, on_decision)
        #: values that do not share memory with the first argument of the call that made them
        self.copies: set[int] = set()

    def call(
        self, function: Callable[..., Any], args: Any, kwargs: Any, name: str = "",
        recorded: Callable[..., Any] | None = None, writes: Any = None, opaque: bool = False,
    ) -> Any:  # fmt: skip
        """Run and record; see GraphTracer.call."""
        if function is setitem:
            return self._set_item(*args)
        operation = getattr(function, "__wrapped__", None)
        if writes is None or writes is True or operation is None or function is Tensor.copy_:
            result = super().call(function, args, kwargs, name, recorded, writes, opaque)
            self._note_copy(args, result)
            return result
        result = operation(*args, **kwargs)
        return super().call(Tensor.copy_, (args[0], result), {}, "copy_", None, writes)

    def check(self, step: Step) -> None:
        """Refuse what was recorded, where a file cannot have it."""

    def _note_copy(self, args: Any, result: Any) -> None:
        """Note a result that has memory of its own, as views have not."""
        if isinstance(result, Tensor) and args and isinstance(args[0], Tensor):
            made, given = real(result.array), real(args[0].array)
            if not array_module(made).may_share_memory(made, given):
                self.copies.add(self._known[id(result)].value)

    def _decide(self, ref: Ref, value: Any) -> None:
        if type(value) is not bool and not _is_check():
            self.refuse(f"a result depends on numbers that are read of a tensor, here {value!r}")
        super()._decide(ref, value)

    def _set_item(self, x: Tensor, index: Any, value: Any) -> None:
        basic, arrays = split_index(x.array, index)
        target = x if basic is None else getitem(x, index=basic)
        arrays = (Ellipsis,) if arrays is None else arrays
        super().call(setitem, (target, arrays, value), {}, "setitem", None, (target,))


def _is_check() -> bool:
    """Whether a function of dtrain's reads a value that checks something, by its name."""
    frame: Any = sys._getframe(1)
    while frame is not None and is_library_file(frame.f_code.co_filename):
        if frame.f_code.co_name.lstrip("_").startswith(("check", "require")):
            return True
        frame = frame.f_back
    return False


def makes_view(call: Call) -> bool:
    """Whether a call's output shares memory with its input: a write to one changes the other."""
    return call.function is Tensor.detach or (is_primitive(call) and primitive_of(call).is_view)


@dataclass
class Recording:
    """What one run of a function did: its values, and the step of its calls."""

    graph: Graph
    step: Step
    #: values that share no memory with what they were made of
    copies: set[int]
    #: (name, value) of each tensor and number among the arguments
    inputs: list[tuple[str, int]] = field(default_factory=list)


def record(
    function: Callable[..., Any], args: tuple[Any, ...], name: str,
    tracer: ExportTracer | None = None, rewritten: Callable[..., Any] | None = None,
) -> Recording:  # fmt: skip
    """Run a function, without gradients, and record what it does.

    Parameters
    ----------
    tracer : records it; without one the path that it takes is recorded, with warnings
    rewritten : what is called in place of the function

    Raises
    ------
    Unsupported
        If something that it does cannot be recorded; names the line.
    """
    burned: list[str] = []
    tracer = tracer or ExportTracer(name, burned.append)
    called = rewritten or function
    surroundings = Surroundings(function, (args, {}))
    undo = Undo(surroundings)
    names = argument_names(function, args, {})

    def stand_in(value: Any) -> Any:
        if isinstance(value, Tensor):
            return tracer.add_input(value, next(names))
        return tracer.add_number(value, next(names)) if type(value) is float else value

    try:
        for kind, known, tensor in surroundings.named_tensors():
            tracer.add_tensor(kind, tensor, known)
        stand_ins = rebuild(args, stand_in)
        with no_grad():
            tracer.record(lambda: called(*stand_ins))
    finally:
        tracer._restore()
        undo.undo()
    if tracer.refusal is not None:
        raise Unsupported(tracer.refusal)
    warn_of_places(
        "onnx.export",
        burned,
        "a tensor's value, or a number, is read by Python; the file has what came of it as a "
        "constant, and may be wrong for other values",
    )
    graph = tracer.graph
    # the decisions are checks of dtrain's own, such as of indices: the file has none of them
    step = Step([call for part, _ in tracer.steps for call in part.calls])
    step.outputs = tracer.step.outputs
    tracer.check(step)
    step = remove_unused(step, step.outputs)
    return Recording(graph, step, tracer.copies, [(graph.values[i].name, i) for i in graph.inputs])


@dataclass
class JoinedGraph:
    """Recordings at several sizes as one: shapes and arguments have a Dim where they differ.

    tensors : the array of each parameter, buffer and constant, or its Pattern
    """

    values: list[Value]
    tensors: dict[int, Any]
    inputs: list[tuple[str, int]]
    step: Step
    copies: set[int]


def join(recordings: list[Recording]) -> JoinedGraph:
    """Join recordings of one function at several sizes.

    Raises
    ------
    Unsupported
        If they differ in more than numbers that can be computed from the sizes.
    """
    first = recordings[0]
    step = _join_steps([r.step for r in recordings])
    used = {ref.value for ref in all_refs(step)} | {index for _, index in first.inputs}
    for call in all_calls(step):
        used |= {index for _, index in call.outputs}
        used |= {index for block in blocks_of(call) for index in block.inputs}
    values, tensors = [], {}
    for index, value in enumerate(first.graph.values):
        if index not in used:
            values.append(value)
            continue
        shape = unify_shapes([r.graph.values[index].shape for r in recordings])
        values.append(Value(value.kind, shape, value.dtype, value.name))
        if index in first.graph.tensors:
            arrays = [to_host(r.graph.tensors[index].array) for r in recordings]
            tensors[index] = _join_arrays(arrays)
    return JoinedGraph(values, tensors, first.inputs, step, first.copies)


def _join_steps(steps: list[Step]) -> Step:
    for calls in zip(*(step.calls for step in steps)):
        if len({call.name for call in calls}) > 1:
            raise Unsupported(f"{calls[0].place}: {_OTHER_PATH}")
    if len({len(step.calls) for step in steps}) > 1:
        raise Unsupported(_OTHER_PATH)
    joined = Step([_join_calls(list(calls)) for calls in zip(*(step.calls for step in steps))])
    joined.outputs = join_values([step.outputs for step in steps])
    return joined


_OTHER_PATH = "the function makes other calls when dynamic axes have other sizes"


def _join_calls(calls: list[Call]) -> Call:
    first = calls[0]
    try:
        args = join_values([call.args for call in calls])
        kwargs = join_values([call.kwargs for call in calls])
    except Unsupported as reason:
        raise Unsupported(f"{first.place}: {first.name}: {reason}") from None
    blocks = [
        Block(_join_steps([block.step for block in same]), same[0].inputs)
        for same in zip(*map(blocks_of, calls))
    ]
    common = (first.name, first.function, args, kwargs, first.outputs, False, first.place)
    return BlockCall(*common, blocks=blocks) if blocks else Call(*common)


def join_values(given: list[Any]) -> Any:
    """The arguments of one call in all recordings, as one."""
    first = given[0]
    if len(given) == 1 or all(item is first for item in given):
        return first
    if isinstance(first, (tuple, list)):
        if len({len(item) for item in given}) > 1:
            return _join_repeated(given)
        items = [join_values(list(items)) for items in zip(*given)]
        return type(first)(*items) if hasattr(first, "_fields") else type(first)(items)
    if isinstance(first, dict):
        return {key: join_values([item[key] for item in given]) for key in first}
    if isinstance(first, slice):
        ends = [[s.start for s in given], [s.stop for s in given], [s.step for s in given]]
        return slice(*map(join_values, ends))
    if isinstance(first, Ref):
        if any(item != first for item in given):
            raise Unsupported(_OTHER_PATH)
        return first
    if isinstance(first, (np.ndarray, np.generic)):
        return _join_arrays([np.asarray(item) for item in given])
    return unify_numbers(given)


def _join_arrays(arrays: list[np.ndarray]) -> Any:
    same = all(a is arrays[0] or _equal(a, arrays[0]) for a in arrays)
    if same:
        return arrays[0]
    pattern = find_pattern(arrays)
    if pattern is None:
        raise Unsupported("an array of constants depends on the sizes of dynamic axes")
    return pattern


def _equal(a: np.ndarray, b: np.ndarray) -> bool:
    return a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()


def _join_repeated(given: list[Any]) -> Repeated:
    items = [join_values(list(set(item))) if len(set(item)) == 1 else None for item in given]
    if any(item is None for item in items):
        raise Unsupported("a list's length depends on the sizes of dynamic axes")
    return Repeated(join_values(items), Dim(tuple(map(len, given))))
