"""`dtrain run -n N -m dtrain.distributed.doctor.pairs`: ranks find out about each other.

Rank 0 prints a line of JSON: who is where and shares memory with whom, and for pairs of hosts the
latency, the bandwidth, and by how much the clocks differ.
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

_PINGS = 200
_MESSAGE_BYTES = 4 << 20
_MESSAGES = 8
_ALL_PAIRS_UP_TO = 8  # hosts


def main() -> None:
    world.init()
    from mpi4py import MPI

    comm = MPI.COMM_WORLD
    node = NodeLocalGroup(comm, elastic=False).index
    about = comm.allgather((socket.gethostname(), node, num_cores(), software()))
    hosts, nodes, cores, versions = map(list, zip(*about))
    pairs = []
    _wait_asleep(comm)
    for one, other in _pairs(hosts):
        measured = _measure(comm, one, other) if comm.rank in (one, other) else None
        _wait_asleep(comm)
        pairs.append(comm.bcast(measured, root=one))
    if comm.rank == 0:
        found = {"hosts": hosts, "nodes": nodes, "cores": cores, "software": versions}
        print(json.dumps({**found, "pairs": pairs}), flush=True)


def _wait_asleep(comm: Any) -> None:
    """Wait for all ranks, without taking the cores from those that measure."""
    everybody = comm.Ibarrier()
    while not everybody.Test():
        time.sleep(0.005)


def _pairs(hosts: list[str]) -> list[tuple[int, int]]:
    """Ranks to measure: two of one host, and the first ones of each two hosts."""
    ranks: dict[str, list[int]] = {}
    for rank, host in enumerate(hosts):
        ranks.setdefault(host, []).append(rank)
    within = [(mine[0], mine[1]) for mine in ranks.values() if len(mine) > 1]
    firsts = [mine[0] for mine in ranks.values()]
    if len(firsts) > _ALL_PAIRS_UP_TO:
        return within[:1] + [(firsts[0], other) for other in firsts[1:]]
    return within + list(itertools.combinations(firsts, 2))


def _measure(comm: Any, one: int, other: int) -> dict[str, Any] | None:
    """Between two ranks; the result is on the first of them."""
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
