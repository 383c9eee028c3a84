"""A run that ends at any step goes on from its checkpoint, on other ranks, to the same bits."""

import pytest

import dtrain
from dtrain import DataParallel, distributed, nn
from dtrain.checkpoint import digest, load_checkpoint, save_checkpoint
from dtrain.data import DataLoader, TensorDataset
from dtrain.nn import functional as F

EPOCHS, STEPS = 2, 6  # three steps an epoch, the last one short and uneven


class Killed(Exception):
    pass


def train(root, resume=False, killed_at=None):
    """Returns the digest of the whole state; checkpoints every step."""
    dtrain.manual_seed(3)
    data = TensorDataset(dtrain.randn(59, 6), dtrain.randint(0, 3, (59,)))
    model = DataParallel(
        nn.Sequential(
            nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 3)
        )
    )
    optimizer = dtrain.optim.AdamW(model.parameters(), lr=0.01)
    scheduler = dtrain.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS)
    loader = DataLoader(data, 3, shuffle=True, microbatches=8)
    job = {"model": model, "optimizer": optimizer, "scheduler": scheduler, "loader": loader}
    steps = load_checkpoint(root, **job) if resume else 0
    for _ in range(loader.epoch, EPOCHS):
        for step in loader.steps():
            for x, y in step:
                F.cross_entropy(model(x), y).backward()
            optimizer.step()
            optimizer.zero_grad()
            steps += 1
            save_checkpoint(root, steps, **job)
            if steps == killed_at:
                raise Killed
        scheduler.step()
    assert steps == STEPS
    noise = dtrain.rand(3)  # the generator too has gone on
    return digest({**model.state_dict(), "noise": noise, "lr": dtrain.tensor(scheduler._last_lr)})


@pytest.mark.parametrize("killed_at", range(1, STEPS + 1))
@pytest.mark.parametrize(("before", "after"), [(2, 3), (3, 1)])
def test_a_run_killed_at_any_step_resumes_on_other_ranks(tmp_path, before, after, killed_at):
    (straight,) = distributed.run_ranks(1, train, tmp_path / "straight")
    with pytest.raises(Killed):
        distributed.run_ranks(before, train, tmp_path / "run", False, killed_at)
    resumed = distributed.run_ranks(after, train, tmp_path / "run", True)
    assert set(resumed) == {straight}
