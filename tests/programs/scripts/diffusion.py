"""Denoising diffusion: a noise schedule in buffers, time embeddings, sampling."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.optim import AdamW

rng = np.random.default_rng(0)
T = 20


def noise(shape):
    return torch.from_numpy(rng.normal(size=tuple(shape)).astype(np.float32))


def extract(a, t, x_shape):
    b, *_ = t.shape
    return a.gather(-1, t).reshape(b, *((1,) * (len(x_shape) - 1)))


class TimeEmbedding(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.dim = dim

    def forward(self, time):
        half = self.dim // 2
        freqs = torch.exp(torch.arange(half, device=time.device) * -(math.log(10000) / (half - 1)))
        args = time[:, None] * freqs[None, :]
        return torch.cat((args.sin(), args.cos()), dim=-1)


class Denoiser(nn.Module):
    def __init__(self, dim=8):
        super().__init__()
        self.time = nn.Sequential(TimeEmbedding(dim), nn.Linear(dim, dim), nn.GELU())
        self.inp = nn.Conv1d(1, dim, 3, padding=1)
        self.norm = nn.GroupNorm(2, dim)
        self.out = nn.Conv1d(dim, 1, 3, padding="same")

    def forward(self, x, t):
        h = self.inp(x) + self.time(t)[:, :, None]
        return self.out(F.silu(self.norm(h)))


def fill(model, seed=0):
    """Weights that do not depend on the library."""
    rng = np.random.default_rng(seed)
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.from_numpy(rng.normal(0, 0.2, tuple(p.shape)).astype(np.float32)))
    return model


class Diffusion(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model
        betas = torch.linspace(1e-3, 0.2, T)
        cumulative = torch.cumprod(1.0 - betas, dim=0)
        self.register_buffer("betas", betas)
        self.register_buffer("cumulative", cumulative)
        self.register_buffer(
            "previous", F.pad(cumulative[:-1], (1, 0), value=1.0), persistent=False
        )

    def p_losses(self, x, t):
        eps = noise(x.shape)
        a = extract(self.cumulative, t, x.shape)
        return F.smooth_l1_loss(self.model(a.sqrt() * x + (1 - a).sqrt() * eps, t), eps)

    @torch.no_grad()
    def sample(self, shape):
        x = noise(shape)
        for i in reversed(range(T)):
            t = torch.full((shape[0],), i, dtype=torch.long)
            beta, a = extract(self.betas, t, shape), extract(self.cumulative, t, shape)
            x = torch.rsqrt(1 - beta) * (x - beta / torch.sqrt(1 - a) * self.model(x, t))
            if i > 0:
                x = x + torch.sqrt(beta * (1 - extract(self.previous, t, shape)) / (1 - a)) * noise(
                    shape
                )
        return x.clamp(-1, 1)


diffusion = Diffusion(fill(Denoiser()))
optimizer = AdamW(diffusion.parameters(), lr=1e-2, weight_decay=0.01)
for step in range(6):
    x = torch.sin(torch.arange(12.0) / 2 + noise((8, 1, 1)))
    t = torch.from_numpy(rng.integers(0, T, 8)).long()
    loss = diffusion.p_losses(x, t)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print("step", step, "loss", round(loss.item(), 5))
print(sorted(diffusion.state_dict())[:3])
sample = diffusion.sample((2, 1, 12))
print("sample", round(sample.mean().item(), 3), round(sample.std().item(), 3))
