"""examples/deploy: the model of digits.py in a C++ program that knows nothing of Python."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("onnx")
pytest.importorskip("sklearn", reason="the digits come with scikit-learn")
openvino = pytest.importorskip("openvino")
EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler")
def test_a_program_in_cpp_classifies_as_dtrain_does(tmp_path):
    def run(*argv):
        argv = list(map(str, argv))
        done = subprocess.run(argv, capture_output=True, text=True, timeout=300, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        return done.stdout

    run(sys.executable, EXAMPLES / "digits.py", "--epochs", 2, "--out", "runs")
    said = run(sys.executable, EXAMPLES / "deploy" / "export_digits.py", "runs", "build")
    package = Path(openvino.__path__[0])
    libraries = sorted((package / "libs").glob("libopenvino.so.*"))
    run(
        "g++", "-std=c++17", EXAMPLES / "deploy" / "classify.cpp", "-o", "classify",
        f"-I{package / 'include'}", *libraries[:1], f"-Wl,-rpath,{package / 'libs'}",
    )  # fmt: skip
    right, count = map(
        int, re.findall(r"\d+", run("./classify", "build/model.onnx", "build/digits.bin"))
    )
    assert f"{right / count:.2%}" == re.search(r"accuracy in dtrain (.*%)", said)[1]
