"""Checks files and folders of programs; a file that cannot be read does not stop the others."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from dtrain.check.findings import Finding, check_source

#: Folders without the user's own programs.
_SKIPPED = {"__pycache__", "build", "dist", "node_modules", "site-packages", "venv"}


@dataclass
class CheckReport:
    """What was found in files: `files` read, `findings` in them, and `unread` ones with reasons."""

    files: int = 0
    findings: list[Finding] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)


def check_paths(paths: Iterable[str | Path]) -> CheckReport:
    """Check Python files, and those in folders, for names that dtrain lacks or treats otherwise.

    Parameters
    ----------
    paths : files, whatever their suffix, and folders, of which all `*.py` are read; hidden
        folders, virtual environments and installed packages are left out

    Raises
    ------
    FileNotFoundError
        If a path does not exist; before any file is read.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> _ = (folder / "train.py").write_text("import torch.fx")
    >>> report = check_paths([folder])
    >>> report.files, report.findings[0].line
    (1, 1)
    """
    programs = [Path(path) for path in paths]
    for path in programs:
        if not path.exists():
            raise FileNotFoundError(f"{path}: no such file or folder; give Python files or folders")
    report = CheckReport()
    for file in dict.fromkeys(file for path in programs for file in _find_programs(path)):
        try:
            report.findings += check_source(file.read_bytes(), str(file))
            report.files += 1
        except SyntaxError as error:
            report.unread.append(f"{file}:{error.lineno or 1}: cannot be parsed: {error.msg}")
        except (OSError, ValueError, RecursionError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            report.unread.append(f"{file}: cannot be read: {reason}")
    return report


def _find_programs(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        yield path
        return
    for folder, folders, files in os.walk(path):
        folders[:] = sorted(f for f in folders if not _is_skipped(Path(folder, f)))
        yield from (Path(folder, file) for file in sorted(files) if file.endswith(".py"))


def _is_skipped(folder: Path) -> bool:
    hidden = folder.name.startswith(".") or folder.name in _SKIPPED
    return hidden or (folder / "pyvenv.cfg").exists()
