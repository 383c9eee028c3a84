"""Checks and times dtrain on a GPU, beside PyTorch where that has CUDA, in four minutes.

    python benchmarks/gpu.py
    python benchmarks/gpu.py --sections operations,steps

Without a GPU the same code runs with CuPy on host memory (tests/hostcuda) and PyTorch on the CPU:
sizes are small, and nothing is timed. Each section is a process with a limit of time; the exit
status tells whether one failed or a result was WRONG.
"""

import argparse
import functools
import os
import subprocess
import sys
import tempfile
import time

import gpu_operations
import gpu_steps
from gpu_device import ON_GPU, ROOT, is_timed, judge, milliseconds, modules


def environment():
    """Versions and the GPU; its rates of copies and of matrix products."""
    dtrain, torch = modules()
    import cupy
    from cupy.cuda import nccl

    versions = {"cupy": cupy.__version__, "torch": torch and torch.__version__}
    print("python", sys.version.split()[0], versions, "nccl", nccl.available and nccl.get_version())
    properties = cupy.cuda.runtime.getDeviceProperties(0)
    print({key: properties[key] for key in ("name", "multiProcessorCount", "major", "minor")})
    if not ON_GPU:
        print("no GPU: CuPy on host memory")
        return
    a = cupy.ones(1 << 28, "float32")
    b = cupy.empty_like(a)
    gigabytes = 2 * a.nbytes / 1e6 / milliseconds(dtrain, functools.partial(cupy.copyto, b, a))
    print(f"copy {gigabytes:.0f} GB/s")
    for T in (dtrain, torch) if torch and is_timed(torch) else (dtrain,):
        for precision in gpu_steps.LOSS_LIMITS:
            gpu_steps.set_precision(T, precision)
            dtype = T.bfloat16 if precision == "bfloat16" else T.float32
            x = T.randn(8192, 8192, device="cuda").to(dtype)
            teraflops = 2 * 8192**3 / 1e9 / milliseconds(T, functools.partial(T.matmul, x, x), 3)
            print(f"{T.__name__} product in {precision}: {teraflops:.1f} TFLOP/s")


def nccl():
    """The reductions of gradients over NCCL, with one rank."""
    modules()
    import cupy
    from cupy.cuda import nccl as library

    from dtrain.distributed.comm.nccl import NcclCollectives
    from dtrain.distributed.watchdog.collective_log import CollectiveLog

    alone = library.NcclCommunicator(1, library.get_unique_id(), 0)
    collectives = NcclCollectives(alone, 0, 1, CollectiveLog())
    for dtype in ("float32", "float64", "float16"):
        for length in (1, 1000, 1 << (26 if ON_GPU else 16)):
            values = (cupy.arange(length) % 100).astype(dtype)
            exact, fast = values.copy(), values.copy()
            collectives.all_reduce([exact], exact, 1, 4)
            collectives.native_all_reduce(fast, 4)
            right = bool((exact == values / 4).all() and (fast == values / 4).all())
            print(f"all_reduce {dtype:9}{length:10}  {'right' if right else 'WRONG'}")


def edges():
    """More than 2^31 elements, and more rows than a grid has blocks."""
    dtrain, _ = modules()
    if ON_GPU:
        x = dtrain.zeros((1 << 31) + 512, device="cuda")
        x[-1], x[-2] = -1.0, 3.0
        for name in ("relu", "gelu"):
            y = getattr(dtrain.nn.functional, name)(x)
            right = abs(y[-2].item() - 3) < 0.01 and abs(y[-1].item()) < 0.2 and not y[5].item()
            print(f"{name} of 2^31 + 512 elements  {'right' if right else 'WRONG'}", flush=True)
            del y
        del x
    x = dtrain.randn(1 << (21 if ON_GPU else 10), 4, device="cuda")
    error = (dtrain.softmax(x, -1).sum(-1) - 1).abs().max().item()
    print("softmax of many rows", judge(error, 1e-6))


#: name -> the processes: a function, its argument or None, and its limit in seconds on a GPU
SECTIONS = {
    "environment": [(environment, None, 30)],
    "compile": [(gpu_steps.first_step, None, 60), (gpu_steps.first_step, None, 30)],
    "nccl": [(nccl, None, 20)],
    "operations": [(gpu_operations.operations, dtype, 40) for dtype in gpu_operations.LIMITS],
    "bits": [(gpu_steps.bits, None, 40)],
    "steps": [(gpu_steps.steps, name, 60) for name in gpu_steps.NAMES],
    "edges": [(edges, None, 20)],
}
TESTS = ("-m", "pytest", "-q", "-m", "gpu", "-p", "no:cacheprovider", "tests/cupy")


def run_process(arguments, limit):
    """Run a Python process and print its output; returns whether its status is 0 and no result is
    WRONG."""
    run = subprocess.Popen(
        [sys.executable, *arguments], cwd=ROOT, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    try:
        output, _ = run.communicate(timeout=max(limit, 1))
    except subprocess.TimeoutExpired:
        run.kill()
        output = run.communicate()[0] + f"\nFAILED: not done after {limit} s"
    print(output.rstrip()[-12000:], flush=True)
    return run.returncode == 0 and "WRONG" not in output and "FAILED" not in output


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sections", default=",".join(SECTIONS), help="some of the default")
    parser.add_argument("--seconds", type=int, default=235, help="of all together, on a GPU")
    parser.add_argument("--process", nargs=2, help=argparse.SUPPRESS)  # section and number
    options = parser.parse_args()
    if options.process:
        function, argument, _ = SECTIONS[options.process[0]][int(options.process[1])]
        return function() if argument is None else function(argument)
    names = options.sections.split(",")
    if unknown := set(names) - set(SECTIONS):
        parser.error(f"--sections: there is no {', '.join(sorted(unknown))}, only {list(SECTIONS)}")
    begin, failed = time.monotonic(), []

    def run(title, arguments, limit):
        spent = time.monotonic() - begin
        print(f"## {title} at {spent:.0f} s", flush=True)
        if not run_process(arguments, min(limit, options.seconds - spent) if ON_GPU else 600):
            failed.append(title)

    with tempfile.TemporaryDirectory() as cache:
        os.environ |= {"CUPY_CACHE_DIR": cache, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
        for name in names:
            for number, (_, argument, limit) in enumerate(SECTIONS[name]):
                process = __file__, "--process", name, str(number)
                run(f"{name} {argument or ''}".rstrip(), process, limit)
        if ON_GPU and len(names) == len(SECTIONS):
            run("tests, as many as the time is enough for", TESTS, options.seconds)
    print(f"{time.monotonic() - begin:.0f} s; " + (f"failed: {failed}" if failed else "all right"))
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
