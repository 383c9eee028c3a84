"""Recurrent layers where there is no PyTorch to compare with."""

import numpy as np
import pytest

import dtrain
from dtrain import nn
from dtrain.nn.utils import rnn


def test_a_layer_is_its_cell_step_after_step():
    layer, cell = nn.LSTM(3, 4), nn.LSTMCell(3, 4)
    cell.load_state_dict({k.removesuffix("_l0"): v for k, v in layer.state_dict().items()})
    x = dtrain.randn(5, 2, 3)
    out, (h, c) = layer(x)
    state = None
    for t in range(5):
        state = cell(x[t], state)
        np.testing.assert_allclose(out[t].detach(), state[0].detach(), atol=1e-6)
    np.testing.assert_allclose(h[0].detach(), state[0].detach(), atol=1e-6)
    np.testing.assert_allclose(c[0].detach(), state[1].detach(), atol=1e-6)


def test_a_packed_sequence_is_as_if_alone():
    layer = nn.GRU(3, 4, bidirectional=True)
    sequences = [dtrain.randn(n, 3) for n in (2, 5, 3)]
    out, last = layer(rnn.pack_sequence(sequences, enforce_sorted=False))
    for i, (sequence, got) in enumerate(zip(sequences, rnn.unpack_sequence(out))):
        alone, end = layer(sequence)
        np.testing.assert_allclose(got.detach(), alone.detach(), atol=1e-6)
        np.testing.assert_allclose(last[:, i].detach(), end.detach(), atol=1e-6)


def test_lengths_beyond_the_padding_are_refused():
    with pytest.raises(RuntimeError, match="at most 3, the padded length"):
        rnn.pack_padded_sequence(dtrain.ones(3, 2), [4, 3])


def test_dropout_in_a_single_layer_is_warned_of():
    with pytest.warns(UserWarning, match="num_layers=1"):
        nn.LSTM(2, 3, dropout=0.5)


def test_a_recurrent_model_learns_to_remember():
    dtrain.manual_seed(0)
    model, head = nn.LSTM(1, 16, batch_first=True), nn.Linear(16, 1)
    optimizer = dtrain.optim.Adam([*model.parameters(), *head.parameters()], lr=0.02)
    x = dtrain.randn(64, 6, 1)
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        _, (h, _) = model(x)
        loss = nn.functional.mse_loss(head(h[0]), x[:, 0])  # the first of six
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.1 * losses[0]
