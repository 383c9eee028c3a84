"""Functions of the user's with another syntax tree: compiled as if they stood in their own file.

The rewritten code calls an object, by the name `FLOW`: of the functions and modules that it calls
in turn, `Rewriter` gives the rewritten form, too.
"""

from __future__ import annotations

import ast
import contextlib
from collections.abc import Callable, Iterator, Sequence
from types import CellType, CodeType, FunctionType, MethodType
from typing import Any, TypeAlias

from dtrain.jit.compiled_function import ScriptFunction
from dtrain.jit.places import PROGRAM_FILE, is_library_file
from dtrain.jit.source import FunctionSource, NoProgram
from dtrain.jit.syntax import load_name, make_arguments, placed
from dtrain.nn.module import Module

#: The name of the object in rewritten functions, and what those of new variables begin with.
FLOW = "_flow_"

#: Rewrites the syntax tree of a function; raises NoProgram for what it does not support.
Rewriting: TypeAlias = Callable[[FunctionSource], ast.FunctionDef]


class InMethod(ast.NodeTransformer):
    """Writes out the arguments of `super` and the private names of a method."""

    def __init__(self, source: FunctionSource):
        self._class = source.function.__qualname__.split(".")[-2:-1]
        self._first = ""

    def enter(self, tree: ast.FunctionDef) -> None:
        """Note the function whose statements come next."""
        arguments = tree.args.posonlyargs + tree.args.args
        self._first = arguments[0].arg if arguments else ""

    def is_bare_super(self, node: ast.Call) -> bool:
        """Whether a call is ``super()``."""
        return isinstance(node.func, ast.Name) and node.func.id == "super" and not node.args

    def super_call(self, node: ast.Call) -> ast.Call:
        """``super()`` with its arguments."""
        return placed(
            node, ast.Call(node.func, [load_name("__class__"), load_name(self._first)], [])
        )

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        self.generic_visit(node)
        if self._class and node.attr.startswith("__") and not node.attr.endswith("__"):
            node.attr = f"_{self._class[0].lstrip('_')}{node.attr}"
        return node


def flow_method(name: str) -> ast.expr:
    """A method of the object that rewritten functions call."""
    return ast.Attribute(load_name(FLOW), name, ast.Load())


def flow_call(name: str, *given: ast.expr) -> ast.expr:
    """A call of a method of that object."""
    return ast.Call(flow_method(name), list(given), [])


def division(node: ast.BinOp) -> ast.expr:
    """A division that rounds as a call of that object; any other operation as it is."""
    if not isinstance(node.op, (ast.FloorDiv, ast.Mod, ast.RShift)):
        return node
    kind = ast.Constant(type(node.op).__name__)
    return placed(node, flow_call("divide", kind, node.left, node.right))


def compile_rewritten(function: FunctionType, rewriting: Rewriting) -> CodeType:
    """The code of a function's source as rewritten; see `bind`.

    Raises
    ------
    NoProgram
        If its source is not there, or has a statement that is not supported; names the line.
    """
    tree = rewriting(FunctionSource(function))
    tree.name = FLOW + "function"  # its own name may be that of a global variable in it
    factory = ast.FunctionDef(
        FLOW + "factory", make_arguments([FLOW, *function.__code__.co_freevars]), [tree], []
    )
    module = ast.fix_missing_locations(ast.Module([factory], []))
    ast.increment_lineno(module, function.__code__.co_firstlineno - 1)
    code = compile(module, function.__code__.co_filename, "exec")
    for name in (factory.name, tree.name):
        code = next(c for c in code.co_consts if isinstance(c, CodeType) and c.co_name == name)
    return code.replace(co_name=function.__name__)


def bind(function: FunctionType, code: CodeType, flow: Any) -> FunctionType:
    """A function with the code of `compile_rewritten`, which calls `flow`."""
    cells = dict(zip(function.__code__.co_freevars, function.__closure__ or ()))
    cells[FLOW] = CellType(flow)
    closure = tuple(cells[name] for name in code.co_freevars)
    made = FunctionType(
        code, function.__globals__, function.__name__, function.__defaults__, closure
    )
    made.__kwdefaults__ = function.__kwdefaults__
    return made


class Rewriter:
    """Gives functions and methods of the user's in their rewritten form.

    Parameters
    ----------
    flow : the object that they call
    rewriting : rewrites their syntax trees
    known : the code of functions that were rewritten before
    """

    def __init__(self, flow: Any, rewriting: Rewriting, known: dict[FunctionType, CodeType]):
        self._flow, self._rewriting, self._known = flow, rewriting, known
        self._made: dict[int, tuple[Any, Any]] = {}
        #: the functions of the user's that run as they are, and why
        self.not_rewritten: list[tuple[FunctionType, NoProgram]] = []

    def rewrite(self, function: Any) -> Any:
        """The function that is called instead of one of the user's; any other as it is."""
        if isinstance(function, ScriptFunction):
            function = function.__wrapped_function__
        if isinstance(function, MethodType):
            made = self.rewrite(function.__func__)
            return function if made is function.__func__ else MethodType(made, function.__self__)
        if not isinstance(function, FunctionType) or hasattr(function, "__wrapped__"):
            return function
        known = self._made.get(id(function))
        if known is None:
            known = self._made[id(function)] = function, self._rewrite(function)
        return known[1]

    def _rewrite(self, function: FunctionType) -> FunctionType:
        code = function.__code__
        is_users = not is_library_file(code.co_filename) or code.co_filename.startswith(
            PROGRAM_FILE
        )
        if not is_users or FLOW in code.co_freevars:
            return function
        try:
            if function not in self._known:
                self._known[function] = compile_rewritten(function, self._rewriting)
            return bind(function, self._known[function], self._flow)
        except NoProgram as reason:
            self.not_rewritten.append((function, reason))
            return function

    @contextlib.contextmanager
    def in_modules(self, modules: Sequence[Module]) -> Iterator[None]:
        """Let modules whose `forward` is the user's code run its rewritten form."""
        changed: list[tuple[Module, dict[str, Any]]] = []
        try:
            for module in modules:
                method = self.rewrite(module.forward)
                if method is not module.forward:
                    before = {k: v for k, v in vars(module).items() if k == "forward"}
                    changed.append((module, before))
                    object.__setattr__(module, "forward", method)
            yield
        finally:
            for module, before in changed:
                del module.__dict__["forward"]
                module.__dict__.update(before)
