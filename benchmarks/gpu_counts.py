"""Counts the kernel launches, copies and memsets of one training step on a GPU; needs no GPU.

    python benchmarks/gpu_counts.py
    python benchmarks/gpu_counts.py --models resnet,gpt --kernels
    dtrain run -n 2 benchmarks/gpu_counts.py

CuPy runs on host memory (tests/hostcuda), so nothing is timed. `goal` is what the models should
need; mallocs are the driver's. PyTorch eager needs 21, 125 and 135 kernels for mlp, resnet and gpt.
`graphs` is what the host queues in a step of DataParallel(cuda_graph=True), whose forward and
backward pass are one each. On several ranks the counts are rank 0's.
"""

import argparse
import functools
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "tests" / "hostcuda")]

import hostcuda  # noqa: E402

GOALS = {"mlp": 24, "resnet": 150, "gpt": 150}
#: hostcuda's counters of launches, copies and memsets
COUNTED = ("launches", "h2d", "d2h", "d2d", "memsets")


def count(work):
    """Run `work`; returns its result, hostcuda's counters and the launches by name."""
    hostcuda.reset()
    result = work()
    return result, hostcuda.counters(), hostcuda.launch_names()


def parts_of_step(name):
    """The counters and launches of the forward pass, the backward pass and the optimizer's step;
    the bytes of all arrays that are made in them."""
    model, x, y, optimizer = make(name)

    def step():
        loss, *forward = count(lambda: cross_entropy(model(x), y))
        _, *backward = count(loss.backward)
        _, *update = count(optimizer.step)
        optimizer.zero_grad()
        return {"forward": forward, "backward": backward, "optimizer": update}

    step(), step()  # memory from the driver, kernels, the buckets
    with count_bytes() as counted:
        parts = step()
    return parts, counted.total


def count_bytes():
    """A hook of CuPy that adds the bytes of all arrays that are made, in `total`."""
    from cupy.cuda import MemoryHook

    class Counted(MemoryHook):
        name, total = "bytes of arrays", 0

        def malloc_postprocess(self, **allocation):
            self.total += allocation["size"]

    return Counted()


def graphed_step(name):
    """What the host queues in a step of DataParallel(cuda_graph=True)."""
    model, x, y, optimizer = make(name, cuda_graph=True)

    def step():
        cross_entropy(model(x), y).backward()
        optimizer.step()
        optimizer.zero_grad()

    for _ in range(4):  # three before the capture, and the first replay
        step()
    _, counters, _ = count(step)
    queued = sum(counters[key] for key in (*COUNTED, "graph_launches"))
    return queued - counters["graph_operations"]


def cross_entropy(output, target):
    import dtrain

    return dtrain.nn.functional.cross_entropy(output, target)


def make(name, cuda_graph=False):
    """A model on the GPU, its data and its optimizer."""
    from models import LARGE, MODELS

    import dtrain

    dtrain.manual_seed(0)
    build = functools.partial(LARGE[name], small=True) if name in LARGE else MODELS[name]
    with dtrain.device("cuda"):
        model, x, y, make_optimizer = build(dtrain)
    model, x, y = model.to("cuda"), x.to("cuda"), y.to("cuda")
    if cuda_graph or dtrain.distributed.world_size() > 1:
        model = dtrain.DataParallel(model, cuda_graph=cuda_graph)
    return model, x, y, make_optimizer(model.parameters())


def show(line):
    import dtrain

    if dtrain.distributed.rank() == 0:
        print(line, flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--models",
        default=",".join(GOALS),
        help="of benchmarks/models; gpt2 and resnet50 are narrow",
    )
    parser.add_argument("--kernels", action="store_true", help="list the launches by name")
    options = parser.parse_args()
    if reason := hostcuda.why_not():
        sys.exit(f"gpu_counts.py: {reason}")
    hostcuda.install()
    columns = (
        *("forward", "backward", "optimizer", "step", "goal", "syncs"),
        *("mallocs", "MB of arrays", "graphs"),
    )
    show(f"{'model':12}" + "".join(f"{column:>12}" for column in columns))
    for name in options.models.split(","):
        parts, array_bytes = parts_of_step(name)
        numbers = [sum(counters[key] for key in COUNTED) for counters, _ in parts.values()]
        others = [sum(c[key] for c, _ in parts.values()) for key in ("syncs", "mallocs")]
        others += [round(array_bytes / 1e6), graphed_step(name)]
        row = [*numbers, sum(numbers), GOALS.get(name, "-"), *others]
        show(f"{name:12}" + "".join(f"{number:>12}" for number in row))
        if options.kernels:
            for part, (_, launches) in parts.items():
                for kernel, times in sorted(launches.items(), key=lambda item: -item[1]):
                    show(f"    {part:10}{times:5}  {kernel}")


if __name__ == "__main__":
    main()
