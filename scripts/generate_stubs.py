"""Make the stubs (`.pyi`) of names that tables bind, which editors and type checkers do not see.

`dtrain.add`, `Tensor.sum` or `dtrain.linalg.svd` are put in place by `dtrain/functions/table.py`.
Their signatures are those of the functions themselves: `inspect.signature`, annotations and
`typing.overload`. Needs Python 3.11.

    python scripts/generate_stubs.py            # write the stubs
    python scripts/generate_stubs.py --check    # exit with 1 if one is out of date
    python scripts/generate_stubs.py --untyped  # list parameters and results without a type
"""

from __future__ import annotations

import ast
import builtins
import functools
import importlib
import inspect
import sys
import textwrap
import types
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dtrain
import dtrain.fft
import dtrain.linalg
import dtrain.special
from dtrain.functions import table

PACKAGE = Path(dtrain.__file__).parent
WIDTH = 100
HEADER = """\
\"\"\"{}

Made by scripts/generate_stubs.py from the tables of functions; do not edit.
\"\"\"

"""


class Stub:
    """One stub: definitions in the order in which they are added, and the imports they need."""

    def __init__(self, bound: set[str], reexports: dict[str, Any]):
        self._bound = bound  # names of the stub that hide others, such as `int` of dtrain
        self._reexports = reexports
        self._imports: set[str] = set()
        self.untyped: list[str] = []

    def text(self, summary: str, imports: set[str], definitions: str) -> str:
        """The whole stub; `imports` are those of names that it re-exports."""
        return HEADER.format(summary) + _sorted_imports(self._imports | imports) + definitions

    def function(self, name: str, function: Callable[..., Any], method: bool = False) -> str:
        """The definition of `function`, or of each of its overloads, as `name`."""
        overloads = typing.get_overloads(inspect.unwrap(function))
        if not overloads:
            return self._definition(name, function, method)
        mark = self._import("typing", "overload")
        overloads[0].__doc__ = function.__doc__
        return "".join(f"@{mark}\n{self._definition(name, form, method)}" for form in overloads)

    def _definition(self, name: str, function: Callable[..., Any], method: bool) -> str:
        signature = inspect.signature(function)
        parameters = list(signature.parameters.values())
        if name.startswith("__"):  # an operator has no options
            parameters = [p for p in parameters if p.kind is not p.KEYWORD_ONLY]
        written = [self._parameter(name, p, function) for p in parameters[method:]]
        named = [p.kind is p.KEYWORD_ONLY for p in parameters[method:]]
        if any(named) and not any(p.kind is p.VAR_POSITIONAL for p in parameters):
            written.insert(named.index(True), "*")
        result = self._annotation(f"{name} -> ", signature.return_annotation, function)
        doc = "" if name.startswith("__") else inspect.getdoc(function) or ""
        overrides = "  # type: ignore[override]" if name in ("__eq__", "__ne__") else ""
        return _definition(name, ["self"] * method + written, result, doc, overrides)

    def _parameter(self, name: str, p: inspect.Parameter, function: Callable[..., Any]) -> str:
        star = {p.VAR_POSITIONAL: "*", p.VAR_KEYWORD: "**"}.get(p.kind, "")
        annotation = self._annotation(f"{name}({p.name})", p.annotation, function)
        default = "" if p.default is p.empty else f" = {_default(p.default)}"
        return f"{star}{p.name}: {annotation}{default}"

    def _annotation(self, where: str, annotation: Any, function: Callable[..., Any]) -> str:
        if annotation is inspect.Parameter.empty:
            self.untyped.append(f"{where}: {inspect.unwrap(function).__module__}")
            return self._import("typing", "Any")
        if isinstance(annotation, type):
            return self._import(annotation.__module__, annotation.__name__)
        tree = ast.parse(annotation, mode="eval")
        return ast.unparse(_Names(self, list(_scopes(function))).visit(tree))

    def name(self, name: str, scopes: list[dict[str, Any]]) -> str:
        """How the stub writes what functions in these scopes call `name`."""
        scope = next((scope for scope in scopes if name in scope), None)
        if scope is None:
            return self._import("builtins", name)
        if isinstance(scope[name], types.ModuleType):
            module = scope[name].__name__
            self._imports.add(f"import {module}" + (f" as {name}" if name != module else ""))
            return name
        return self._import(*_definition_of(scope["__name__"], name))

    def _import(self, module: str, name: str) -> str:
        """How the stub writes `name` of a module."""
        if module == "builtins":
            if name not in vars(builtins):
                raise NameError(f"{name} in an annotation is neither imported nor built in")
            if name not in self._bound:
                return name
            self._imports.add("import builtins")
            return f"builtins.{name}"
        if self._reexports.get(name) is getattr(importlib.import_module(module), name):
            return name
        own = f"_{name}" if name in self._bound else name
        self._imports.add(f"from {module} import {name}" + (f" as {own}" if own != name else ""))
        return own


class _Names(ast.NodeTransformer):
    """Replaces the names in an annotation by those of the stub."""

    def __init__(self, stub: Stub, scopes: list[dict[str, Any]]):
        self._stub, self._scopes = stub, scopes

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return ast.parse(self._stub.name(node.id, self._scopes), mode="eval").body


