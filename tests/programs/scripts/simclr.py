"""Contrastive learning: two views of each picture, cosine similarities, a temperature."""

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.optim.lr_scheduler import CosineAnnealingLR


class ResBlock(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
        )

    def forward(self, x):
        return F.relu(x + self.body(x))


class SimCLR(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = nn.Sequential(
            nn.Conv2d(3, 6, 3, stride=2), ResBlock(6), nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten(1)
        )
        self.projection = nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 4))

    def forward(self, x):
        return self.projection(self.backbone(x))


def fill(model, seed=0):
    """Weights that do not depend on the library."""
    rng = np.random.default_rng(seed)
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.from_numpy(rng.normal(0, 0.2, tuple(p.shape)).astype(np.float32)))
    return model


def info_nce_loss(features, temperature=0.5):
    n = features.shape[0] // 2
    labels = torch.cat([torch.arange(n) for _ in range(2)], dim=0)
    labels = (labels.unsqueeze(0) == labels.unsqueeze(1)).float()
    features = F.normalize(features, dim=1)
    similarity = torch.matmul(features, features.T)
    mask = torch.eye(labels.shape[0], dtype=torch.bool)
    labels = labels[~mask].view(labels.shape[0], -1)
    similarity = similarity[~mask].view(similarity.shape[0], -1)
    positives = similarity[labels.bool()].view(labels.shape[0], -1)
    negatives = similarity[~labels.bool()].view(similarity.shape[0], -1)
    logits = torch.cat([positives, negatives], dim=1) / temperature
    return logits, torch.zeros(logits.shape[0], dtype=torch.long)


model = fill(SimCLR())
optimizer = torch.optim.Adam(model.parameters(), 0.003, weight_decay=1e-4)
scheduler = CosineAnnealingLR(optimizer, T_max=4, eta_min=0)
rng = np.random.default_rng(7)
for step in range(4):
    images = torch.from_numpy(rng.random((6, 3, 9, 9), np.float32))
    views = torch.cat((images.flip(-1), images * 0.8 + 0.1), dim=0)
    logits, labels = info_nce_loss(model(views))
    loss = nn.CrossEntropyLoss()(logits, labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    scheduler.step()
    _, pred = logits.topk(3, 1, True, True)
    top = pred.t().eq(labels.view(1, -1).expand_as(pred.t()))[:1].reshape(-1).float().sum(0)
    print(f"step {step} loss {loss.item():.4f} top1 {top.item():.0f}")
