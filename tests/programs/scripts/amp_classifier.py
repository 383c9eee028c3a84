"""A classifier trained in mixed precision: autocast, GradScaler, clipping, a checkpoint."""

import argparse
import io

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.amp import GradScaler, autocast
from torch.utils.data import DataLoader, TensorDataset


def make_data():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 48)
    images = rng.normal(0, 1, (48, 1, 8, 8)) + labels[:, None, None, None] - 1
    return TensorDataset(
        torch.from_numpy(images.astype(np.float32)), torch.from_numpy(labels.astype(np.int64))
    )


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.fc = nn.Linear(64, 3)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.norm(self.conv(x))), 2)
        return self.fc(x.flatten(1))


def set_weights(model):
    rng = np.random.default_rng(2)
    with torch.no_grad():
        for parameter in model.parameters():
            values = rng.normal(0, 0.2, tuple(parameter.shape)).astype(np.float32)
            parameter.copy_(torch.from_numpy(values))


def train_epoch(model, loader, optimizer, scaler, dtype):
    total = 0.0
    for x, y in loader:
        optimizer.zero_grad(set_to_none=True)
        with autocast("cpu", dtype=dtype):
            logits = model(x)
            assert logits.dtype == dtype
            loss = F.cross_entropy(logits, y)
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()
        total += loss.item()
    return total / len(loader)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=3)
    args = parser.parse_args([])
    torch.manual_seed(0)
    model = Net()
    set_weights(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    scaler = GradScaler("cpu", init_scale=2.0**10, growth_interval=4)
    loader = DataLoader(make_data(), batch_size=16)
    for epoch in range(args.epochs):
        loss = train_epoch(model, loader, optimizer, scaler, torch.bfloat16)
        print(f"epoch {epoch}: loss {loss:.1f}, scale {scaler.get_scale():.0f}")

    # a gradient that is not finite: the step is skipped, and the scale is halved
    before = [p.clone() for p in model.parameters()]
    with torch.autocast(device_type="cpu", dtype=torch.bfloat16):
        loss = model(make_data()[:4][0] * float("inf")).sum()
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
    same = all(torch.equal(a, b) for a, b in zip(before, model.parameters()))
    print(f"skipped {same}, scale {scaler.get_scale():.0f}")

    file = io.BytesIO()
    torch.save({"model": model.state_dict(), "scaler": scaler.state_dict()}, file)
    file.seek(0)
    state = torch.load(file)
    other = GradScaler("cpu")
    other.load_state_dict(state["scaler"])
    print(f"restored {other.get_scale():.0f}, {sorted(other.state_dict())}")


if __name__ == "__main__":
    main()
