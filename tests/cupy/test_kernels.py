"""Every CUDA kernel compiles for the GPUs that are in use, with the compiler that CuPy uses, and
computes what its reference does."""

from pathlib import Path

import numpy as np
import pytest

import dtrain.backend
from dtrain.backend.kernels.cuda.compiler import source
from tests.cases.kernel_cases import CASES, assert_close, results

FOLDER = Path(dtrain.backend.__file__).parent / "kernels" / "cuda"
FAMILIES = sorted({path.stem for path in FOLDER.glob("*.cu")} - {"common"})


@pytest.fixture
def nvrtc():
    nvrtc = pytest.importorskip("cupy_backends.cuda.libs.nvrtc")
    try:
        nvrtc.getVersion()
    except (RuntimeError, OSError, ImportError) as reason:
        pytest.skip(f"no NVRTC: pip install 'nvidia-cuda-nvrtc==13.*' ({reason})")
    return nvrtc


@pytest.mark.parametrize("arch", [80, 90, 120])
@pytest.mark.parametrize("real", ["float", "double"])
@pytest.mark.parametrize("family", FAMILIES)
def test_kernel_compiles(family, real, arch, nvrtc):
    text = (FOLDER / "philox.cu").read_text() if family == "philox" else source(family)
    program = nvrtc.createProgram(text, f"{family}.cu", [], [])
    try:
        nvrtc.compileProgram(program, [f"-arch=sm_{arch}", "-std=c++17", f"-DREAL={real}"])
        assert nvrtc.getCUBIN(program).startswith(b"\x7fELF")
    finally:
        log = nvrtc.getProgramLog(program)
        nvrtc.destroyProgram(program)
        assert not log.strip("\0\n"), log


def test_there_are_kernels():
    assert len(FAMILIES) > 5


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_cuda_computes_what_the_reference_does(case, dtype):
    cupy = pytest.importorskip("cupy")
    for arrays in case.samples(dtype):
        given = results(case, "cuda", [x if x is None else cupy.asarray(x) for x in arrays])
        assert_close(case, arrays, given, results(case, "reference", arrays))
