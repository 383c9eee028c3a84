"""Finds the names of PyTorch's that a program uses and dtrain lacks or treats otherwise."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import dtrain
from dtrain.as_torch.advice import explain_missing
from dtrain.as_torch.paths import ALIASES, find_module
from dtrain.check.uses import Use, find_uses

_MISSING = object()


@dataclass(frozen=True)
class Finding:
    """A name that dtrain lacks or treats otherwise; `str()` is a line of the report."""

    file: str
    line: int
    column: int
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.text}"


def check_source(source: str | bytes, file: str = "<program>") -> list[Finding]:
    """Find the names of PyTorch's in a program that dtrain lacks or treats otherwise.

    Parameters
    ----------
    source : the program's text
    file : its name in the findings

    Returns
    -------
    list of Finding
        In the order of the lines.

    Raises
    ------
    SyntaxError, ValueError
        If the program cannot be parsed.

    Examples
    --------
    >>> for finding in check_source("import torch\\ny = torch.linalg.relu(x)", "train.py"):
    ...     print(finding)
    train.py:2:5: dtrain has no torch.linalg.relu: torch.relu is there
    """
    uses = find_uses(ast.parse(source, file))
    found = [(use, text) for use in uses for text in _explain(use)]
    return list(dict.fromkeys(Finding(file, use.line, use.column, text) for use, text in found))


def _explain(use: Use) -> Iterator[str]:
    value = _look_up(use.path)
    if value is _MISSING:
        yield explain_missing(use.path)
        return
    for keyword in use.keywords:
        if not _accepts(value, keyword):
            yield f"dtrain's {use.path} has no argument {keyword!r}: leave it out"
    if use.result is not None and _returns_tensor(value) and not hasattr(dtrain.Tensor, use.result):
        yield explain_missing(f"torch.Tensor.{use.result}")


def _look_up(path: str) -> Any:
    """What dtrain has at a path; None where that is not known, `_MISSING` if there is nothing."""
    root, *names = path.split(".")
    if names[:1] == ["version"] or path == "torchvision":
        return None
    if root == "torchvision" and names[0] != "models":
        names = ["vision", *names]
    value: Any = dtrain
    for number, name in enumerate(names, 1):
        if value is _MISSING:
            break
        if isinstance(value, ModuleType):
            value = _find_in_module(value, names[:number])
        elif isinstance(value, type) and value.__module__.startswith("dtrain."):
            value = getattr(value, name, None if name in _instance_names(value) else _MISSING)
        else:
            return None  # an attribute of a function or a value
    return value


def _find_in_module(module: ModuleType, names: list[str]) -> Any:
    """A name in a module that stands at the path above it; `_MISSING` if there is none."""
    below = ".".join(names)
    if below not in ALIASES and hasattr(module, names[-1]):
        return getattr(module, names[-1])
    found = find_module(below)
    return _MISSING if found is None else found


def _instance_names(kind: type) -> set[str]:
    """The attributes that a class declares for its instances."""
    return {name for base in kind.__mro__ for name in getattr(base, "__annotations__", ())}


def _accepts(function: Any, keyword: str) -> bool:
    """Whether a function may be called with a keyword, as far as its signature says."""
    if not callable(function):
        return True
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):
        return True
    kinds = {p.kind for p in parameters.values()}
    if keyword in getattr(function, "parameter_aliases", ()):  # NumPy's names: axis, keepdims
        return True
    return keyword in parameters or inspect.Parameter.VAR_KEYWORD in kinds


def _returns_tensor(function: Any) -> bool:
    try:
        result = inspect.signature(function).return_annotation
    except (TypeError, ValueError):
        return False
    return result is dtrain.Tensor or result == "Tensor"
