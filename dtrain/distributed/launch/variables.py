"""Environment variables that the user hands to the ranks: ``-x NAME[=VALUE]`` and files of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path


def read_variables(
    given: Iterable[str], files: Iterable[Path], environ: Mapping[str, str]
) -> dict[str, str]:
    """The variables by name; of the same name, those of `given` count before those of a file.

    Parameters
    ----------
    given : ``NAME=VALUE``, or ``NAME`` for its value in `environ`
    files : lines of the same form; empty ones and those that begin with # are left out
    environ : this process's variables

    Raises
    ------
    ValueError, FileNotFoundError
        If a name is none, has no value in `environ`, or a file cannot be read.

    >>> read_variables(["A=1", "B"], [], {"B": "x y"})
    {'A': '1', 'B': 'x y'}
    """
    variables: dict[str, str] = {}
    for path in files:
        for number, line in enumerate(_read_lines(path), start=1):
            if (text := line.strip()) and not text.startswith("#"):
                variables |= _parse(text, environ, f"{path}, line {number}")
    for text in given:
        variables |= _parse(text, environ, f"-x {text}")
    return variables


def _read_lines(path: Path) -> list[str]:
    if not path.is_file():
        raise FileNotFoundError(f"--env-file: no such file: {path}")
    try:
        return path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as reason:
        raise ValueError(f"--env-file: {path} cannot be read as text: {reason}") from None


def _parse(text: str, environ: Mapping[str, str], where: str) -> dict[str, str]:
    name, separator, value = text.partition("=")
    if not name.isidentifier():
        raise ValueError(f"{where}: expected NAME=VALUE or NAME, got {text!r}")
    if separator:
        return {name: value}
    if name not in environ:
        raise ValueError(f"{where}: {name} is not set here; give {name}=VALUE")
    return {name: environ[name]}
