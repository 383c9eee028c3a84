"""`dtrain debug`: runs the ranks of a script as threads of one process."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from dtrain.as_torch import serve_torch
from dtrain.checkpoint import verify_checkpoint
from dtrain.distributed.debug.run_script import RankError, run_script
from dtrain.distributed.trace.timeline import trace_variable
from dtrain.errors import CheckpointError, LaunchError


def debug(
    script: Annotated[str, typer.Argument(help="A Python file; with -m, a module.")],
    args: Annotated[list[str] | None, typer.Argument(help="The script's arguments.")] = None,
    ranks: Annotated[int, typer.Option("-n", "--np", help="Number of ranks.")] = 1,
    module: Annotated[bool, typer.Option("-m", help="SCRIPT is a module.")] = False,
    as_torch: Annotated[
        bool, typer.Option("--as-torch", help="Serve SCRIPT's `import torch` from dtrain.")
    ] = False,
    rank: Annotated[
        int | None,
        typer.Option(
            help="The rank to debug: pdb opens there at breakpoint() and, on a terminal, when that "
            "rank raises. Default: breakpoint() opens pdb on rank 0."
        ),
    ] = None,
    step: Annotated[
        int | None,
        typer.Option(
            help="Open pdb on that rank after this number of steps, counted since the run began: 0 "
            "is before the first step, 40 where the checkpoint step-00000040 was written. It opens "
            "at the loop over the loader. Loops under no_grad() do not count."
        ),
    ] = None,
    replay: Annotated[
        Path | None,
        typer.Option(
            help="A checkpoint, or a run's folder of checkpoints: resume() in SCRIPT loads it, "
            "whichever it is asked for. No checkpoint is written."
        ),
    ] = None,
    trace: Annotated[
        Path | None, typer.Option(help="Write a timeline of all ranks, for ui.perfetto.dev.")
    ] = None,
) -> None:
    """Run SCRIPT with its ranks as threads of this process: the same bits, and breakpoint() works.

    Each line of output begins with the number of the rank that wrote it.
    """
    try:
        checkpoint = None if replay is None else verify_checkpoint(replay)
        if as_torch:
            serve_torch()
        os.environ |= trace_variable(trace)
        status = run_script(script, args or [], ranks, rank, step, checkpoint, module)
    except (FileNotFoundError, LaunchError, CheckpointError) as refused:
        typer.echo(f"dtrain debug: {refused}", err=True)
        raise typer.Exit(2) from None
    except RankError as failed:
        typer.echo(str(failed), err=True, nl=False)
        raise typer.Exit(1) from None
    raise typer.Exit(status)
