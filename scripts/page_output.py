"""Runs the commands in the pages of docs/, and writes what they print into the pages.

A block ```console has commands, after "$ ", and what they print. They run in a scratch folder with
the folder `examples` in it, one page after the other. `<!-- from PATH -->` before a picture has it
copied from there; a block of Python after "Save this as `NAME`" is that file.
`<!-- needs WORD... -->` names modules and programs without which a page is left.

    python scripts/page_output.py [PAGE...]            # write outputs and pictures
    python scripts/page_output.py --check [PAGE...]    # exit with 1 if other words are printed

A check passes over numbers: figures and times are the machine's. In a page with
`<!-- output varies -->` it only looks for tracebacks. It runs two pages at a time.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"

_BLOCK = re.compile(r"(?<=```console\n)(.*?)(?=```)", re.DOTALL)
_PICTURE = re.compile(r"<!-- from (\S+) -->\n!\[[^]]*\]\((\S+)\)")
_FILE = re.compile(r"Save this as `(\S+)`[^\n]*\n\n```python\n(.*?)```", re.DOTALL)
_NEEDS = re.compile(r"<!-- needs (.*) -->")
_VARIES = "<!-- output varies -->"
_NUMBER = re.compile(r"\b(?=[0-9a-f]*\d)[0-9a-f]{12,}\b|\d+([.,]\d+)*")


def find_pages() -> list[Path]:
    """The pages that have commands."""
    return [path for path in sorted(DOCS.rglob("*.md")) if _BLOCK.search(path.read_text())]


def find_missing(page: Path) -> list[str]:
    """What a page needs that is not installed."""
    words = " ".join(_NEEDS.findall(page.read_text())).split()
    return [w for w in words if not (shutil.which(w, path=_path()) or importlib.util.find_spec(w))]


def _path() -> str:
    """PATH with the programs of this Python's environment."""
    return f"{Path(sys.executable).parent}:{os.environ['PATH']}"


def run_page(page: Path, scratch: Path) -> str:
    """The page with what its commands print now, run in the folder `scratch`."""
    (scratch / "examples").symlink_to(ROOT / "examples")
    text = page.read_text()
    for name, program in _FILE.findall(text):
        (scratch / name).write_text(program)
    return _BLOCK.sub(lambda match: _run_block(match[0], scratch), text)


def _run_block(block: str, scratch: Path) -> str:
    commands = re.findall(r"^\$ .*(?:\n {4}.*)*", block, re.MULTILINE)
    return "".join(f"{command}\n{_run(command[2:], scratch)}" for command in commands)


def _run(command: str, scratch: Path) -> str:
    environ = os.environ | {
        "PATH": _path(),
        "PYTHONPATH": str(ROOT),
        "COLUMNS": "100",
    }
    process = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command.replace("\n", " \\\n")],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=scratch, env=environ,
        timeout=600, check=False,
    )  # fmt: skip
    return process.stdout


def copy_pictures(page: Path, scratch: Path) -> None:
    """Copy the pictures that the commands have drawn to where the page shows them."""
    for source, target in _PICTURE.findall(page.read_text()):
        shutil.copy(scratch / source, page.parent / target)


def find_differences(page: Path, text: str, scratch: Path) -> list[str]:
    """Lines of the page that its commands no longer print, and pictures that they do not draw."""
    if _VARIES in text:
        return [
            f"{page.name}: {line}" for line in text.splitlines() if line.startswith("Traceback")
        ]
    before, now = (_mask(t).splitlines() for t in (page.read_text(), text))
    lines = [f"{page.name}: {line}" for line in before if line not in now]
    lines += [f"{page.name}: printed now: {line}" for line in now if line not in before]
    pictures = [source for source, _ in _PICTURE.findall(page.read_text())]
    return lines + [f"{page.name}: no {p}" for p in pictures if not (scratch / p).exists()]


def _mask(text: str) -> str:
    """The text without its figures, and without the width of columns of them."""
    return re.sub(" +", " ", _NUMBER.sub("#", text))


def update_page(page: Path, is_check: bool) -> list[str]:
    """Write a page anew, or only find what its commands print differently."""
    if missing := find_missing(page):
        print(f"{page.name}: left, no {', '.join(missing)}")
        return []
    with tempfile.TemporaryDirectory() as folder:
        text = run_page(page, Path(folder))
        if is_check:
            return find_differences(page, text, Path(folder))
        page.write_text(text)
        copy_pictures(page, Path(folder))
        return []


def main(*arguments: str) -> int:
    """Write or check the pages; returns the exit status."""
    is_check = "--check" in arguments
    given = [Path(argument).resolve() for argument in arguments if argument != "--check"]
    with ThreadPoolExecutor(2 if is_check else 1) as pool:
        found = list(pool.map(partial(update_page, is_check=is_check), given or find_pages()))
    differences = [line for lines in found for line in lines]
    print("".join(f"{line}\n" for line in differences), end="")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
