"""Times one training step in dtrain and in PyTorch, alone and on several ranks.

    python benchmarks/step.py
    python benchmarks/step.py --models resnet,gpt --rounds 3 --ranks 1,2,4

The models: models/. README.md says what the figures mean.
"""

import argparse
import contextlib
import functools
import importlib.util
import json
import os
import socket
import statistics
import subprocess
import sys
import time

from models import MODELS

from dtrain.distributed.doctor.software import find_blas_limit, multipliers

#: on several ranks: "apart" is so many processes of dtrain that know nothing of each other,
#: "fast" takes turns, step by step, with DataParallel(reduction="fast") and tells how much longer
#: the exact one takes, "detail" compares the ranks' weights in each step. Alone, "autocast" takes
#: turns with steps in float32, "compile" those of the compiled model with eager ones
SETTINGS = ("dtrain", "torch", "apart", "fast", "detail", "autocast", "compile")
ALONE = ("dtrain", "torch", "autocast", "compile")
DETAIL = {"DTRAIN_DEBUG": "detail", "DTRAIN_DEBUG_EVERY": "1"}
#: by default: the settings take turns so often, each time in fresh processes. Ratios are those of
#: one round, for a machine that others use, too, is now faster, now slower
ROUNDS = 5
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


#: the steps timed in a round, after half as many to warm up: one to three seconds
STEPS = {
    "mlp": 200, "resnet": 15, "gpt": 10, "tiny": 200, "lstm": 15, "gru": 25, "mobile": 30,
    "resnet18": 8, "unet": 15, "vit": 10, "llama": 8, "audio": 60, "deepnarrow": 200, "bert": 10,
    "gpt32": 200,
}  # fmt: skip
#: measured where no models are chosen
CHOSEN = "mlp,resnet,gpt,tiny"


# --- in the processes that are measured ---


def join(setting):
    """Join the other ranks; returns the rank and functions that make a model data parallel."""
    if setting == "apart":
        return 0, [lambda model: model]
    if setting != "torch":
        from dtrain import DataParallel, distributed

        fast = functools.partial(DataParallel, reduction="fast")
        return distributed.rank(), [DataParallel, fast] if setting == "fast" else [DataParallel]
    from torch import distributed
    from torch.nn.parallel import DistributedDataParallel

    distributed.init_process_group("gloo")
    return distributed.get_rank(), [DistributedDataParallel]


def work(setting, model_name, ranks):
    """Run the steps; rank 0 prints the seconds of each, or the ratio to those of "fast"."""
    T = importlib.import_module("torch" if setting == "torch" else "dtrain")
    T.manual_seed(0)
    rank, parallels = join(setting if ranks > 1 else "apart")
    if setting == "compile":
        parallels = [functools.partial(T.compile, fullgraph=True), *parallels]
    jobs = [job_of(T, model_name, parallel) for parallel in parallels]
    warm_up = STEPS[model_name] // 2
    steps = range(warm_up + STEPS[model_name])
    if setting == "autocast":
        jobs = [(*jobs[0], True), jobs[0]]
    turns = [[seconds_of_step(T, *job) for job in jobs] for _ in steps]
    if rank == 0:
        times = [turn[0] / turn[1] if len(turn) > 1 else turn[0] for turn in turns]
        print(json.dumps(times[warm_up:]), flush=True)
    if setting == "torch" and ranks > 1:  # gloo's threads abort a process that ends before others
        T.distributed.barrier()
        T.distributed.destroy_process_group()


def job_of(T, model_name, parallel):
    model, x, y, make_optimizer = MODELS[model_name](T)
    model = parallel(model)
    return model, x, y, make_optimizer(model.parameters())


def seconds_of_step(T, model, x, y, optimizer, autocast=False):
    start = time.perf_counter()
    with T.autocast("cpu") if autocast else contextlib.nullcontext():
        loss = T.nn.functional.cross_entropy(model(x), y)
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    return time.perf_counter() - start


# --- in the process that was started ---


