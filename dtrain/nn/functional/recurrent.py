"""One direction of a recurrent layer, or one step of a cell, from its input and its weights."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dtrain.autograd import Tensor
from dtrain.functions.creation import as_tensor
from dtrain.nn.functional.linear import linear
from dtrain.primitives import recurrent

#: How many rows of the weights there are for each feature of the state.
GATES = {"RNN_TANH": 1, "RNN_RELU": 1, "GRU": 3, "LSTM": 4}


def rnn_mode(nonlinearity: str) -> str:
    """The mode of an RNN with that function."""
    if nonlinearity not in ("tanh", "relu"):
        raise ValueError(f"Unknown nonlinearity '{nonlinearity}'. Select from 'tanh' or 'relu'.")
    return f"RNN_{nonlinearity.upper()}"


def run_direction(
    mode: str,
    input: Tensor,
    states: Sequence[Tensor],
    weights: dict[str, Tensor | None],
    batch_sizes: Sequence[int],
    reverse: bool = False,
) -> tuple[Tensor, list[Tensor]]:
    """The output (all, h) and the last states (n, h), for packed sequences `input`: (all, i).

    `mode` is one of GATES; `states` are the first ones, h and for LSTM c.
    """
    w_ih, w_hh = weights["weight_ih"], weights["weight_hh"]
    b_ih, b_hh = weights.get("bias_ih"), weights.get("bias_hh")
    assert w_ih is not None
    if mode == "GRU":
        x = linear(input, w_ih, b_ih)
        out = recurrent.gru(x, states[0], w_hh, b_hh, batch_sizes=batch_sizes, reverse=reverse)
        return out, [_ends(out, batch_sizes, reverse)]
    x = linear(input, w_ih, None if b_ih is None or b_hh is None else b_ih + b_hh)
    if mode == "LSTM":
        both = recurrent.lstm(
            x,
            states[0],
            states[1],
            w_hh,
            weights.get("weight_hr"),
            batch_sizes=batch_sizes,
            reverse=reverse,
        )
        width, ends = states[0].shape[1], _ends(both, batch_sizes, reverse)
        return both[:, :width], [ends[:, :width], ends[:, width:]]
    out = recurrent.rnn(
        x, states[0], w_hh, batch_sizes=batch_sizes, reverse=reverse, relu=mode == "RNN_RELU"
    )
    return out, [_ends(out, batch_sizes, reverse)]


def _ends(out: Tensor, batch_sizes: Sequence[int], reverse: bool) -> Tensor:
    """The last state of each of the packed sequences."""
    n = batch_sizes[0]
    if reverse:
        return out[:n]
    if batch_sizes[-1] == n:
        return out[-n:]
    sizes = np.asarray(batch_sizes)
    starts = np.cumsum(sizes) - sizes
    lengths = (sizes[:, None] > np.arange(n)).sum(0)
    return out[as_tensor(starts[lengths - 1] + np.arange(n), device=out.device)]
