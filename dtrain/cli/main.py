"""The command line: `dtrain run`, `debug`, `check`, `join`, `plot`, `bench` and `doctor`."""

from __future__ import annotations

from typing import Annotated

import typer

import dtrain
from dtrain.cli.bench import bench
from dtrain.cli.check import check
from dtrain.cli.debug import debug
from dtrain.cli.doctor import doctor
from dtrain.cli.join import join
from dtrain.cli.plot import plot
from dtrain.cli.run import run
from dtrain.distributed.launch.descriptors import open_closed_streams

app: typer.Typer = typer.Typer(
    no_args_is_help=True,
    invoke_without_command=True,
    rich_markup_mode=None,  # rich help shows flags with a type, as if they took a value
    help="Train neural networks on many processes, to the same bits on any number of them.",
)
_script_arguments = {"ignore_unknown_options": True, "allow_interspersed_args": False}


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", help="Print dtrain's version.", is_eager=True)
    ] = False,
) -> None:
    open_closed_streams()
    if version:
        typer.echo(f"dtrain {dtrain.__version__}")
        raise typer.Exit()


app.add_typer(bench, name="bench")
app.command(context_settings=_script_arguments)(run)
app.command(context_settings=_script_arguments)(debug)
app.command()(doctor)
app.command()(check)
app.command()(join)
app.command()(plot)
