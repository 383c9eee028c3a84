"""How long a step waits for a checkpoint: `python benchmarks/checkpoints.py`.

`save_checkpoint` beside `dtrain.train.Checkpoints`, which copies the state and has a thread write
it: its first save, for which `save_if_due` has taken memory ahead, and the later ones, while
training goes on. The state is that of an AdamW, three times the parameters.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from typing import Any

import dtrain
from dtrain import nn
from dtrain.checkpoint import save_checkpoint
from dtrain.train import Checkpoints


def make_step(megabytes: int) -> tuple[Callable[[], None], dict[str, nn.Module]]:
    """A training step, and the objects whose state has that size."""
    width = int((megabytes * 2**20 / 12 / 4) ** 0.5)  # four layers of 4-byte weights, three times
    model = nn.Sequential(*(nn.Linear(width, width) for _ in range(4)))
    optimizer = dtrain.optim.AdamW(model.parameters(), lr=1e-3)
    x = dtrain.randn(8, width)

    def step() -> None:
        model(x).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()

    return step, {"model": model, "optimizer": optimizer}


def measure(call: Callable[..., object], *arguments: Any, **options: Any) -> float:
    """Seconds that a call takes."""
    start = time.perf_counter()
    call(*arguments, **options)
    return time.perf_counter() - start


def main() -> None:
    """Print the seconds of each kind of save, and their share of a synchronous one's."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=int, default=500, help="size of the state")
    parser.add_argument("--saves", type=int, default=4, help="of each kind")
    parser.add_argument("--steps", type=int, default=20, help="of training between two saves")
    arguments = parser.parse_args()
    step, objects = make_step(arguments.megabytes)
    with tempfile.TemporaryDirectory() as folder:
        step()
        kept = Checkpoints(f"{folder}/kept", objects, keep_last=1, every_steps=10**9)
        kept.save_if_due(1)
        synchronous, asynchronous = [], []
        for number in range(1, arguments.saves + 1):
            for _ in range(arguments.steps):
                step()
            kept.wait()
            asynchronous.append(measure(kept.save, number))
            for _ in range(arguments.steps):
                step()
            kept.wait()
            synchronous.append(measure(save_checkpoint, f"{folder}/whole", 1, **objects))
        kept.wait()
    whole = statistics.median(synchronous)
    print(f"{arguments.megabytes} MB, save_checkpoint: {whole:.3f} s")
    for name, seconds in (
        ("first", asynchronous[0]),
        ("later", statistics.median(asynchronous[1:])),
    ):
        print(f"Checkpoints.save, {name}: a step waits {seconds:.3f} s, {seconds / whole:.1%}")


if __name__ == "__main__":
    main()
