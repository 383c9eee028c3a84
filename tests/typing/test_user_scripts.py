"""What type checkers say of a user's scripts: each mistake, and nothing of what is valid."""

import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

HERE = Path(__file__).parent
CHECKERS = {
    "mypy": [sys.executable, "-m", "mypy", f"--config-file={HERE}/mypy.ini", "--no-error-summary"],
    "pyright": [
        shutil.which("pyright", path=str(Path(sys.executable).parent)) or "pyright",
        f"--pythonpath={sys.executable}",  # not the first of PATH, which may have no NumPy
    ],
}


def lines_of_errors(checker, script):
    if find_spec(checker) is None:
        pytest.skip(f"{checker} is not installed")
    command = [*CHECKERS[checker], str(HERE / script)]
    run = subprocess.run(command, cwd=HERE.parents[1], capture_output=True, text=True)
    found = re.findall(rf"{script}:(\d+):.*error", run.stdout)
    assert found or run.returncode == 0, run.stdout + run.stderr
    return sorted({int(line) for line in found})


@pytest.mark.parametrize("checker", CHECKERS)
def test_every_mistake_is_found(checker):
    lines = (HERE / "mistakes.py").read_text().splitlines()
    wrong = [number for number, line in enumerate(lines, 1) if "# wrong" in line]
    assert len(wrong) == 10
    assert lines_of_errors(checker, "mistakes.py") == wrong


@pytest.mark.parametrize("checker", CHECKERS)
def test_nothing_valid_is_complained_of(checker):
    assert lines_of_errors(checker, "valid.py") == []
