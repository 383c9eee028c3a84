"""Times the reduction of gradients beside MPI's own; run by `dtrain bench allreduce`."""

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
from dtrain.distributed.mpi import MpiCommunicator

_SECONDS = 0.5  # spent on each figure
_COLUMNS = ("MB a rank", "dtrain ms", "MPI ms", "MPI/dtrain", "limit ms", "dtrain/limit")


def all_reduce_times(megabytes: float) -> tuple[float, float, float]:
    """Seconds of an exact reduction, of MPI's own, and of reading and writing the same memory.

    Medians over repetitions of the slowest rank, float32, of values that each rank has just
    written, as gradients are. The last reads each element of all ranks' arrays once, and writes
    it once, each rank a share: what no reduction in place can do without.
    """
    comm = world.communicator()
    length = max(int(megabytes * 2**20) // 4, 1)
    shared, private = comm.empty(length, np.dtype(np.float32)), np.empty(length, np.float32)
    return (
        _median(lambda: comm.all_reduce([shared], shared, comm.size), shared),
        _median(lambda: comm.native_all_reduce(private), private),
        math.nan if comm.over_network else _median(_touching(shared), shared),
    )


def _touching(shared: np.ndarray) -> Callable[[], object]:
    node = cast(MpiCommunicator, world.communicator()).node
    arrays = [opened[0][node.share_of(len(shared))] for opened in node.open([shared], 1)]
    return lambda: [np.negative(array, out=array) for array in arrays]


def _median(call: Callable[[], object], array: np.ndarray) -> float:
    comm, times = world.communicator(), list[float]()

    def once() -> float:
        array.fill(1)
        comm.barrier()
        start = time.perf_counter()
        call()
        return max(comm.allgather(time.perf_counter() - start))

    first = max(once(), once(), 1e-5)  # the first maps memory
    for _ in range(max(5, min(200, int(_SECONDS / first)))):
        times.append(once())
    return statistics.median(times)


def _cells(megabytes: float) -> Iterator[str]:
    exact, native, limit = all_reduce_times(megabytes)
    yield f"{megabytes:g}"
    yield from (f"{exact * 1e3:.3f}", f"{native * 1e3:.3f}", f"{native / exact:.1f}")
    yield from ("-", "-") if math.isnan(limit) else (f"{limit * 1e3:.3f}", f"{exact / limit:.2f}")


def main(sizes: Sequence[str]) -> None:
    """Print a table on rank 0."""
    comm = world.communicator()
    if comm.size == 1:
        sys.exit("dtrain bench allreduce: expected two ranks or more, got 1: give -n 2")
    table = Table(title=f"allreduce of float32 over {comm.size} ranks")
    for name in _COLUMNS:
        table.add_column(name, justify="right")
    for size in sizes:
        table.add_row(*_cells(float(size)))
    if comm.rank == 0:
        Console().print(table)
        print(
            "limit: each rank reads and writes its share of all ranks' arrays, and adds nothing"
            if not comm.over_network
            else "some ranks are on other machines: the network is the limit"
        )


if __name__ == "__main__":
    main(sys.argv[1:])
