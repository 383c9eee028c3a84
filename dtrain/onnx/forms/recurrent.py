"""Recurrent layers: one direction of one layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dtrain.onnx.builder import Builder, Wire
from dtrain.onnx.forms.table import Form
from dtrain.onnx.proto import Unsupported
from dtrain.onnx.sizes import Repeated


def _steps(batch_sizes: Any) -> tuple[Any, Any]:
    """The number of steps, and of sequences, which must have one length."""
    if isinstance(batch_sizes, Repeated):
        return batch_sizes.count, batch_sizes.item
    if len(set(batch_sizes)) != 1:
        raise Unsupported("packed sequences of different lengths have no ONNX form")
    return len(batch_sizes), batch_sizes[0]


def _run(
    b: Builder, kind: str, order: Sequence[int], x: Wire, w_hh: Wire, states: Sequence[Wire],
    batch_sizes: Any, reverse: bool, **options: Any,
) -> Wire:  # fmt: skip
    """The outputs (steps, n, width) of an ONNX layer; `order` has its gates' places in dtrain's.

    x is what the layer takes of its input, so the layer's own matrix for it is the identity.
    """
    steps, n = _steps(batch_sizes)
    width, gates = w_hh.shape[1], len(order)
    rows = np.concatenate([np.arange(width) + width * gate for gate in order])
    x = b.reshape(x, [steps, n, gates * width])
    identity = b.constant(np.eye(gates * width, dtype=x.dtype)[rows][None])
    bias = options.pop("bias", None)
    if bias is not None:  # that of the input, 0, and that of the state
        own = b.Gather(bias, b.constant(rows))
        bias = b.unsqueeze(b.Concat(b.full([gates * width], 0, x.dtype), own, axis=0), 0)
    recurrent = b.unsqueeze(b.Gather(w_hh, b.constant(rows), axis=0), 0)
    initial = [b.unsqueeze(state, 0) for state in states]
    return b.node(
        kind, [x, identity, recurrent, bias, None, *initial], [x.dtype], hidden_size=width,
        direction="reverse" if reverse else "forward", **options,
    )[0]  # fmt: skip


def rnn(
    b: Builder, x: Wire, h0: Wire, w_hh: Wire, *, batch_sizes: Any, reverse: bool, relu: bool
) -> Wire:
    """h' = tanh(x + w_hh h), or relu."""
    function = "Relu" if relu else "Tanh"
    out = _run(b, "RNN", (0,), x, w_hh, [h0], batch_sizes, reverse, activations=[function])
    return b.reshape(out, [-1, w_hh.shape[1]])


def gru(
    b: Builder, x: Wire, h0: Wire, w_hh: Wire, b_hh: Wire | None = None, *, batch_sizes: Any,
    reverse: bool,
) -> Wire:  # fmt: skip
    """dtrain has the gates r, z, n, ONNX has z, r, n."""
    out = _run(b, "GRU", (1, 0, 2), x, w_hh, [h0], batch_sizes, reverse, bias=b_hh,
               linear_before_reset=1)  # fmt: skip
    return b.reshape(out, [-1, w_hh.shape[1]])


def lstm(
    b: Builder, x: Wire, h0: Wire, c0: Wire, w_hh: Wire, w_hr: Wire | None = None, *,
    batch_sizes: Any, reverse: bool,
) -> Wire:  # fmt: skip
    """All h beside all c, (all, h + c), by a Scan over the steps: ONNX's LSTM has c of the last
    step alone, and no projection."""
    steps, n = _steps(batch_sizes)
    width = c0.shape[1]
    x = b.reshape(x, [steps, n, 4 * width])
    weight = b.transpose(w_hh, (1, 0))
    body = Builder(b.names, b)
    h, c, row = (Wire(b.names.new(name), x.dtype) for name in ("h", "c", "x"))
    gates = body.Add(row, body.MatMul(h, weight))
    i, f, g, o = (body.slice(gates, 1, k * width, (k + 1) * width) for k in range(4))
    new_c = body.Add(body.Mul(body.Sigmoid(f), c), body.Mul(body.Sigmoid(i), body.Tanh(g)))
    new_h = body.Mul(body.Sigmoid(o), body.Tanh(new_c))
    if w_hr is not None:
        new_h = body.MatMul(new_h, b.transpose(w_hr, (1, 0)))
    both = body.Concat(new_h, new_c, axis=1)
    graph = body.subgraph([h, c, row], [new_h, new_c, both])
    direction = [1 if reverse else 0]
    out = b.node(
        "Scan", [h0, c0, x], [x.dtype] * 3, body=graph, num_scan_inputs=1,
        scan_input_directions=direction, scan_output_directions=direction,
    )[2]  # fmt: skip
    return b.reshape(out, [-1, h0.shape[1] + width])


FORMS: dict[str, Form] = {"rnn": rnn, "gru": gru, "lstm": lstm}
