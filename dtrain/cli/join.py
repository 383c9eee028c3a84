"""`dtrain join`: makes one file of each object of a sharded job's checkpoint."""

from __future__ import annotations

from typing import Annotated

import typer

from dtrain.checkpoint import join_checkpoint
from dtrain.errors import CheckpointError


def join(
    checkpoint: Annotated[
        str, typer.Argument(help="A checkpoint's folder, or a run's, for its newest checkpoint.")
    ],
    folder: Annotated[
        str, typer.Argument(help="Where the new checkpoint goes; may be the run's own folder.")
    ],
) -> None:
    """Join the parts that the ranks of a sharded job have written: one file for each object.

    Exit status: 0, or 2 if the checkpoint cannot be read or the new one not be written.
    """
    try:
        typer.echo(join_checkpoint(checkpoint, folder))
    except (CheckpointError, OSError) as error:
        typer.echo(f"dtrain join: {error}", err=True)
        raise typer.Exit(2) from None
