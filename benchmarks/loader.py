"""Times dtrain's DataLoader beside PyTorch's, in turn: `python benchmarks/loader.py`.

Each row is a job that both loaders do. Times are medians over the rounds; the ratio is the median
of the ratios within a round, so that a machine that grows slower in between changes it little.
"""

from __future__ import annotations

import argparse
import itertools
import os
import statistics
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import dtrain
import dtrain.data

try:
    import torch
    import torch.utils.data
except ImportError:  # dtrain alone is measured
    torch = None  # type: ignore[assignment]


class Waiting:
    """256 samples, each of which takes 5 ms."""

    def __len__(self) -> int:
        return 256

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        time.sleep(0.005)
        return np.full((3, 32, 32), index, np.float32), index


class Pictures:
    """JPEG files, decoded, cropped, flipped and normalized."""

    def __init__(self, folder: Path, count: int):
        self.files = sorted(folder.glob("*.jpg"))
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> np.ndarray:
        from PIL import Image

        with Image.open(self.files[index % len(self.files)]) as file:
            picture = np.asarray(file.convert("RGB").resize((160, 160)))
        x, y = np.random.randint(0, 32, 2)
        cropped = picture[y : y + 128, x : x + 128]
        if np.random.rand() < 0.5:
            cropped = cropped[:, ::-1]
        return (cropped.transpose(2, 0, 1) / np.float32(255) - np.float32(0.5)).astype(np.float32)


def write_pictures(folder: Path, count: int = 50) -> None:
    """JPEG files of 256 by 256 pixels: smooth noise, as large as photographs of that size."""
    from PIL import Image

    rng = np.random.default_rng(0)
    for number in range(count):
        small = Image.fromarray(rng.integers(0, 256, (16, 16, 3), np.uint8))
        small.resize((256, 256)).save(folder / f"{number}.jpg", quality=90)


Loader = Callable[..., Any]


def run_epoch(loader: Any, step_s: float = 0.0) -> float:
    """Seconds of one pass over a loader, each batch of which is computed on for `step_s`."""
    began = time.perf_counter()
    for _ in loader:
        if step_s:
            time.sleep(step_s)
    return time.perf_counter() - began


def first_batch(loader: Any) -> float:
    """Seconds until an epoch's first batch is there: the start of the workers."""
    began = time.perf_counter()
    batches = iter(loader)
    next(batches)
    seconds = time.perf_counter() - began
    del batches
    return seconds


def make_rows(folder: Path, pictures: int) -> dict[str, Callable[[Loader], float]]:
    """The jobs by name; each takes a loader class and returns seconds."""
    waiting, images = Waiting(), Pictures(folder, pictures)
    many = list(range(64))
    return {
        "256 samples of 5 ms, steps of 20 ms, 4 workers": lambda load: run_epoch(
            load(waiting, batch_size=16, num_workers=4), 0.02
        ),
        f"{pictures} JPEG pictures, 2 workers": lambda load: run_epoch(
            load(images, batch_size=32, shuffle=True, num_workers=2)
        ),
        "start of 4 workers, first batch": lambda load: first_batch(
            load(many, batch_size=4, num_workers=4)
        ),
    }


def measure_tensors(load: Loader, tensors: Any) -> float:
    """Seconds of one pass over tensors in memory, without workers."""
    return run_epoch(load(tensors, batch_size=64, shuffle=True))


def compare(name: str, job: Callable[[Any], float], loaders: list[Any], rounds: int) -> None:
    times: list[list[float]] = [[] for _ in loaders]
    for number in range(rounds):
        order = range(len(loaders)) if number % 2 else reversed(range(len(loaders)))
        for which in order:
            times[which].append(job(loaders[which]))
    ours = statistics.median(times[0])
    text = f"{name:50} {1000 * ours:9.1f} ms"
    if len(loaders) > 1:
        ratio = statistics.median(a / b for a, b in zip(*times))
        text += f"  {1000 * statistics.median(times[1]):9.1f} ms  {ratio:6.2f}"
    print(text, flush=True)


def measure_shuffle(samples: int = 10_000_000) -> None:
    """The memory of a shuffled epoch over a dataset of ten million samples."""
    tracemalloc.start()
    loader = dtrain.data.DataLoader(range(samples), batch_size=256, shuffle=True)
    for _ in itertools.islice(loader, 3):
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    print(
        f"a shuffle of {samples:,} samples: at most {peak / 1e6:.0f} MB, of the order", flush=True
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--pictures", type=int, default=2000)
    chosen = parser.parse_args()
    loaders: list[Any] = [dtrain.data.DataLoader]
    if torch is not None:
        torch.set_num_threads(1)
        loaders.append(torch.utils.data.DataLoader)
    print(f"{os.cpu_count()} cores{'':43} {'dtrain':>9}     {'torch':>9}     ratio")
    server_s = first_batch(loaders[0]([1], num_workers=1))
    with tempfile.TemporaryDirectory() as folder:
        write_pictures(Path(folder))
        for name, job in make_rows(Path(folder), chosen.pictures).items():
            compare(name, job, loaders, chosen.rounds)
    array = np.zeros((60_000, 28, 28), np.float32)
    data: dict[Any, Any] = {
        loaders[0]: dtrain.data.TensorDataset(dtrain.from_numpy(array), dtrain.arange(60_000))
    }
    if torch is not None:
        data[loaders[1]] = torch.utils.data.TensorDataset(
            torch.from_numpy(array), torch.arange(60_000)
        )
    compare(
        "60,000 samples in memory, batches of 64",
        lambda load: measure_tensors(load, data[load]),
        loaders,
        chosen.rounds,
    )
    print(f"the program's first worker, with the start of the fork server: {server_s:.2f} s")
    measure_shuffle()


if __name__ == "__main__":
    main()