def _scopes(function: Callable[..., Any]) -> Iterator[dict[str, Any]]:
    """The globals in which the annotations of a function, or of what it wraps, are names."""
    while True:
        yield vars(importlib.import_module(function.__module__))
        yield getattr(function, "__globals__", {})
        if not hasattr(function, "__wrapped__"):
            return
        function = function.__wrapped__


@functools.cache
def _definition_of(module: str, name: str) -> tuple[str, str]:
    """The module that defines what `module` calls `name`, and its name there."""
    source = inspect.getsource(importlib.import_module(module))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    if not node.module.startswith("dtrain"):
                        return node.module, alias.name
                    return _definition_of(node.module, alias.name)
    return module, name


def _default(value: Any) -> str:
    simple = value is None or isinstance(value, (bool, int, float, str)) or value == ()
    return repr(value).replace("'", '"') if simple and repr(value) not in ("inf", "nan") else "..."


def _definition(name: str, parameters: list[str], result: str, doc: str, comment: str) -> str:
    """A definition with a body of one line."""
    doc = doc.partition("\n")[0]
    body = f'\n    """{doc}"""\n' if doc else f" ...{comment}\n"
    line = f"def {name}({', '.join(parameters)}) -> {result}:"
    if len(line) > WIDTH - 8:
        lines = "".join(f"    {parameter},\n" for parameter in parameters)
        line = f"def {name}(\n{lines}) -> {result}:"
    return line + body


def _sorted_imports(statements: set[str]) -> str:
    """Import statements of one name each, joined by module and sorted."""
    names: dict[str, list[str]] = {}
    for statement in sorted(statements):
        module, _, name = statement.partition(" import ")
        names.setdefault(module, []).extend([name] * bool(name))
    text = ""
    for module in sorted(names):
        listed = ", ".join(names[module])
        if len(f"{module} import {listed}") > WIDTH:
            listed = "(\n" + "".join(f"    {name},\n" for name in names[module]) + ")"
        text += f"{module} import {listed}\n" if listed else f"{module}\n"
    return text


def _reexports(module: types.ModuleType) -> dict[str, str]:
    """The names that a module imports one by one and exports unchanged, with their statements."""
    found = {}
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                name = alias.asname or alias.name
                if name in module.__all__ and _same(module, name, node.module, alias.name):
                    found[name] = f"from {node.module} import {alias.name} as {name}"
    return found


def _same(module: types.ModuleType, name: str, source: str, original: str) -> bool:
    value = getattr(module, name)
    return isinstance(value, types.ModuleType) or value is getattr(
        importlib.import_module(source), original
    )


def module_stub(module: types.ModuleType) -> tuple[str, list[str]]:
    """The stub of a module with `__all__`, and what in it has no type."""
    statements = _reexports(module)
    stub = Stub(set(module.__all__), {name: getattr(module, name) for name in statements})
    definitions = ""
    for name in sorted(set(module.__all__) - set(statements)):
        value = getattr(module, name)
        if not callable(value) and value is not None:
            raise TypeError(f"{name}: expected a function or None, got {value!r}")
        definitions += stub.function(name, value) if callable(value) else f"{name}: None = None\n"
    names = "".join(f'    "{name}",\n' for name in module.__all__)
    summary = (module.__doc__ or "").partition("\n")[0]
    version = "__version__: str\n" if hasattr(module, "__version__") else ""
    body = f"\n__all__ = [\n{names}]\n\n{version}{definitions}"
    return stub.text(summary, set(statements.values()), body), stub.untyped


def tensor_methods_stub() -> tuple[str, list[str]]:
    """The stub of `dtrain.autograd.tensor_methods`, and what in it has no type."""
    methods = dict(table.FUNCTIONS)
    for part in (table.METHODS, *table.IN_PLACE, table.INPLACE_ALIASES, table.OPERATORS):
        methods.update(part)
    for name in table.OPERATORS:  # x += y takes what x + y takes
        if name.startswith("__i") and f"__{name[3:]}" in methods:
            methods[name] = methods[f"__{name[3:]}"]
    stub = Stub({*methods, *table.PROPERTIES}, {})
    body = ""
    for name in sorted(table.PROPERTIES):
        body += f"@property\n{stub.function(name, table.PROPERTIES[name], method=True)}"
    for name in sorted(methods):
        body += stub.function(name, methods[name], method=True)
    body = "\nclass TensorMethods:\n" + textwrap.indent(body, "    ")
    return stub.text("The operations of Tensor.", set(), body), stub.untyped


def stubs() -> dict[Path, tuple[str, list[str]]]:
    """The text of each stub, and what in it has no type, by path."""
    return {
        PACKAGE / "__init__.pyi": module_stub(dtrain),
        PACKAGE / "fft.pyi": module_stub(dtrain.fft),
        PACKAGE / "linalg.pyi": module_stub(dtrain.linalg),
        PACKAGE / "special.pyi": module_stub(dtrain.special),
        PACKAGE / "autograd" / "tensor_methods.pyi": tensor_methods_stub(),
    }


def main(option: str = "") -> int:
    """Write the stubs, or do what the option says; returns the exit status."""
    status = 0
    for path, (text, untyped) in stubs().items():
        if option == "--untyped":
            print("\n".join([f"{path}: {len(untyped)} without a type", *untyped]))
        elif option != "--check":
            path.write_text(text)
        elif not path.exists() or path.read_text() != text:
            print(f"{path} is out of date: run python scripts/generate_stubs.py")
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
