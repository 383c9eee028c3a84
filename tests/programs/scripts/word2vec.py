"""Skip-gram with negative samples, sparse embeddings and SparseAdam."""

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.optim import SparseAdam
from torch.utils.data import DataLoader, Dataset


class SkipGram(nn.Module):
    def __init__(self, vocab_size, emb_dimension):
        super().__init__()
        self.u_embeddings = nn.Embedding(vocab_size, emb_dimension, sparse=True)
        self.v_embeddings = nn.Embedding(vocab_size, emb_dimension, sparse=True)
        bound = 1.0 / emb_dimension
        nn.init.uniform_(self.u_embeddings.weight.data, -bound, bound)
        nn.init.constant_(self.v_embeddings.weight.data, 0)

    def forward(self, pos_u, pos_v, neg_v):
        u, v = self.u_embeddings(pos_u), self.v_embeddings(pos_v)
        score = -F.logsigmoid(torch.clamp(torch.sum(torch.mul(u, v), dim=1), max=10, min=-10))
        negative = torch.bmm(self.v_embeddings(neg_v), u.unsqueeze(2)).squeeze()
        negative = -torch.sum(F.logsigmoid(-torch.clamp(negative, max=10, min=-10)), dim=1)
        return torch.mean(score + negative)


def fill(model, seed=0):
    """Weights that do not depend on the library."""
    rng = np.random.default_rng(seed)
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.from_numpy(rng.normal(0, 0.2, tuple(p.shape)).astype(np.float32)))
    return model


class Pairs(Dataset):
    def __init__(self):
        rng = np.random.default_rng(2)
        self.pairs, self.negatives = rng.integers(0, 30, (24, 2)), rng.integers(0, 30, (24, 3))

    def __len__(self):
        return len(self.pairs)

    def __getitem__(self, index):
        return (*self.pairs[index], self.negatives[index])

    @staticmethod
    def collate(batch):
        return tuple(torch.LongTensor(np.array(column)) for column in zip(*batch))


model = fill(SkipGram(30, 8))
optimizer = SparseAdam(list(model.parameters()), lr=0.05)
scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 12)
loader = DataLoader(Pairs(), batch_size=6, shuffle=False, num_workers=0, collate_fn=Pairs.collate)
running_loss = 0.0
for epoch in range(3):
    for pos_u, pos_v, neg_v in loader:
        optimizer.zero_grad()
        loss = model(pos_u, pos_v, neg_v)
        loss.backward()
        optimizer.step()
        scheduler.step()
        running_loss = running_loss * 0.9 + loss.item() * 0.1
    print("epoch", epoch, "loss %.4f" % running_loss)
untouched = F.cosine_similarity(model.u_embeddings.weight[:2], model.v_embeddings.weight[:2])
print(["%.4f" % value for value in untouched.tolist()])
