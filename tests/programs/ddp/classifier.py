"""A classifier under DistributedDataParallel, with the head and end of scripts for torchrun."""

import argparse
import os
import tempfile

import torch
import torch.distributed as dist
import torch.nn as nn
import torch.nn.functional as F
from torch.nn.parallel import DistributedDataParallel as DDP
from torch.utils.data import DataLoader, Dataset
from torch.utils.data.distributed import DistributedSampler


class Points(Dataset):
    """Points of a plane, on two sides of a parabola."""

    def __init__(self, count):
        self.x = torch.sin(torch.arange(2 * count, dtype=torch.float32) * 1.7).reshape(count, 2)
        self.y = (self.x[:, 0] + self.x[:, 1].square() > 0.4).long()

    def __len__(self):
        return len(self.x)

    def __getitem__(self, index):
        return self.x[index], self.y[index]


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 8))
        self.head = nn.Linear(8, 2)
        self.unused = nn.Linear(2, 2)
        with torch.no_grad():
            for number, p in enumerate(self.parameters()):
                values = torch.arange(p.numel(), dtype=torch.float32).reshape(p.shape)
                p.copy_(0.4 * torch.cos(values + number))

    def forward(self, x):
        return self.head(F.relu(self.body(x)))


def reduce_mean(value, world_size):
    total = torch.tensor([value], dtype=torch.float64)
    dist.all_reduce(total, op=dist.ReduceOp.SUM)
    return total.item() / world_size


@torch.no_grad()
def evaluate(model, loader):
    """Rank 0 alone, on all samples."""
    model.eval()
    losses = [F.cross_entropy(model(x), y, reduction="sum").item() for x, y in loader]
    model.train()
    return sum(losses) / len(loader.dataset)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--accumulate", type=int, default=2)
    args = parser.parse_args()

    rank = int(os.environ["RANK"])
    local_rank = int(os.environ["LOCAL_RANK"])
    world_size = int(os.environ["WORLD_SIZE"])
    dist.init_process_group("gloo", init_method="env://")
    assert dist.is_initialized()
    assert dist.get_world_size() == world_size
    assert dist.get_rank() == rank == local_rank
    torch.manual_seed(100 + rank)

    train_set, test_set = Points(101), Points(40)
    sampler = DistributedSampler(train_set, shuffle=True, seed=3)
    loader = DataLoader(train_set, batch_size=12 // world_size, sampler=sampler, num_workers=0)
    test_loader = DataLoader(test_set, batch_size=16)
    model = DDP(Net(), find_unused_parameters=True)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)

    for epoch in range(args.epochs):
        sampler.set_epoch(epoch)
        running = 0.0
        for step, (x, y) in enumerate(loader):
            last = (step + 1) % args.accumulate == 0 or step + 1 == len(loader)
            if last:
                loss = F.cross_entropy(model(x), y)
                loss.backward()
                norm = nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
                optimizer.zero_grad()
            else:
                with model.no_sync():
                    loss = F.cross_entropy(model(x), y)
                    loss.backward()
            running += loss.item()
        mean = reduce_mean(running / len(loader), world_size)
        dist.barrier()
        if rank == 0:
            test = evaluate(model.module, test_loader)
            print(
                f"epoch {epoch} loss {mean:.5f} norm {norm.item():.5f} test {test:.5f}", flush=True
            )

    path = [None]
    if rank == 0:
        path = [os.path.join(tempfile.mkdtemp(), "model.pth")]
        torch.save(model.state_dict(), path[0])
    dist.broadcast_object_list(path, src=0)
    state = torch.load(path[0], map_location="cpu")
    dist.barrier()
    plain = Net()
    plain.load_state_dict({name.removeprefix("module."): value for name, value in state.items()})
    own = sum(value.double().sum().item() for value in plain.state_dict().values())
    gathered = [torch.zeros(1, dtype=torch.float64) for _ in range(world_size)]
    dist.all_gather(gathered, torch.tensor([own], dtype=torch.float64))
    assert all(torch.equal(value, gathered[0]) for value in gathered)
    if rank == 0:
        print(f"sum of the state {own:.4f}", flush=True)
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
