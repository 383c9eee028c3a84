"""`dtrain debug`: the ranks of a script as threads of one process."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from dtrain.distributed.debugging import RankError, run_script
from dtrain.distributed.timeline import trace_variable
from dtrain.errors import LaunchError


def debug(
    script: Annotated[Path, typer.Argument(help="The Python script to run.")],
    args: Annotated[list[str] | None, typer.Argument(help="Its arguments.")] = None,
    ranks: Annotated[int, typer.Option("-n", "--np", help="How many ranks.")] = 1,
    rank: Annotated[
        int | None, typer.Option(help="Only this rank stops at breakpoint(); by default rank 0.")
    ] = None,
    trace: Annotated[
        Path | None, typer.Option(help="Write a timeline of all ranks, for ui.perfetto.dev.")
    ] = None,
) -> None:
    """Run SCRIPT as ranks that are threads of this process: the same bits, and breakpoint() works.

    Lines of output begin with the number of the rank that wrote them.
    """
    try:
        os.environ |= trace_variable(trace)
        status = run_script(script, args or [], ranks, stop_rank=rank or 0)
    except (FileNotFoundError, LaunchError) as refused:
        typer.echo(f"dtrain debug: {refused}", err=True)
        raise typer.Exit(2) from None
    except RankError as failed:
        typer.echo(str(failed), err=True, nl=False)
        raise typer.Exit(1) from None
    raise typer.Exit(status)
