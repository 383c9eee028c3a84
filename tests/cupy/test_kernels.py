"""Every CUDA kernel compiles for the GPUs that are in use, with the compiler that CuPy uses, and
computes what its reference does."""

import re
import struct
from pathlib import Path

import numpy as np
import pytest

import dtrain.backend
from dtrain.backend import kernels
from dtrain.backend.kernels.cuda import attention, conv, implicit_conv, parts
from dtrain.backend.kernels.cuda.compiler import options, source
from dtrain.backend.kernels.cuda.tensor_cores import instruction
from tests.cases.kernel_cases import CASES, assert_close, results

FOLDER = Path(dtrain.backend.__file__).parent / "kernels" / "cuda"
#: files whose source is prepended to that of other kernels
SHARED = {"common", "block", "tile"}
FAMILIES = sorted({path.stem for path in FOLDER.glob("*.cu")} - SHARED)
#: a GPU's architecture, what arrays hold and what weights hold
TARGETS = [(80, "f", "f"), (90, "f", "f"), (100, "f", "f"), (120, "f", "f"), (90, "d", "d")]
TARGETS += [(90, "e", "e"), (90, "E", "f"), (100, "E", "E")]


@pytest.fixture
def nvrtc():
    nvrtc = pytest.importorskip("cupy_backends.cuda.libs.nvrtc")
    try:
        nvrtc.getVersion()
    except (RuntimeError, OSError, ImportError) as reason:
        pytest.skip(f"no NVRTC: pip install 'nvidia-cuda-nvrtc==13.*' ({reason})")
    return nvrtc


@pytest.mark.parametrize(("arch", "store", "param"), TARGETS)
@pytest.mark.parametrize("family", FAMILIES)
def test_kernel_compiles(family, arch, store, param, nvrtc):
    assert_compiles(nvrtc, source(family), f"-arch=sm_{arch}", *options(store, param))


@pytest.mark.parametrize("arch", [80, 90, 100, 120])
def test_a_kernel_takes_32_kilobytes_of_arguments(arch, nvrtc):
    how = *options("f"), "-DMANY=1000"
    assert_compiles(nvrtc, source("joining"), f"-arch=sm_{arch}", *how)


#: Each form takes some seconds.
@pytest.mark.parametrize(
    ("arch", "store", "width"),
    [
        pytest.param(arch, store, width, marks=[] if (arch, width) == (90, 64) else pytest.mark.long)
        for arch in (80, 90, 100, 120) for store in "fdeE" for width in (64, 128, 256)
    ],
)  # fmt: skip
def test_attention_compiles_in_every_form(arch, store, width, nvrtc):
    for form in attention.forms(store, width, True):
        how = (*options(store), *form.defines, "-DALIGNED", "-DDROPS=1")
        assert_compiles(nvrtc, source("attention"), f"-arch=sm_{arch}", *how)


@pytest.mark.parametrize("arch", [80, 90, 100, 120])
@pytest.mark.parametrize("store", ["f", "e", "E", "exact"])
def test_convolution_compiles_for_tensor_cores_and_without(arch, store, nvrtc):
    kind, cores = ("f", "") if store == "exact" else (store, instruction(store, True))
    how = (*options(kind), *implicit_conv.defines(kind, cores), "-DALIGNED")
    assert_compiles(nvrtc, source("conv"), f"-arch=sm_{arch}", *how)


def assert_compiles(nvrtc, text, *options):
    """NVRTC does not warn, and no kernel keeps values in memory for want of registers."""
    program = nvrtc.createProgram(text, "kernels.cu", [], [])
    try:
        nvrtc.compileProgram(program, options)
        stacks = stack_sizes(nvrtc.getCUBIN(program))
    finally:
        log = nvrtc.getProgramLog(program)
        nvrtc.destroyProgram(program)
        assert not log.strip("\0\n"), log
    assert stacks
    assert not {name: size for name, size in stacks.items() if size}, "values out of registers"


