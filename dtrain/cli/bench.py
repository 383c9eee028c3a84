"""`dtrain bench`: how fast the ranks of this machine, or of these hosts, work together."""

from __future__ import annotations

from typing import Annotated

import typer

from dtrain.distributed import launch
from dtrain.errors import LaunchError

bench = typer.Typer(no_args_is_help=True, help="Measure what the ranks share.")


@bench.callback()
def _group() -> None:
    pass


@bench.command()
def allreduce(
    np: Annotated[int | None, typer.Option("--np", "-n", help="Ranks.")] = None,
    sizes: Annotated[str, typer.Option(help="Megabytes of each rank.")] = "0.1,1,4,16,64,100",
    hosts: Annotated[str | None, typer.Option(help="Hosts and their ranks: a:4,b:4.")] = None,
) -> None:
    """Time the exact reduction of gradients beside MPI's own Allreduce and the memory's limit."""
    try:
        ranks = np if np is not None or hosts else 2
        if ranks is not None and ranks < 2:
            raise ValueError(f"-n must be >= 2, got {ranks}: a rank alone reduces nothing")
        megabytes = [f"{_positive(size):g}" for size in sizes.split(",")]
        job = launch.JobSpec(ranks, "dtrain.distributed.bench", megabytes, module=True, hosts=hosts)
        status = launch.run(job)
    except (ValueError, LaunchError) as error:
        typer.echo(f"dtrain bench allreduce: {error}", err=True)
        raise typer.Exit(2) from None
    raise typer.Exit(status)


def _positive(size: str) -> float:
    try:
        megabytes = float(size)
    except ValueError:
        megabytes = 0
    if not 0 < megabytes < 1 << 20:
        raise ValueError(f"--sizes must be megabytes such as 1,16,100: got {size!r}")
    return megabytes
