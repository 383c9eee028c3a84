"""Gathers facts about this machine, and about ranks that `dtrain run` starts."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dtrain.distributed.doctor.software import find_blas_limit, software
from dtrain.distributed.launch.machine import Launcher, find_launcher, num_cores
from dtrain.distributed.launch.plan import THREAD_VARIABLES
from dtrain.errors import LaunchError

_PROBE_LIMIT_S = 30
_RANKS_LIMIT_S = 120


@dataclass(frozen=True)
class MachineReport:
    """Facts about this machine. A library that cannot be used has a "problem" in place of facts."""

    host: str
    launcher: Launcher | None
    no_launcher: str  # why there is no launcher
    mpi: dict[str, Any]
    numba: dict[str, Any]
    cuda: dict[str, Any]
    gpu_files: int  # GPUs that the driver shows
    cores: int
    busy: float  # load average of the last minute per core
    memory: int  # in bytes
    shared_memory: tuple[int, int] | None  # free and total bytes of /dev/shm
    clock: str
    software: dict[str, str]
    threads: dict[str, str]  # environment variables that set the number of threads
    blas_limit: str | None = None  # how the environment slows products of matrices down


@dataclass(frozen=True)
class RanksReport:
    """Facts that ranks gathered about each other; `problem` tells why there are none."""

    problem: str = ""
    hosts: tuple[str, ...] = ()  # of each rank
    nodes: tuple[int, ...] = ()  # equal for ranks that share memory
    cores: tuple[int, ...] = ()
    software: tuple[dict[str, str], ...] = ()
    pairs: tuple[dict[str, Any], ...] = ()


def inspect_machine() -> MachineReport:
    """Gather facts about this machine. Takes seconds; a missing or broken library does not stop it.

    >>> from dtrain.distributed.doctor import inspect_machine
    >>> inspect_machine().cores >= 1  # doctest: +SKIP
    True
    """
    launcher, reason = None, ""
    try:
        launcher = find_launcher(os.environ)
    except LaunchError as missing:
        reason = str(missing).partition("\n")[0]
    with ThreadPoolExecutor() as pool:
        mpi, numba, cuda = pool.map(_probe, ("mpi", "numba", "cuda"))
    shm = shutil.disk_usage("/dev/shm") if os.path.isdir("/dev/shm") else None
    source = Path("/sys/devices/system/clocksource/clocksource0/current_clocksource")
    resolution = time.get_clock_info("perf_counter").resolution
    return MachineReport(
        host=socket.gethostname(),
        launcher=launcher,
        no_launcher=reason,
        mpi=mpi,
        numba=numba,
        cuda=cuda,
        gpu_files=len(list(Path("/dev").glob("nvidia[0-9]*"))),
        cores=num_cores(),
        busy=os.getloadavg()[0] / (os.cpu_count() or 1),
        memory=os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        shared_memory=(shm.free, shm.total) if shm else None,
        clock=f"{source.read_text().strip() if source.exists() else 'unknown source'}, "
        f"resolution {resolution * 1e9:g} ns",
        software=software(),
        threads={name: os.environ[name] for name in THREAD_VARIABLES if name in os.environ},
        blas_limit=find_blas_limit(),
    )


def _probe(name: str) -> dict[str, Any]:
    argv = [sys.executable, "-m", "dtrain.distributed.doctor.probes", name]
    status, out, err = _run(argv, _PROBE_LIMIT_S)
    try:
        return json.loads(out.splitlines()[-1])
    except (IndexError, ValueError):
        if status is None:
            return {"problem": f"hangs: no answer in {_PROBE_LIMIT_S} s"}
        last = err.strip().splitlines() or [""]
        return {"problem": f"ends the process, status {status}: {last[-1]}"}


def inspect_ranks(num_ranks: int | None, hosts: str | None, hostfile: str | None) -> RanksReport:
    """Start ranks by `dtrain run`, which measure latency, bandwidth and clocks between them.

    Parameters
    ----------
    num_ranks, hosts, hostfile : as in `dtrain run`: ``-n``, ``--hosts``, ``--hostfile``
    """
    options = [("-n", num_ranks), ("--hosts", hosts), ("--hostfile", hostfile)]
    words = [str(word) for option in options if option[1] is not None for word in option]
    argv = [sys.executable, "-m", "dtrain.cli", "run", *words]
    status, out, err = _run([*argv, "-m", "dtrain.distributed.doctor.pairs"], _RANKS_LIMIT_S)
    for line in out.splitlines():
        if line.startswith('{"hosts"'):
            found = json.loads(line)
            return RanksReport(
                hosts=tuple(found["hosts"]),
                nodes=tuple(found["nodes"]),
                cores=tuple(found["cores"]),
                software=tuple(found["software"]),
                pairs=tuple(found["pairs"]),
            )
    if status is None:
        return RanksReport(f"the ranks gave no answer in {_RANKS_LIMIT_S} s")
    said = [line for line in (out + err).splitlines() if line.strip(" -")]
    return RanksReport("\n".join(said[-12:]) or f"status {status}")


def _run(argv: Sequence[str], limit_s: float) -> tuple[int | None, str, str]:
    """Run a program; returns its status (None after the time limit), stdout and stderr."""
    process = subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )
    try:
        out, err = process.communicate(timeout=limit_s)
    except subprocess.TimeoutExpired:
        process.kill()  # the ranks of `dtrain run` die with it
        process.communicate()
        return None, "", ""
    return process.returncode, out, err
