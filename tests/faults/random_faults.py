"""Trains again and again on ranks that fail at random; every run has to end with one digest.

    python tests/faults/random_faults.py --runs 100
    python tests/faults/random_faults.py --runs 100 --zero    with ZeroRedundancyOptimizer

Which ranks fail, how many, at which moment, and how (killed or frozen) is drawn from --seed and the
run's number, so that any run can be had again: --first 37 --runs 1. A job that nobody of survived,
or nobody who had some shard of the optimizer's state, is started again and goes on from its
checkpoint: the line says so. It also says how long after the loss the other ranks went on.
A run without a fault, because its moment never came, does not count: another one takes its place.
"""

import argparse
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
RANKS, STEPS = 4, 46
FROZEN_AFTER_S = 2
#: where a rank can fail: the module and the function in whose call it is killed or frozen
MOMENTS = {
    "forward": "dtrain.nn.module:Module.__call__",
    "backward": "dtrain.autograd.tensor:Tensor.backward",
    "vote": "dtrain.parallel.reducer:Reducer._vote",
    "reduction": "dtrain.distributed.comm.mpi:combine",
    "wait": "dtrain.distributed.comm.node_local:NodeLocalGroup.barrier",
    "commit": "dtrain.distributed.comm.mpi:MpiCommunicator.commit",
    "recovery": "dtrain.distributed.comm.mpi:MpiCommunicator.recover",
    "step": "dtrain.optim.optimizer:Optimizer.step",
    "checkpoint": "dtrain.checkpoint.folder_writer:_sync",
    "loader": "dtrain.data.loader:DataLoader._iterate_step",
    "start": "dtrain.distributed.world:_launched_communicator",
    "join": "dtrain.distributed.comm.mpi:MpiCommunicator._join",
}
#: how often a rank makes the call in a run, where it is not once a step
CALLS = {"forward": 10 * STEPS, "checkpoint": 6, "recovery": 1, "start": 1, "join": 1}
# digits.py on a rank that fails in the n-th call of a function.
VICTIM = """
import importlib, os, pathlib, signal, sys
from dtrain import ZeroRedundancyOptimizer, distributed, optim

sgd = optim.SGD
if {zero}:
    optim.SGD = lambda params, lr, **how: ZeroRedundancyOptimizer(params, sgd, lr=lr, **how)
plan = {plan}
rank = int(os.environ["OMPI_COMM_WORLD_RANK"])  # it has not joined the others yet
fault = plan.get(rank) if distributed.restart_count() == 0 else None
if fault:
    (place, count, number), calls = fault, 0
    module, _, name = place.partition(":")
    owner = importlib.import_module(module)
    *outer, name = name.split(".")
    for part in outer:
        owner = getattr(owner, part)
    function = getattr(owner, name)

    def call_or_fail(*args, **options):
        global calls
        calls += 1
        if calls == count:
            pathlib.Path(f"{folder}/lost-{{rank}}-{{number}}").touch()
            os.kill(os.getpid(), number)
        return function(*args, **options)

    setattr(owner, name, call_or_fail)
sys.argv[0] = {path!r}
exec(compile(open({path!r}).read(), {path!r}, "exec"))
"""


def draw(seed, run):
    """What happens in a run: by rank, the function, the count of its calls, and the signal."""
    rng = random.Random(f"{seed} {run}")
    plan = {}
    together = rng.random() < 0.5  # several at the same moment, or each at its own
    for rank in rng.sample(range(RANKS), rng.choice([1, 1, 1, 2, 2, 3])):
        if not plan or not together:
            moment = rng.choice(list(MOMENTS))
            fault = MOMENTS[moment], rng.randint(1, CALLS.get(moment, STEPS))
        number = signal.SIGSTOP if rng.random() < 0.2 else signal.SIGKILL
        plan[rank] = (*fault, int(number))
    return plan