def measure(setting, model_name, ranks):
    """The seconds of each step in fresh processes; of several independent ones, the slowest."""
    worker = [os.path.abspath(__file__), "--worker", setting, model_name, str(ranks)]
    environ = {**os.environ, **ONE_THREAD, **(DETAIL if setting == "detail" else {})}
    if ranks == 1 or setting == "apart":
        launches = ranks * [([sys.executable, *worker], {})]
    elif setting != "torch":
        run = ["-m", "dtrain.cli", "run", "-n", str(ranks)]
        launches = [([sys.executable, *run, *worker], {})]
    else:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = str(free.getsockname()[1])
        world = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": str(ranks)}
        launches = [([sys.executable, *worker], {**world, "RANK": str(r)}) for r in range(ranks)]
    started = [
        subprocess.Popen(command, env={**environ, **extra}, stdout=subprocess.PIPE, text=True)
        for command, extra in launches
    ]
    output = "".join([process.communicate()[0] for process in started])
    if any(process.returncode for process in started):
        sys.exit(f"{setting} could not run {model_name} on {ranks} ranks")
    times = [json.loads(text) for text in output.splitlines() if text.startswith("[")]
    return [max(step) for step in zip(*times)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", default=CHOSEN, help=f"some of {','.join(MODELS)}, or all")
    parser.add_argument("--ranks", default="1,2", help="numbers of ranks")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="how often to measure each")
    parser.add_argument(
        "--compile", action="store_true", help="measure the compiled model alone, beside eager"
    )
    args = parser.parse_args()
    models = list(MODELS) if args.models == "all" else args.models.split(",")
    if unknown := set(models) - set(MODELS):
        parser.error(f"--models: there is no {', '.join(sorted(unknown))}, only {list(MODELS)}")
    there = [s for s in SETTINGS if s != "torch" or importlib.util.find_spec(s)]
    there = ["dtrain", "compile"] if args.compile else there
    if "torch" not in there and not args.compile:
        print("PyTorch is not installed: dtrain alone is measured")
    print("; ".join(filter(None, (multipliers(), find_blas_limit()))))
    columns = ("dtrain ms", "torch ms", "dtrain/torch", "dtrain keeps", "torch keeps")
    print(line("model", "ranks", (*columns, "apart keep", "exact/fast", "detail", *ALONE[2:])))
    every_ranks = [1] if args.compile else [int(ranks) for ranks in args.ranks.split(",")]
    for name in models:
        rounds = [one_round(name, every_ranks, there) for _ in range(args.rounds)]
        for ranks in every_ranks:
            print(line(name, ranks, figures(rounds, ranks)), flush=True)


def one_round(name, every_ranks, there):
    """The median seconds of a step by (setting, ranks), measured within about a minute."""
    return {
        (setting, ranks): statistics.median(measure(setting, name, ranks))
        for ranks in every_ranks
        for setting in there
        if (setting not in ALONE[2:] if ranks > 1 else setting in ALONE)
    }


def figures(rounds, ranks):
    """The cells of a row of the table: medians over the rounds."""

    def cell(form, value):
        try:
            return format(statistics.median(map(value, rounds)), form)
        except KeyError:  # not measured
            return "-"

    def ratio(form, one, other):
        return cell(form, lambda times: times[one] / times[other])

    own = ("dtrain", ranks)
    for setting in SETTINGS[:2]:
        yield cell(".1f", lambda times, key=(setting, ranks): 1e3 * times[key])
    yield ratio(".2f", own, ("torch", ranks))
    for setting, alone in (("dtrain", "dtrain"), ("torch", "torch"), ("apart", "dtrain")):
        yield ratio(".0%", (alone, 1), (setting, ranks)) if ranks > 1 else "-"
    yield cell(".2f", lambda times: times["fast", ranks])
    yield cell(".2%", lambda times: (times["detail", ranks] / times[own] - 1) / 100)
    yield cell(".2f", lambda times: times["autocast", ranks])
    yield cell(".2f", lambda times: times["compile", ranks])


def line(name, ranks, cells):
    return f"{name:8}{ranks:>6}" + "".join(f"{cell:>14}" for cell in cells)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        setting, model_name, ranks = sys.argv[2:]
        work(setting, model_name, int(ranks))
    else:
        main()
