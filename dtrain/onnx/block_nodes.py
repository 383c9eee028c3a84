"""Calls "if" and "loop" as the nodes If and Loop; what a block writes to becomes an output."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dtrain.backend.dtypes import get_default_dtype
from dtrain.jit.graph import Ref
from dtrain.onnx.blocks import Block, BlockCall
from dtrain.onnx.builder import Builder, Wire

if TYPE_CHECKING:
    from dtrain.onnx.emitter import Emitter


@dataclass
class _Emitted:
    """The nodes of a block.

    outputs : of the block, in order
    written : values from outside that it writes to, and what they are after it
    """

    builder: Builder
    outputs: list[Wire]
    written: dict[int, Wire]


def emit_blocks(emitter: Emitter, call: BlockCall) -> None:
    """Emit a call "if" or "loop"."""
    if call.name == "if":
        _emit_if(emitter, call)
    else:
        _emit_loop(emitter, call)


def _emit_if(emitter: Emitter, call: BlockCall) -> None:
    outer = emitter.builder
    condition = emitter.wire(call.args[0].value)
    dtypes = [_dtype(emitter, index) for _, index in call.outputs]
    sides = [_emit_block(emitter, block, {}) for block in call.blocks]
    written = sorted({index for side in sides for index in side.written})
    dtypes += [emitter.wire(index).dtype for index in written]
    graphs = []
    for side in sides:
        wires = side.outputs + [side.written.get(i) or emitter.wire(i) for i in written]
        graphs.append(_graph(side.builder, [], wires, dtypes))
    if not dtypes:
        return
    made = outer.node("If", [condition], dtypes, then_branch=graphs[0], else_branch=graphs[1])
    _bind(emitter, call, written, made)


def _emit_loop(emitter: Emitter, call: BlockCall) -> None:
    outer, (turns, first, given) = emitter.builder, call.args
    block = call.blocks[0]
    dtypes = [_dtype(emitter, index) for _, index in call.outputs]
    initial = [outer.cast(_wire(emitter, x), dtype) for x, dtype in zip(given, dtypes)]
    written: list[int] = []
    while True:  # until it is known what the body writes to
        number = Wire(outer.names.new("turn"), np.int64, ())
        goes_on = Wire(outer.names.new("goes_on"), bool, ())
        begun = [_input(emitter, *given) for given in zip(block.inputs[1:], dtypes)]
        kept = [_input(emitter, i, emitter.wire(i).dtype) for i in written]
        bound = dict(zip(block.inputs, [number, *begun])) | dict(zip(written, kept))
        body = _emit_block(emitter, block, bound)
        if set(body.written) <= set(written):
            break
        written = sorted({*written, *body.written})
    initial += [emitter.wire(i) for i in written]
    dtypes += [wire.dtype for wire in kept]
    wires = body.outputs + [body.written.get(i, wire) for i, wire in zip(written, kept)]
    graph = _graph(body.builder, [number, goes_on, *begun, *kept], wires, [np.dtype(bool), *dtypes])
    count = None if turns is None else outer.cast(_wire(emitter, turns), np.int64)
    inputs = [count, _wire(emitter, first), *initial]
    _bind(emitter, call, written, outer.node("Loop", inputs, dtypes, body=graph))


def _bind(emitter: Emitter, call: BlockCall, written: Sequence[int], made: list[Wire]) -> None:
    indices = [index for _, index in call.outputs]
    for index, wire in zip([*indices, *written], made):
        wire.is_weak = emitter.graph.values[index].dtype is None
        emitter.bind(index, wire)


def _input(emitter: Emitter, index: int, dtype: Any) -> Wire:
    """An input of a loop's body that stands for a value."""
    shape = tuple(emitter.graph.values[index].shape)
    return Wire(emitter.builder.names.new("carried"), dtype, shape)


def _dtype(emitter: Emitter, index: int) -> Any:
    """The dtype of a value; a float of Python has the default one."""
    return np.dtype(emitter.graph.values[index].dtype or get_default_dtype())


def _wire(emitter: Emitter, value: Any) -> Wire:
    if isinstance(value, Ref):
        return emitter.wire(value.value)
    return emitter.builder.wire(value, np.int64)


def _graph(
    builder: Builder, inputs: Sequence[Wire], wires: Sequence[Wire], dtypes: Sequence[Any]
) -> Any:
    return builder.subgraph(inputs, [builder.cast(w, dtype) for w, dtype in zip(wires, dtypes)])


def _emit_block(emitter: Emitter, block: Block, bound: dict[int, Wire]) -> _Emitted:
    """The nodes of a block, while wires stand for the values in `bound`."""
    for ref in block.refs():  # initializers belong to the whole graph
        if ref.value in emitter.graph.tensors:
            emitter.wire(ref.value)
    outer, wires, views = emitter.builder, dict(emitter.wires), dict(emitter.views)
    emitter.builder = Builder(outer.names, outer)
    try:
        for index, wire in bound.items():
            wire.is_weak = emitter.graph.values[index].dtype is None
            emitter.bind(index, wire)
        begun = dict(emitter.wires)
        emitter.emit_step(block.step)
        outputs = [_wire(emitter, value) for value in block.step.outputs]
        own = {index for call in block.step.calls for _, index in call.outputs}
        written = {
            index: wire
            for index, wire in emitter.wires.items()
            if index not in own and wire is not begun.get(index)
        }
        return _Emitted(emitter.builder, outputs, written)
    finally:
        emitter.builder, emitter.wires, emitter.views = outer, wires, views
