"""`export`: a function or module as an ONNX file (torch.onnx.export)."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from dtrain.autograd.tensor import Tensor
from dtrain.backend.dtypes import get_default_dtype
from dtrain.backend.nested import find_nested
from dtrain.errors import CompileError
from dtrain.jit.compiled_function import ScriptFunction
from dtrain.jit.compiled_module import CompiledModule
from dtrain.jit.graph import Ref, rebuild
from dtrain.jit.unpacking import is_program
from dtrain.nn.module import Module
from dtrain.onnx.axes import DynamicAxes
from dtrain.onnx.builder import Wire
from dtrain.onnx.emitter import Emitter
from dtrain.onnx.proto import Unsupported, import_onnx, make_graph, make_value, onnx_type
from dtrain.onnx.recording import JoinedGraph
from dtrain.onnx.scripted import record_script
from dtrain.onnx.size_reads import record_path

#: The operator sets of ONNX that the forms are written in.
OPSETS = range(18, 24)

#: The version of the file's own format, which runtimes from 2023 on read.
_IR_VERSION = 10


def export(
    f: Callable[..., Any],
    example_inputs: Any,
    path: str | Path | BinaryIO,
    *,
    input_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
    dynamic_axes: dict[str, Any] | None = None,
    opset: int = 18,
    **options: Any,
) -> None:
    """Write a function or module as an ONNX file, which other runtimes run (torch.onnx.export).

    A module is exported in eval mode. Its parameters keep their names in the state_dict.

    Parameters
    ----------
    f : a function or a Module, also a compiled one; the path that it takes for the example inputs
        is recorded, with a warning where it depends on the value of a tensor, or compares a dynamic
        size, or one divided. Of one from `jit.script` the branches and loops are kept, as If and
        Loop, also those of functions and modules that it calls. Loops over lists and known ranges
        are unrolled; one over a dynamic size or a tensor is a Loop. A variable has one dtype and
        shape after both branches.
    example_inputs : a Tensor, or a tuple of arguments
    path : where the file is written, or a binary file
    input_names, output_names : names of the tensors among arguments and results, in order
    dynamic_axes : for each input the axes whose size may change, by number: ``{"x": {0: "batch"}}``
        or ``{"x": [0]}``; axes of one name have one size. The function runs with several sizes.
    opset : the version of ONNX's operators, 18 to 23
    options : PyTorch's `opset_version`, which is `opset`, and options of PyTorch's that do not
        change the file

    Raises
    ------
    CompileError
        If a part has no ONNX form; names the operation and the line that calls it.

    >>> import dtrain, io
    >>> file = io.BytesIO()
    >>> model = dtrain.nn.Linear(3, 2)
    >>> dtrain.onnx.export(model, dtrain.zeros(1, 3), file, dynamic_axes={"input": {0: "batch"}})
    >>> @dtrain.jit.script
    ... def halve(x, limit: float):
    ...     while x.abs().max() > limit:
    ...         x = x / 2
    ...     return x
    >>> dtrain.onnx.export(halve, (dtrain.ones(3), 0.5), io.BytesIO())
    """
    onnx = import_onnx()
    opset = _take_options(options, opset)
    if not callable(f):
        raise TypeError(f"onnx.export: expected a function or a Module, got {type(f).__name__}")
    if opset not in OPSETS:
        raise ValueError(
            f"onnx.export: expected an opset from {OPSETS[0]} to {OPSETS[-1]}, got {opset}"
        )
    if isinstance(f, (CompiledModule, ScriptFunction)):
        is_script = f._compiled.options.kind == "script"
    else:
        is_script = is_program(f)
    f = f._orig_mod if isinstance(f, CompiledModule) else f
    function = getattr(f, "__wrapped_function__", f)
    function = function.forward if isinstance(function, Module) else function
    args = tuple(example_inputs) if isinstance(example_inputs, (tuple, list)) else (example_inputs,)
    if next(find_nested((args,), Tensor), None) is None:
        raise ValueError("onnx.export: expected a tensor among the example inputs, got none")
    name = getattr(f, "__name__", type(f).__name__)
    try:
        axes = DynamicAxes(function, args, input_names, dynamic_axes)
        with _in_eval_mode(f):
            if is_script:
                joined = record_script(function, axes, name)
            else:
                joined = record_path(function, axes, name)
        graph = _Writer(joined, axes, output_names).graph(name)
    except Unsupported as reason:
        raise CompileError(f"onnx.export: {name}: {reason}") from None
    model = onnx.helper.make_model(
        graph, producer_name="dtrain", ir_version=_IR_VERSION,
        opset_imports=[onnx.helper.make_opsetid("", opset)],
    )  # fmt: skip
    data = model.SerializeToString(deterministic=True)
    onnx.checker.check_model(onnx.load(io.BytesIO(data)))
    if isinstance(path, (str, Path)):
        Path(path).write_bytes(data)
    else:
        path.write(data)


#: PyTorch's options: True if any value changes nothing, else the value that does.
_OPTIONS: dict[str, Any] = {
    "artifacts_dir": True, "autograd_inlining": True, "do_constant_folding": True, "dynamo": True,
    "export_params": (True, None), "external_data": True, "fallback": True,
    "keep_initializers_as_inputs": (False, None), "kwargs": (None, {}), "optimize": True,
    "profile": True, "report": True, "verbose": True, "verify": True,
}  # fmt: skip


def _take_options(options: dict[str, Any], opset: int) -> int:
    """The opset that PyTorch's options ask for; refuses what would change the file."""
    given = options.pop("opset_version", None)
    for name, value in options.items():
        known = _OPTIONS.get(name, ())
        if known is not True and value not in known:
            raise TypeError(
                f"onnx.export: got {name}={value!r}, which dtrain's export does not have; sizes "
                "that change are given by dynamic_axes, and a module is exported in eval mode"
            )
    return opset if given is None else int(given)


