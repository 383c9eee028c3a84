"""The time of one small operation, forward and backward, in dtrain and in PyTorch.

A chain of 50 multiplications of 10 x 10 float32 matrices: almost all of it is bookkeeping.

    python benchmarks/bookkeeping.py
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import importlib
import time
from typing import Any

import dtrain

LENGTH, ROUNDS = 50, 300


def microseconds(t: Any, both: bool) -> float:
    """The minimum time of one multiplication of the chain; `both` or one factor require grad."""
    x = t.randn(10, 10, requires_grad=True)
    y = t.randn(10, 10, requires_grad=both)
    best = float("inf")
    for _ in range(ROUNDS):
        start = time.perf_counter()
        z = x
        for _ in range(LENGTH):
            z = z * y
        z.sum().backward()
        best = min(best, time.perf_counter() - start)
        x.grad = y.grad = None
    return best / LENGTH * 1e6


def main() -> None:
    try:
        torch = importlib.import_module("torch")
        torch.set_num_threads(1)
    except ImportError:
        torch = None
    for both, label in ((False, "one factor has a gradient"), (True, "both factors have one")):
        line = f"{label:26} dtrain {microseconds(dtrain, both):5.2f} us"
        if torch is not None:
            # in turns, so that both see the machine in the same state
            pairs = [(microseconds(dtrain, both), microseconds(torch, both)) for _ in range(3)]
            mine, theirs = (min(times) for times in zip(*pairs))
            line = (
                f"{label:26} dtrain {mine:5.2f} us  torch {theirs:5.2f}  ratio {mine / theirs:.2f}"
            )
        print(line)


if __name__ == "__main__":
    main()
