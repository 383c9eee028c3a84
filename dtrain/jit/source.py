"""Functions as programs: their source, restricted to what computes, with all names resolved.

A program keeps branches and loops, and takes inputs of any shape. It consists of statements of
Python that `check_program` allows; names are local variables, or are looked up in a table of
values, functions of dtrain and other programs.
"""

from __future__ import annotations

import ast
import builtins
import hashlib
import inspect
import textwrap
from collections.abc import Callable
from types import FunctionType, ModuleType
from typing import Any

from dtrain.backend.generated_code import make_function
from dtrain.errors import CompileError
from dtrain.jit.names import attribute_names
from dtrain.jit.places import PROGRAM_FILE
from dtrain.jit.plain_values import read_names

_ALLOWED = (
    ast.Module, ast.FunctionDef, ast.Lambda, ast.arguments, ast.arg, ast.Return, ast.Assign,
    ast.AugAssign, ast.If, ast.While, ast.For, ast.Break, ast.Continue, ast.Pass, ast.Expr,
    ast.With, ast.withitem, ast.Assert, ast.Raise, ast.BoolOp, ast.boolop, ast.BinOp,
    ast.operator, ast.UnaryOp, ast.unaryop, ast.Compare, ast.cmpop, ast.IfExp, ast.Call,
    ast.keyword, ast.Attribute, ast.Subscript, ast.Slice, ast.Name, ast.expr_context,
    ast.Constant, ast.Tuple, ast.List, ast.Dict, ast.Set, ast.Starred, ast.ListComp, ast.SetComp,
    ast.DictComp, ast.GeneratorExp, ast.comprehension, ast.JoinedStr, ast.FormattedValue,
    ast.NamedExpr, ast.Nonlocal,
)  # fmt: skip


class NoProgram(Exception):
    """A function has no program; says why, and at which line."""


def check_program(tree: ast.AST, attributes: set[str], place: Callable[[int], str]) -> None:
    """Refuse, by NoProgram, a syntax tree that could do more than compute.

    Parameters
    ----------
    attributes : names of attributes of the program's modules, which it may use as well
    place : from a line of the tree to the place to name
    """
    allowed = attribute_names() | attributes
    for node in ast.walk(tree):
        line = place(getattr(node, "lineno", 1))
        if not isinstance(node, _ALLOWED):
            raise NoProgram(f"{line}: {type(node).__name__} is not supported in programs")
        if isinstance(node, ast.Attribute) and (
            node.attr not in allowed or node.attr.startswith("__")
        ):
            raise NoProgram(f"{line}: the attribute `{node.attr}` is not supported in programs")
        names = [node.id] if isinstance(node, ast.Name) else []
        names += [node.arg] if isinstance(node, ast.arg) else []
        names += [node.name] if isinstance(node, ast.FunctionDef) else []
        if any(name.startswith("__") for name in names):
            raise NoProgram(f"{line}: the name `{names[0]}` is not supported in programs")
        if isinstance(node, ast.Constant) and isinstance(node.value, (bytes, complex)):
            raise NoProgram(f"{line}: {type(node.value).__name__} is not supported in programs")


def names_of_modules(modules: list[dict[str, Any]]) -> set[str]:
    """The names of all that the modules of a file have, which its programs may use."""
    tables = ("attributes", "parameters", "buffers", "modules", "methods")
    return {name for module in modules for table in tables for name in module[table]}


class FunctionSource:
    """The syntax tree of a function, without annotations, and what its names stand for."""

    def __init__(self, function: FunctionType):
        self.function = function
        self.tree = _parse(function)
        self._first_line = function.__code__.co_firstlineno
        _Cleaned().visit(self.tree)
        self.name = self.tree.name

    def place(self, line: int) -> str:
        """File and line of a line of the tree."""
        return f"{self.function.__code__.co_filename}:{self._first_line + line - 1}"

    def outside_names(self) -> list[str]:
        """The names that are no local variables."""
        code = self.function.__code__
        names = read_names(code, "LOAD_GLOBAL", "LOAD_NAME").union(code.co_freevars)
        used = {node.id for node in ast.walk(self.tree) if isinstance(node, ast.Name)}
        return sorted(names & used)

    def look_up(self, name: str) -> Any:
        """What an outside name stands for."""
        cells = dict(zip(self.function.__code__.co_freevars, self.function.__closure__ or ()))
        if name in cells:
            return cells[name].cell_contents
        if name in self.function.__globals__:
            return self.function.__globals__[name]
        if hasattr(builtins, name):
            return getattr(builtins, name)
        raise NoProgram(f"{self.place(1)}: the name `{name}` is not defined")

    def resolve(self, encode: Callable[[Any, str], Any]) -> dict[str, Any]:
        """Replace names from outside, with the attributes of modules such as `F.relu`, by names
        of the table that is returned; `encode(value, place)` gives what the table holds."""
        outside = set(self.outside_names())
        table: dict[str, Any] = {}
        resolver = _Resolver(self, outside, table, encode)
        self.tree = resolver.visit(self.tree)
        defaults = inspect.signature(self.function).parameters.values()
        given = [p.default for p in defaults if p.default is not p.empty]
        arguments = self.tree.args
        slots = [*arguments.defaults, *(d for d in arguments.kw_defaults if d is not None)]
        new = []
        for value, node in zip(given, slots):
            new.append(resolver.constant(value, node))
        count = len(arguments.defaults)
        rest = iter(new[count:])
        arguments.defaults = new[:count]
        arguments.kw_defaults = [None if d is None else next(rest) for d in arguments.kw_defaults]
        ast.fix_missing_locations(self.tree)
        return table


