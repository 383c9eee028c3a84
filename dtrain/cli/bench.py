"""`dtrain bench`: measures how fast the ranks of a machine, or of several hosts, communicate."""

from __future__ import annotations

from typing import Annotated

import typer

from dtrain.distributed import launch
from dtrain.errors import LaunchError

bench: typer.Typer = typer.Typer(
    no_args_is_help=True, help="Measure the communication between ranks."
)


@bench.callback()
def _group() -> None:
    pass


@bench.command()
def allreduce(
    np: Annotated[
        int | None,
        typer.Option("--np", "-n", help="Number of ranks; default: 2, or the slots of --hosts."),
    ] = None,
    sizes: Annotated[
        str, typer.Option(help="Sizes to measure, in megabytes per rank.")
    ] = "0.1,1,4,16,64,100",
    hosts: Annotated[
        str | None, typer.Option(help="Hosts and their numbers of ranks: a:4,b:4.")
    ] = None,
) -> None:
    """Time the exact reduction of gradients beside MPI's own Allreduce and the memory's limit."""
    try:
        ranks = np if np is not None or hosts else 2
        if ranks is not None and ranks < 2:
            raise ValueError(f"-n must be >= 2, got {ranks}: a rank alone reduces nothing")
        megabytes = [f"{_parse_megabytes(size):g}" for size in sizes.split(",")]
        job = launch.JobSpec(ranks, "dtrain.distributed.bench", megabytes, module=True, hosts=hosts)
        status = launch.run(job)
    except (ValueError, LaunchError) as error:
        typer.echo(f"dtrain bench allreduce: {error}", err=True)
        raise typer.Exit(2) from None
    raise typer.Exit(status)


def _parse_megabytes(size: str) -> float:
    try:
        megabytes = float(size)
    except ValueError:
        megabytes = 0
    if not 0 < megabytes < 1 << 20:
        raise ValueError(f"--sizes must be megabytes such as 1,16,100: got {size!r}")
    return megabytes
