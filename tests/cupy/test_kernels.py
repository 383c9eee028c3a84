"""Every CUDA kernel compiles for the GPUs that are in use, with the compiler that CuPy uses."""

from pathlib import Path

import pytest

import dtrain.backend

SOURCES = sorted((Path(dtrain.backend.__file__).parent / "kernels" / "cuda").glob("*.cu"))


@pytest.fixture
def nvrtc():
    nvrtc = pytest.importorskip("cupy_backends.cuda.libs.nvrtc")
    try:
        nvrtc.getVersion()
    except (RuntimeError, OSError, ImportError) as reason:
        pytest.skip(f"no NVRTC: pip install 'nvidia-cuda-nvrtc==13.*' ({reason})")
    return nvrtc


@pytest.mark.parametrize("arch", [80, 90, 120])
@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_kernel_compiles(source, arch, nvrtc):
    program = nvrtc.createProgram(source.read_text(), source.name, [], [])
    try:
        nvrtc.compileProgram(program, [f"-arch=sm_{arch}", "-std=c++17"])
        assert nvrtc.getCUBIN(program).startswith(b"\x7fELF")
    finally:
        log = nvrtc.getProgramLog(program)
        nvrtc.destroyProgram(program)
        assert not log.strip("\0\n"), log


def test_there_are_kernels():
    assert SOURCES
