"""A small transformer in bfloat16 autocast on a CPU: accumulation of gradients, recomputation."""

import contextlib

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.checkpoint import checkpoint

device_type = "cpu"
dtype = "bfloat16"
ptdtype = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}[dtype]
ctx = (
    contextlib.nullcontext()
    if dtype == "float32"
    else torch.amp.autocast(device_type=device_type, dtype=ptdtype)
)
gradient_accumulation_steps = 2
width, vocabulary, length = 16, 11, 6


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 32), nn.GELU(), nn.Linear(32, width))

    def attend(self, x):
        q, k, v = (
            part.reshape(x.shape[0], length, 2, width // 2).transpose(1, 2)
            for part in self.qkv(x).chunk(3, -1)
        )
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.out(y.transpose(1, 2).reshape(x.shape[0], length, width))

    def forward(self, x):
        x = x + self.attend(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.token, self.place = nn.Embedding(vocabulary, width), nn.Embedding(length, width)
        self.blocks = nn.ModuleList([Block(), Block()])
        self.head = nn.Linear(width, vocabulary, bias=False)

    def forward(self, tokens, targets):
        x = self.token(tokens) + self.place(torch.arange(length))
        for block in self.blocks:
            x = checkpoint(block, x, use_reentrant=False)
        logits = self.head(x)
        loss = F.cross_entropy(logits.view(-1, vocabulary), targets.reshape(-1))
        return logits, loss


rng = np.random.default_rng(0)
model = Model()
with torch.no_grad():
    for parameter in model.parameters():
        values = rng.normal(0, 0.1, tuple(parameter.shape)).astype(np.float32)
        parameter.copy_(torch.from_numpy(values))
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
scaler = torch.amp.GradScaler("cpu", enabled=(dtype == "float16"))
data = torch.from_numpy(rng.integers(0, vocabulary, (8, length + 1)))
for step in range(6):
    for micro in range(gradient_accumulation_steps):
        rows = data[4 * micro : 4 * micro + 4]
        with ctx:
            logits, loss = model(rows[:, :-1], rows[:, 1:])
            loss = loss / gradient_accumulation_steps
        scaler.scale(loss).backward()
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    scaler.step(optimizer)
    scaler.update()
    optimizer.zero_grad(set_to_none=True)
    if step % 5 == 0:
        print(f"step {step}: loss {loss.item() * gradient_accumulation_steps:.1f}")
        print(
            f"{logits.dtype == torch.bfloat16}, {loss.dtype == torch.float32}, {norm.dtype == torch.float32}"
        )
with torch.no_grad(), torch.autocast("cpu", enabled=False):
    logits, loss = model(data[:2, :-1], data[:2, 1:])
print(f"float32: {loss.item():.1f}, {logits.dtype == torch.float32}")
