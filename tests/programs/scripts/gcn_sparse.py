"""A graph convolutional network on a sparse adjacency matrix, normalized by scipy."""

import argparse
import math

import numpy as np
import scipy.sparse as sp
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from torch.nn.modules.module import Module
from torch.nn.parameter import Parameter

parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int, default=5)
parser.add_argument("--lr", type=float, default=0.05)
args = parser.parse_args([])


class GraphConvolution(Module):
    def __init__(self, in_features, out_features):
        super().__init__()
        self.weight = Parameter(torch.FloatTensor(in_features, out_features))
        self.bias = Parameter(torch.FloatTensor(out_features))
        bound = 1.0 / math.sqrt(self.weight.size(1))
        self.weight.data.uniform_(-bound, bound)

    def forward(self, input, adj):
        return torch.spmm(adj, torch.mm(input, self.weight)) + self.bias


class GCN(nn.Module):
    def __init__(self):
        super().__init__()
        self.gc1, self.gc2 = GraphConvolution(6, 8), GraphConvolution(8, 3)

    def forward(self, x, adj):
        x = F.relu(self.gc1(x, adj))
        x = F.dropout(x, 0.5, training=False)
        return F.log_softmax(self.gc2(x, adj), dim=1)


def fill(model, seed=0):
    """Weights that do not depend on the library."""
    rng = np.random.default_rng(seed)
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.from_numpy(rng.normal(0, 0.2, tuple(p.shape)).astype(np.float32)))
    return model


rng = np.random.default_rng(5)
edges = rng.integers(0, 20, (2, 40))
adj = sp.coo_matrix((np.ones(40), edges), shape=(20, 20), dtype=np.float32)
adj = adj + adj.T + sp.eye(20)
adj = sp.diags(1 / np.asarray(adj.sum(1)).ravel()).dot(adj).tocoo().astype(np.float32)
indices = torch.from_numpy(np.vstack((adj.row, adj.col)).astype(np.int64))
adj = torch.sparse_coo_tensor(indices, torch.from_numpy(adj.data), torch.Size(adj.shape))
features = torch.from_numpy(rng.normal(size=(20, 6)).astype(np.float32)).to_sparse()
labels = torch.from_numpy(rng.integers(0, 3, 20))
model = fill(GCN())
optimizer = optim.Adam(model.parameters(), lr=args.lr, weight_decay=5e-4)
for epoch in range(args.epochs):
    model.train()
    optimizer.zero_grad()
    output = model(features.to_dense(), adj.coalesce())
    loss = F.nll_loss(output[:14], labels[:14])
    loss.backward()
    optimizer.step()
    print(f"Epoch: {epoch + 1:04d} loss_train: {loss.item():.4f}")
