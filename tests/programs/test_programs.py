"""Programs written for PyTorch print the same losses by `dtrain.as_torch`, from the same weights.

Beside each program stands what PyTorch prints: `UPDATE=1 pytest tests/programs -m oracle` writes it.
"""

import contextlib
import importlib.util
import io
import os
import re
import runpy
import sys
from pathlib import Path

import pytest

from dtrain.as_torch import run_program
from dtrain.check import check_paths

FOLDER = Path(__file__).parent / "scripts"
PROGRAMS = sorted(p.stem for p in FOLDER.glob("*.py"))
NUMBER = re.compile(r"-?\d+\.?\d*(?:e-?\d+)?")
HAS_TORCH = importlib.util.find_spec("torch") is not None

each = pytest.mark.parametrize("name", PROGRAMS)
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")


def printed(run, name):
    with contextlib.redirect_stdout(io.StringIO()) as screen:
        run(str(FOLDER / f"{name}.py"))
    return screen.getvalue()


def assert_same(text, expected):
    """The same words, and the same numbers but for their rounding."""
    assert NUMBER.sub("#", text) == NUMBER.sub("#", expected)
    numbers = [[float(n) for n in NUMBER.findall(t)] for t in (text, expected)]
    assert numbers[0] == pytest.approx(numbers[1], rel=1e-3, abs=2e-4)


@each
def test_dtrain_prints_what_pytorch_prints(name, served_torch, monkeypatch):
    if name == "summary_writer":
        pytest.importorskip("tensorboardX")
    for attribute, value in (("argv", list(sys.argv)), ("path", list(sys.path))):
        monkeypatch.setattr(sys, attribute, value)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
    assert_same(printed(run_program, name), (FOLDER / f"{name}.txt").read_text())


@pytest.mark.oracle
@pytest.mark.skipif(not HAS_TORCH, reason="PyTorch is not installed")
@each
def test_pytorch_prints_what_is_expected(name):
    if name == "summary_writer":
        pytest.importorskip("tensorboard", reason="torch.utils.tensorboard needs tensorboard")
    text = printed(lambda script: runpy.run_path(script, run_name="__main__"), name)
    file = FOLDER / f"{name}.txt"
    if os.environ.get("UPDATE"):
        file.write_text(text)
    assert_same(text, file.read_text())


def test_check_has_nothing_to_say_about_programs_that_run():
    assert not check_paths(FOLDER / f"{name}.py" for name in PROGRAMS).findings
