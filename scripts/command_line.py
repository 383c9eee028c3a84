"""Makes the page of the command line from the commands themselves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from typer.main import get_command

from dtrain.cli.main import app
from dtrain.distributed import STOPPED

_STATUSES = f"""\
## Exit statuses

| status of `dtrain run` | meaning |
|---|---|
| 0 | a rank came to the end of the script |
| 1 and others | the status of the failure; the traceback is the last that is printed |
| 2 | an option is wrong; nothing was started |
| {STOPPED} | stopped by a signal, with a checkpoint (`distributed.STOPPED`): start it again |
| 128 + N | ended by signal N |
"""


def make_page() -> str:
    """The Markdown of the page: the commands with their options, and the exit statuses."""
    sections = [_make_section(name, command) for name, command in _commands("dtrain", app)]
    return "# Command line\n\n" + "\n".join(sections) + "\n" + _STATUSES


def _commands(name: str, app: Any) -> Iterator[tuple[str, Any]]:
    """The commands of a typer application, those of groups by both names."""
    pending = [(name, get_command(app))]
    while pending:
        name, command = pending.pop(0)
        inner = getattr(command, "commands", None)
        if inner is None:
            yield name, command
        else:
            pending = [(f"{name} {word}", inner[word]) for word in inner] + pending


def _make_section(name: str, command: Any) -> str:
    arguments = [p for p in command.params if not p.opts[0].startswith("-")]
    usage = " ".join([name, "[OPTIONS]", *map(_write_argument, arguments)])
    text = f"## {name}\n\n```\n{usage}\n```\n\n{command.help.strip()}\n\n"
    return text + "| | | default |\n|---|---|---|\n" + "".join(map(_make_row, command.params))


def _write_argument(parameter: Any) -> str:
    word = parameter.name.upper() + "..." * (parameter.nargs != 1)
    return word if parameter.required else f"[{word}]"


def _make_row(parameter: Any) -> str:
    is_option = parameter.opts[0].startswith("-")
    words = sorted(parameter.opts, key=len) if is_option else [parameter.name.upper()]
    takes_value = is_option and not parameter.is_flag
    kind = getattr(parameter.type_descriptor.annotation, "__name__", "str").lower()
    value = f" *{kind}*" if takes_value else ""
    default = "" if parameter.default in (None, False, "") else f"`{parameter.default}`"
    names = ", ".join(f"`{word}`" for word in words)
    return (
        f"| {names}{value} | {(parameter.help or '').replace('|', chr(92) + '|')} | {default} |\n"
    )
