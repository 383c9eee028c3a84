"""Times a training step under `dtrain.compile`, `torch.compile` and `jax.jit`, on one core.

    python benchmarks/compilers.py
    python benchmarks/compilers.py --models mlp,gpt --rounds 4

PyTorch and JAX are measured if they are installed; JAX has the models of models/in_jax.py alone.
"""

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import time

from models import MODELS
from step import ONE_THREAD, STEPS, job_of, seconds_of_step

SETTINGS = ("dtrain eager", "dtrain", "torch eager", "torch", "jax")


# --- in the processes that are measured ---


def work(setting, name):
    """Print the seconds of the first step, and of each step after a warm-up."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # JAX has no number of threads
    framework, *eager = setting.split()
    step = jax_step(name) if framework == "jax" else step_of(framework, name, bool(eager))
    first = step()
    seconds = [step() for _ in range(STEPS[name] // 2 + STEPS[name])]
    print(json.dumps([first, *seconds[STEPS[name] // 2 :]]))


def step_of(framework, name, eager):
    T = importlib.import_module(framework)
    T.manual_seed(0)
    job = job_of(T, name, lambda model: model if eager else T.compile(model))
    return lambda: seconds_of_step(T, *job)


def jax_step(name):
    from models import in_jax

    step, state = in_jax.MODELS[name]()

    def timed():
        nonlocal state
        start = time.perf_counter()
        *state, loss = step(*state)
        loss.block_until_ready()
        return time.perf_counter() - start

    return timed


# --- in the process that was started ---


def measure(setting, name):
    """(the first step's seconds, the median of later ones) in a fresh process; None if it cannot
    run."""
    command = [sys.executable, os.path.abspath(__file__), "--worker", setting, name]
    environ = {**os.environ, **ONE_THREAD}
    done = subprocess.run(command, env=environ, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        return None
    first, *seconds = json.loads(done.stdout.splitlines()[-1])
    return first, statistics.median(seconds)


def is_there(setting, name):
    framework = setting.split()[0]
    if framework != "jax":
        return importlib.util.find_spec(framework) is not None
    if not all(map(importlib.util.find_spec, ("jax", "optax"))):
        return False
    from models import in_jax

    return name in in_jax.MODELS


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", default="mlp", help=f"some of {','.join(MODELS)}, or all")
    parser.add_argument("--rounds", type=int, default=3, help="how often to measure each")
    args = parser.parse_args()
    names = list(MODELS) if args.models == "all" else args.models.split(",")
    if unknown := set(names) - set(MODELS):
        parser.error(f"--models: there is no {', '.join(sorted(unknown))}, only {list(MODELS)}")
    print(f"{'ms of a step':14}" + "".join(f"{setting:>14}" for setting in SETTINGS))
    for name in names:
        rounds = [
            [measure(setting, name) if is_there(setting, name) else None for setting in SETTINGS]
            for _ in range(args.rounds)
        ]
        for title, index, scale in ((name, 1, 1e3), ("  first step s", 0, 1)):
            cells = []
            for found in zip(*rounds):
                whole = None not in found
                cells.append(
                    f"{scale * statistics.median(f[index] for f in found):.2f}" if whole else "-"
                )
            print(f"{title:14}" + "".join(f"{cell:>14}" for cell in cells), flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        work(*sys.argv[2:])
    else:
        main()
