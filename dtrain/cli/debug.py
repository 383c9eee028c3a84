"""`dtrain debug`: the ranks of a script as threads of one process."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from dtrain.checkpoint import verify_checkpoint
from dtrain.distributed.debug.run_script import RankError, run_script
from dtrain.distributed.trace.timeline import trace_variable
from dtrain.errors import CheckpointError, LaunchError


def debug(
    script: Annotated[Path, typer.Argument(help="The Python script to run.")],
    args: Annotated[list[str] | None, typer.Argument(help="Its arguments.")] = None,
    ranks: Annotated[int, typer.Option("-n", "--np", help="How many ranks.")] = 1,
    rank: Annotated[
        int | None,
        typer.Option(
            help="The rank of the debugger: it opens there at breakpoint() and, on a terminal, "
            "when that rank raises. By default breakpoint() opens it on rank 0."
        ),
    ] = None,
    step: Annotated[
        int | None,
        typer.Option(
            help="Open the debugger on that rank once so many steps have been made since the run "
            "began, at the loop that is about to get the next one's first batch: 0 is before the "
            "first step, 40 where the checkpoint step-00000040 was written. Loops under no_grad() "
            "do not count."
        ),
    ] = None,
    replay: Annotated[
        Path | None,
        typer.Option(
            help="A checkpoint, or a run's folder with some: resume() in SCRIPT goes on from it, "
            "whatever it was asked for. No checkpoint is written."
        ),
    ] = None,
    trace: Annotated[
        Path | None, typer.Option(help="Write a timeline of all ranks, for ui.perfetto.dev.")
    ] = None,
) -> None:
    """Run SCRIPT as ranks that are threads of this process: the same bits, and breakpoint() works.

    Lines of output begin with the number of the rank that wrote them.
    """
    try:
        checkpoint = None if replay is None else verify_checkpoint(replay)
        os.environ |= trace_variable(trace)
        status = run_script(script, args or [], ranks, rank, step, checkpoint)
    except (FileNotFoundError, LaunchError, CheckpointError) as refused:
        typer.echo(f"dtrain debug: {refused}", err=True)
        raise typer.Exit(2) from None
    except RankError as failed:
        typer.echo(str(failed), err=True, nl=False)
        raise typer.Exit(1) from None
    raise typer.Exit(status)
