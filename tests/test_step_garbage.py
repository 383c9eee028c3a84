"""A training step leaves no reference cycles, so that memory is freed without the collector."""

import gc

import pytest

import dtrain
from dtrain import nn, optim


class LastOf(nn.Module):
    """A recurrent layer's output alone."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        return self.layer(x)[0]


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lambda: [nn.Linear(4, 8), nn.LayerNorm(8), nn.GELU(), nn.Dropout(0.1)], (5, 4)),
        (lambda: [nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2)], (2, 3, 8, 8)),
        (lambda: [nn.TransformerEncoderLayer(8, 2, 16)], (3, 2, 8)),
        (lambda: [LastOf(nn.LSTM(4, 6)), nn.GroupNorm(1, 2)], (5, 2, 4)),
    ],
    ids=["linear", "convolution", "attention", "lstm"],
)
def test_a_step_leaves_no_cycles(make, shape):
    model = nn.Sequential(*make())
    optimizer = optim.AdamW(model.parameters(), 1e-3)

    def step():
        loss = model(dtrain.randn(*shape)).square().mean()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()

    step()
    gc.collect()
    gc.disable()
    try:
        step()
        assert gc.collect() == 0
    finally:
        gc.enable()
