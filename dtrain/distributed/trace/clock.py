"""Measures the offset between the clocks of ranks on several hosts."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Any

_PINGS = 20


def measure_clock_offset_ns(comm: Any) -> int:
    """Nanoseconds to add to this rank's `time.perf_counter_ns` to get rank 0's.

    All ranks of the mpi4py communicator call it. Ranks of one machine have one clock. Between
    machines it works as NTP: of several requests to rank 0 the one with the shortest round trip
    counts, and rank 0 is assumed to have answered in the middle of it.
    """
    best_ns, offset = None, 0
    first, *others = comm.allgather(_boot_id())
    for rank, machine in enumerate(others, 1):
        if machine is not None and machine == first:
            continue
        for _ in range(_PINGS):
            if comm.rank == rank:
                began = time.perf_counter_ns()
                comm.send(None, 0)
                there = comm.recv(source=0)
                trip_ns = time.perf_counter_ns() - began
                if best_ns is None or trip_ns < best_ns:
                    best_ns, offset = trip_ns, there - (began + trip_ns // 2)
            elif comm.rank == 0:
                comm.recv(source=rank)
                comm.send(time.perf_counter_ns(), rank)
    return offset


def _boot_id() -> str | None:
    """An identifier of this machine since its last boot; None if it has none."""
    with contextlib.suppress(OSError):  # not Linux
        return Path("/proc/sys/kernel/random/boot_id").read_text()
    return None
