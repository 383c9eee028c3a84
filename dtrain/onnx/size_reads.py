"""Recordings of one path, at one or several sizes, with a warning of each line of the program that
compares a dynamic size: the file has what came of it.

The functions of the user's run with the numbers noted that they compare, or branch on. Those that
are others for other sizes depend on a dynamic axis.
"""

from __future__ import annotations

import ast
import dis
from collections.abc import Callable, Sequence
from types import CodeType, FunctionType
from typing import Any, TypeAlias

from dtrain.jit.places import find_place
from dtrain.jit.rewriting import InMethod, Rewriter, division, flow_call, flow_method
from dtrain.jit.source import FunctionSource
from dtrain.jit.surroundings import Surroundings
from dtrain.jit.syntax import load_name, placed
from dtrain.jit.tracer_warning import warn_of_places
from dtrain.onnx.axes import DynamicAxes
from dtrain.onnx.divisions import DIVIDING, Divisions, warn_of_divisions
from dtrain.onnx.recording import JoinedGraph, Recording, join, record

#: (place, a number that is compared, or several) in the order in which they were.
Compared: TypeAlias = list[tuple[str, Any]]

#: Functions of Python that compare their arguments.
COMPARING = (min, max, abs, bool, sorted)

_NAMES = {function.__name__ for function in COMPARING}


def record_path(function: Callable[..., Any], axes: DynamicAxes, name: str) -> JoinedGraph:
    """Record the path that a function takes."""
    known: dict[FunctionType, CodeType] = {}
    all_reads: list[SizeReads] = []

    def run(args: tuple[Any, ...]) -> Recording:
        reads = SizeReads(known)
        all_reads.append(reads)
        modules = [module for _, module in Surroundings(function, (args, {})).modules]
        with reads.functions.in_modules(modules):
            return record(function, args, name, rewritten=reads.functions.rewrite(function))

    if not axes.are_given:
        return join(axes.try_sizes(lambda args: record(function, args, name)))
    recordings = axes.try_sizes(run)
    last = all_reads[-len(recordings) :]
    warn_of_sizes([reads.compared for reads in last])
    warn_of_divisions([reads.divided for reads in last])
    warn_of_places(
        "onnx.export",
        [str(reason) for f, reason in last[0].functions.not_rewritten if _may_compare(f.__code__)],
        "what it compares with dynamic sizes is not seen; the file has what came of it, and may be "
        "wrong for other sizes",
    )
    return join(recordings)


def warn_of_sizes(compared: Sequence[Compared]) -> None:
    """Warn of comparisons whose numbers are others for other dynamic sizes."""
    places = [place for (place, first), *others in zip(*compared)
              if any(other != (place, first) for other in others)]  # fmt: skip
    warn_of_places(
        "onnx.export",
        places,
        "a dynamic size is compared; the file has what came of it, and may be wrong for other "
        "sizes",
    )


def _may_compare(code: CodeType) -> bool:
    """Whether a function has branches, comparisons or divisions that round."""
    instructions = list(dis.get_instructions(code))
    operations = {instruction.opname for instruction in instructions}
    divides = any(i.argrepr.removesuffix("=") in ("//", "%", ">>") for i in instructions)
    nested = (c for c in code.co_consts if isinstance(c, CodeType))
    return (
        divides
        or any(name.startswith(("COMPARE", "POP_JUMP", "JUMP_IF")) for name in operations)
        or not _NAMES.isdisjoint(code.co_names)
        or any(map(_may_compare, nested))
    )


class SizeReads(Divisions):
    """What functions call that note the numbers that they compare, and divide.

    known : the code of functions that were rewritten before
    """

    def __init__(self, known: dict[FunctionType, CodeType]):
        super().__init__()
        self.functions: Rewriter = Rewriter(self, _note_numbers, known)
        self.compared: Compared = []

    def note(self, value: Any) -> Any:
        """A value that is compared, or whose truth is asked for."""
        if type(value) in (int, float):
            self.compared.append((find_place(), value))
        return value

    def call(self, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        """A call; of the user's functions in their rewritten form."""
        if function in COMPARING:
            for value in args:
                self.note(value)
        result = self.functions.rewrite(function)(*args, **kwargs)
        self.note_rounding(function, args, result)
        return result


def _note_numbers(source: FunctionSource) -> ast.FunctionDef:
    """The syntax tree of a function with calls of a SizeReads around comparisons and divisions."""
    return _Noting(source).visit(source.tree)


class _Noting(InMethod):
    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        outer = self._first
        self.enter(node)
        self.generic_visit(node)
        self._first = outer
        return node

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        self.generic_visit(node)
        node.left = _noted(node.left)
        node.comparators = [_noted(value) for value in node.comparators]
        return node

    def _with_test(self, node: Any) -> ast.AST:
        self.generic_visit(node)
        node.test = _noted(node.test)
        return node

    visit_If = visit_While = visit_IfExp = visit_Assert = _with_test

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.AST:
        self.generic_visit(node)
        node.values = [_noted(value) for value in node.values]
        return node

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.op, ast.Not):
            node.operand = _noted(node.operand)
        return node

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        return division(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.AST:
        self.generic_visit(node)
        kind = type(node.op).__name__
        if kind in DIVIDING and isinstance(node.target, ast.Name):
            given = ast.Constant(kind), load_name(node.target.id), node.value
            node.value = placed(node, flow_call("divisor", *given))
        return node

    def visit_comprehension(self, node: ast.comprehension) -> ast.AST:
        self.generic_visit(node)
        node.ifs = [_noted(test) for test in node.ifs]
        return node

    def visit_Match(self, node: ast.Match) -> ast.AST:
        self.generic_visit(node)
        node.subject = _noted(node.subject)
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if self.is_bare_super(node):
            return self.super_call(node)
        self.generic_visit(node)
        if isinstance(node.func, ast.Name) and node.func.id == "locals":
            return node  # of the function that calls it
        return placed(node, ast.Call(flow_method("call"), [node.func, *node.args], node.keywords))


def _noted(node: ast.expr) -> ast.expr:
    """An expression whose value is noted."""
    return node if isinstance(node, ast.Constant) else placed(node, flow_call("note", node))
