"""Pixel shuffle, an orthogonal initialization replaced, PSNR, a plateau schedule."""

from math import log10

import numpy as np
import torch
import torch.nn as nn
import torch.nn.init as init
import torch.optim as optim
from torch.utils.data.dataloader import DataLoader
from torch.utils.data.dataset import TensorDataset


class Net(nn.Module):
    def __init__(self, upscale_factor):
        super().__init__()
        self.relu = nn.ReLU()
        self.conv1 = nn.Conv2d(1, 8, (5, 5), (1, 1), (2, 2))
        self.conv2 = nn.Conv2d(8, upscale_factor**2, (3, 3), (1, 1), (1, 1))
        self.pixel_shuffle = nn.PixelShuffle(upscale_factor)
        self._initialize_weights()

    def forward(self, x):
        return self.pixel_shuffle(self.conv2(self.relu(self.conv1(x))))

    def _initialize_weights(self):
        init.orthogonal_(self.conv1.weight, init.calculate_gain("relu"))
        init.orthogonal_(self.conv2.weight)


def fill(model, seed=0):
    """Weights that do not depend on the library."""
    rng = np.random.default_rng(seed)
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.from_numpy(rng.normal(0, 0.2, tuple(p.shape)).astype(np.float32)))
    return model


high = np.random.default_rng(0).random((12, 1, 12, 12), np.float32)
high = torch.from_numpy(high)
low = nn.functional.interpolate(high, scale_factor=0.5, mode="bilinear", align_corners=False)
loader = DataLoader(dataset=TensorDataset(low, high), batch_size=4, shuffle=False)
model = fill(Net(upscale_factor=2))
criterion = nn.MSELoss()
optimizer = optim.Adam(model.parameters(), lr=1e-2)
scheduler = optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=0, threshold=0.2)
for epoch in range(1, 5):
    epoch_loss = 0
    for iteration, batch in enumerate(loader, 1):
        input, target = batch[0], batch[1]
        optimizer.zero_grad()
        loss = criterion(model(input), target)
        epoch_loss += loss.item()
        loss.backward()
        optimizer.step()
    avg_psnr = 0
    with torch.no_grad():
        for input, target in loader:
            avg_psnr += 10 * log10(1 / criterion(model(input), target).item())
    scheduler.step(epoch_loss)
    lr = optimizer.param_groups[0]["lr"]
    print(f"Epoch {epoch}: {epoch_loss / 3:.5f}, PSNR {avg_psnr / 3:.4f} dB, lr {lr:g}")
