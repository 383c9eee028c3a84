"""An extension of Griffe: reads dtrain's docstrings as they are written.

Types stand in the signature, so what follows a parameter's colon is mostly its description, and
what a function returns is told in prose. Doctests stand at the end without a heading. Stubs have a
function's first line alone: the rest is that of the function itself.
"""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path
from typing import Any

import griffe

_SECTION = re.compile(
    r"^(Parameters|Attributes|Returns|Yields)\n-+\n(.*?)(?=\n\n\S+\n---|\Z)", re.M | re.S
)
_ITEM = re.compile(r"^(\S[^:\n]*?) : (.*(?:\n[ ]+.*)*)", re.M)
_LONG = 60  # characters: a line that goes on in the next one, and is no type


class Docstrings(griffe.Extension):
    """Completes the docstring of each object before it is parsed."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Change the docstring of a module, class, function or attribute."""
        if obj.docstring is None:
            return
        if isinstance(obj.filepath, Path) and obj.filepath.suffix == ".pyi" and obj.parent:
            module = importlib.import_module(obj.module.path)
            owner = module if obj.parent.is_module else getattr(module, obj.parent.name)
            found = inspect.getdoc(getattr(owner, obj.name, None))
            obj.docstring.value = found or obj.docstring.value
        obj.docstring.value = arrange(obj.docstring.value)


def arrange(text: str) -> str:
    """The docstring as Griffe's parser of NumPy's style wants it.

    >>> print(arrange("One.\\n\\nParameters\\n----\\nx : a number\\n\\n>>> 1\\n1"))
    One.
    <BLANKLINE>
    Parameters
    ----
    x
        a number
    <BLANKLINE>
    Examples
    --------
    >>> 1
    1
    """
    before, mark, after = text.partition(">>> ")
    before = _SECTION.sub(_arrange_section, before.rstrip())
    if not mark:
        return before
    heading = "\n" if re.search(r"\nExamples\n-+$", before) else "\n\nExamples\n--------\n"
    return f"{before}{heading}{mark}{after}"


def _arrange_section(match: re.Match[str]) -> str:
    title, body = match[1], match[2]
    if title in ("Parameters", "Attributes"):
        return match[0].replace(body, _ITEM.sub(_arrange_item, body))
    if re.search(r"^\s+\S", body, re.M) and len(body.partition("\n")[0]) < _LONG:
        return match[0]  # a type, and below it what it means
    return f"**{title}:** {inspect.cleandoc(body)}"


def _arrange_item(match: re.Match[str]) -> str:
    first, *rest = match[2].split("\n")
    if rest and len(match[0].partition("\n")[0]) < _LONG:
        return match[0]
    return "\n    ".join([match[1], first, *(line.strip() for line in rest)])
