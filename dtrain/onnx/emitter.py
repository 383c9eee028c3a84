"""`Emitter`: the calls of a joined graph as ONNX nodes, by the forms of their primitives."""

from __future__ import annotations

from typing import Any

import numpy as np

from dtrain.jit.graph import Call, Ref, Step, rebuild
from dtrain.onnx.block_nodes import emit_blocks
from dtrain.onnx.blocks import BlockCall
from dtrain.onnx.builder import Builder, Wire
from dtrain.onnx.forms.indexing import flat_indices, scatter_flat
from dtrain.onnx.forms.registry import FORMS
from dtrain.onnx.proto import Names, Unsupported
from dtrain.onnx.recording import JoinedGraph, makes_view
from dtrain.onnx.sizes import Pattern


class Emitter:
    """Emits the steps of a graph; `wires` has what stands for each value so far."""

    def __init__(self, graph: JoinedGraph):
        self.graph: JoinedGraph = graph
        self.names: Names = Names()
        self.builder: Builder = Builder(self.names)
        self.wires: dict[int, Wire] = {}
        self.views: dict[int, tuple[int, Call]] = {}  # value: what it is a view of, and how

    # --- values ---

    def wire(self, index: int) -> Wire:
        """What stands for a value; tensors from outside become initializers when first used."""
        if index not in self.wires:
            tensor, value = self.graph.tensors[index], self.graph.values[index]
            if isinstance(tensor, Pattern):
                return _pattern_wire(self.builder, tensor)
            self.wires[index] = self.builder.constant(tensor, value.name)
            self.wires[index].shape = value.shape
        return self.wires[index]

    def bind(self, index: int, wire: Wire) -> None:
        """Let a wire stand for a value, in the value's dtype."""
        value = self.graph.values[index]
        if value.dtype is not None:
            wire = self.builder.cast(wire, value.dtype)
        wire = Wire(wire.name, wire.dtype, tuple(value.shape), wire.is_weak)
        self.wires[index] = wire
        self.builder.note_sizes(wire)

    def argument(self, value: Any) -> Any:
        """An argument with Wires in place of the values of the graph and of patterns."""
        return rebuild(value, self._leaf)

    def _leaf(self, value: Any) -> Any:
        if isinstance(value, Ref):
            return self.wire(value.value)
        return _pattern_wire(self.builder, value) if isinstance(value, Pattern) else value

    # --- calls ---

    def emit_step(self, step: Step) -> None:
        """Emit all calls of a step."""
        for call in step.calls:
            self._emit(call)

    def _emit(self, call: Call) -> None:
        try:
            if isinstance(call, BlockCall):
                emit_blocks(self, call)
                return
            if call.name in ("copy_", "setitem"):
                self._emit_write(call)
                return
            outputs = self._run_form(call)
        except Unsupported as reason:
            if isinstance(call, BlockCall):
                raise
            raise Unsupported(f"{call.place}: {call.name}: {reason}") from None
        for path, index in call.outputs:
            self.bind(index, outputs[path[0]] if path else outputs)
        is_copy = any(index in self.graph.copies for _, index in call.outputs)
        if not is_copy and makes_view(call) and isinstance(call.args[0], Ref):
            self.views[call.outputs[0][1]] = call.args[0].value, call

    def _run_form(self, call: Call, first: Wire | None = None) -> Any:
        """The outputs of a call; `first` in place of its first argument."""
        form = FORMS.get(call.name)
        if form is None:
            raise Unsupported("it has no ONNX form")
        args = [self.argument(arg) for arg in call.args]
        if first is not None:
            args[0] = first
        kwargs = {name: self.argument(arg) for name, arg in call.kwargs.items()}
        return form(self.builder, *args, **kwargs)

    # --- writes in place ---

    def _emit_write(self, call: Call) -> None:
        """A write into a tensor: new values for it, for what it is a view of, and its views."""
        b, target = self.builder, call.args[0].value
        x = self.wire(target)
        if call.name == "setitem":
            value = self.argument(call.args[2])
            indices = flat_indices(b, x.shape, self.argument(call.args[1]))
            made = scatter_flat(b, x, indices, b.cast(b.wire(value, x.dtype), x.dtype))
        else:
            made = b.Expand(b.cast(self.argument(call.args[1]), x.dtype), b.ints(x.shape))
        self._store(target, made)

    def _store(self, target: int, made: Wire) -> None:
        self.bind(target, made)
        changed = {target}
        while target in self.views:
            base, view = self.views[target]
            x = self.wire(base)
            b = self.builder
            numbered = b.reshape(b.arange(b.numel(x.shape)), x.shape)
            if view.name == "detach":
                made = self.wire(target)
            else:
                made = scatter_flat(b, x, self._run_form(view, numbered), self.wire(target))
            self.bind(base, made)
            changed.add(base)
            target = base
        for index, (base, view) in self.views.items():
            if base in changed and index not in changed:
                self.bind(index, self._run_form(view))
                changed.add(index)


def _pattern_wire(b: Builder, pattern: Pattern) -> Wire:
    """An array of dynamic shape by its formula."""
    shape, dtype = pattern.shape, pattern.dtype
    if pattern.kind == "full":
        made = b.full(shape, pattern.low, dtype)
    elif pattern.kind == "ramp":
        ramp = b.cast(b.arange(shape[-1]), dtype)
        ramp = b.Add(b.Mul(ramp, pattern.step), pattern.low)
        made = b.Expand(ramp, b.ints(shape))
    else:
        rows = b.Unsqueeze(b.arange(shape[-2]), b.ints([1]))
        above = b.Greater(b.Sub(b.arange(shape[-1]), rows), b.wire(pattern.offset, np.int64))
        made = b.Expand(b.where(above, pattern.high, pattern.low, dtype), b.ints(shape))
    return Wire(made.name, dtype, shape)
