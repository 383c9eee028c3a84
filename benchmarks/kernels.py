"""Times operations behind dtrain's fused kernels against PyTorch's, alternating in one process.

    python benchmarks/kernels.py
    python benchmarks/kernels.py --only conv2d

A row is one operation on arrays of float32, forward and backward, on one thread: the least
milliseconds of all rounds in dtrain, in dtrain without compiled kernels, and in PyTorch.
"""

import argparse
import contextlib
import importlib.util
import os
import time

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")

import dtrain
from dtrain.backend import kernels

ROUNDS = 15


def operation(shapes, call, integers=None):
    """prepare(T) returns functions that run the operation in framework T: forward, backward."""

    def prepare(T):
        T.manual_seed(0)
        tensors = [T.randn(*shape).requires_grad_() for shape in shapes]
        more = () if integers is None else (T.randint(0, *integers),)
        out = call(T, *tensors, *more)
        gradient = T.ones_like(out)

        def forward():
            return call(T, *tensors, *more)

        def backward():
            T.autograd.grad(forward(), tensors, gradient)

        return forward, backward

    return prepare


def step(make):
    """prepare(T) returns the step of an optimizer of framework T over four million parameters."""

    def prepare(T):
        w = T.zeros(1 << 22).requires_grad_()
        w.grad = T.ones(1 << 22)
        optimizer = make(T, [w])
        return optimizer.step, None

    return prepare


def conv(*shapes, **options):
    return operation(shapes, lambda T, x, w: T.nn.functional.conv2d(x, w, **options))


def function(name, *shapes, **options):
    return operation(shapes, lambda T, *xs: getattr(T.nn.functional, name)(*xs, **options))


OPERATIONS = {
    "relu": function("relu", (4096, 1024)),
    "gelu": function("gelu", (4096, 1024)),
    "gelu tanh": function("gelu", (4096, 1024), approximate="tanh"),
    "silu": function("silu", (4096, 1024)),
    "softmax": function("softmax", (4096, 1024), dim=-1),
    "log_softmax": function("log_softmax", (4096, 1024), dim=-1),
    "cross_entropy": operation(
        [(4096, 1024)],
        lambda T, x, y: T.nn.functional.cross_entropy(x, y),
        integers=(1024, (4096,)),
    ),
    "layer_norm": operation(
        [(4096, 1024), (1024,), (1024,)],
        lambda T, x, w, b: T.nn.functional.layer_norm(x, (1024,), w, b),
    ),
    "batch_norm": operation(
        [(32, 64, 32, 32), (64,), (64,)],
        lambda T, x, w, b: T.nn.functional.batch_norm(x, None, None, w, b, training=True),
    ),
    "max_pool2d": function("max_pool2d", (32, 64, 32, 32), kernel_size=2),
    "max_pool2d 3x3": function("max_pool2d", (32, 64, 32, 32), kernel_size=3, stride=2, padding=1),
    "avg_pool2d": function("avg_pool2d", (32, 64, 32, 32), kernel_size=2),
    "embedding": operation(
        [(8192, 256)],
        lambda T, w, i: T.nn.functional.embedding(i, w),
        integers=(8192, (16, 512)),
    ),
    "conv2d 3x3 32": conv((32, 32, 32, 32), (32, 32, 3, 3), padding=1),
    "conv2d 3x3 64": conv((32, 64, 16, 16), (64, 64, 3, 3), padding=1),
    "conv2d 3x3 128": conv((32, 128, 8, 8), (128, 128, 3, 3), padding=1),
    "conv2d 3x3 64@56": conv((8, 64, 56, 56), (64, 64, 3, 3), padding=1),
    "conv2d stride 2": conv((32, 32, 32, 32), (64, 32, 3, 3), stride=2, padding=1),
    "conv2d 1x1": conv((32, 64, 16, 16), (128, 64, 1, 1)),
    "conv2d 3 channels": conv((32, 3, 32, 32), (32, 3, 3, 3), padding=1),
    "SGD step": step(lambda T, p: T.optim.SGD(p, 0.01, momentum=0.9, weight_decay=1e-4)),
    "Adam step": step(lambda T, p: T.optim.Adam(p, 0.01)),
    "AdamW step": step(lambda T, p: T.optim.AdamW(p, 0.01)),
}


@contextlib.contextmanager
def reference_only():
    """Context manager: dtrain runs the reference of every kernel, as without Numba."""
    choose = kernels._choose_body
    kernels._choose_body = lambda family, args: None
    try:
        yield
    finally:
        kernels._choose_body = choose


def best_of_turns(functions):
    """The minimum time of each function in seconds; the functions alternate."""
    best = dict.fromkeys(functions, float("inf"))
    for _ in range(ROUNDS):
        for name, function in functions.items():
            with reference_only() if name == "reference" else contextlib.nullcontext():
                start = time.perf_counter()
                function()
                best[name] = min(best[name], time.perf_counter() - start)
    return best


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="operations whose name begins so")
    args = parser.parse_args()
    frameworks = {"dtrain": dtrain, "reference": dtrain}
    if importlib.util.find_spec("torch"):
        import torch

        torch.set_num_threads(1)
        frameworks["torch"] = torch
    else:
        print("PyTorch is not installed: dtrain alone is measured")
    heads = ("dtrain ms", "reference", "torch", "dtrain/torch")
    print(f"{'operation':30}" + "".join(f"{head:>14}" for head in heads))
    for name, prepare in OPERATIONS.items():
        if not name.startswith(args.only):
            continue
        runs = {framework: prepare(T) for framework, T in frameworks.items()}
        for index, direction in enumerate(("forward", "both ways")):
            functions = {framework: run[index] for framework, run in runs.items()}
            if None in functions.values():
                continue
            best = best_of_turns(functions)
            cells = "".join(f"{1e3 * best[f]:14.2f}" if f in best else f"{'-':>14}"
                            for f in ("dtrain", "reference", "torch"))  # fmt: skip
            ratio = f"{best['dtrain'] / best['torch']:.2f}" if "torch" in best else "-"
            print(f"{name:20}{direction:10}{cells}{ratio:>14}", flush=True)


if __name__ == "__main__":
    main()
