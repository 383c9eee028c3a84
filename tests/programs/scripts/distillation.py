"""A student learns a frozen teacher's softened outputs (KLDivLoss) and the labels."""

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset


def fill(model, seed=0):
    """Weights that do not depend on the library."""
    rng = np.random.default_rng(seed)
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.from_numpy(rng.normal(0, 0.2, tuple(p.shape)).astype(np.float32)))
    return model


def distillation_loss(scores, labels, teacher_scores, T, alpha):
    soft = nn.KLDivLoss(reduction="batchmean")(
        F.log_softmax(scores / T, dim=1), F.softmax(teacher_scores / T, dim=1)
    )
    return soft * (T * T * alpha) + F.cross_entropy(scores, labels) * (1.0 - alpha)


rng = np.random.default_rng(3)
data = torch.tensor(rng.normal(size=(24, 10)), dtype=torch.float)
labels = torch.tensor(rng.integers(0, 4, 24), dtype=torch.long)
teacher = fill(nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Dropout(0.5), nn.Linear(32, 4)), 1)
student = fill(nn.Sequential(nn.Linear(10, 8), nn.ReLU(), nn.Linear(8, 4)), 2)
teacher.eval()
for param in teacher.parameters():
    param.requires_grad = False
optimizer = torch.optim.SGD(student.parameters(), lr=0.1, momentum=0.9, nesterov=True)
scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones=[2, 3], gamma=0.5)
for epoch in range(4):
    student.train()
    total, correct = 0.0, 0
    for x, y in DataLoader(TensorDataset(data, labels), batch_size=8):
        with torch.no_grad():
            teacher_scores = teacher(x)
        scores = student(x)
        loss = distillation_loss(scores, y, teacher_scores, T=4.0, alpha=0.7)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() * x.size(0)
        correct += scores.argmax(1).eq(y).sum().item()
    scheduler.step()
    print("Epoch {}: loss {:.4f}, {}/{} right".format(epoch, total / len(data), correct, len(data)))
