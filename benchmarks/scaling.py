"""Predicts the time of a training step on 8 to 16,384 ranks from measurements on one machine.

    python benchmarks/scaling.py --model gpt --save gpt.json
    python benchmarks/scaling.py --inputs gpt.json --bandwidth-gbit 100 --latency-us 5
    python benchmarks/scaling.py --model resnet --check

`scaling_model.py` has the formulas; README.md says what the figures mean.
"""

import argparse
import json
import os
import pickle
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]  # mpi4py's runner does not

from scaling_model import (  # noqa: E402
    EXCHANGES,
    Cluster,
    Work,
    communication_ms,
    full_shard_bytes,
    sent_bytes,
    step_ms,
)
from step import MODELS, ONE_THREAD  # noqa: E402

RANKS = [2**k for k in range(3, 15)]
FOLD_MB = 16
GOAL = 1.1  # of the longer of compute and communication


def quartile(values):
    """The lower of two times: other processes can only lengthen a measurement."""
    return sorted(values)[len(values) // 4]


# --- in the processes that are measured ---


def prepared(model_name, wrap):
    """Make a model of step.py; returns a function that runs its forward pass, and its optimizer."""
    import dtrain

    dtrain.manual_seed(0)
    model, x, y, make_optimizer = MODELS[model_name](dtrain)
    model = wrap(model)
    optimizer = make_optimizer(model.parameters())
    return model, lambda: dtrain.nn.functional.cross_entropy(model(x), y), optimizer


def work(model_name, steps):
    """Measure the parts of a step of one rank, and the time at which each bucket is full."""
    from dtrain import DataParallel
    from dtrain.autograd.bucket import make_buckets
    from dtrain.distributed import world

    comm, votes = world.communicator(), [0]
    allgather = comm.allgather

    def counted(value, what):
        votes.append(len(pickle.dumps((what, value))))
        return allgather(value, what)

    # With overlap, for its buckets: in a world of one there is nothing to wait for.
    model, forward, optimizer = prepared(model_name, lambda m: DataParallel(m, overlap=True))
    comm.allgather = counted
    buckets = make_buckets([*model.parameters()][::-1])
    full = dict.fromkeys(buckets, 0.0)

    def noted(call):
        def before_accumulate(bucket):
            call(bucket)
            full[bucket] = time.perf_counter()

        return before_accumulate

    for bucket in buckets:
        bucket.before_accumulate = noted(bucket.before_accumulate)
    rows = []
    for _ in range(3 + int(steps)):
        marks = [time.perf_counter()]
        loss = forward()
        marks.append(time.perf_counter())
        loss.backward()
        marks.append(time.perf_counter())
        optimizer.step()
        optimizer.zero_grad()
        marks.append(time.perf_counter())
        times = [b - a for a, b in zip(marks, marks[1:])]
        rows.append([*times, *((full[bucket] - marks[1]) / times[1] for bucket in buckets)])
    forward_s, backward_s, optimizer_s, *ready = map(quartile, zip(*rows[3:]))
    return {
        "forward_ms": forward_s * 1e3,
        "backward_ms": backward_s * 1e3,
        "optimizer_ms": optimizer_s * 1e3,
        "bucket_bytes": [bucket.data.nbytes for bucket in buckets],
        "ready_ms": [part * backward_s * 1e3 for part in ready],
        "vote_bytes": votes[-1],
    }


def fold():
    """The memory bandwidth of a node, in the bytes that `reduce_ms` and `gather_ms` count."""
    from dtrain.distributed.bench import time_all_reduce

    seconds, _ = time_all_reduce(FOLD_MB)
    return {"memory_gb_s": 5 * FOLD_MB * 2**20 / seconds / 1e9}


def network():
    """Latency and bandwidth between pairs of ranks (0 and 1, 2 and 3, ...) that both send."""
    import numpy as np
    from mpi4py import MPI

    comm = MPI.COMM_WORLD
    other = comm.rank ^ 1

    def seconds(nbytes, times):
        out, into, taken = np.ones(nbytes, np.uint8), np.ones(nbytes, np.uint8), []
        for _ in range(times):
            comm.Barrier()
            start = time.perf_counter()
            comm.Sendrecv(out, other, recvbuf=into, source=other)
            taken.append(time.perf_counter() - start)
        return quartile(taken)

    latency, nbytes = seconds(8, 200), 8_000_000
    bandwidth = nbytes * 8 / (seconds(nbytes, 8) - latency)
    return {"latency_us": latency * 1e6, "bandwidth_gbit": bandwidth / 1e9}


def steps(model_name, rounds):
    """Alternately measure a step alone, with overlap, without, and the exchange alone; seconds."""
    import numpy as np

    from dtrain import DataParallel
    from dtrain.autograd.bucket import make_buckets
    from dtrain.distributed import world

    comm = world.communicator()

    def runner(wrap):
        _, forward, optimizer = model = prepared(model_name, wrap)

        def step():
            forward().backward()
            optimizer.step()
            optimizer.zero_grad()

        return model[0], step

    _, alone = runner(lambda model: model)
    model, overlapped = runner(lambda model: DataParallel(model, overlap=True))
    _, in_turn = runner(lambda model: DataParallel(model, overlap=False))
    sizes = [bucket.size for bucket in make_buckets([*model.parameters()][::-1])]
    flats = [np.zeros(size, np.float32) for size in sizes]

    def exchange():
        for flat in flats:
            comm.all_reduce([flat], flat, comm.size)

    calls = {"alone": alone, "on": overlapped, "off": in_turn, "exchange": exchange}
    seconds = {name: [] for name in calls}
    for turn in range(2 + int(rounds)):
        for name, call in calls.items():
            comm.barrier()
            start = time.perf_counter()
            call()
            if turn >= 2:
                seconds[name].append(max(comm.allgather(time.perf_counter() - start)))
    return {name: quartile(taken) * 1e3 for name, taken in seconds.items()}


WORKERS = {call.__name__: call for call in (work, fold, network, steps)}


def worker(name, *words):
    from dtrain import distributed

    result = WORKERS[name](*words)
    if distributed.rank() == 0:
        print(json.dumps(result), flush=True)


# --- in the process that was started ---


def result_of(process):
    if process.returncode:
        sys.exit(f"could not measure: {process.stderr}")
    return json.loads(next(text for text in process.stdout.splitlines() if text.startswith("{")))


def measured_here(ranks, *words):
    run = ["-m", "dtrain.cli", "run", "-n", str(ranks)] if ranks > 1 else []
    return result_of(
        subprocess.run(
            [sys.executable, *run, __file__, "--worker", *map(str, words)],
            env={**os.environ, **ONE_THREAD, "PYTHONPATH": str(HERE.parent)},
            capture_output=True,
            text=True,
        )
    )


def measured_on(cluster, *words):
    """Run the measurement on hosts made of network namespaces, one rank each."""
    done = cluster.run(
        "--hosts", cluster.hosts(1), __file__, "--worker", *words, timeout_s=600, **ONE_THREAD
    )
    return result_of(done)


def measured_network():
    from tests import hosts

    if reason := hosts.why_not():
        sys.exit(f"no network to measure ({reason}): give --bandwidth-gbit and --latency-us")
    with hosts.hosts(2, rate="1gbit") as cluster:
        return measured_on(cluster, "network")


def check(step, model_name, rounds):
    """Print measured and predicted steps on hosts of one rank."""
    from tests import hosts

    if reason := hosts.why_not():
        print(f"no check: {reason}")
        return
    cores = len(os.sched_getaffinity(0))
    print(line("hosts", "overlap", ("measured ms", "model ms", "measured/model")))
    for count in (2, 4):
        with hosts.hosts(count, rate="1gbit") as cluster:
            link = measured_on(cluster, "network")
            ms = measured_on(cluster, "steps", model_name, rounds)
        shared = step.slower(max(1, count / cores))
        on_paper = Cluster(ranks=count, ranks_per_node=1, **link)
        for name in ("on", "off"):
            model = step_ms(shared, on_paper, "hierarchical", overlap=name == "on")
            cells = (f"{ms[name]:.0f}", f"{model:.0f}", f"{ms[name] / model:.2f}")
            print(line(count, name, cells), flush=True)
        longer = max(ms["alone"], ms["exchange"])
        paper = communication_ms(shared, on_paper)
        print(
            f"       compute {ms['alone']:.0f} ms (model {shared.compute_ms:.0f}), communication "
            f"{ms['exchange']:.0f} ms (model {paper:.0f}); with overlap "
            f"{ms['on'] / longer:.2f} x the longer"
        )
        if count == 2:
            verdict = "holds" if ms["on"] <= GOAL * longer else "does not hold"
            print(f"       step with overlap <= {GOAL} x max(compute, communication): {verdict}")


def line(hosts, overlap, cells):
    return f"{hosts:>5}  {overlap:8}" + "".join(f"{cell:>15}" for cell in cells)


def table(step, link, ranks_per_node):
    """Print the milliseconds of a step and its efficiency, time of one rank / time of the step."""
    print(f"{'ranks':>6}" + "".join(f"{exchange + ' ms':>18}{'':7}" for exchange in EXCHANGES))
    for ranks in RANKS:
        cluster = Cluster(ranks, ranks_per_node, **link)
        print(f"{ranks:>6}", end="")
        for exchange in EXCHANGES:
            ms = step_ms(step, cluster, exchange)
            print(f"{ms:>18.1f}{step.compute_ms / ms:>7.0%}", end="")
        print()
    volumes(sum(step.bucket_bytes), link, ranks_per_node)


def volumes(nbytes, link, ranks_per_node):
    """Print the megabytes that a node sends in a step, and would send if parameters were freed."""
    names = [*(f"{exchange} MB" for exchange in EXCHANGES), "full shard MB"]
    print(f"{'ranks':>6}" + "".join(f"{name:>18}" for name in names))
    for ranks in RANKS:
        cluster = Cluster(ranks, ranks_per_node, **link)
        sent = [2 * sent_bytes(cluster, exchange, nbytes) for exchange in EXCHANGES]
        sent.append(full_shard_bytes(cluster, nbytes))
        print(f"{ranks:>6}" + "".join(f"{count / 1e6:>18.1f}" for count in sent))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", choices=MODELS, default="gpt", help="of step.py")
    parser.add_argument("--inputs", type=Path, help="what was saved: nothing is measured")
    parser.add_argument("--save", type=Path, help="where to write what was measured, as JSON")
    parser.add_argument("--bandwidth-gbit", type=float, help="of a node's link; else as measured")
    parser.add_argument("--latency-us", type=float, help="of a message; else as measured")
    parser.add_argument("--ranks-per-node", type=int, default=8, help="a power of two; a core each")
    parser.add_argument("--check", action="store_true", help="run on 2 and 4 hosts, and compare")
    parser.add_argument("--rounds", type=int, default=20, help="times that each step is measured")
    args = parser.parse_args()
    if (R := args.ranks_per_node) < 1 or R & (R - 1):
        parser.error(f"--ranks-per-node must be a power of two, got {R}")
    if args.rounds < 1:
        parser.error(f"--rounds must be >= 1, got {args.rounds}")
    if args.inputs and not args.inputs.is_file():
        parser.error(f"--inputs: there is no {args.inputs}")
    link = {"latency_us": args.latency_us, "bandwidth_gbit": args.bandwidth_gbit}
    for name, value in link.items():
        if value is not None and not value > 0:
            parser.error(f"--{name.replace('_', '-')} must be > 0, got {value}")
    given = {name: value for name, value in link.items() if value is not None}
    if args.inputs:
        inputs = json.loads(args.inputs.read_text())
        step, name, link = Work(**inputs["work"]), inputs["model"], inputs["network"] | given
    else:
        name = args.model
        step = Work(**measured_here(1, "work", name, args.rounds), **measured_here(2, "fold"))
        link = given if len(given) == 2 else measured_network() | given
    if args.save:
        inputs = {"model": name, "network": link, "work": asdict(step)}
        args.save.write_text(json.dumps(inputs, indent=2) + "\n")
    print(
        f"{name}: forward {step.forward_ms:.1f} ms, backward {step.backward_ms:.1f} ms, optimizer "
        f"{step.optimizer_ms:.1f} ms; {sum(step.bucket_bytes) / 1e6:.1f} MB of gradients in "
        f"{len(step.bucket_bytes)} buckets; a node adds at {step.memory_gb_s:.1f} GB/s"
    )
    print(
        f"network: {link['bandwidth_gbit']:g} Gbit/s, {link['latency_us']:g} us; {R} ranks a node"
    )
    table(step, link, R)
    if args.check:
        check(step, name, args.rounds)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        worker(*sys.argv[2:])
    else:
        main()
