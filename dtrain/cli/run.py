"""`dtrain run`: start the ranks of a script, and stay until they have ended."""

from pathlib import Path
from typing import Annotated

import typer

from dtrain import env
from dtrain.distributed import launch
from dtrain.distributed.trace.timeline import trace_variable
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
    max_restarts: Annotated[
        int, typer.Option(help="Start the job again when it fails, so many times.")
    ] = 0,
    grace: Annotated[
        float, typer.Option(help="Seconds for a checkpoint after SIGTERM, SIGINT or SIGUSR1.")
    ] = 60,
    elastic: Annotated[
        bool, typer.Option("--elastic", help="When ranks are lost, the others go on (Open MPI 5).")
    ] = False,
    respawn: Annotated[
        bool, typer.Option("--respawn", help="Replace lost elastic ranks at the next checkpoint.")
    ] = False,
    leave_on_error: Annotated[
        bool, typer.Option("--leave-on-error", help="An elastic rank that raises leaves alone.")
    ] = False,
    frozen_after: Annotated[
        float, typer.Option(help="Seconds without a sign of life that lose an elastic rank.")
    ] = 10,
    stall_warning: Annotated[
        float | None,
        typer.Option(help="Seconds until a rank that others wait for is named; default: 5."),
    ] = None,
    stall_timeout: Annotated[
        float | None,
        typer.Option(help="Seconds until it ends the job; default: 1800; 0: never."),
    ] = None,
    trace: Annotated[
        Path | None, typer.Option(help="Write a timeline of all ranks, for ui.perfetto.dev.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the command, run nothing.")
    ] = False,
) -> None:
    """Start N ranks of a script under MPI: dtrain run -n 4 train.py --epochs 3.

    Exit status: 0 when the script came to its end; 75 when it stopped as it was asked to by a
    signal, with a checkpoint; 128 + N when signal N ended it before; else that of the failure.
    """
    try:
        environ = _stall_variables(stall_warning, stall_timeout) | trace_variable(trace)
        job = launch.JobSpec(
            np, script, args or [], module, hosts, hostfile, threads,
            elastic=elastic, respawn=respawn, leave_on_error=leave_on_error,
            frozen_after_s=frozen_after, environ=environ,
        )  # fmt: skip
        if dry_run:
            typer.echo(str(launch.plan(job)))
            status = 0
        else:
            status = launch.run(job, max_restarts, grace)
    except (ValueError, FileNotFoundError, LaunchError) as error:
        typer.echo(f"dtrain run: {error}", err=True)
        raise typer.Exit(2) from None
    raise typer.Exit(status)


def _stall_variables(warning_s: float | None, timeout_s: float | None) -> dict[str, str]:
    environ = {}
    options = (
        ("--stall-warning", warning_s, env.STALL_WARNING),
        ("--stall-timeout", timeout_s, env.STALL_TIMEOUT),
    )
    for option, seconds, variable in options:
        if seconds is not None:
            if not seconds >= 0:
                raise ValueError(f"{option} must be >= 0 seconds, got {seconds:g}")
            environ[variable.name] = f"{seconds:g}"
    return environ
