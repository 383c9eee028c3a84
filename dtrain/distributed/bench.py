"""`dtrain bench allreduce`: times the exact reduction of gradients beside MPI's Allreduce."""

from __future__ import annotations

import math
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import cast

import numpy as np
from rich.console import Console
from rich.table import Table

from dtrain.distributed import world
from dtrain.distributed.comm.mpi import MpiCommunicator

_BUDGET_S = 0.5  # for each figure
_BEYOND_CACHES_MB = 512  # more than a machine's caches hold
_COLUMNS = ("MB a rank", "dtrain ms", "MPI ms", "MPI/dtrain", "dtrain/limit", "dtrain/pass")
_NETWORK = "some ranks are on other machines: the network is the limit"
_LIMITS = """\
pass:  each rank reads and writes its share of all ranks' arrays once, without additions
limit: a pass at the {:.0f} GB/s of the memory; arrays within the caches can be faster"""


def time_all_reduce(megabytes: float) -> tuple[float, float]:
    """Time an exact reduction and MPI's Allreduce, in seconds, of float32 values.

    Each is the median over repetitions of the slowest rank's time. Each rank has just written the
    values, as it has gradients.
    """
    comm = world.communicator()
    length = _num_elements(megabytes)
    shared, private = comm.empty(length, np.dtype(np.float32)), np.empty(length, np.float32)
    return (
        _median_time(lambda: comm.all_reduce([shared], shared, comm.size), shared),
        _median_time(lambda: comm.native_all_reduce(private), private),
    )


def time_pass(megabytes: float) -> float:
    """Time a pass, in seconds: the ranks read and write each element of all their arrays once,
    each rank a share. It is a lower limit for any reduction in place."""
    comm = cast(MpiCommunicator, world.communicator())
    shared = comm.empty(_num_elements(megabytes), np.dtype(np.float32))
    part = comm.node.slice_for(len(shared))
    shares = [opened[0][part] for opened in comm.node.open([shared], 1)]
    return _median_time(lambda: [np.negative(share, out=share) for share in shares], shared)


def _num_elements(megabytes: float) -> int:
    return max(int(megabytes * 2**20) // 4, 1)


def _median_time(call: Callable[[], object], array: np.ndarray) -> float:
    comm, times = world.communicator(), list[float]()

    def once() -> float:
        array.fill(1)
        comm.barrier()
        start = time.perf_counter()
        call()
        return max(comm.allgather(time.perf_counter() - start))

    first = max(once(), once(), 1e-5)  # the first maps memory
    for _ in range(max(5, min(200, int(_BUDGET_S / first)))):
        times.append(once())
    return statistics.median(times)


def _cells(megabytes: float, memory: float) -> Iterator[str]:
    """A row of the table; `memory`: seconds of a pass beyond the caches, per megabyte a rank."""
    exact, native = time_all_reduce(megabytes)
    yield f"{megabytes:g}"
    yield from (f"{exact * 1e3:.3f}", f"{native * 1e3:.3f}", f"{native / exact:.1f}")
    if not math.isnan(memory):
        yield f"{exact / (megabytes * memory):.2f}"
        yield f"{exact / time_pass(megabytes):.2f}"


def main(sizes: Sequence[str]) -> None:
    """Print a table on rank 0: a row for each size in megabytes."""
    comm = world.communicator()
    if comm.size == 1:
        sys.exit("dtrain bench allreduce: expected two ranks or more, got 1: give -n 2")
    large = _BEYOND_CACHES_MB / comm.size
    memory = math.nan if comm.over_network else time_pass(large) / large
    table = Table(title=f"allreduce of float32 over {comm.size} ranks")
    for name in _COLUMNS[: 4 if comm.over_network else None]:
        table.add_column(name, justify="right")
    for size in sizes:
        table.add_row(*_cells(float(size), memory))
    if comm.rank == 0:
        Console().print(table)
        print(_NETWORK if comm.over_network else _LIMITS.format(2 * comm.size / 2**10 / memory))


if __name__ == "__main__":
    main(sys.argv[1:])