def sections(cubin):
    """The sections of an ELF file by name."""
    (offset,) = struct.unpack_from("<Q", cubin, 40)
    size, count, names = struct.unpack_from("<HHH", cubin, 58)
    heads = [struct.unpack_from("<IIQQQQIIQQ", cubin, offset + i * size) for i in range(count)]
    contents = [cubin[head[4] : head[4] + head[5]] for head in heads]
    return {text(contents[names], head[0]): content for head, content in zip(heads, contents)}


def text(strings, begin):
    return strings[begin : strings.index(b"\0", begin)].decode()


def stack_sizes(cubin):
    """{kernel: bytes of its stack frame}, where registers are not enough or cannot be indexed."""
    parts = sections(cubin)
    records, at, sizes = parts[".nv.info"], 0, {}
    while at < len(records):
        form, attribute, size = struct.unpack_from("<BBH", records, at)
        if form == 4:
            if attribute == 0x11:  # EIATTR_FRAME_SIZE
                symbol, frame = struct.unpack_from("<II", records, at + 4)
                (name,) = struct.unpack_from("<I", parts[".symtab"], 24 * symbol)
                sizes[text(parts[".strtab"], name)] = frame
            at += size
        at += 4
    return sizes


def compile_for_sm_90(nvrtc, code):
    program = nvrtc.createProgram(code, "kernels.cu", [], [])
    try:
        nvrtc.compileProgram(program, ["-arch=sm_90", *options("f")])
        return nvrtc.getCUBIN(program)
    finally:
        nvrtc.destroyProgram(program)


def test_stack_frames_are_found(nvrtc):
    code = """extern "C" __global__ void f(float *x, int n) {
        float a[40];
        for (int i = 0; i < 40; i++) a[i] = x[i];
        for (int i = 0; i < n; i++) x[i] = a[(int)x[i]];
    }"""
    cubin = compile_for_sm_90(nvrtc, code)
    assert stack_sizes(cubin) == {"f": 160}


@pytest.mark.long
def test_no_kernel_divides_64_bit_numbers_but_where_it_must(nvrtc):
    """A division is a call; `divide` makes one only where a number has more than 32 bits."""

    def calls(code):
        return re.findall(
            rb"(?:div|rem)_[su]64", sections(compile_for_sm_90(nvrtc, code))[".strtab"]
        )

    rare = "(a | b) >> 32 ? a / b : "
    assert calls(source("window"))
    assert rare in source("window")
    found = {name: calls(source(name).replace(rare, "")) for name in FAMILIES}
    assert not {name: names for name, names in found.items() if names}


def test_there_are_kernels():
    assert len(FAMILIES) > 5


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_cuda_computes_what_the_reference_does(case, dtype):
    cupy = pytest.importorskip("cupy")
    for arrays in case.samples(dtype):
        given = results(case, "cuda", [x if x is None else cupy.asarray(x) for x in arrays])
        assert_close(case, arrays, given, results(case, "reference", arrays))


def as_halves(arrays, half):
    return [x if x is None or x.dtype.kind != "f" else x.astype(half) for x in arrays]


@pytest.mark.parametrize("half", [dtrain.float16, dtrain.bfloat16])
@pytest.mark.parametrize(
    "name",
    [
        "layer_norm", "rms_norm_backward", "channel_norm_backward", "softmax", "gelu_backward",
        "mean_cross_entropy", "mean_cross_entropy_backward", "conv_grad_x", "max_pool",
        "embedding_backward",
    ],
)  # fmt: skip
def test_kernels_of_halves_compute_in_float32(name, half):
    """They round once: the results are those of the reference in float32, of the same numbers."""
    cupy = pytest.importorskip("cupy")
    case = next(case for case in CASES if case.name == name)
    given = as_halves(next(case.samples(np.float32)), half)
    widened = [x if x is None or x.dtype != half else x.astype(np.float32) for x in given]
    on_device = [x if x is None else cupy.asarray(x) for x in given]
    found, expected = results(case, "cuda", on_device), results(case, "reference", widened)
    assert found[0].dtype == half
    for a, b in zip(found, expected):
        tolerance = 2e-3 if half == np.float16 else 1.6e-2
        scale = np.abs(b).max(initial=0)
        np.testing.assert_allclose(a.astype(np.float32), b, rtol=tolerance, atol=tolerance * scale)


