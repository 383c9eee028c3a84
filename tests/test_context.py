"""Where the state of a run lives: one context a rank, one a process, no module variables."""

import ast
from pathlib import Path

import pytest

from dtrain import distributed
from dtrain.distributed.context import process, run_context

ROOT = Path(__file__).parent.parent
FILES = sorted((ROOT / "dtrain").rglob("*.py"))


def test_ranks_that_are_threads_have_a_context_each_and_share_that_of_the_process():
    def body():
        return run_context(), distributed.rank(), process

    outer = run_context()
    contexts = distributed.run_ranks(3, body)
    assert len({id(context) for context, _, _ in contexts} | {id(outer)}) == 4
    assert [context.communicator.rank for context, _, _ in contexts] == [0, 1, 2]
    assert all(shared is process for _, _, shared in contexts)
    assert run_context() is outer


def imported_modules(tree):
    """The names that a file's imports bind to modules of dtrain."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("dtrain"):
            folder = ROOT / node.module.replace(".", "/")
            for alias in node.names:
                if (folder / f"{alias.name}.py").exists() or (folder / alias.name).is_dir():
                    yield alias.asname or alias.name


def foreign_assignments(path):
    """The lines of a file that assign a variable of another module."""
    tree = ast.parse(path.read_text())
    modules = set(imported_modules(tree))
    for node in ast.walk(tree):
        if isinstance(node, (ast.Assign, ast.AugAssign, ast.AnnAssign)):
            targets = getattr(node, "targets", [getattr(node, "target", None)])
            for target in [t for outer in targets for t in getattr(outer, "elts", [outer])]:
                owner = target.value if isinstance(target, ast.Attribute) else None
                if isinstance(owner, ast.Name) and owner.id in modules:
                    yield f"{path}:{node.lineno}"


@pytest.mark.slow
def test_no_file_assigns_a_variable_of_another_module():
    assert [line for path in FILES for line in foreign_assignments(path)] == []


@pytest.mark.parametrize("folder", ["distributed", "parallel", "cli"])
def test_what_knows_of_ranks_has_no_global_variables(folder):
    for path in (ROOT / "dtrain" / folder).rglob("*.py"):
        assert not any(isinstance(n, ast.Global) for n in ast.walk(ast.parse(path.read_text()))), (
            path
        )
