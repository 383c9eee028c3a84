"""Makes the API reference of the site: a page of Markdown for each page of reference_groups.

What a name says is its docstring, which mkdocstrings takes when the site is built. Constants
become rows of a table.
"""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import pkgutil
import typing
from abc import ABCMeta
from types import FunctionType, ModuleType
from typing import Any

from reference_groups import NOT_SHOWN, PAGES, Page, Section

import dtrain


def public_modules() -> list[ModuleType]:
    """The packages of dtrain that have public names, and the modules that the pages show."""
    found = [m.name for m in pkgutil.walk_packages(dtrain.__path__, "dtrain.") if m.ispkg]
    shown = [section.module for page in PAGES for section in page.sections]
    modules = [importlib.import_module(name) for name in dict.fromkeys(["dtrain", *found, *shown])]
    hidden = tuple(f"{name}." for name in NOT_SHOWN)
    return [m for m in modules if not f"{m.__name__}.".startswith(hidden) and public_names(m)]


def public_names(module: ModuleType) -> list[str]:
    """The names that a module shows, without modules.

    These are `__all__`; of a package the names that it imports as themselves, and what it defines.
    """
    names = getattr(module, "__all__", None)
    if names is None:
        own = [name for name, value in vars(module).items() if _is_defined_in(value, module)]
        names = dict.fromkeys(_reexports(module) + own)
    return [n for n in names if n[0] != "_" and not inspect.ismodule(getattr(module, n))]


def _is_defined_in(value: object, module: ModuleType) -> bool:
    is_definition = inspect.isfunction(value) or inspect.isclass(value)
    return is_definition and value.__module__ == module.__name__


@functools.cache
def _reexports(module: ModuleType) -> list[str]:
    imports = [
        n for n in ast.parse(inspect.getsource(module)).body if isinstance(n, ast.ImportFrom)
    ]
    return [a.name for node in imports for a in node.names if a.asname == a.name]


def find_sections(module: ModuleType, name: str) -> list[Section]:
    """The sections that take a name: those that list it, or else one that takes the rest."""
    sections = [s for page in PAGES for s in page.sections if s.module == module.__name__]
    listing = [s for s in sections if any(takes(w, module, name) for w in s.takes.split())]
    return listing or [s for s in sections if not s.takes]


def takes(word: str, module: ModuleType, name: str) -> bool:
    """Whether a word of a section's list takes a name."""
    if word.startswith("="):
        return word[1:] == name
    defined = getattr(getattr(module, name), "__module__", None) or ""
    return f"{defined}.".startswith(f"dtrain.{word}.")


def make_page(page: Page) -> str:
    """The Markdown of a page."""
    parts = [_make_section(section) for section in page.sections]
    return f"# {page.title}\n\n{page.summary}\n\n" + "\n".join(parts)


def _make_section(section: Section) -> str:
    module = importlib.import_module(section.module)
    names = [n for n in public_names(module) if section in find_sections(module, n)]
    values = {n: getattr(module, n) for n in names}
    objects = [n for n, value in values.items() if _is_documented(module, n)]
    constants = [n for n in names if n not in objects]
    text = f"## {section.title} {{ #{section.module}-{_slug(section.title)} }}\n\n"
    if constants:
        rows = "".join(
            f"| `{section.module}.{n}` | `{_describe(values[n])}` |\n" for n in constants
        )
        text += f"| name | value |\n|---|---|\n{rows}\n"
    return text + "".join(_make_entry(section.module, name, values[name]) for name in objects)


def _make_entry(module: str, name: str, value: Any) -> str:
    """What mkdocstrings is asked for; it does not find functions that are overloads in a stub."""
    overloads = typing.get_overloads(inspect.unwrap(value))
    if not overloads:
        return f"::: {module}.{name}\n\n"
    path = f"{module}.{name}"
    forms = "\n".join(f"{name}{inspect.signature(form)}".replace("'", "") for form in overloads)
    return f"### `{path}` {{ #{path} }}\n\n```python\n{forms}\n```\n\n{inspect.getdoc(value)}\n\n"


def _is_documented(module: ModuleType, name: str) -> bool:
    """Whether a name is a function or class of dtrain; constants and second names become rows."""
    value = getattr(module, name)
    is_definition = inspect.isfunction(value) or inspect.isclass(value)
    if not is_definition or value.__module__.partition(".")[0] != "dtrain":
        return False
    if type(value) not in (FunctionType, type, ABCMeta):  # a type for isinstance alone
        return False
    other = value.__name__
    return other == name or getattr(module, other, None) is not value


def _describe(value: object) -> str:
    if inspect.isclass(value) or inspect.isfunction(value):
        return f"{value.__module__}.{value.__qualname__}".removeprefix("builtins.")
    return repr(value).replace("|", "\\|")


def _slug(title: str) -> str:
    return "-".join("".join(c if c.isalnum() else " " for c in title.lower()).split())
