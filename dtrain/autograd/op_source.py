"""The text of operations: `op.py` compiles it, once what the vjps of a primitive keep is known."""

from __future__ import annotations

import inspect
from collections.abc import Sequence

from dtrain.autograd.primitive import OUTPUT, Primitive

#: An operation, written out for its inputs: that takes half of the time of loops over them.
_SOURCE = """\
def operation({parameters}, **static):
    if tracers and (tracer := current_tracer()) is not None:
        result = tracer.call(operation, ({names},), static, name, recorded=ops[name])
        {view}
        return result
    {arrays}
    try:
        if type({first}) is ndarray and {first}.dtype in dtypes:
            out, vjps = {run}{array_names}, **static)
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
    {view}
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


def write_source(primitive: Primitive, inputs: Sequence[inspect.Parameter]) -> str:
    """The text of the operation of a primitive, whose `inputs` are its positional parameters."""
    if not inputs:
        return _source_of_many(primitive)
    names = primitive.inputs

    def each(form: str, separator: str = "; ") -> str:
        return separator.join(form.replace("X", x) for x in names)

    arrays = each("X_array", ", ")
    if primitive.is_settled:
        saved = _saved_source(primitive)
    else:
        saved = f"save(result, ({', '.join(names)},), ({arrays},), out, static)"
    run, view = "quiet.run(function, ", ""
    if primitive.is_view:  # NumPy warns of no view
        source = names[0]
        run, view = "function(", (
            f"if isinstance({source}, Tensor): set_view_metadata("
            f"result, {source}, operation, primitive.function, static, view_keeps_dtype)"
        )  # fmt: skip
    return _SOURCE.format(
        run=run,
        view=view,
        parameters=", ".join(p.name if p.default is p.empty else f"{p.name}=None" for p in inputs),
        arrays=each("X_array = X.array if isinstance(X, Tensor) else X"),
        first=f"{names[0]}_array",
        names=", ".join(names),
        array_names=arrays,
        edges=each(
            "X_edge = None if X is X_array else X._graph_edge() if X._view is not None "
            "else X._node or (X if X._requires_grad else None)"  # _graph_edge(): a call less
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
