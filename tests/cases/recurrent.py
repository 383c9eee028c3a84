"""The rows of the table for recurrent layers: each sequence of a batch run by itself."""

from __future__ import annotations

import numpy as np

from dtrain.autograd.op import OPS
from tests.cases.case import Case, sigmoid

#: Sequences of lengths 4, 2 and 1, and all of one length.
RAGGED, EVEN = (3, 2, 1, 1), (2, 2, 2)


def rnn(relu):
    def step(x, states, w_hh):
        a = x + states[0] @ w_hh.T
        return [np.maximum(a, 0) if relu else np.tanh(a)]

    return step


def lstm(x, states, w_hh, w_hr=None):
    i, f, g, o = np.split(x + states[0] @ w_hh.T, 4)
    c = sigmoid(f) * states[1] + sigmoid(i) * np.tanh(g)
    h = sigmoid(o) * np.tanh(c)
    return [h if w_hr is None else w_hr @ h, c]


def gru(x, states, w_hh, b_hh=0.0):
    (x_r, x_z, x_n), (h,) = np.split(x, 3), states
    r, z, m = np.split(h @ w_hh.T + b_hh, 3)
    n = np.tanh(x_n + sigmoid(x_r + r) * m)
    return [(1 - sigmoid(z + x_z)) * n + sigmoid(z + x_z) * h]


def by_sequence(step, num_states, batch_sizes, reverse):
    """The reference: `step` over the packed places of one sequence after the other."""
    starts = np.cumsum([0, *batch_sizes])

    def run(x, *rest):
        initial, weights = rest[:num_states], rest[num_states:]
        out = np.empty((len(x), sum(state.shape[1] for state in initial)))
        for k in range(batch_sizes[0]):
            states = [state[k] for state in initial]
            places = [starts[t] + k for t, size in enumerate(batch_sizes) if size > k]
            for place in places[::-1] if reverse else places:
                states = step(x[place], states, *weights)
                out[place] = np.concatenate(states)
        return out

    return run


def row(name, label, step, shapes, batch_sizes=RAGGED, reverse=False, **options):
    """x: (all, gates); then states and weights of `shapes`."""
    states = [(batch_sizes[0], width) for width in shapes[0]]
    return Case(
        name,
        [[(sum(batch_sizes), shapes[1]), *states, *shapes[2:]]],
        by_sequence(step, len(states), batch_sizes, reverse),
        lambda t, *xs: OPS[name](*xs, batch_sizes=batch_sizes, reverse=reverse, **options),
        label,
        smooth=not options.get("relu"),
        in_torch=False,
    )


LSTM = [(2, 2), 8, (8, 2)]
PROJECTED = [(2, 3), 12, (12, 2), (2, 3)]
GRU = [(2,), 6, (6, 2), (6,)]
RNN = [(3,), 3, (3, 3)]

RECURRENT = [
    row("rnn", "tanh", rnn(False), RNN, relu=False),
    row("rnn", "tanh, reverse", rnn(False), RNN, reverse=True, relu=False),
    row("rnn", "relu", rnn(True), RNN, EVEN, relu=True),
    row("lstm", "", lstm, LSTM),
    row("lstm", "reverse", lstm, LSTM, reverse=True),
    row("lstm", "of one length", lstm, LSTM, EVEN),
    row("lstm", "projected", lstm, PROJECTED),
    row("lstm", "projected, reverse", lstm, PROJECTED, EVEN, reverse=True),
    row("gru", "", gru, GRU),
    row("gru", "reverse", gru, GRU, reverse=True),
    row("gru", "of one length", gru, GRU, EVEN),
    row("gru", "without bias", gru, GRU[:3], EVEN, reverse=True),
]
