"""`dtrain check`: lists what programs written for PyTorch use that dtrain lacks."""

from __future__ import annotations

from typing import Annotated

import typer

from dtrain.check import check_paths


def check(
    paths: Annotated[list[str], typer.Argument(help="Python files, or folders of them.")],
) -> None:
    """Read programs written for PyTorch, without running them: what does dtrain not have?

    Each name that dtrain lacks or treats otherwise is a line: file, line, column, what to do
    instead. Exit status: 0 if there is none; 1 if there is one, or a file cannot be read.
    """
    try:
        report = check_paths(paths)
    except FileNotFoundError as error:
        typer.echo(f"dtrain check: {error}", err=True)
        raise typer.Exit(2) from None
    for finding in report.findings:
        typer.echo(str(finding))
    for problem in report.unread:
        typer.echo(problem, err=True)
    names, files = len(report.findings), report.files
    unread = f", {len(report.unread)} not read" if report.unread else ""
    typer.echo(f"{files} file{'s' * (files != 1)}: {names or 'nothing'} to change{unread}")
    raise typer.Exit(bool(report.findings or report.unread))
