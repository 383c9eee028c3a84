"""`dtrain run -n N -m dtrain.distributed.doctor.pairs`: ranks measure the links between them.

Rank 0 prints a line of JSON: each rank's host and node, and for pairs of hosts the latency, the
bandwidth, and the difference of the clocks.
"""

from __future__ import annotations

import itertools
import json
import socket
import statistics
import time
from typing import Any

import numpy as np

from dtrain.distributed import world
from dtrain.distributed.comm.node_local import NodeLocalGroup
from dtrain.distributed.doctor.software import software
from dtrain.distributed.launch.machine import num_cores
from dtrain.distributed.watchdog.collective_log import CollectiveLog

_PINGS = 200
_MESSAGE_BYTES = 4 << 20
_MESSAGES = 8
_MAX_HOSTS_FOR_ALL_PAIRS = 8


def main() -> None:
    """Measure, and print the result on rank 0."""
    world.init()
    from mpi4py import MPI

    comm = MPI.COMM_WORLD
    node = NodeLocalGroup(comm, elastic=False, log=CollectiveLog()).index
    about = comm.allgather((socket.gethostname(), node, num_cores(), software()))
    hosts, nodes, cores, versions = map(list, zip(*about))
    pairs = []
    _sleeping_barrier(comm)
    for one, other in _select_pairs(hosts):
        measured = _measure(comm, one, other) if comm.rank in (one, other) else None
        _sleeping_barrier(comm)
        pairs.append(comm.bcast(measured, root=one))
    if comm.rank == 0:
        found = {"hosts": hosts, "nodes": nodes, "cores": cores, "software": versions}
        print(json.dumps({**found, "pairs": pairs}), flush=True)


def _sleeping_barrier(comm: Any) -> None:
    """Wait for all ranks with sleeps, which leave the cores to the ranks that measure."""
    everybody = comm.Ibarrier()
    while not everybody.Test():
        time.sleep(0.005)


def _select_pairs(hosts: list[str]) -> list[tuple[int, int]]:
    """The pairs of ranks to measure: two within each host, and the first ranks of two hosts."""
    ranks: dict[str, list[int]] = {}
    for rank, host in enumerate(hosts):
        ranks.setdefault(host, []).append(rank)
    within = [(mine[0], mine[1]) for mine in ranks.values() if len(mine) > 1]
    firsts = [mine[0] for mine in ranks.values()]
    if len(firsts) > _MAX_HOSTS_FOR_ALL_PAIRS:
        return within[:1] + [(firsts[0], other) for other in firsts[1:]]
    return within + list(itertools.combinations(firsts, 2))


def _measure(comm: Any, one: int, other: int) -> dict[str, Any] | None:
    """Measure the link between two ranks; returns the result on the first of them."""
    first, peer = comm.rank == one, other if comm.rank == one else one
    byte, clock, message = np.zeros(1, np.uint8), np.zeros(1), np.zeros(_MESSAGE_BYTES, np.uint8)
    trips, offsets = [], []
    for _ in range(_PINGS):
        began, wall = time.perf_counter(), time.time()
        if first:
            comm.Send(byte, peer)
            comm.Recv(clock, peer)
        else:
            comm.Recv(byte, peer)
            comm.Send(np.array([time.time()]), peer)
        trips.append(time.perf_counter() - began)
        offsets.append(clock[0] - (wall + trips[-1] / 2))
    began = time.perf_counter()
    for _ in range(_MESSAGES):
        if first:
            comm.Send(message, peer)
        else:
            comm.Recv(message, peer)
    if not first:
        comm.Send(byte, peer)
        return None
    comm.Recv(byte, peer)
    took = time.perf_counter() - began
    return {
        "ranks": [one, other],
        "latency_s": statistics.median(trips) / 2,
        "bytes_per_s": _MESSAGES * _MESSAGE_BYTES / took,
        "clock_offset_s": offsets[trips.index(min(trips))],
    }


if __name__ == "__main__":
    main()
