"""A Fourier neural operator: complex weights on the lowest frequencies, Adam, an STFT loss."""

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F


class Spectral(nn.Module):
    """Products with the lowest frequencies of both signs; the others are dropped."""

    def __init__(self, inputs, outputs, modes):
        super().__init__()
        self.outputs, self.modes = outputs, modes
        shape = (inputs, outputs, modes, modes)
        self.positive = nn.Parameter(torch.rand(shape, dtype=torch.cfloat) / inputs)
        self.negative = nn.Parameter(torch.rand(shape, dtype=torch.cfloat) / inputs)

    def forward(self, x):
        spectrum, m = torch.fft.rfft2(x), self.modes
        shape = (len(x), self.outputs, *spectrum.shape[-2:])
        out = torch.zeros(shape, dtype=torch.cfloat, device=x.device)
        for rows, weight in ((slice(0, m), self.positive), (slice(-m, None), self.negative)):
            out[..., rows, :m] = torch.einsum("bihw,iohw->bohw", spectrum[..., rows, :m], weight)
        return torch.fft.irfft2(out, s=x.shape[-2:])


class Operator(nn.Module):
    def __init__(self, width=4):
        super().__init__()
        self.lift = nn.Linear(3, width)
        self.spectral = Spectral(width, width, 3)
        self.pointwise = nn.Conv2d(width, width, 1)
        self.head = nn.Linear(width, 1)

    def forward(self, x):
        x = self.lift(x).permute(0, 3, 1, 2)
        x = F.gelu(self.spectral(x) + self.pointwise(x))
        return self.head(x.permute(0, 2, 3, 1)).squeeze(-1)


def fill(model, seed=0):
    """Weights that do not depend on the library."""
    rng = np.random.default_rng(seed)
    with torch.no_grad():
        for p in model.parameters():
            part = rng.normal(0, 0.3, tuple(p.shape)).astype(np.float32)
            value = part + 1j * part[::-1] if p.is_complex() else part
            p.copy_(torch.from_numpy(np.ascontiguousarray(value)))
    return model


def spectral_loss(x, y):
    window = torch.hann_window(16)
    a, b = (torch.stft(t.flatten(1), 16, 4, window=window, return_complex=True) for t in (x, y))
    magnitude = (a.abs() + 0.1).log() - (b.abs() + 0.1).log()
    return torch.linalg.norm(a.abs() - b.abs()) / torch.linalg.norm(b) + magnitude.pow(2).mean()


rng = np.random.default_rng(1)
grid = np.stack(np.meshgrid(np.linspace(0, 1, 8), np.linspace(0, 1, 8), indexing="ij"), -1)
field = rng.normal(size=(6, 8, 8, 1))
x = torch.from_numpy(np.concatenate([field, np.tile(grid, (6, 1, 1, 1))], -1).astype(np.float32))
y = torch.from_numpy(np.cumsum(field[..., 0], 1).astype(np.float32))

model = fill(Operator())
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2, weight_decay=1e-4)
scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=4, gamma=0.5)
print(sum(p.numel() * (2 if p.is_complex() else 1) for p in model.parameters()), "numbers")
for epoch in range(8):
    model.train()
    total = 0.0
    for i in range(0, 6, 3):
        optimizer.zero_grad()
        out = model(x[i : i + 3])
        loss = F.mse_loss(out, y[i : i + 3]) + 0.1 * spectral_loss(out, y[i : i + 3])
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        total += loss.item()
    scheduler.step()
    print(f"epoch {epoch}: loss {total / 2:.5f}, gradient {norm.item():.4f}")
