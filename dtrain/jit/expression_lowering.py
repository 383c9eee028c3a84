"""Expressions as calls of a `ControlFlow` (`lowering.py`): conditions, items, calls."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from typing import Any

from dtrain.jit.rewriting import InMethod, division, flow_call, flow_method
from dtrain.jit.source import FunctionSource, NoProgram
from dtrain.jit.syntax import load_name, make_lambda, placed

_COMPARISONS = (ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq, ast.NotEq)


class ExpressionLowering(InMethod):
    """Rewrites expressions of one function."""

    def __init__(self, source: FunctionSource):
        super().__init__(source)
        self._source = source

    def place(self, node: ast.AST) -> ast.expr:
        """File and line of a node, as a constant."""
        return ast.Constant(self._source.place(getattr(node, "lineno", 1)))

    def refuse(self, node: ast.AST, reason: str) -> None:
        """Raise a NoProgram that names the line."""
        raise NoProgram(f"{self._source.place(getattr(node, 'lineno', 1))}: {reason}")

    def call_with(
        self, method: str, names: Sequence[str], at: ast.AST, *given: ast.expr,
        results: Sequence[str] | None = None,
    ) -> ast.expr:  # fmt: skip
        """A call of the ControlFlow with the names of what the given functions return, the values
        of variables that they take, and all local variables."""
        read = [flow_call("read", make_lambda(load_name(n)), ast.Constant(n)) for n in names]
        values = ast.Tuple(read, ast.Load())
        scope = flow_call("locals")
        results = names if results is None else results
        named = ast.Tuple([ast.Constant(name) for name in results], ast.Load())
        return placed(at, flow_call(method, *given, named, values, scope, self.place(at)))

    def refuse_walrus(self, *nodes: ast.AST) -> None:
        """Refuse assignments in expressions that become functions."""
        for node in nodes:
            if any(isinstance(part, ast.NamedExpr) for part in ast.walk(node)):
                self.refuse(node, "`:=` in an expression that is not always run is not supported")

    def visit_IfExp(self, node: ast.IfExp) -> ast.AST:
        self.refuse_walrus(node.body, node.orelse)
        branches = [make_lambda(self.visit(part)) for part in (node.body, node.orelse)]
        return self.call_with("choose", [], node, self.test(node.test), *branches)

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.AST:
        return self._connect(node, self.visit, ("both", "either"))

    def test(self, node: ast.expr) -> ast.expr:
        """An expression of which the truth alone is used."""
        if isinstance(node, ast.BoolOp):
            return self._connect(node, self.test, ("all_true", "any_true"))
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            return placed(node, flow_call("negate", self.test(node.operand)))
        return self.visit(node)

    def _connect(
        self, node: ast.BoolOp, rewrite: Callable[[Any], Any], methods: tuple[str, str]
    ) -> ast.expr:
        self.refuse_walrus(*node.values[1:])
        method = methods[0 if isinstance(node.op, ast.And) else 1]
        *parts, made = [rewrite(value) for value in node.values]
        for part in reversed(parts):
            made = flow_call(method, part, make_lambda(made), self.place(node))
        return placed(node, made)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        if isinstance(node.op, ast.Not):
            return self.test(node)
        self.generic_visit(node)
        return node

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        self.generic_visit(node)
        if not all(isinstance(kind, _COMPARISONS) for kind in node.ops):
            return node
        kinds: list[ast.expr] = [ast.Constant(type(kind).__name__) for kind in node.ops]
        given = [node.left, *node.comparators]
        return placed(node, flow_call("compare", ast.Tuple(kinds, ast.Load()), *given))

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        return division(node)

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        if not isinstance(node.ctx, ast.Load):
            self.generic_visit(node)
            return node
        return placed(node, flow_call("get_item", self.visit(node.value), self.index(node.slice)))

    def index(self, node: ast.expr) -> ast.expr:
        """An index as an expression."""
        if isinstance(node, ast.Tuple):
            return placed(node, ast.Tuple([self.index(part) for part in node.elts], ast.Load()))
        if isinstance(node, ast.Slice):
            ends = (node.lower, node.upper, node.step)
            given = [self.visit(end) if end else ast.Constant(None) for end in ends]
            return placed(node, flow_call("slice", *given))
        return self.visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if self.is_bare_super(node):
            return self.super_call(node)
        self.generic_visit(node)
        return placed(node, ast.Call(flow_method("call"), [node.func, *node.args], node.keywords))
