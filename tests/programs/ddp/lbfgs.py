"""LBFGS under DistributedDataParallel: the closure returns the mean loss of all ranks."""

import torch
import torch.distributed as dist
import torch.nn as nn
import torch.nn.functional as F
from torch.nn.parallel import DistributedDataParallel as DDP

dist.init_process_group("gloo")
rank, world_size = dist.get_rank(), dist.get_world_size()
x = torch.cos(torch.arange(24, dtype=torch.float64)).reshape(12, 2)
y = torch.sin(3 * x).sum(1, keepdim=True)
x, y = x[rank::world_size], y[rank::world_size]
net = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 1)).double()
with torch.no_grad():
    for p in net.parameters():
        p.copy_(0.5 * torch.sin(torch.arange(p.numel(), dtype=torch.float64) + 1).view_as(p))
model = DDP(net)
optimizer = torch.optim.LBFGS(model.parameters(), max_iter=4, line_search_fn="strong_wolfe")


def closure():
    optimizer.zero_grad()
    loss = F.mse_loss(model(x), y)
    loss.backward()
    mean = loss.detach().clone()
    dist.all_reduce(mean)
    return mean / world_size


for _ in range(4):
    loss = optimizer.step(closure)
    if rank == 0:
        print(f"loss {loss.item():.5f}", flush=True)
total = sum(p.detach().sum() for p in net.parameters())
if rank == 0:
    print(f"sum of the weights {total.item():.4f}", flush=True)
dist.destroy_process_group()
