"""Ranks that `torch.multiprocessing.spawn` starts, with a model of one layer."""

import os
import sys

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch.nn.parallel import DistributedDataParallel


def train(rank, world_size, out):
    os.environ["MASTER_ADDR"] = "localhost"
    os.environ["MASTER_PORT"] = "29531"
    dist.init_process_group("gloo", rank=rank, world_size=world_size)
    model = torch.nn.Linear(3, 1, bias=False)
    with torch.no_grad():
        model.weight.fill_(0.5 if rank == 0 else 7.0)
    ddp = DistributedDataParallel(model)
    optimizer = torch.optim.SGD(ddp.parameters(), lr=0.1)
    for step in range(3):
        optimizer.zero_grad()
        ddp(torch.arange(3.0) * (rank + 1) + step).square().sum().backward()
        optimizer.step()
    if rank == world_size - 1:
        with open(out, "w") as file:
            print(*(f"{w:.5f}" for w in model.weight[0].tolist()), file=file)
    dist.destroy_process_group()


if __name__ == "__main__":
    mp.spawn(train, args=(2, sys.argv[1]), nprocs=2, join=True)
    print("done")