@contextlib.contextmanager
def _in_eval_mode(f: Any) -> Iterator[None]:
    """A module in eval mode, and back as it was."""
    modules = list(f.modules()) if isinstance(f, Module) else []
    modes = [module.training for module in modules]
    try:
        if modules:
            f.eval()
        yield
    finally:
        for module, mode in zip(modules, modes):
            module.training = mode


class _Writer:
    """Makes the ONNX graph of a joined graph."""

    def __init__(self, joined: JoinedGraph, axes: DynamicAxes, output_names: Any):
        self._graph = joined
        self._axes = axes
        self._output_names = output_names
        self._emitter = Emitter(joined)

    def graph(self, name: str) -> Any:
        """The whole graph, of the nodes that its outputs need."""
        emitter, builder = self._emitter, self._emitter.builder
        inputs = [self._input(*given) for given in zip(self._axes.names, self._graph.inputs)]
        emitter.emit_step(self._graph.step)
        outputs = self._outputs()
        nodes = _needed(builder.nodes, {value.name for value in outputs})
        used = _names_used(nodes) | {value.name for value in outputs}
        initializers = [tensor for tensor in builder.initializers if tensor.name in used]
        return make_graph(name, nodes, inputs, outputs, initializers)

    def _input(self, name: str, known: tuple[str, int]) -> Any:
        index = known[1]
        value = self._graph.values[index]
        name = self._emitter.names.take(name)
        if value.dtype is None:  # a Python number
            wire = Wire(name, get_default_dtype(), (), is_weak=True)
            self._emitter.wires[index] = wire
            return make_value(name, wire.dtype, ())
        wire = Wire(name, value.dtype, value.shape)
        self._emitter.bind(index, wire)
        return make_value(name, value.dtype, self._axes.label(value.shape))

    def _outputs(self) -> list[Any]:
        found: list[Any] = []
        rebuild(self._graph.step.outputs, found.append)
        found = [item for item in found if item is not None]
        if not found:
            raise Unsupported("it returns no tensor")
        names = list(self._output_names or ())
        if names and len(names) != len(found):
            raise ValueError(
                f"onnx.export: expected {len(found)} output_names, one for each tensor that is "
                f"returned, got {len(names)}"
            )
        names = names or [f"output_{i}" if len(found) > 1 else "output" for i in range(len(found))]
        self._axes.check_names(names)
        return [self._output(name, item) for name, item in zip(names, found)]

    def _output(self, name: str, item: Any) -> Any:
        builder = self._emitter.builder
        if isinstance(item, Ref):
            wire = self._emitter.wire(item.value)
        elif isinstance(item, (bool, int, float)):
            wire = builder.constant(np.asarray(item))
        else:
            raise Unsupported(f"it returns a {type(item).__name__}, which is no tensor")
        taken = self._emitter.names.take(name)
        if taken != name:
            raise ValueError(f"onnx.export: the name {name!r} is given to two tensors")
        made = builder.node("Identity", [wire], [wire.dtype])[0]
        builder.nodes[-1].output[0] = builder.nodes[-1].name = name
        onnx_type(made.dtype)
        return make_value(name, made.dtype, self._axes.label(wire.shape))


def _needed(nodes: list[Any], wanted: set[str]) -> list[Any]:
    """The nodes whose outputs are wanted, in order."""
    kept = []
    for node in reversed(nodes):
        if wanted.intersection(node.output):
            kept.append(node)
            wanted |= _names_used([node])
    return kept[::-1]


def _names_used(nodes: Sequence[Any]) -> set[str]:
    """The values that nodes take, those within their bodies, too."""
    used: set[str] = set()
    for node in nodes:
        used.update(node.input)
        for attribute in node.attribute:
            if attribute.HasField("g"):
                used |= _names_used(attribute.g.node)
                used.update(value.name for value in attribute.g.output)
    return used
