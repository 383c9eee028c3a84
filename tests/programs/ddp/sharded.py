"""A model under FullyShardedDataParallel and one under fully_shard, on the rank's part of points."""

import functools
import os

import torch
import torch.distributed as dist
import torch.nn as nn
import torch.nn.functional as F
from torch.distributed.fsdp import (
    BackwardPrefetch,
    FullyShardedDataParallel as FSDP,
    ShardingStrategy,
    fully_shard,
)
from torch.distributed.fsdp.wrap import transformer_auto_wrap_policy


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm, self.up, self.down = nn.LayerNorm(8), nn.Linear(8, 16), nn.Linear(16, 8)

    def forward(self, x):
        return x + self.down(F.gelu(self.up(self.norm(x))))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.enter, self.head = nn.Linear(2, 8), nn.Linear(8, 2)
        self.blocks = nn.ModuleList([Block(), Block()])
        with torch.no_grad():
            for number, p in enumerate(self.parameters()):
                values = torch.arange(p.numel(), dtype=torch.float32).reshape(p.shape)
                p.copy_(0.4 * torch.cos(values + number))

    def forward(self, x):
        x = self.enter(x)
        for block in self.blocks:
            x = block(x)
        return self.head(x)


def wrap(kind):
    model = Net()
    if kind == "fully_shard":
        for block in model.blocks:
            fully_shard(block, reshard_after_forward=True)
        return fully_shard(model)
    policy = functools.partial(transformer_auto_wrap_policy, transformer_layer_cls={Block})
    return FSDP(
        model,
        auto_wrap_policy=policy,
        sharding_strategy=ShardingStrategy.FULL_SHARD,
        backward_prefetch=BackwardPrefetch.BACKWARD_PRE,
        limit_all_gathers=True,
        use_orig_params=True,
        device_id=torch.device("cpu"),
    )


def train(kind, rank, world_size):
    x = torch.sin(torch.arange(96, dtype=torch.float32) * 1.7).reshape(4, 12, 2)
    y = (x[..., 0] + x[..., 1].square() > 0.4).long()
    model = wrap(kind)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.02)
    for epoch in range(3):
        total = torch.zeros(1, dtype=torch.float64)
        for xs, ys in zip(x, y):
            loss = F.cross_entropy(model(xs[rank::world_size]), ys[rank::world_size])
            loss.backward()
            if kind == "FSDP":
                model.clip_grad_norm_(0.5)
            optimizer.step()
            optimizer.zero_grad()
            total += loss.item()
        dist.all_reduce(total)
        if rank == 0:
            print(f"{kind} epoch {epoch} loss {total.item() / 4 / world_size:.5f}", flush=True)
    return model


def main():
    dist.init_process_group("gloo", init_method="env://")
    rank, world_size = int(os.environ["RANK"]), dist.get_world_size()
    train("fully_shard", rank, world_size)
    model = train("FSDP", rank, world_size)
    with FSDP.summon_full_params(model):
        own = sum(param.double().sum().item() for param in model.parameters())
    if rank == 0:
        print(f"sum of the parameters {own:.4f}", flush=True)
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
