"""Metric learning: embeddings on a sphere, hard triplets by distance, a triplet margin loss."""

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.optim import lr_scheduler


class EmbeddingNet(nn.Module):
    def __init__(self):
        super(EmbeddingNet, self).__init__()
        self.convnet = nn.Sequential(
            nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.PReLU(), nn.MaxPool2d(2, stride=2)
        )
        self.fc = nn.Sequential(nn.Linear(4 * 3 * 3, 16), nn.PReLU(), nn.Linear(16, 4))

    def forward(self, x):
        output = self.convnet(x)
        return F.normalize(self.fc(output.view(output.size()[0], -1)), p=2, dim=1)


def fill(model, seed=0):
    """Weights that do not depend on the library."""
    rng = np.random.default_rng(seed)
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.from_numpy(rng.normal(0, 0.2, tuple(p.shape)).astype(np.float32)))
    return model


def hard_triplets(embeddings, labels):
    distances = torch.cdist(embeddings, embeddings)
    same = labels[:, None] == labels[None]
    apart = ~same
    own = distances.masked_fill(apart | torch.eye(len(labels), dtype=torch.bool), -1)
    other = distances.masked_fill(same, float("inf"))
    return own.argmax(1), other.argmin(1)


model = fill(EmbeddingNet())
criterion = nn.TripletMarginLoss(margin=0.5, p=2)
optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-3)
scheduler = lr_scheduler.StepLR(optimizer, 2, gamma=0.1, last_epoch=-1)
rng = np.random.default_rng(9)
for epoch in range(4):
    model.train()
    labels = torch.from_numpy(np.repeat(np.arange(3), 4))
    images = rng.normal(size=(12, 1, 8, 8)) + labels.numpy()[:, None, None, None]
    embeddings = model(torch.from_numpy(images.astype(np.float32)))
    with torch.no_grad():
        positive, negative = hard_triplets(embeddings, labels)
    loss = criterion(embeddings, embeddings[positive], embeddings[negative])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    scheduler.step()
    closer = F.pairwise_distance(embeddings, embeddings[negative]) > 0.5
    print("epoch %d loss %.4f apart %.2f" % (epoch, loss.item(), closer.float().mean()))
