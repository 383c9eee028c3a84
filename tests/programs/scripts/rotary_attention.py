"""Causal attention with rotary positions, as products of complex numbers; RMSNorm, AdamW."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn


def make_turns(size, length, base=10000.0):
    """A complex number of size 1 for each position and pair of features."""
    speed = base ** (-torch.arange(0, size, 2).float() / size)
    angles = torch.outer(torch.arange(length), speed)
    return torch.polar(torch.ones_like(angles), angles)


def rotate(x, turns):
    """Turn pairs of features. x: (batch, length, heads, size); turns: (length, size / 2)."""
    pairs = torch.view_as_complex(x.float().reshape(*x.shape[:-1], -1, 2))
    return torch.view_as_real(pairs * turns[None, :, None]).flatten(3).type_as(x)


class Scale(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(width))

    def forward(self, x):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6) * self.gain


class Model(nn.Module):
    def __init__(self, width=16, heads=2, letters=11, length=12):
        super().__init__()
        self.heads = heads
        self.table = nn.Embedding(letters, width)
        self.before, self.after = Scale(width), Scale(width)
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.mix = nn.Linear(width, width, bias=False)
        self.head = nn.Linear(width, letters, bias=False)
        self.register_buffer("turns", make_turns(width // heads, length), persistent=False)

    def forward(self, letters):
        x = self.table(letters)
        count, length, width = x.shape
        parts = self.qkv(self.before(x)).chunk(3, dim=-1)
        q, k, v = (p.view(count, length, self.heads, -1) for p in parts)
        q, k = rotate(q, self.turns[:length]), rotate(k, self.turns[:length])
        q, k, v = (p.transpose(1, 2) for p in (q, k, v))
        scores = q @ k.transpose(2, 3) / math.sqrt(width // self.heads)
        later = torch.triu(torch.ones(length, length, dtype=torch.bool), diagonal=1)
        weights = F.softmax(scores.masked_fill(later, float("-inf")), dim=-1)
        x = x + self.mix((weights @ v).transpose(1, 2).reshape(count, length, width))
        return self.head(self.after(x))


def fill(model, seed=0):
    """Weights that do not depend on the library."""
    rng = np.random.default_rng(seed)
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.from_numpy(rng.normal(0, 0.3, tuple(p.shape)).astype(np.float32)))
    return model


model = fill(Model())
print(tuple(model.turns.shape), model.turns.is_complex(), model.turns[1])
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-2, betas=(0.9, 0.95), weight_decay=0.1)
text = torch.from_numpy(np.random.default_rng(3).integers(0, 11, (4, 13)))
for step in range(8):
    logits = model(text[:, :-1])
    loss = F.cross_entropy(logits.view(-1, logits.size(-1)), text[:, 1:].reshape(-1))
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    print(f"step {step}: loss {loss.item():.5f}")
