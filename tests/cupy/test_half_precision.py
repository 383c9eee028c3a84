"""Models train in bfloat16, and under autocast, to the loss of float32."""

import contextlib

import numpy as np
import pytest

import dtrain
from dtrain import nn, optim
from dtrain.nn import functional as F

#: of float32's decrease of the loss, by which the last loss may differ from float32's
MARGIN = 0.1


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.norm = nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.second, self.head = nn.Conv2d(8, 8, 3, padding=1), nn.Linear(8, 4)

    def forward(self, x):
        x = F.relu(self.norm(self.first(x)))
        x = F.max_pool2d(F.relu(x + self.second(x)), 2)
        return self.head(x.mean((2, 3)))


class GPT(nn.Module):
    def __init__(self):
        super().__init__()
        self.token, self.place = nn.Embedding(12, 16), nn.Embedding(6, 16)
        self.norm, self.qkv, self.out = nn.LayerNorm(16), nn.Linear(16, 48), nn.Linear(16, 16)
        self.mlp = nn.Sequential(
            nn.LayerNorm(16), nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 16), nn.LayerNorm(16)
        )
        self.head = nn.Linear(16, 12)

    def forward(self, tokens):
        x = self.token(tokens) + self.place(dtrain.arange(6, device=tokens.device))
        q, k, v = (
            part.reshape(-1, 6, 2, 8).transpose(1, 2)
            for part in self.qkv(self.norm(x)).chunk(3, -1)
        )
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(y.transpose(1, 2).reshape(-1, 6, 16))
        return self.head(x + self.mlp(x)).reshape(-1, 12)


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.lstm = nn.Embedding(12, 16), nn.LSTM(16, 16)
        self.head = nn.Linear(16, 12)

    def forward(self, tokens):
        return self.head(self.lstm(self.embed(tokens))[0]).reshape(-1, 12)


def losses(make, x, y, device, dtype, autocast):
    dtrain.manual_seed(0)
    model = make().to(device).to(dtype)
    x = x.to(device)
    x = x.to(dtype) if x.is_floating_point() else x
    optimizer = optim.Adam(model.parameters(), 1e-2)
    for _ in range(8):
        with dtrain.autocast(device, dtrain.bfloat16) if autocast else contextlib.nullcontext():
            loss = F.cross_entropy(model(x), y.to(device))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        yield loss.item()


# Compiling the kernels for another dtype takes most of the time.
@pytest.mark.parametrize(
    "make",
    [
        pytest.param(Residual, marks=pytest.mark.long),
        pytest.param(GPT, marks=pytest.mark.long),
        Tagger,
    ],
)
def test_training_in_bfloat16_ends_at_the_loss_of_float32(make):
    generator = dtrain.Generator(1)
    if make is Residual:
        x, y = dtrain.randn(8, 3, 6, 6, generator=generator), dtrain.arange(8) % 4
    else:
        x = dtrain.randint(0, 12, (5, 6), generator=generator)
        y = x.reshape(-1)
    expected = list(losses(make, x, y, "cpu", dtrain.float32, False))
    margin = MARGIN * (expected[0] - expected[-1])
    assert margin > 0.03
    for dtype, autocast in ((dtrain.bfloat16, False), (dtrain.float32, True)):
        given = list(losses(make, x, y, "cuda", dtype, autocast))
        np.testing.assert_allclose(given, expected, rtol=0, atol=margin)
