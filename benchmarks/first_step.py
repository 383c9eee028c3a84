"""Times a new process's first training step in dtrain and in PyTorch.

    python benchmarks/first_step.py
    python benchmarks/first_step.py --models gpt,lstm --rounds 1

"cold" is dtrain with an empty folder for compiled kernels, "warm" with those of the cold one.
The models: models/. The import and the making of the model are not counted.
"""

import argparse
import importlib
import importlib.util
import os
import statistics
import subprocess
import sys
import tempfile

from models import MODELS
from step import ONE_THREAD, job_of, seconds_of_step

CHOSEN = "mlp,resnet,gpt,lstm,vit,unet,mobile"


def work(library, name):
    """Print the seconds of the first step."""
    T = importlib.import_module(library)
    T.manual_seed(0)
    print(seconds_of_step(T, *job_of(T, name, lambda model: model)))


def measure(library, name, kernels):
    """The seconds of the first step in a fresh process. kernels: the folder of compiled ones."""
    command = [sys.executable, os.path.abspath(__file__), "--worker", library, name]
    environ = {**os.environ, **ONE_THREAD, "NUMBA_CACHE_DIR": kernels}
    done = subprocess.run(command, env=environ, stdout=subprocess.PIPE, text=True, check=True)
    return float(done.stdout)


def one_round(name, libraries):
    """Seconds: cold, warm and, where it is installed, PyTorch's."""
    with tempfile.TemporaryDirectory() as kernels:
        return [measure(library, name, kernels) for library in libraries]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", default=CHOSEN, help=f"some of {','.join(MODELS)}, or all")
    parser.add_argument("--rounds", type=int, default=3, help="how often to measure each")
    args = parser.parse_args()
    libraries = ["dtrain", "dtrain"] + ["torch"] * bool(importlib.util.find_spec("torch"))
    print(f"{'model':12}" + "".join(f"{column:>12}" for column in ("cold s", "warm s", "torch s")))
    for name in list(MODELS) if args.models == "all" else args.models.split(","):
        rounds = zip(*(one_round(name, libraries) for _ in range(args.rounds)))
        cells = "".join(f"{statistics.median(seconds):12.2f}" for seconds in rounds)
        print(f"{name:12}{cells}", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        work(*sys.argv[2:])
    else:
        main()
