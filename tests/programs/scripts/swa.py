"""Averaged weights, their schedule, BatchNorm statistics made anew, frozen layers, EMA."""

import copy

import numpy as np
import torch
from torch import nn
from torch.optim.swa_utils import SWALR, AveragedModel, update_bn
from torch.utils.data import DataLoader, TensorDataset


def fill(model, seed=0):
    """Weights that do not depend on the library."""
    rng = np.random.default_rng(seed)
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.from_numpy(rng.normal(0, 0.2, tuple(p.shape)).astype(np.float32)))
    return model


rng = np.random.default_rng(0)
x = torch.as_tensor(rng.normal(size=(32, 5)), dtype=torch.float)
y = (x[:, :1] * x[:, 1:2] > 0).float()
loader = DataLoader(TensorDataset(x, y), batch_size=8)
model = fill(nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 1)))
for name, parameter in model.named_parameters():
    if name.endswith("0.bias"):
        parameter.requires_grad_(False)
ema = copy.deepcopy(model)
swa_model = AveragedModel(model)
optimizer = torch.optim.SGD(filter(lambda p: p.requires_grad, model.parameters()), lr=0.3)
scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: 0.9**epoch)
swa_scheduler = SWALR(optimizer, swa_lr=0.05, anneal_epochs=2)
criterion = nn.BCEWithLogitsLoss(pos_weight=torch.tensor([1.5]))
for epoch in range(6):
    total = 0.0
    for input, target in loader:
        optimizer.zero_grad()
        loss = criterion(model(input), target)
        loss.backward()
        optimizer.step()
        total += loss.item() / len(loader)
        for slow, fast in zip(ema.parameters(), model.parameters()):
            slow.data.mul_(0.9).add_(fast.data, alpha=0.1)
    if epoch >= 3:
        swa_model.update_parameters(model)
        swa_scheduler.step()
    else:
        scheduler.step()
    print(f"epoch {epoch} loss {total:.5f} lr {optimizer.param_groups[0]['lr']:.5f}")
update_bn(loader, swa_model)
for each in (model, swa_model, ema):
    each.eval()
    with torch.no_grad():
        print(f"{type(each).__name__}: {criterion(each(x), y).item():.5f}")