@pytest.mark.parametrize("dtype", ["int64", "complex64", "float16", "float64"])
@pytest.mark.parametrize("index_on_host", [True, False])
def test_rows_of_every_dtype_are_added_by_index(dtype, index_on_host):
    cupy = pytest.importorskip("cupy")
    values, index = np.arange(6).reshape(2, 3).astype(dtype), np.array([1, 1])
    given = [cupy.zeros((4, 3), dtype) for _ in range(2)]
    expected = np.zeros((4, 3), dtype)
    np.add.at(expected, index, values)
    place = index if index_on_host else cupy.asarray(index)
    kernels.add_at(cupy.asarray(values), place, given[0])
    kernels.add_slices(cupy.asarray(values), place, given[1], 0)
    for array in (*given, kernels.embedding_backward(cupy.asarray(values), place, 4)):
        np.testing.assert_array_equal(array.get(), expected)


@pytest.mark.parametrize("axis", [(2, 3), 3, (1, 2, 3)])
def test_the_mean_of_many_rows_is_one_launch(axis, counts):
    x = dtrain.randn(64, 2, 3, 5, generator=dtrain.Generator(1))
    for keepdim in (False, True):
        on_device = x.to("cuda")
        counts()
        given = on_device.mean(axis, keepdim)
        assert dict(counts()) == {"row_means": 1}
        dtrain.testing.assert_close(given.cpu(), x.mean(axis, keepdim))


def test_one_kernel_is_compiled_without_the_others_of_its_file():
    assert source("softmax", "softmax").count("__global__") == 1
    assert "__global__ void softmax(" in source("softmax", "softmax")
    assert "block_sum" not in source("activation", "gelu")


@pytest.mark.parametrize(
    "name", ["layer_norm_backward", "batch_norm", "channel_statistics", "channel_norm_backward"]
)
def test_sums_in_parts_are_those_of_the_reference(name, monkeypatch):
    cupy = pytest.importorskip("cupy")
    monkeypatch.setattr(parts, "ELEMENTS", 8)
    for case in [case for case in CASES if case.name == name][:2]:
        arrays = next(case.samples(np.float32))
        given = results(case, "cuda", [x if x is None else cupy.asarray(x) for x in arrays])
        assert_close(case, arrays, given, results(case, "reference", arrays))


def test_the_weight_of_a_convolution_of_large_images_has_the_gradient_of_the_reference(monkeypatch):
    cupy = pytest.importorskip("cupy")
    monkeypatch.setattr(conv, "_WINDOWS", 8)  # a product for each sample, and their sum
    case = next(case for case in CASES if case.name == "conv_grad_weight")
    arrays = next(case.samples(np.float32))
    given = results(case, "cuda", [cupy.asarray(x) for x in arrays])
    assert_close(case, arrays, given, results(case, "reference", arrays))


@pytest.mark.parametrize("half", [dtrain.float16, dtrain.bfloat16])
def test_halves_are_rounded_to_nearest_even(half):
    cupy = pytest.importorskip("cupy")
    x = np.random.default_rng(0).normal(size=5000).astype(half)
    x[:4] = (np.nan, -np.inf, 6e-8, 60000)
    given = kernels.leaky_relu(cupy.asarray(x), 1.3).get()
    wide = x.astype(np.float32)
    expected = np.where(wide > 0, wide, wide * np.float32(1.3)).astype(half)
    np.testing.assert_array_equal(given.astype(np.float32), expected.astype(np.float32))
