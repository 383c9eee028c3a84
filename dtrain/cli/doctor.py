"""`dtrain doctor`: prints what a machine or a cluster has, and what to change."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from dtrain.distributed.doctor import (
    MachineReport,
    Problem,
    RanksReport,
    find_machine_problems,
    find_rank_problems,
    inspect_machine,
    inspect_ranks,
)


def doctor(
    np: Annotated[
        int | None,
        typer.Option(
            "--np", "-n", help="Start this number of ranks, which measure the links between them."
        ),
    ] = None,
    hosts: Annotated[
        str | None, typer.Option(help="Hosts and their numbers of ranks: a:4,b:4.")
    ] = None,
    hostfile: Annotated[
        str | None, typer.Option(help="A file of hosts, in mpirun's format.")
    ] = None,
) -> None:
    """Print what this machine has for training, and what to change; test ranks with -n or --hosts.

    Exit status: 1 if ranks cannot run, else 0.
    """
    console = Console(highlight=False, soft_wrap=True)
    machine = inspect_machine()
    problems = find_machine_problems(machine)
    _print_table(console, _machine_rows(machine))
    if (np, hosts, hostfile) != (None, None, None):
        ranks = inspect_ranks(np, hosts, hostfile)
        problems += find_rank_problems(ranks)
        _print_table(console, _rank_rows(ranks))
    for problem in problems:
        _print_problem(console, problem)
    if not problems:
        console.print("Nothing to change.")
    raise typer.Exit(any(problem.fatal for problem in problems))


def _print_table(console: Console, rows: Iterator[tuple[str, str]]) -> None:
    if not console.is_terminal:
        for title, text in rows:
            for line in text.splitlines():
                print(f"{title:10}{line}")
        return print()
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for title, text in rows:
        table.add_row(title, text)
    console.print(table, soft_wrap=False)
    return console.print()


def _print_problem(console: Console, problem: Problem) -> None:
    console.print(f"{'PROBLEM' if problem.fatal else 'note'}: {problem.found}", markup=False)
    console.print(f"  why: {problem.why}", markup=False)
    console.print(f"  do:  {problem.do}\n", markup=False)


def _machine_rows(machine: MachineReport) -> Iterator[tuple[str, str]]:
    cores = f"{machine.cores} cores, {machine.busy:.0%} busy"
    yield "host", f"{machine.host}: {machine.software['processor']}, {cores}"
    yield "memory", f"{machine.memory / 2**30:.1f} GiB; /dev/shm {_describe_shared_memory(machine)}"
    packages = [item for item in machine.software.items() if item[0] not in ("BLAS", "processor")]
    yield "software", ", ".join(f"{name} {version}" for name, version in packages)
    threads = ", ".join(f"{name}={value}" for name, value in machine.threads.items())
    yield "BLAS", f"{machine.software['BLAS']}; {threads or 'dtrain run gives each rank 1 thread'}"
    launcher = machine.launcher
    yield "launcher", f"{launcher.path}: {launcher.kind}" if launcher else machine.no_launcher
    yield "MPI", machine.mpi.get("problem") or _describe_mpi(machine.mpi)
    yield "Numba", machine.numba.get("problem") or "compiles"
    yield "GPUs", _describe_gpus(machine.cuda)
    yield "clock", machine.clock


def _describe_shared_memory(machine: MachineReport) -> str:
    if machine.shared_memory is None:
        return "is not there"
    free, total = machine.shared_memory
    return f"{free / 2**30:.1f} GiB free of {total / 2**30:.1f}"


def _describe_mpi(mpi: dict[str, Any]) -> str:
    survives = "with --with-ft ulfm" if mpi["ulfm"] else "no, the job restarts"
    return (
        f"{mpi['vendor']} {mpi['version']} (MPI {mpi['standard']}), {mpi['path']}\n"
        f"threads: {mpi['threads']}; survives a failed rank: {survives}; "
        f"reads GPU memory: {'yes' if mpi['cuda'] else 'no'}"
    )


def _describe_gpus(cuda: dict[str, Any]) -> str:
    if "problem" in cuda:
        return f"none for CuPy: {cuda['problem']}"
    nccl = f"NCCL {cuda['nccl']}" if cuda["nccl"] else "no NCCL"
    return "\n".join([*cuda["gpus"], f"CuPy {cuda['version']}, {nccl}"])


def _rank_rows(ranks: RanksReport) -> Iterator[tuple[str, str]]:
    for host, members in groupby(range(len(ranks.hosts)), key=lambda rank: ranks.hosts[rank]):
        numbers = list(members)
        yield "ranks", f"{host}: {', '.join(map(str, numbers))} on {ranks.cores[numbers[0]]} cores"
    for pair in ranks.pairs:
        one, other = (ranks.hosts[rank] for rank in pair["ranks"])
        text = f"{pair['latency_s'] * 1e6:.1f} us, {pair['bytes_per_s'] / 1e9:.2f} GB/s"
        if one == other:
            yield "within", f"{one}: {text}"
        else:
            offset = f"clocks {pair['clock_offset_s'] * 1e3:+.3f} ms apart"
            yield "between", f"{one} - {other}: {text}, {offset}"
