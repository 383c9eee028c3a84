"""Run one direction of a recurrent layer; a cell is a sequence of one step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from dtrain.autograd import Tensor
from dtrain.functions.autocast import autocasts
from dtrain.functions.creation import as_tensor
from dtrain.nn.functional.linear import linear
from dtrain.primitives import recurrent

#: The number of gates, that is of weight rows for each feature of the state.
GATES = {"RNN_TANH": 1, "RNN_RELU": 1, "GRU": 3, "LSTM": 4}


def rnn_mode(nonlinearity: str) -> str:
    """Return the mode, a key of GATES, of an RNN with this nonlinearity."""
    if nonlinearity not in ("tanh", "relu"):
        raise ValueError(f"Unknown nonlinearity '{nonlinearity}'. Select from 'tanh' or 'relu'.")
    return f"RNN_{nonlinearity.upper()}"


@autocasts
def run_direction(
    mode: str,
    input: Tensor,
    states: Sequence[Tensor],
    weights: Mapping[str, Tensor | None],
    batch_sizes: Sequence[int],
    reverse: bool = False,
) -> tuple[Tensor, list[Tensor]]:
    """Run a layer in one direction over packed sequences; returns the output and final states.

    Shape: input (sum of lengths, i) and initial states (n, h), [h] or for LSTM [h, c], to an
    output (sum of lengths, h) and final states (n, h). `mode` is a key of GATES.
    """
    w_ih, w_hh = weights["weight_ih"], weights["weight_hh"]
    b_ih, b_hh = weights.get("bias_ih"), weights.get("bias_hh")
    assert w_ih is not None
    if mode == "GRU":
        x = linear(input, w_ih, b_ih)
        out = recurrent.gru(x, states[0], w_hh, b_hh, batch_sizes=batch_sizes, reverse=reverse)
        return out, [_final_state(out, batch_sizes, reverse)]
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
        width = states[0].shape[1]
        if len(batch_sizes) == 1:
            out, c = both[:, :width], both[:, width:]
            return out, [out, c]
        ends = _final_state(both, batch_sizes, reverse)
        return both[:, :width], [ends[:, :width], ends[:, width:]]
    out = recurrent.rnn(
        x, states[0], w_hh, batch_sizes=batch_sizes, reverse=reverse, relu=mode == "RNN_RELU"
    )
    return out, [_final_state(out, batch_sizes, reverse)]


def _final_state(out: Tensor, batch_sizes: Sequence[int], reverse: bool) -> Tensor:
    """Select the final state of each packed sequence, (n, h), from the output of all steps."""
    n = batch_sizes[0]
    if len(batch_sizes) == 1:
        return out
    if reverse:
        return out[:n]
    if batch_sizes[-1] == n:
        return out[-n:]
    sizes = np.asarray(batch_sizes)
    starts = np.cumsum(sizes) - sizes
    lengths = (sizes[:, None] > np.arange(n)).sum(0)
    return out[as_tensor(starts[lengths - 1] + np.arange(n), device=out.device)]
