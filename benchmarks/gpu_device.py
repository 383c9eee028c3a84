"""The GPU that gpu.py checks: whether there is one, dtrain and torch on it, times by its events."""

import functools
import importlib.util
import statistics
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "hostcuda")]
import hostcuda  # noqa: E402

ON_GPU = hostcuda.has_gpu()


@functools.cache
def modules():
    """dtrain on its device, and torch or None."""
    if not ON_GPU:
        if reason := hostcuda.why_not():
            sys.exit(f"gpu.py: {reason}")
        hostcuda.install()
    import dtrain

    if importlib.util.find_spec("torch") is None:
        return dtrain, None
    import torch

    return dtrain, torch


def device_of(T):
    dtrain, torch = modules()
    return "cuda" if T is dtrain or (ON_GPU and torch.cuda.is_available()) else "cpu"


def is_timed(T):
    return ON_GPU and device_of(T) == "cuda"


def milliseconds(T, work, repeats=10):
    """The median of the times between events before and after `work`."""
    times = []
    for _ in range(repeats + 3):
        begin, end = T.cuda.Event(enable_timing=True), T.cuda.Event(enable_timing=True)
        begin.record()
        work()
        end.record()
        end.synchronize()
        times.append(begin.elapsed_time(end))
    return statistics.median(times[3:])


def judge(error, limit):
    return f"{error:8.1e}  {'right' if error <= limit else 'WRONG'}"
