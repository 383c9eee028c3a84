"""docs/ARCHITECTURE.md names files, functions and classes that exist."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "docs" / "ARCHITECTURE.md").read_text()
PATHS = sorted(set(re.findall(r"`((?:[\w.]+/)*[\w.]*/|(?:[\w.]+/)*\w+\.(?:py|toml))`", TEXT)))
SYMBOLS = sorted(set(re.findall(r"`((?:\w+/)*\w+\.py:[\w.]+)`", TEXT)))
QUESTIONS = re.findall(r"^\d+\. (.*)$", TEXT.partition("## Ten questions")[2], re.MULTILINE)


def find(path):
    """The file or folder that a path of the page means; a bare name is looked for in all folders."""
    for folder in (ROOT / "dtrain", ROOT):
        if (folder / path).exists():
            return folder / path
    bare = path.rstrip("/")
    return next((ROOT / "dtrain").rglob(bare), None) if "/" not in bare else None


def defined(body, names):
    """Whether `names` ("Class", "method") are defined in a module or, in turn, in a class."""
    for node in body:
        targets = node.targets if isinstance(node, ast.Assign) else [node]
        if names[0] in [getattr(t, "id", None) or getattr(t, "name", None) for t in targets]:
            return len(names) == 1 or defined(node.body, names[1:])
        if isinstance(node, ast.AnnAssign) and getattr(node.target, "id", "") == names[0]:
            return len(names) == 1
    return False


def test_the_page_is_read_as_meant():
    assert len(PATHS) > 30
    assert len(SYMBOLS) > 30
    assert len(QUESTIONS) == 10


@pytest.mark.parametrize("path", PATHS)
def test_a_path_exists(path):
    assert find(path)


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_a_symbol_exists(symbol):
    path, _, name = symbol.partition(":")
    assert find(path)
    assert defined(ast.parse(find(path).read_text()).body, name.split("."))


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_question_is_answered_by_a_symbol(question):
    assert re.search(r"`[\w/]+\.py:\w+`", question)
