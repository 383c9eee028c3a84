"""Memory of each rank that trains a GPT with AdamW, sharded and not, and the time of a step.

    dtrain run -n 4 benchmarks/sharding.py                            200 M parameters
    dtrain run -n 4 benchmarks/sharding.py --width 256 --layers 8     a small one
    dtrain run -n 4 benchmarks/sharding.py --save /tmp/run            a checkpoint, too
    dtrain run -n 2 benchmarks/sharding.py --times 20 --width 256 --layers 8
    dtrain run -n 2 benchmarks/sharding.py --times 20 --model resnet  a model of step.py

Memory is the peak of the proportional set size (/proc/self/smaps_rollup, Pss): a page that k ranks
map counts 1 / k for each of them. Times are of the same process, sharded and DataParallel's turn by
turn: the median of the ratios.
"""

import argparse
import statistics
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # mpi4py's runner does not

from models import MODELS

import dtrain
from dtrain import DataParallel, distributed, models as dtrain_models
from dtrain.checkpoint import save_checkpoint
from dtrain.distributed.world import communicator
from dtrain.nn import functional as F
from dtrain.parallel import fully_shard


class Peak:
    """The largest Pss of this process while the context lasts, in MB; sampled every 20 ms."""

    def __enter__(self):
        self.mb, self._ended = 0.0, threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()
        return self

    def _sample(self):
        while not self._ended.wait(0.02):
            self.mb = max(self.mb, pss_mb())

    def __exit__(self, *_):
        self._ended.set()
        self._thread.join()
        self.mb = max(self.mb, pss_mb())


def pss_mb():
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1000


def make_model(args):
    """A model, a function of it that is the loss of a batch, and one that makes its optimizer."""
    dtrain.manual_seed(0)
    if args.model:
        model, x, y, make_optimizer = MODELS[args.model](dtrain)
        return model, lambda called: F.cross_entropy(called(x), y), make_optimizer
    model = dtrain_models.gpt2(
        vocab_size=args.vocabulary, n_positions=args.context, n_embd=args.width,
        n_layer=args.layers, n_head=args.heads, dropout=0.0,
    )  # fmt: skip
    x = dtrain.randint(0, args.vocabulary, (args.batch, args.context))

    def loss_of(called):
        return F.cross_entropy(called(x).flatten(0, 1), x.flatten())

    return model, loss_of, lambda params: dtrain.optim.AdamW(params, 1e-4)


def prepare(args, sharded):
    """A function that makes a step, what a checkpoint holds, the model's MB, and those of its two
    largest units."""
    model, loss_of, make_optimizer = make_model(args)
    units = []
    if sharded:
        blocks = [m for m in model.modules() if type(m).__name__.endswith("Block")]
        for block in blocks:
            fully_shard(block)
        units = [sum(p.array.nbytes for p in block.parameters()) for block in blocks]
    whole = sum(p.array.nbytes for p in model.parameters())
    units.append(whole - sum(units))
    called = fully_shard(model) if sharded else DataParallel(model)
    optimizer = make_optimizer(model.parameters())

    def step():
        loss_of(called).backward()
        optimizer.step()
        optimizer.zero_grad()

    objects = {"model": model, "optimizer": optimizer}
    return step, objects, whole / 1e6, sum(sorted(units)[-2:]) / 1e6


def measure_memory(args):
    """Print the peaks of all ranks; of one way to train a process."""
    warm = argparse.Namespace(**{**vars(args), "width": 64, "layers": 1, "vocabulary": 100})
    prepare(warm, args.how == "sharded")[0]()  # kernels and libraries are loaded
    with Peak() as start:
        pass
    with Peak() as peak:
        step, objects, model_mb, units_mb = prepare(args, args.how == "sharded")
        made = pss_mb()
        for _ in range(3):
            step()
    told = communicator().allgather((start.mb, made, peak.mb), "peaks")
    if distributed.rank() == 0:
        ranks = len(told)
        print(f"{args.how}: {model_mb:.0f} MB of parameters, {ranks} ranks; all four numbers of a "
              f"parameter / {ranks} = {4 * model_mb / ranks:.0f} MB, "
              f"two largest units {units_mb:.0f} MB")  # fmt: skip
        for rank, (before, after, most) in enumerate(told):
            print(f"rank {rank}: {before:.0f} MB at the start, {after:.0f} MB with the model, "
                  f"{most - before:.0f} MB more at the peak")  # fmt: skip
        print(f"sum over ranks, without the start: {sum(m - b for b, _, m in told):.0f} MB")
    if args.save:
        measure_save(args.save, objects)


def measure_save(folder, objects):
    """Print the time of a checkpoint, and the memory of the ranks before it and at its peak."""
    before, begun = pss_mb(), time.perf_counter()
    with Peak() as peak:
        save_checkpoint(folder, 3, **objects)
    seconds = time.perf_counter() - begun
    told = communicator().allgather(f"{before:.0f} to {peak.mb:.0f}", "memory of a checkpoint")
    if distributed.rank() == 0:
        print(f"a checkpoint: {seconds:.1f} s, on the ranks from {', '.join(told)} MB")


def measure_times(args):
    steps = [prepare(args, sharded)[0] for sharded in (True, False)]
    ratios = []
    for turn in range(args.times + 2):
        seconds = []
        for step in steps:
            distributed.barrier()
            begun = time.perf_counter()
            step()
            seconds.append(max(communicator().allgather(time.perf_counter() - begun, "seconds")))
        if turn >= 2:
            ratios.append(seconds[1] / seconds[0])
    if distributed.rank() == 0:
        print(
            f"speed of sharded steps / DataParallel's: {statistics.median(ratios):.3f}, "
            f"median of {args.times}"
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--how", choices=("sharded", "replicated"), default="sharded")
    parser.add_argument("--model", choices=MODELS, help="of step.py, in place of a GPT")
    parser.add_argument("--width", type=int, default=1024)
    parser.add_argument("--layers", type=int, default=14)
    parser.add_argument("--heads", type=int, default=8)
    parser.add_argument("--vocabulary", type=int, default=24_000)
    parser.add_argument("--context", type=int, default=32)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--save", metavar="FOLDER", help="write a checkpoint at the end")
    parser.add_argument("--times", type=int, default=0, help="rounds of timing; 0: memory")
    args = parser.parse_args()
    (measure_times if args.times else measure_memory)(args)


if __name__ == "__main__":
    main()
