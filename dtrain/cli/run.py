"""`dtrain run`: start the ranks of a script."""

from typing import Annotated

import typer

from dtrain.distributed import launch
from dtrain.errors import LaunchError


def run(
    script: Annotated[str, typer.Argument(help="A Python file, or with -m a module.")],
    args: Annotated[list[str] | None, typer.Argument(help="Passed on as they are.")] = None,
    np: Annotated[
        int | None, typer.Option("--np", "-n", help="Ranks; default: the slots of the hosts.")
    ] = None,
    module: Annotated[bool, typer.Option("-m", help="SCRIPT is a module.")] = False,
    hosts: Annotated[str | None, typer.Option(help="Hosts and their ranks: a:4,b:4.")] = None,
    hostfile: Annotated[
        str | None, typer.Option(help="A file of hosts, as mpirun reads it.")
    ] = None,
    threads: Annotated[
        int | None, typer.Option(help="BLAS and OpenMP threads of each rank; default: 1.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the command, run nothing.")
    ] = False,
) -> None:
    """Start N ranks of a script under MPI: dtrain run -n 4 train.py --epochs 3."""
    try:
        plan = launch.plan(
            np,
            script,
            args or [],
            module=module,
            hosts=hosts,
            hostfile=hostfile,
            threads=threads,
        )
    except (ValueError, FileNotFoundError, LaunchError) as error:
        typer.echo(f"dtrain run: {error}", err=True)
        raise typer.Exit(2) from None
    if dry_run:
        typer.echo(str(plan))
    else:
        launch.run(plan)
