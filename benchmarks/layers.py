"""Times layers, functions, optimizers, the loader and files against PyTorch's, in one process.

    python benchmarks/layers.py
    python benchmarks/layers.py --rows conv,lstm --json layers.json

One thread, float32. In a round dtrain and PyTorch take turns; a cell is the median over the rounds
of the ratio dtrain / torch within a round: below 1 dtrain is faster.
The rows are in layer_rows.py.
"""

import argparse
import contextlib
import gc
import importlib.util
import json
import os
import statistics
import time

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")

from layer_rows import ROWS

import dtrain
from dtrain.distributed.doctor.software import find_blas_limit, multipliers

#: seconds that a turn of one framework lasts at least, and that a cell takes about
TURN_S, CELL_S = 0.003, 0.6
LEAST_ROUNDS, MOST_ROUNDS = 5, 25


def seconds(function, count):
    """The time of one call, by `count` of them."""
    start = time.perf_counter()
    for _ in range(count):
        function()
    return (time.perf_counter() - start) / count


def compare(ours, theirs):
    """(seconds of ours, of theirs or None, the median of the ratios within a round)."""
    for function in (ours, theirs):  # compiles, and fills caches
        if function is not None:
            function(), function()
    if theirs is None:
        return min(seconds(ours, 1) for _ in range(LEAST_ROUNDS)), None, None
    counts = [max(1, round(TURN_S / seconds(function, 1))) for function in (ours, theirs)]
    rounds, start, turns = 0, time.perf_counter(), []
    while rounds < LEAST_ROUNDS or (rounds < MOST_ROUNDS and time.perf_counter() - start < CELL_S):
        pair = [seconds(ours, counts[0]), seconds(theirs, counts[1])]
        if rounds % 2:  # the other one first
            pair = [seconds(theirs, counts[1]), seconds(ours, counts[0])][::-1]
        turns.append(pair)
        rounds += 1
    ours_s, theirs_s = (statistics.median(times) for times in zip(*turns))
    return ours_s, theirs_s, statistics.median(a / b for a, b in turns)


def measure(row, frameworks):
    """The cells of a row: {direction: (ms of dtrain, ms of torch, ratio)}."""
    with contextlib.ExitStack() as stack:
        made = [stack.enter_context(row(T)) for T in frameworks]
        cells = {}
        for direction in made[0]:
            functions = [functions[direction] for functions in made]
            gc.collect()
            ours, theirs, ratio = compare(functions[0], (*functions, None)[1])
            cells[direction] = (1e3 * ours, theirs and 1e3 * theirs, ratio)
        return cells


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", default="", help="rows whose names begin so, separated by commas")
    parser.add_argument("--json", help="write the cells to this file, too")
    args = parser.parse_args()
    names = [n for n in ROWS if n.startswith(tuple(args.rows.split(",")))]
    if not names:
        parser.error(f"--rows: no name begins with {args.rows!r}; there are {', '.join(ROWS)}")
    frameworks = [dtrain]
    if importlib.util.find_spec("torch"):
        import torch

        torch.set_num_threads(1)
        frameworks.append(torch)
    else:
        print("PyTorch is not installed: dtrain alone is measured")
    print("; ".join(filter(None, (multipliers(), find_blas_limit()))))
    print(f"{'row':34}{'direction':10}{'dtrain ms':>12}{'torch ms':>12}{'dtrain/torch':>14}")
    results = {}
    for name in names:
        results[name] = measure(ROWS[name], frameworks)
        for direction, (ours, theirs, ratio) in results[name].items():
            cells = ("-", "-") if theirs is None else (f"{theirs:.4f}", f"{ratio:.2f}")
            print(f"{name:34}{direction:10}{ours:12.4f}{cells[0]:>12}{cells[1]:>14}", flush=True)
    ratios = [ratio for row in results.values() for *_, ratio in row.values() if ratio is not None]
    if ratios:
        slower = sum(ratio > 1.05 for ratio in ratios)
        print(f"median {statistics.median(ratios):.2f}; {slower} of {len(ratios)} above 1.05")
    if args.json:
        with open(args.json, "w") as file:
            json.dump({"blas": multipliers(), "rows": results}, file, indent=1)


if __name__ == "__main__":
    main()