class _Cleaned(ast.NodeTransformer):
    """Removes annotations, decorators and docstrings."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns, node.decorator_list = None, []
        first = node.body[0]
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
            node.body = node.body[1:] or [ast.copy_location(ast.Pass(), first)]
        self.generic_visit(node)
        return node

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        if node.value is None:
            return ast.copy_location(ast.Pass(), node)
        self.generic_visit(node)
        return ast.copy_location(ast.Assign([node.target], node.value), node)


class _Resolver(ast.NodeTransformer):
    """Replaces names from outside by names of a table."""

    def __init__(
        self, source: FunctionSource, outside: set[str], table: dict[str, Any],
        encode: Callable[[Any, str], Any],
    ):  # fmt: skip
        self._source, self._outside, self._table = source, outside, table
        self._encode = encode
        nodes = list(ast.walk(source.tree))
        self._used = {n.id for n in nodes if isinstance(n, ast.Name)} - outside
        self._used |= {n.arg for n in nodes if isinstance(n, ast.arg)} | {source.name}

    def constant(self, value: Any, node: ast.AST, hint: str = "") -> ast.expr:
        """A node for a value of the table, or the value itself if it is plain."""
        if value is None or type(value) in (bool, int, str):
            return ast.copy_location(ast.Constant(value), node)
        hint = "".join(c for c in hint if c.isalnum() or c == "_").strip("_") or "value"
        encoded = self._encode(value, self._source.place(getattr(node, "lineno", 1)))
        name = next((n for n, known in self._table.items() if known == encoded), "")
        if not name:
            name = hint
            while name in self._table or name in self._used:
                name += "_"
            self._table[name] = encoded
        return ast.copy_location(ast.Name(name, ast.Load()), node)

    def visit_Name(self, node: ast.Name) -> ast.AST:
        if node.id not in self._outside or not isinstance(node.ctx, ast.Load):
            return node
        value = self._source.look_up(node.id)
        if isinstance(value, ModuleType):
            line = self._source.place(node.lineno)
            raise NoProgram(f"{line}: the module `{node.id}` is not supported as a value")
        return self.constant(value, node, node.id)

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        parts = [node.attr]
        inner: ast.expr = node.value
        while isinstance(inner, ast.Attribute):
            parts.insert(0, inner.attr)
            inner = inner.value
        if isinstance(inner, ast.Name) and inner.id in self._outside:
            value = self._source.look_up(inner.id)
            if isinstance(value, ModuleType):
                return self._of_module(value, parts, node)
        self.generic_visit(node)
        return node

    def _of_module(self, value: Any, parts: list[str], node: ast.Attribute) -> ast.AST:
        """`F.relu`, `torch.pi`, `torch.float32`: the value itself."""
        rest = list(parts)
        while rest and isinstance(value, ModuleType):
            if not hasattr(value, rest[0]):
                line = self._source.place(node.lineno)
                raise NoProgram(f"{line}: {value.__name__} has no {rest[0]}")
            value = getattr(value, rest.pop(0))
        found: ast.expr = self.constant(value, node, parts[len(parts) - len(rest) - 1])
        for part in rest:
            found = ast.copy_location(ast.Attribute(found, part, ast.Load()), node)
        return found


def _parse(function: FunctionType) -> ast.FunctionDef:
    """The syntax tree of a function or lambda."""
    place = f"{function.__code__.co_filename}:{function.__code__.co_firstlineno}"
    try:
        text = textwrap.dedent(inspect.getsource(function))
    except (OSError, TypeError):
        raise NoProgram(f"{place}: the source of {function.__name__} is not there") from None
    try:
        tree = ast.parse(text)
    except SyntaxError:
        try:  # a lambda within an expression that began earlier
            tree = ast.parse(text.strip().rstrip(",)"))
        except SyntaxError:
            raise NoProgram(f"{place}: the source of {function.__name__} is cut") from None
    if function.__name__ == "<lambda>":
        lambdas = [node for node in ast.walk(tree) if isinstance(node, ast.Lambda)]
        if len(lambdas) != 1:
            raise NoProgram(f"{place}: there are {len(lambdas)} lambdas in the line; use `def`")
        body = ast.copy_location(ast.Return(lambdas[0].body), lambdas[0])
        made = ast.FunctionDef("function", lambdas[0].args, [body], [])
        return ast.fix_missing_locations(ast.copy_location(made, lambdas[0]))
    first = tree.body[0]
    if not isinstance(first, ast.FunctionDef):
        raise NoProgram(f"{place}: expected a function, got {type(first).__name__}")
    return first


def compile_program(text: str, name: str, values: dict[str, Any], attributes: set[str]) -> Any:
    """The function of a program's text, with what the names of its table stand for."""
    try:
        tree = ast.parse(text)
        check_program(tree, attributes, lambda line: f"{name}:{line}")
    except (SyntaxError, NoProgram) as error:
        raise CompileError(f"load: the program of {name} is not one of dtrain's: {error}") from None
    if len(tree.body) != 1 or not isinstance(tree.body[0], ast.FunctionDef):
        raise CompileError(f"load: the program of {name} is not one function")
    namespace: dict[str, Any] = {"__builtins__": {}, **values}
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]  # the sources of two `forward` are kept
    return make_function(text, f"{PROGRAM_FILE}{name} {digest}>", namespace)
