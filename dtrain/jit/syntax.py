"""New nodes of syntax trees, and the variables that statements assign."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterable, Sequence
from typing import Any


class _InOneScope(ast.NodeTransformer):
    """Does not look into functions that are defined within."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        return node

    def visit_Lambda(self, node: ast.Lambda) -> ast.AST:
        return node


class LoopEnds(_InOneScope):
    """`break` and `continue` of one loop as returns."""

    def __init__(self, ends: dict[Any, ast.Return]):
        self._ends = ends

    def visit_For(self, node: ast.For) -> ast.AST:
        return node

    def visit_While(self, node: ast.While) -> ast.AST:
        return node

    def visit_Break(self, node: ast.Break) -> ast.AST:
        return placed(node, copied([self._ends[ast.Break]])[0])

    def visit_Continue(self, node: ast.Continue) -> ast.AST:
        return placed(node, copied([self._ends[ast.Continue]])[0])


class ReturnsAsBreaks(_InOneScope):
    """`return value` as ``flag = True; result = value; break``."""

    def __init__(self, flag: str, value: str):
        self._flag, self._value = flag, value

    def visit_Return(self, node: ast.Return) -> Any:
        value = node.value or ast.Constant(None)
        made = [assign_name(self._flag, ast.Constant(True), node),
                assign_name(self._value, value, node)]  # fmt: skip
        return [*made, placed(node, ast.Break())]


def has_return(node: ast.AST) -> bool:
    """Whether a statement has a `return`, not in functions that are defined within."""
    if isinstance(node, (ast.FunctionDef, ast.Lambda)):
        return False
    return isinstance(node, ast.Return) or any(map(has_return, ast.iter_child_nodes(node)))


def assigned_names(statements: Iterable[ast.AST], subscripts: bool = False) -> list[str]:
    """The variables that statements assign; with `subscripts` also those of which an item is."""
    names: set[str] = set()

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.FunctionDef):
            names.add(node.name)
            return
        if isinstance(node, ast.Lambda):
            return
        if isinstance(node, ast.comprehension):  # its target is of the comprehension alone
            for part in (node.iter, *node.ifs):
                visit(part)
            return
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif subscripts and isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store):
            inner: Any = node
            while isinstance(inner, ast.Subscript):
                inner = inner.value
            if isinstance(inner, ast.Name):
                names.add(inner.id)
        elif isinstance(node, ast.alias):
            names.add((node.asname or node.name).partition(".")[0])
        for child in ast.iter_child_nodes(node):
            visit(child)

    for statement in statements:
        visit(statement)
    return sorted(names)


def copied(nodes: Sequence[Any]) -> list[Any]:
    return [copy.deepcopy(node) for node in nodes]


def as_list(made: Any) -> list[Any]:
    return made if isinstance(made, list) else [made]


def placed(place: ast.AST, node: Any) -> Any:
    return ast.fix_missing_locations(ast.copy_location(node, place))


def load_name(name: str) -> ast.expr:
    return ast.Name(name, ast.Load())


def load_names(names: Sequence[str]) -> ast.Tuple:
    return ast.Tuple([load_name(name) for name in names], ast.Load())


def store_names(names: Sequence[str]) -> ast.Tuple:
    return ast.Tuple([ast.Name(name, ast.Store()) for name in names], ast.Store())


def assign_names(names: Sequence[str], value: ast.expr, at: ast.AST) -> ast.stmt:
    return placed(at, ast.Assign([store_names(names)], value) if names else ast.Expr(value))


def assign_name(name: str, value: ast.expr, at: ast.AST) -> ast.stmt:
    return placed(at, ast.Assign([ast.Name(name, ast.Store())], value))


def make_arguments(names: Sequence[str]) -> ast.arguments:
    return ast.arguments([], [ast.arg(name) for name in names], None, [], [], None, [])


def make_lambda(body: ast.expr) -> ast.expr:
    return ast.Lambda(make_arguments([]), body)
