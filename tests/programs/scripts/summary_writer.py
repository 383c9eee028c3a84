"""An autoencoder whose losses, weights and pictures are written for TensorBoard."""

import os
import tempfile

import numpy as np
import torch
from torch import nn
from torch.utils.tensorboard import SummaryWriter


class AutoEncoder(nn.Module):
    def __init__(self):
        super(AutoEncoder, self).__init__()
        self.encoder = nn.Sequential(nn.Linear(16, 8), nn.ReLU(True), nn.Linear(8, 2))
        self.decoder = nn.Sequential(nn.Linear(2, 8), nn.ReLU(True), nn.Linear(8, 16), nn.Sigmoid())

    def forward(self, x):
        encoded = self.encoder(x)
        return encoded, self.decoder(encoded)


def fill(model, seed=0):
    """Weights that do not depend on the library."""
    rng = np.random.default_rng(seed)
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.from_numpy(rng.normal(0, 0.2, tuple(p.shape)).astype(np.float32)))
    return model


log_dir = tempfile.mkdtemp()
writer = SummaryWriter(log_dir)
model = fill(AutoEncoder())
criterion, optimizer = nn.BCELoss(), torch.optim.Adam(model.parameters(), lr=1e-2)
rng = np.random.default_rng(0)
for epoch in range(4):
    x = torch.from_numpy(rng.random((6, 16), np.float32))
    noisy = (x + 0.1).clamp_(0, 1)
    code, decoded = model(noisy)
    loss = criterion(decoded, x)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    writer.add_scalar("Loss/train", loss, epoch)
    writer.add_scalars("codes", {"min": code.min().item(), "max": code.max().item()}, epoch)
    for name, param in model.named_parameters():
        writer.add_histogram(name, param.detach().cpu(), epoch)
    print(f"epoch {epoch} loss {loss.item():.4f} code {code.abs().mean().item():.4f}")
writer.add_image("decoded", decoded.detach().view(6, 1, 4, 4)[0], 0)
writer.add_text("note", "done")
writer.flush()
writer.close()
print(sum(name.startswith("events.out.tfevents") for name in os.listdir(log_dir)))
