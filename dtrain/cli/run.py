"""`dtrain run`: starts the ranks of a script under MPI, and supervises them until they end."""

import os
import shlex
from pathlib import Path
from typing import Annotated

import typer

from dtrain import env
from dtrain.as_torch.program import find_runner
from dtrain.distributed import launch
from dtrain.distributed.launch.host_source import HostSource, with_hosts
from dtrain.distributed.launch.output import output_variables
from dtrain.distributed.launch.variables import read_variables
from dtrain.distributed.trace.timeline import trace_variable
from dtrain.errors import LaunchError


def run(
    script: Annotated[str, typer.Argument(help="A Python file; with -m, a module.")],
    args: Annotated[list[str] | None, typer.Argument(help="The script's arguments.")] = None,
    np: Annotated[
        int | None,
        typer.Option("--np", "-n", "-np", help="Number of ranks; default: the slots of the hosts."),
    ] = None,
    module: Annotated[bool, typer.Option("-m", help="SCRIPT is a module.")] = False,
    as_torch: Annotated[
        bool, typer.Option("--as-torch", help="Serve SCRIPT's `import torch` from dtrain.")
    ] = False,
    hosts: Annotated[
        str | None, typer.Option(help="Hosts and their numbers of ranks: a:4,b:4.")
    ] = None,
    hostfile: Annotated[
        str | None, typer.Option(help="A file of hosts, in mpirun's format.")
    ] = None,
    hosts_from: Annotated[
        str | None, typer.Option(help="A program that prints the hosts there are: they may change.")
    ] = None,
    hosts_every: Annotated[
        float, typer.Option(help="Seconds after which such hosts are asked for again.")
    ] = 30,
    min_ranks: Annotated[
        int, typer.Option(help="Wait for hosts that take this number of ranks, at each start.")
    ] = 1,
    ssh_port: Annotated[
        int | None, typer.Option(help="The port of the other hosts' ssh; default: ssh's own.")
    ] = None,
    interface: Annotated[
        str | None, typer.Option(help="The network between hosts: eth0, or 10.0.0.0/24.")
    ] = None,
    variables: Annotated[
        list[str] | None,
        typer.Option("-x", help="NAME or NAME=VALUE: a variable of the ranks on all hosts."),
    ] = None,
    env_file: Annotated[
        list[Path] | None, typer.Option(help="A file of such variables, one a line.")
    ] = None,
    mpi_args: Annotated[
        str, typer.Option(help="Options for mpirun itself: --mpi-args '--map-by node'.")
    ] = "",
    srun_args: Annotated[str, typer.Option(help="Options for Slurm's srun itself.")] = "",
    threads: Annotated[
        int | None, typer.Option(help="BLAS and OpenMP threads of each rank; default: 1.")
    ] = None,
    max_restarts: Annotated[
        int, typer.Option(help="Restart the job when it fails, at most this number of times.")
    ] = 0,
    grace: Annotated[
        float, typer.Option(help="Seconds to write a checkpoint after SIGTERM, SIGINT or SIGUSR1.")
    ] = 60,
    elastic: Annotated[
        bool, typer.Option("--elastic", help="Survivors go on when ranks fail (Open MPI 5).")
    ] = False,
    respawn: Annotated[
        bool, typer.Option("--respawn", help="Replace failed elastic ranks at the next checkpoint.")
    ] = False,
    leave_on_error: Annotated[
        bool, typer.Option("--leave-on-error", help="An elastic rank that raises ends alone.")
    ] = False,
    frozen_after: Annotated[
        float,
        typer.Option(help="Seconds without a heartbeat after which an elastic rank has failed."),
    ] = 10,
    stall_warning: Annotated[
        float | None,
        typer.Option(
            help="Seconds until a rank that blocks the others is named; default: 5; 0: never."
        ),
    ] = None,
    stall_timeout: Annotated[
        float | None,
        typer.Option(help="Seconds until such a rank ends the job; default: 1800; 0: never."),
    ] = None,
    log_dir: Annotated[
        Path | None,
        typer.Option(help="A folder: each rank's output goes to a file rank-N.log there, too."),
    ] = None,
    tee: Annotated[
        str | None,
        typer.Option(help="With --log-dir: the ranks whose output is shown; default: all."),
    ] = None,
    prefix: Annotated[
        bool, typer.Option("--prefix", help="Begin each line of output with its rank and the time.")
    ] = False,
    trace: Annotated[
        Path | None, typer.Option(help="Write a timeline of all ranks, for ui.perfetto.dev.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the command and run nothing.")
    ] = False,
) -> None:
    """Start N ranks of a script under MPI: dtrain run -n 4 train.py --epochs 3.

    Exit status: 0 if the script came to its end; 75 if it stopped on a signal, with a checkpoint;
    128 + N if signal N ended it before; else that of the failure.
    """
    try:
        environ = read_variables(variables or [], env_file or [], os.environ)
        environ |= _stall_variables(stall_warning, stall_timeout) | trace_variable(trace)
        environ |= output_variables(log_dir, prefix, tee, np)
        words, runs_module = args or [], module
        if as_torch:
            script, words = find_runner(script, words, module)
            runs_module = True
        job = launch.JobSpec(
            np, script, words, runs_module, hosts, hostfile, threads,
            elastic=elastic, respawn=respawn, leave_on_error=leave_on_error,
            frozen_after_s=frozen_after, environ=environ, mpi_args=shlex.split(mpi_args),
            srun_args=shlex.split(srun_args), ssh_port=ssh_port, interface=interface,
            hosts_from=hosts_from, min_ranks=min_ranks,
        )  # fmt: skip
        if dry_run:
            if hosts_from is not None:
                job = with_hosts(job, HostSource(hosts_from).ask())
            typer.echo(str(launch.plan(job)))
            status = 0
        else:
            status = launch.run(job, max_restarts, grace, hosts_every)
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