def train(folder, plan, limit_s, zero=False, options=()):
    """The exit status, the output, and what was told of it with the times when it was told."""
    digits = str(ROOT / "examples" / "digits.py")
    script = folder / "victim.py"
    script.write_text(VICTIM.format(plan=plan, path=digits, folder=folder, zero=zero))
    words = ["run", "-n", RANKS, "--elastic", "--frozen-after", FROZEN_AFTER_S,
             "--max-restarts", 1, *options, script, "--epochs", 2, "--checkpoint-every", 10, "--out", folder / "runs"]  # fmt: skip
    environ = {k: v for k, v in os.environ.items() if not k.endswith("_NUM_THREADS")}
    with open(folder / "out", "w+") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "dtrain.cli", *map(str, words)],
            stdout=out, stderr=subprocess.PIPE, text=True,
            env={**environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        limit = threading.Timer(limit_s, process.kill)
        limit.start()
        told = [(time.time(), line) for line in process.stderr]
        status = process.wait()
        limit.cancel()
        out.seek(0)
        return status, out.read(), told


def pauses(folder, told):
    """How many seconds after a loss the others went on, by signal; of a kill and a freeze at
    once that is the freeze's."""
    marks = [(m.stat().st_mtime, int(m.name.rpartition("-")[2])) for m in folder.glob("lost-*")]
    found = {signal.SIGKILL: [], signal.SIGSTOP: []}
    went_on_before = 0
    for went_on_at in [at for at, line in told if line.endswith("go on\n")]:
        here = [(at, number) for at, number in marks if went_on_before < at < went_on_at]
        went_on_before = went_on_at
        if here:
            number = max(here, key=lambda mark: mark[1])[1]  # SIGSTOP is the higher one
            found[number].append(went_on_at - min(at for at, _ in here))
    return found


def words_of(found):
    """What a line says of pauses."""
    texts = {signal.SIGKILL: "a kill", signal.SIGSTOP: "a freeze"}
    said = [f"{max(found[n]):.2f} s after {text}" for n, text in texts.items() if found[n]]
    return " and ".join(said) or "none"


def digests(text):
    """Those printed: two if rank 0 failed after it had printed, and another rank printed again."""
    return set(re.findall(r"weights sha256 ([0-9a-f]{64})", text))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--first", type=int, default=0, help="number of the first run")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=float, default=60, help="seconds for a run")
    parser.add_argument("--respawn", action="store_true", help="replace failed ranks")
    parser.add_argument("--zero", action="store_true", help="spread the optimizer's state")
    args = parser.parse_args()
    options = ["--respawn"] if args.respawn else []
    with tempfile.TemporaryDirectory() as folder:
        status, out, told = train(Path(folder), {}, args.limit)
    expected = digests(out)
    if status or len(expected) != 1:
        sys.exit(f"the undisturbed run failed with status {status}: {told}")
    failed, longest = [], {signal.SIGKILL: [], signal.SIGSTOP: []}
    counted, run = 0, args.first - 1
    while counted < args.runs:
        run += 1
        plan = draw(args.seed, run)
        began = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            status, out, told = train(Path(folder), plan, args.limit, args.zero, options)
            found = pauses(Path(folder), told)
            seen = len(list(Path(folder).glob("lost-*")))
        err = "".join(line for _, line in told)
        good = status == 0 and digests(out) == expected
        counted += seen > 0 or not good
        faults = ", ".join(
            f"rank {rank} {signal.Signals(number).name} in {place.rpartition(':')[2]} {count}"
            for rank, (place, count, number) in sorted(plan.items())
        )
        print(
            f"run {run}: {'good' if good else 'BAD'}  {time.perf_counter() - began:.1f} s  "
            f"{seen} failed{'' if seen else ': does not count'}{', restarted' if 'restart 1' in err else ''}  "
            f"went on {words_of(found)}  {faults}",
            flush=True,
        )
        for number, seconds in found.items():
            longest[number] += seconds
        if not good:
            failed.append(run)
            print(f"status {status}\n{out}\n{err}", flush=True)
    print(f"the ranks that were left went on at the latest {words_of(longest)}")
    print(f"{counted - len(failed)} passed, {len(failed)} failed")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
