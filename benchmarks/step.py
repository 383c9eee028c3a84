"""Times one training step in dtrain and in PyTorch, alone and on several ranks.

    python benchmarks/step.py
    python benchmarks/step.py --models resnet,gpt --rounds 3 --ranks 1,2,4

A model is written once, for a module `T` that is dtrain or torch. README.md says what the
figures mean.
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

#: on several ranks: "apart" is so many processes of dtrain that know nothing of each other,
#: "fast" takes turns, step by step, with DataParallel(reduction="fast") and tells how much longer
#: the exact one takes, "detail" compares the ranks' weights in each step. Alone, "autocast" takes
#: turns with steps in float32
SETTINGS = ("dtrain", "torch", "apart", "fast", "detail", "autocast")
DETAIL = {"DTRAIN_DEBUG": "detail", "DTRAIN_DEBUG_EVERY": "1"}
#: by default: the settings take turns so often, each time in fresh processes. Ratios are those of
#: one round, for a machine that others use, too, is now faster, now slower
ROUNDS = 5
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


# --- the models: (module, input, target, optimizer of the parameters) ---


def mlp(T):
    """784-512-512-10, a batch of 128."""
    nn = T.nn
    model = nn.Sequential(
        nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10)
    )
    return model, T.randn(128, 784), T.randint(0, 10, (128,)), lambda p: T.optim.Adam(p, 1e-3)


def resnet(T):
    """Three stages of two basic blocks, 32, 64 and 128 wide, on 32 images of 3x32x32."""
    nn = T.nn

    def conv(inputs, outputs, kernel, stride=1):
        layer = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)
        return [layer, nn.BatchNorm2d(outputs)]

    class Block(nn.Module):
        def __init__(self, inputs, outputs, stride):
            super().__init__()
            self.body = nn.Sequential(
                *conv(inputs, outputs, 3, stride), nn.ReLU(), *conv(outputs, outputs, 3)
            )
            same = inputs == outputs
            self.shortcut = nn.Sequential(*([] if same else conv(inputs, outputs, 1, stride)))

        def forward(self, x):
            return nn.functional.relu(self.body(x) + self.shortcut(x))

    class GlobalAverage(nn.Module):
        def forward(self, x):
            return x.mean((2, 3))

    model = nn.Sequential(
        *conv(3, 32, 3), nn.ReLU(),
        Block(32, 32, 1), Block(32, 32, 1),
        Block(32, 64, 2), Block(64, 64, 1),
        Block(64, 128, 2), Block(128, 128, 1),
        GlobalAverage(), nn.Linear(128, 10),
    )  # fmt: skip
    x, y = T.randn(32, 3, 32, 32), T.randint(0, 10, (32,))
    return model, x, y, lambda p: T.optim.SGD(p, 0.05, momentum=0.9)


def gpt(T):
    """Four pre-norm blocks, 256 wide, 8 heads, on 8 sequences of 128 out of 65 characters."""
    nn = T.nn
    width, heads, length, vocabulary = 256, 8, 128, 65

    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)

        def forward(self, x):
            batch = x.shape[0]
            q, k, v = (
                part.reshape(batch, length, heads, width // heads).transpose(1, 2)
                for part in self.qkv(x).chunk(3, -1)
            )
            y = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            return self.out(y.transpose(1, 2).reshape(batch, length, width))

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = nn.Sequential(nn.LayerNorm(width), Attention())
            self.mlp = nn.Sequential(
                nn.LayerNorm(width),
                nn.Linear(width, 4 * width),
                nn.GELU(),
                nn.Linear(4 * width, width),
            )

        def forward(self, x):
            x = x + self.attention(x)
            return x + self.mlp(x)

    class GPT(nn.Module):
        def __init__(self):
            super().__init__()
            self.token = nn.Embedding(vocabulary, width)
            self.place = nn.Embedding(length, width)
            self.blocks = nn.Sequential(*(Block() for _ in range(4)))
            self.head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, vocabulary))

        def forward(self, tokens):
            x = self.token(tokens) + self.place(T.arange(length))
            return self.head(self.blocks(x)).reshape(-1, vocabulary)

    x = T.randint(0, vocabulary, (8, length))
    return GPT(), x, x.reshape(-1), lambda p: T.optim.AdamW(p, 3e-4)


def tiny(T):
    """64 layers 32 wide, each with a normalization, a batch of 64: 256 small parameters."""
    nn = T.nn
    layers = [nn.Sequential(nn.Linear(32, 32), nn.LayerNorm(32), nn.ReLU()) for _ in range(64)]
    model = nn.Sequential(*layers, nn.Linear(32, 10))
    return model, T.randn(64, 32), T.randint(0, 10, (64,)), lambda p: T.optim.Adam(p, 1e-3)


MODELS = {"mlp": mlp, "resnet": resnet, "gpt": gpt, "tiny": tiny}
#: timed in a round, after half as many to warm up: one to three seconds
STEPS = {"mlp": 200, "resnet": 15, "gpt": 10, "tiny": 200}


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
    parser.add_argument("--models", default=",".join(MODELS), help="some of mlp,resnet,gpt,tiny")
    parser.add_argument("--ranks", default="1,2", help="numbers of ranks")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="how often to measure each")
    args = parser.parse_args()
    models = args.models.split(",")
    if unknown := set(models) - set(MODELS):
        parser.error(f"--models: there is no {', '.join(sorted(unknown))}, only {list(MODELS)}")
    there = [s for s in SETTINGS if s != "torch" or importlib.util.find_spec(s)]
    if "torch" not in there:
        print("PyTorch is not installed: dtrain alone is measured")
    columns = ("dtrain ms", "torch ms", "dtrain/torch", "dtrain keeps", "torch keeps")
    print(line("model", "ranks", (*columns, "apart keep", "exact/fast", "detail", "autocast")))
    every_ranks = [int(ranks) for ranks in args.ranks.split(",")]
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
        if (setting != "autocast" if ranks > 1 else setting in (*SETTINGS[:2], "autocast"))
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


def line(name, ranks, cells):
    return f"{name:8}{ranks:>6}" + "".join(f"{cell:>14}" for cell in cells)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        setting, model_name, ranks = sys.argv[2:]
        work(setting, model_name, int(ranks))
    else:
        main()
