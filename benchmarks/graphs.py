"""Compares a compiled training step with an eager one: time, memory, and what compiling takes.

    python benchmarks/graphs.py
    python benchmarks/graphs.py --models gpt,deepnarrow --rounds 4

The models: models/. README.md says what the figures mean.
"""

import argparse
import functools
import json
import os
import resource
import statistics
import subprocess
import sys

from models import MODELS
from step import ONE_THREAD, STEPS, job_of, measure, seconds_of_step

#: the time of a compiled step should be at most so much of an eager one's
GOALS = {
    "deepnarrow": 0.3, "gpt32": 0.5, "vit": 0.85, "unet": 0.85, "gpt": 0.9, "mlp": 0.95,
}  # fmt: skip
OTHERS = 1.02
#: the graph is recorded in the first step, checked in the second, and made fast in the third
COMPILING = 3


def work(kind, name):
    """Print the seconds of the first steps and of a few more, and this process's peak memory."""
    import dtrain

    dtrain.manual_seed(0)
    compiled = functools.partial(dtrain.compile, fullgraph=True)
    job = job_of(dtrain, name, compiled if kind == "compiled" else lambda model: model)
    seconds = [seconds_of_step(dtrain, *job) for _ in range(COMPILING + 3)]
    print(json.dumps((seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)))


def first_steps(kind, name):
    """By how many seconds the first steps of a fresh process together take longer than later ones,
    and the peak of its memory."""
    command = [sys.executable, os.path.abspath(__file__), "--worker", kind, name]
    environ = {**os.environ, **ONE_THREAD}
    done = subprocess.run(command, env=environ, stdout=subprocess.PIPE, text=True, check=True)
    seconds, peak = json.loads(done.stdout)
    return sum(seconds[:COMPILING]) - COMPILING * min(seconds[COMPILING:]), peak


def one_round(name):
    """The figures of a row of the table but for the goal."""
    time = statistics.median(measure("compile", name, 1))
    (eager_s, eager), (compiled_s, compiled) = (first_steps(k, name) for k in ("eager", "compiled"))
    return time, compiled / eager, eager_s, compiled_s


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", default=",".join(GOALS), help=f"some of {','.join(STEPS)}, all")
    parser.add_argument("--rounds", type=int, default=2, help="how often to measure each")
    args = parser.parse_args()
    columns = ("time", "goal", "memory", "eager s", "compiled s")
    print(f"{'model':12}" + "".join(f"{column:>12}" for column in columns))
    for name in list(MODELS) if args.models == "all" else args.models.split(","):
        rounds = zip(*(one_round(name) for _ in range(args.rounds)))
        time, *others = map(statistics.median, rounds)
        row = (time, GOALS.get(name, OTHERS), *others)
        print(f"{name:12}" + "".join(f"{x:12.2f}" for x in row), flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        work(*sys.argv[2:])
    else:
        main()
