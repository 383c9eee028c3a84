"""Control flow as calls: the source of a function with its `if`, `while`, `for`, `and`, `or`, `not`
and comparisons as calls of a `ControlFlow`, which sees both branches, and a loop's body, as
functions.

``if test: a = f(a)`` becomes ``def then(a): a = f(a); return (a,)`` and a call of
``branch(test, then, ...)`` that gives the variables that are assigned. Where a branch returns, what
follows the `if` is part of both functions. In a loop's body `break` and `continue` return.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence

from dtrain.jit.expression_lowering import ExpressionLowering
from dtrain.jit.rewriting import FLOW, flow_call
from dtrain.jit.source import FunctionSource, NoProgram
from dtrain.jit.syntax import (
    LoopEnds,
    ReturnsAsBreaks,
    as_list,
    assign_name,
    assign_names,
    assigned_names,
    copied,
    has_return,
    load_name,
    load_names,
    make_arguments,
    make_lambda,
    placed,
    store_names,
)

#: What variables that hold the value of a `return` within a loop begin with.
RESULT = FLOW + "result"

_REFUSED = (
    ast.Global, ast.Nonlocal, ast.Yield, ast.YieldFrom, ast.Await, ast.Try, ast.Delete,
    ast.ClassDef, ast.Match, ast.AsyncFor, ast.AsyncWith, ast.AsyncFunctionDef,
    getattr(ast, "TryStar", ast.Try),
)  # fmt: skip
_LOOPS = (ast.For, ast.While)


def lower(source: FunctionSource) -> ast.FunctionDef:
    """The syntax tree of a function whose control flow is calls of a ControlFlow.

    Raises
    ------
    NoProgram
        If it has a statement that is not supported; names the line.
    """
    for node in ast.walk(source.tree):
        if isinstance(node, _REFUSED):
            kind = type(node).__name__.lower()
            raise NoProgram(f"{source.place(node.lineno)}: {kind} is not supported")
    return _Lowering(source).function(source.tree)


class _Lowering(ExpressionLowering):
    """Rewrites the statements of one function."""

    def __init__(self, source: FunctionSource):
        super().__init__(source)
        self._count = 0
        # the names of what a loop's body returns; None within a function
        self._results: list[str] | None = None

    def _new(self, kind: str) -> str:
        self._count += 1
        return f"{FLOW}{kind}_{self._count}"

    def function(self, tree: ast.FunctionDef) -> ast.FunctionDef:
        """The function itself, or one that is defined within it."""
        outer = self._first, self._results
        self.enter(tree)
        self._results = None
        body = self._without_returns_in_loops(tree.body)
        tree.body = self._block(body, [ast.Return(ast.Constant(None))])
        self._first, self._results = outer
        return tree

    # --- blocks ---

    def _block(self, statements: Sequence[ast.stmt], end: list[ast.stmt]) -> list[ast.stmt]:
        """Statements rewritten; `end` comes after them where they do not return."""
        made: list[ast.stmt] = []
        for i, statement in enumerate(statements):
            if isinstance(statement, ast.Return):
                return [*made, self.visit(statement)]
            if not has_return(statement):
                made += self._statement(statement)
            elif isinstance(statement, ast.If):
                return made + self._returning_branch(statement, statements[i + 1 :], end)
            elif isinstance(statement, ast.With) and i == len(statements) - 1:
                statement.items = [self.visit(item) for item in statement.items]
                statement.body = self._block(statement.body, end)
                return [*made, statement]
            else:
                self.refuse(statement, "a return within it, and statements after it, are not "
                             "supported")  # fmt: skip
        return made + copied(end)

    def _statement(self, statement: ast.stmt) -> list[ast.stmt]:
        match statement:
            case ast.If():
                return self._branch(statement)
            case ast.While() | ast.For():
                return self._loop(statement)
            case ast.With():
                statement.items = [self.visit(item) for item in statement.items]
                statement.body = self._block(statement.body, [])
                return [statement]
            case ast.FunctionDef():
                return [self.function(statement)]
            case ast.Assert():
                message = make_lambda(self.visit(statement.msg or ast.Constant(None)))
                given = [self.test(statement.test), message, self.place(statement)]
                return [placed(statement, ast.Expr(flow_call("check", *given)))]
            case ast.Raise(exc=ast.expr() as exc):
                statement.exc = flow_call("note_raised", self.visit(exc))
                return [statement]
            case ast.Assign(targets=[ast.Subscript() as target]):
                parts = [self.visit(target.value), self.index(target.slice)]
                call = flow_call("set_item", *parts, self.visit(statement.value))
                return [placed(statement, ast.Expr(call))]
            case ast.AugAssign(target=ast.Name(id=name)):
                given = [ast.Constant(type(statement.op).__name__), load_name(name)]
                value = flow_call("augment", *given, self.visit(statement.value))
                return [placed(statement, ast.Assign([store_names([name]).elts[0]], value))]
            case _:
                return [self.visit(statement)]

    def _define(
        self, kind: str, names: Sequence[str], body: list[ast.stmt], at: ast.AST
    ) -> ast.FunctionDef:
        made = ast.FunctionDef(self._new(kind), make_arguments(names), body or [ast.Pass()], [])
        return placed(at, made)

    # --- statements that choose ---

    def _branch(self, node: ast.If) -> list[ast.stmt]:
        names = assigned_names(node.body + node.orelse)
        end: list[ast.stmt] = [ast.Return(load_names(names))]
        then = self._define("then", names, self._block(node.body, end), node)
        other = self._define("else", names, self._block(node.orelse, end), node)
        call = self.call_with("branch", names, node, self.test(node.test), load_name(then.name),
                               load_name(other.name))  # fmt: skip
        return [then, other, assign_names(names, call, node)]

    def _returning_branch(
        self, node: ast.If, rest: Sequence[ast.stmt], end: list[ast.stmt]
    ) -> list[ast.stmt]:
        names = assigned_names([*node.body, *node.orelse, *rest])
        functions = [
            # the rest is in both: rewriting changes it, so each has its own copy
            self._define(kind, names, self._block(copied([*part, *rest]), end), node)
            for kind, part in (("then", node.body), ("else", node.orelse))
        ]
        method = "choose" if self._results is None else "branch"
        call = self.call_with(method, names, node, self.test(node.test),
                               *(load_name(f.name) for f in functions),
                               results=self._results or ())  # fmt: skip
        return [*functions, placed(node, ast.Return(call))]

    def _loop(self, node: ast.While | ast.For) -> list[ast.stmt]:
        if node.orelse:
            self.refuse(node, "`else` of a loop is not supported")
        body = list(node.body)
        targets: list[ast.stmt] = []
        if isinstance(node, ast.For):
            item = self._new("item")
            targets = [placed(node, ast.Assign([node.target], load_name(item)))]
        names = assigned_names(targets + body, subscripts=True)
        ends = {
            kind: ast.Return(
                ast.Tuple([ast.Constant(goes_on), *load_names(names).elts], ast.Load())
            )
            for kind, goes_on in ((ast.Continue, True), (ast.Break, False))
        }
        body = [LoopEnds(ends).visit(statement) for statement in body]
        outer, self._results = self._results, ["goes on", *names]
        made = self._block(targets + body, [ends[ast.Continue]])
        self._results = outer
        if isinstance(node, ast.For):
            function = self._define("body", [item, *names], made, node)
            call = self.call_with("repeat_for", names, node, self.visit(node.iter),
                                   load_name(function.name))  # fmt: skip
            return [function, assign_names(names, call, node)]
        self.refuse_walrus(node.test)
        function = self._define("body", names, made, node)
        test = self._define("test", names, [ast.Return(self.test(node.test))], node)
        call = self.call_with(
            "repeat_while", names, node, load_name(test.name), load_name(function.name)
        )
        return [function, test, assign_names(names, call, node)]

    def _without_returns_in_loops(self, statements: list[ast.stmt]) -> list[ast.stmt]:
        """`return` in a loop as a flag, the value, and a `break`; the loop is followed by the
        return."""
        made: list[ast.stmt] = []
        for node in statements:
            for table in ("body", "orelse"):
                if isinstance(node, (ast.If, ast.With, *_LOOPS)) and hasattr(node, table):
                    setattr(node, table, self._without_returns_in_loops(getattr(node, table)))
            if isinstance(node, _LOOPS) and any(map(has_return, node.body)):
                flag, value = self._new("returned"), RESULT + self._new("")
                node.body = [
                    part
                    for s in node.body
                    for part in as_list(ReturnsAsBreaks(flag, value).visit(s))
                ]
                after = ast.If(load_name(flag), [ast.Return(load_name(value))], [])
                made += [assign_name(flag, ast.Constant(False), node), node, placed(node, after)]
            else:
                made.append(node)
        return made

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        return self.function(node)
