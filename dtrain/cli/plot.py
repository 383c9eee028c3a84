"""`dtrain plot`: draws the learning curves of runs."""

from __future__ import annotations

from typing import Annotated

import typer

from dtrain.errors import DataError
from dtrain.train.plots import plot_runs


def plot(
    runs: Annotated[list[str], typer.Argument(help="Folders of runs, with their log.jsonl.")],
    output: Annotated[
        str, typer.Option("--output", "-o", help="A .png, .svg, .pdf or .html file.")
    ] = "curves.png",
    smooth: Annotated[
        float, typer.Option(help="Weight of the curve so far, 0 (none) to below 1.")
    ] = 0.0,
    figures: Annotated[
        str | None, typer.Option(help="Names of figures, as loss,val_loss; default: all.")
    ] = None,
) -> None:
    """Draw the learning curves of one or more runs that dtrain.train.Logs has written."""
    names = None if figures is None else [name.strip() for name in figures.split(",")]
    try:
        drawn = plot_runs(runs, output, smooth, names)
    except (DataError, ValueError, OSError, ModuleNotFoundError) as error:
        typer.echo(f"dtrain plot: {error}", err=True)
        raise typer.Exit(2) from None
    typer.echo(f"{output}: {', '.join(drawn)} of {len(runs)} run{'s' * (len(runs) != 1)}")
