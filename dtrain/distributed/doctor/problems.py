"""Finds problems in the facts about machines and ranks: why each matters, and what to do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from dtrain.distributed.doctor.inspection import MachineReport, RanksReport

_LIBRARY_OF = {"openmpi": ("Open MPI",), "mpich": ("MPICH", "Intel MPI", "MVAPICH")}
_SMALL_SHARED_MEMORY = 1 << 30
_BUSY = 0.5
_SLOW_BYTES_PER_S = 100e6
_CLOCKS_APART_S = 0.1


@dataclass(frozen=True)
class Problem:
    """One problem: what was found, why it matters, what to do; `fatal` if ranks cannot run."""

    found: str
    why: str
    do: str
    fatal: bool = False


def find_machine_problems(machine: MachineReport) -> list[Problem]:
    """Find a machine's problems."""
    checks = (_check_mpi, _check_memory, _check_kernels, _check_load, _check_threads)
    return [problem for check in checks for problem in check(machine)]


def _check_mpi(machine: MachineReport) -> Iterator[Problem]:
    install = "pip install 'dtrain[mpi]', or on a cluster load its MPI module"
    if machine.launcher is None:
        yield Problem(
            machine.no_launcher,
            "without a launcher there is one rank",
            install,
        )
    if "problem" in machine.mpi:
        yield Problem(
            f"mpi4py: {machine.mpi['problem']}",
            "without an MPI library there is one rank",
            f"{install}; MPI4PY_LIBMPI names a library that is not found",
            fatal=machine.launcher is not None,
        )
    elif machine.launcher is not None:
        expected = _LIBRARY_OF.get(machine.launcher.kind)
        if expected and machine.mpi["vendor"] not in expected:
            yield Problem(
                f"{machine.launcher.path} is {machine.launcher.kind}'s, but mpi4py loads "
                f"{machine.mpi['vendor']} ({machine.mpi['path']})",
                "each rank would be a world of its own",
                "use the mpirun that came with the library, or set MPI4PY_LIBMPI to the library "
                "that came with mpirun; never install openmpi and mpich into one environment",
                fatal=True,
            )


def _check_memory(machine: MachineReport) -> Iterator[Problem]:
    if machine.shared_memory is None:
        yield Problem(
            "no /dev/shm",
            "MPI passes messages between the ranks of a host there",
            "run on Linux, with a tmpfs there",
        )
    elif machine.shared_memory[0] < _SMALL_SHARED_MEMORY:
        free, total = machine.shared_memory
        yield Problem(
            f"/dev/shm has {free >> 20:,} MiB free of {total >> 20:,}",
            "MPI passes messages between the ranks of a host there",
            "docker run --shm-size=8g, an emptyDir of medium Memory in Kubernetes, or remove what "
            "killed jobs have left there (sm_segment.*, mpich_shm_*)",
        )


def _check_kernels(machine: MachineReport) -> Iterator[Problem]:
    if "problem" in machine.numba:
        yield Problem(
            f"Numba: {machine.numba['problem']}",
            "norms, softmax, pooling and optimizer steps are plain NumPy: slower",
            "pip install 'dtrain[cpu]'",
        )
    if machine.blas_limit is not None:
        yield Problem(
            machine.blas_limit,
            "they take up to twice the time",
            "unset OPENBLAS_CORETYPE, unless ranks on older processors must give the same bits",
        )
    if machine.gpu_files and not machine.cuda.get("gpus"):
        why = machine.cuda.get("problem", "CuPy sees no GPU")
        yield Problem(
            f"{machine.gpu_files} GPUs, but {why}",
            "device='cuda' does not work",
            "pip install 'dtrain[cuda]'; nvidia-smi shows whether the driver works",
        )


def _check_load(machine: MachineReport) -> Iterator[Problem]:
    if machine.busy > _BUSY:
        yield Problem(
            f"the cores were {machine.busy:.0%} busy over the last minute",
            "a rank that shares its core with another program delays all ranks",
            "give each rank a core of its own; the figures above understate this machine",
        )


def _check_threads(machine: MachineReport) -> Iterator[Problem]:
    if len(set(machine.threads.values())) > 1:
        yield Problem(
            "thread variables disagree: "
            + ", ".join(f"{name}={value}" for name, value in machine.threads.items()),
            "with another number of threads a BLAS adds in another order: other bits",
            "unset them, and choose by dtrain run --threads",
        )


def find_rank_problems(ranks: RanksReport) -> list[Problem]:
    """Find the problems of ranks that were started."""
    if ranks.problem:
        return [
            Problem(
                f"the ranks did not run: {ranks.problem}",
                "no job can run there",
                "try `mpirun -n N hostname` with the same hosts: each needs ssh without a "
                "password, the same Python at the same path, and open ports to this one",
                fatal=True,
            )
        ]
    return [
        *_check_versions(ranks),
        *_check_nodes(ranks),
        *_check_oversubscription(ranks),
        *_check_network(ranks),
    ]


def _check_versions(ranks: RanksReport) -> Iterator[Problem]:
    for name, first in ranks.software[0].items():
        others = {
            f"{host} has {there.get(name)}"
            for host, there in zip(ranks.hosts, ranks.software)
            if there.get(name) != first
        }
        if others:
            yield Problem(
                f"{name}: {ranks.hosts[0]} has {first}, {', '.join(sorted(others))}",
                "other versions round differently: bits depend on which rank computes what",
                "install the same versions everywhere; for different processors set "
                "OPENBLAS_CORETYPE (or MKL_CBWR) to the oldest one's",
            )


def _check_nodes(ranks: RanksReport) -> Iterator[Problem]:
    nodes: dict[str, set[int]] = {}
    for host, node in zip(ranks.hosts, ranks.nodes):
        nodes.setdefault(host, set()).add(node)
    for host, apart in nodes.items():
        if len(apart) > 1:
            yield Problem(
                f"{host}: its ranks are {len(apart)} groups that do not share memory",
                "gradients are added in shared memory only within a group of consecutive ranks; "
                "groups exchange messages",
                "number the ranks host by host; let containers of one host share processes "
                "(docker run --pid, shareProcessNamespace) and trace each other (SYS_PTRACE)",
            )


def _check_oversubscription(ranks: RanksReport) -> Iterator[Problem]:
    cores = dict(zip(ranks.hosts, ranks.cores))
    for host, count in Counter(ranks.hosts).items():
        if count > cores[host]:
            yield Problem(
                f"{host}: {count} ranks on {cores[host]} cores",
                "ranks that share a core are slower than fewer ranks, with the same result",
                f"give {host} {cores[host]} ranks",
            )


def _check_network(ranks: RanksReport) -> Iterator[Problem]:
    for pair in ranks.pairs:
        one, other = (ranks.hosts[rank] for rank in pair["ranks"])
        if one == other:
            continue
        if pair["bytes_per_s"] < _SLOW_BYTES_PER_S:
            yield Problem(
                f"{one} - {other}: {pair['bytes_per_s'] / 1e6:.0f} MB/s",
                "every step sends all gradients between hosts",
                "let MPI use the fabric (OMPI_MCA_btl_tcp_if_include=NAME), or fewer hosts, or "
                "larger microbatches",
            )
        if abs(pair["clock_offset_s"]) > _CLOCKS_APART_S:
            yield Problem(
                f"{other}'s clock is {pair['clock_offset_s']:+.3f} s from {one}'s",
                "times in logs of different hosts cannot be compared",
                "run chrony or ntpd on both",
            )
