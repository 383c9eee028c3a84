"""Lists where a program uses names of PyTorch's: `ast` alone, nothing is imported or run.

Names are followed through imports (`import torch.nn.functional as F`, `from torch import nn`) and
attribute chains. A name that the program assigns or takes as a parameter is not PyTorch's there. A
use that the program guards itself, by `hasattr` or by `try`, is not listed.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

#: Packages whose names are looked for, and PyTorch's name for what is below them.
ROOTS = {"torch": "torch", "torchvision": "torchvision", "dtrain": "torch"}

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_IMPORT_ERRORS = {"ImportError", "ModuleNotFoundError", "Exception", "BaseException"}


@dataclass(frozen=True)
class Use:
    """A name such as `torch.nn.functional.relu` at a place in a program.

    Parameters
    ----------
    line, column : where the expression begins; both count from 1
    path : the name, from `torch` on
    keywords : where it is called, the names of the keyword arguments
    result : the attribute that is taken from the result of the call, such as `softmax` in
        `torch.zeros(3).softmax`
    """

    line: int
    column: int
    path: str
    keywords: tuple[str, ...] = ()
    result: str | None = None


def find_uses(tree: ast.Module) -> list[Use]:
    """The uses of PyTorch's names in a program, in the order of its lines.

    Examples
    --------
    >>> program = "from torch.nn import functional as F\\ny = F.relu(x, inplace=True)"
    >>> [(use.line, use.path, use.keywords) for use in find_uses(ast.parse(program))]
    [(1, 'torch.nn.functional', ()), (2, 'torch.nn.functional.relu', ('inplace',))]
    """
    finder = _UseFinder(tree)
    finder.visit(tree)
    uses = [use for use in finder.uses if use.path not in finder.guarded]
    return sorted(set(uses), key=lambda use: (use.line, use.column, use.path))


class _UseFinder(ast.NodeVisitor):
    def __init__(self, tree: ast.Module):
        self.uses: list[Use] = []
        self.guarded: set[str] = set()  # what the program asks for by hasattr
        self._scopes: list[dict[str, str | None]] = [{}]  # None: the program's own
        self._tried: list[set[str]] = []  # the exceptions that the statements around catch
        for name in _assigned(tree):
            self._scopes[0][name] = None

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            root, _, below = alias.name.partition(".")
            if root in ROOTS:
                path = f"{ROOTS[root]}.{below}".rstrip(".")
                bound = path if alias.asname else ROOTS[root]
                self._bind(alias.asname or root, bound, self._add_import(node, path))
            else:
                self._scopes[-1][alias.asname or root] = None

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        root, _, below = (node.module or "").partition(".")
        torch = ROOTS.get(root) if not node.level else None
        package = f"{torch}.{below}".rstrip(".")
        for alias in node.names:
            name = alias.asname or alias.name
            if torch is None:
                self._scopes[-1][name] = None
            elif alias.name == "*":
                self._add_import(node, package)
            else:
                path = f"{package}.{alias.name}"
                self._bind(name, path, self._add_import(node, path))

    def _add_import(self, node: ast.stmt, path: str) -> bool:
        """Add the use, unless the program is ready for an ImportError."""
        listed = not any(caught & _IMPORT_ERRORS for caught in self._tried)
        if listed:
            self.uses.append(Use(node.lineno, node.col_offset + 1, path))
        return listed

    def _bind(self, name: str, path: str, listed: bool) -> None:
        own = self._scopes[-1].get(name, "") is None  # assigned elsewhere in the same scope
        self._scopes[-1][name] = path if listed and not own else None

    def visit_Attribute(self, node: ast.Attribute) -> None:
        path = self._resolve(node)
        if path is not None:
            self._add(node, Use(node.lineno, node.col_offset + 1, path))
        elif isinstance(node.value, ast.Call) and (called := self._resolve(node.value.func)):
            self._add(node, Use(node.lineno, node.col_offset + 1, called, (), node.attr))
            self.visit(node.value)
        else:
            self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        self._note_hasattr(node)
        path = self._resolve(node.func)
        keywords = tuple(k.arg for k in node.keywords if k.arg is not None)
        if path is not None:
            self._add(node, Use(node.lineno, node.col_offset + 1, path, keywords))
        else:
            self.visit(node.func)
        for value in (*node.args, *node.keywords):
            self.visit(value)

    def _add(self, node: ast.expr, use: Use) -> None:
        if "." in use.path and not any("AttributeError" in caught for caught in self._tried):
            self.uses.append(use)

    def _note_hasattr(self, node: ast.Call) -> None:
        if not (isinstance(node.func, ast.Name) and node.func.id in ("hasattr", "getattr")):
            return
        if len(node.args) > 1 and isinstance(node.args[1], ast.Constant):
            path = self._resolve(node.args[0])
            if path is not None and (node.func.id == "hasattr" or len(node.args) == 3):
                self.guarded.add(f"{path}.{node.args[1].value!s}")

    def _resolve(self, node: ast.expr) -> str | None:
        """PyTorch's name for an expression; None if it is none."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            return None
        for scope in reversed(self._scopes):
            if node.id in scope:
                root = scope[node.id]
                return None if root is None else ".".join([root, *reversed(parts)])
        return None

    def visit_Try(self, node: ast.Try) -> None:
        caught = {name for handler in node.handlers for name in _caught(handler)}
        self._tried.append(caught)
        for statement in node.body:
            self.visit(statement)
        self._tried.pop()
        for part in (*node.handlers, *node.orelse, *node.finalbody):
            self.visit(part)

    def _visit_function(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> None:
        outside = [*node.args.defaults, *(d for d in node.args.kw_defaults if d is not None)]
        if not isinstance(node, ast.Lambda):
            outside += node.decorator_list
            outside += [a.annotation for a in _arguments(node.args) if a.annotation is not None]
            outside += [node.returns] if node.returns is not None else []
        for outer in outside:
            self.visit(outer)
        scope: dict[str, str | None] = {a.arg: None for a in _arguments(node.args)}
        scope.update(dict.fromkeys(_assigned(node)))
        self._scopes.append(scope)
        body: list[ast.AST] = [node.body] if isinstance(node, ast.Lambda) else [*node.body]
        for part in body:
            self.visit(part)
        self._scopes.pop()

    visit_FunctionDef = visit_AsyncFunctionDef = visit_Lambda = _visit_function


def _arguments(args: ast.arguments) -> list[ast.arg]:
    named = [*args.posonlyargs, *args.args, *args.kwonlyargs]
    return named + [a for a in (args.vararg, args.kwarg) if a is not None]


def _assigned(scope: ast.AST) -> Iterator[str]:
    """Names that a module or function assigns or defines itself, functions in it left out."""
    waiting: list[ast.AST] = list(ast.iter_child_nodes(scope))
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node.name
        if not isinstance(node, (*_FUNCTIONS, ast.ClassDef)):
            waiting += ast.iter_child_nodes(node)


def _caught(handler: ast.ExceptHandler) -> Sequence[str]:
    if handler.type is None:
        return ["BaseException"]
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return [kind.id for kind in kinds if isinstance(kind, ast.Name)]
