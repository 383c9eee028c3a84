"""Make docs/namespaces.md: which of PyTorch's public names dtrain has, namespace by namespace.

PyTorch's names are a stored list, so PyTorch need not be installed.

    python scripts/namespaces.py            # write the table
    python scripts/namespaces.py --check    # exit with 1 if it is out of date
"""

from __future__ import annotations

import sys
from pathlib import Path

from dtrain.as_torch.advice import ADVICE
from dtrain.check.findings import check_source

ROOT = Path(__file__).parents[1]
NAMES = ROOT / "scripts" / "torch_names.txt"
TABLE = ROOT / "docs" / "namespaces.md"
SHOWN = 12  # missing names in a row

HEADER = """\
# PyTorch's namespaces

Made by `scripts/namespaces.py` from what dtrain has; do not edit. Counted are the public names of
PyTorch 2.13, its own types and aliases among them. `dtrain check FILE` says which names a program
uses that are not there, and what to do instead; so does the error of a missing name.

| namespace | there | not there |
|---|---|---|
"""


def read_names() -> dict[str, list[str]]:
    """PyTorch's public names by namespace."""
    lines = [line for line in NAMES.read_text().splitlines() if not line.startswith("#")]
    return {space: names.split() for space, names in (line.split(": ") for line in lines)}


def find_missing(space: str, names: list[str]) -> list[str]:
    """The names of a namespace that dtrain lacks."""
    program = "".join(f"from {space} import {name}\n" for name in names)
    lines = {f.line for f in check_source(program) if f.text.startswith("dtrain has no ")}
    return [name for line, name in enumerate(names, 1) if line in lines]


def make_row(space: str, names: list[str]) -> str:
    """A row of the table; why a namespace is not there, where that is known."""
    missing = find_missing(space, names)
    there = len(names) - len(missing)
    if not there and space in ADVICE:
        advice = ADVICE[space].replace("|", r"\|")
        return f"| `{space}` | 0 of {len(names)} | all: {advice} |"
    more = f" and {len(missing) - SHOWN} more" if len(missing) > SHOWN else ""
    listed = ", ".join(f"`{name}`" for name in missing[:SHOWN])
    return f"| `{space}` | {there} of {len(names)} | {listed}{more} |"


def make_table() -> str:
    """The whole page."""
    return HEADER + "".join(f"{make_row(*item)}\n" for item in read_names().items())


def main(option: str = "") -> int:
    """Write the table, or check that it is up to date; returns the exit status."""
    text = make_table()
    if option != "--check":
        TABLE.write_text(text)
    elif not TABLE.exists() or TABLE.read_text() != text:
        print(f"{TABLE} is out of date: run python scripts/namespaces.py")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
