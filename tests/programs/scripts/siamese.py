"""Two pictures through one network; contrastive, triplet and cosine losses."""

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.optim import SGD, lr_scheduler
from torch.utils.data import DataLoader, Dataset, Subset


class Pairs(Dataset):
    def __init__(self):
        rng = np.random.RandomState(0)
        self.x = rng.randn(30, 2, 1, 10).astype("float32")
        self.same = rng.randint(0, 2, 30)
        self.x[self.same == 1, 1] = self.x[self.same == 1, 0] + 0.1

    def __getitem__(self, i):
        return {"pair": self.x[i], "same": float(self.same[i])}

    def __len__(self):
        return len(self.x)


class Embedder(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv1d(1, 4, 3, padding=1), nn.PReLU(), nn.AvgPool1d(2))
        self.fc = nn.Linear(20, 6)

    def forward(self, x):
        x = self.features(x)
        return F.normalize(self.fc(x.view(x.size()[0], -1)), p=2, dim=1)


class ContrastiveLoss(nn.modules.loss._Loss):
    def __init__(self, margin=1.0):
        super().__init__()
        self.margin = margin

    def forward(self, a, b, same):
        d = F.pairwise_distance(a, b)
        return torch.mean(
            same * d.pow(2) + (1 - same) * torch.clamp(self.margin - d, min=0.0).pow(2)
        )


def fill(model, seed=0):
    """Weights that do not depend on the library."""
    rng = np.random.default_rng(seed)
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.from_numpy(rng.normal(0, 0.2, tuple(p.shape)).astype(np.float32)))
    return model


model, criterion = fill(Embedder()), ContrastiveLoss(0.8)
optimizer = SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-4)
scheduler = lr_scheduler.CosineAnnealingLR(optimizer, T_max=3)
loader = DataLoader(Subset(Pairs(), range(28)), batch_size=7, num_workers=0)
for epoch in range(3):
    running = 0.0
    for batch in loader:
        a, b = model(batch["pair"][:, 0]), model(batch["pair"][:, 1])
        loss = criterion(a, b, batch["same"].float())
        loss = loss + 0.1 * F.triplet_margin_loss(a, b, b.roll(1, 0))
        loss = loss + 0.1 * F.cosine_embedding_loss(a, b, 2 * batch["same"].float() - 1)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        running += loss.item() * len(batch["same"])
    scheduler.step()
    print(f"epoch {epoch}: {running / 28:.5f}, lr {scheduler.get_last_lr()[0]:.4f}")
