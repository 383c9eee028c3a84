"""Convolution and attention by cuDNN, where it is installed: deterministic engines only.

On host memory cuDNN is a stand-in (tests/hostcuda/cudnn_frontend.py), which checks how it is
called; on a GPU these tests need the package.
"""

import sys
import threading

import cudnn_frontend
import numpy as np
import pytest

import dtrain
import dtrain.nn.functional as F
from dtrain.backend.kernels.cuda import cudnn_plan
from tests.cupy.conftest import HOSTED

CONVOLUTIONS = {
    "padded": ((2, 8, 9, 7), (16, 8, 3, 3), {"padding": (1, 1)}),
    "strided": ((2, 3, 11, 8), (5, 3, 3, 2), {"stride": (2, 3), "padding": (1, 0)}),
    "dilated": ((1, 4, 9, 9), (6, 4, 2, 3), {"stride": (1, 2), "padding": (2, 1), "dilation": 2}),
    "grouped": ((2, 6, 5, 5), (4, 3, 3, 3), {"groups": 2}),
    "depthwise": ((2, 6, 5, 6), (12, 1, 3, 3), {"groups": 6, "padding": 1}),
}
HALVES = dtrain.float16, dtrain.bfloat16


@pytest.fixture(autouse=True)
def cudnn(monkeypatch):
    """Installs cuDNN; gives the stand-in, or None on a GPU."""
    if HOSTED:
        monkeypatch.setitem(sys.modules, "cudnn", cudnn_frontend)
        for record in (cudnn_frontend.executed, cudnn_frontend.built, cudnn_frontend.unsupported):
            record.clear()
    caches = cudnn_plan.find_library, cudnn_plan._handle, cudnn_plan._find_plan
    for cache in caches:
        cache.cache_clear()
    if not dtrain.backends.cudnn.is_available():
        pytest.skip("cuDNN is not installed: pip install 'dtrain[cudnn]'")
    yield cudnn_frontend if HOSTED else None
    if HOSTED:
        for cache in caches:
            cache.cache_clear()


def run(function, device, dtype, *shapes, **how):
    """The value and the gradients of a function of normal numbers, in float64."""
    dtrain.manual_seed(0)
    given = [dtrain.randn(shape).to(dtype).to(device).requires_grad_() for shape in shapes]
    out = function(*given, **how)
    out.backward(dtrain.randn(out.shape).to(dtype).to(device))
    return [x.detach().to("cpu").double().numpy() for x in (out, *(x.grad for x in given))]


def assert_near(results, expected, tolerance):
    for a, b in zip(results, expected, strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, atol=tolerance * abs(b).max(), rtol=0)


@pytest.mark.parametrize("dtype", [dtrain.float32, *HALVES])
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolutions_have_the_values_of_a_cpu(name, dtype, cudnn):
    images, weight, how = CONVOLUTIONS[name]
    shapes = images, weight, weight[:1]
    results = run(F.conv2d, "cuda", dtype, *shapes, **how)
    tolerance = {"f": 1e-5, "e": 4e-3, "E": 3e-2}[dtype.char]
    assert_near(results, run(F.conv2d, "cpu", dtype, *shapes, **how), tolerance)
    if cudnn:
        engine = "plain" if dtype == dtrain.float32 else "winograd"
        names = "conv_fprop", "conv_dgrad", "conv_wgrad"
        assert sorted(cudnn.executed) == sorted((name, engine) for name in names)


def test_tensor_float_32_is_taken_where_both_settings_allow_it(cudnn):
    images, weight, how = CONVOLUTIONS["padded"]
    exact = run(F.conv2d, "cpu", dtrain.float32, images, weight, **how)
    dtrain.set_float32_matmul_precision("high")
    try:
        assert_near(run(F.conv2d, "cuda", dtrain.float32, images, weight, **how), exact, 2e-3)
        if cudnn:
            assert {engine for _, engine in cudnn.executed} == {"winograd"}
            cudnn.executed.clear()
        with dtrain.backends.cudnn.flags(enabled=True, allow_tf32=False):
            results = run(F.conv2d, "cuda", dtrain.float32, images, weight, **how)
        assert_near(results, exact, 1e-5)
        if cudnn:
            assert {engine for _, engine in cudnn.executed} == {"plain"}
    finally:
        dtrain.set_float32_matmul_precision("highest")


def test_results_have_the_same_bits_each_time():
    for case in (
        lambda: run(F.conv2d, "cuda", dtrain.float32, *CONVOLUTIONS["padded"][:2]),
        lambda: run(attention, "cuda", dtrain.bfloat16, *[(2, 2, 17, 16)] * 3),
    ):
        first, second = case(), case()
        assert all((a == b).all() for a, b in zip(first, second, strict=True))


def test_a_graph_is_built_once_for_a_shape(cudnn):
    if not cudnn:
        pytest.skip("graphs are counted on host memory only")
    for _ in range(3):
        run(F.conv2d, "cuda", dtrain.float32, (2, 4, 5, 5), (3, 4, 3, 3))
    assert len(cudnn.built) == 3
    run(F.conv2d, "cuda", dtrain.float32, (3, 4, 5, 5), (3, 4, 3, 3))
    assert len(cudnn.built) == 6


def test_a_thread_has_a_handle_of_its_own(cudnn):
    results = []

    def body():
        results.append(run(F.conv2d, "cuda", dtrain.float32, (2, 4, 5, 5), (3, 4, 3, 3)))

    body()
    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    assert all((a == b).all() for a, b in zip(*results, strict=True))


@pytest.mark.parametrize("missing", ["conv_fprop", "conv_dgrad", "conv_wgrad"])
def test_dtrains_kernels_compute_what_cudnn_has_no_engine_for(missing, cudnn):
    if not cudnn:
        pytest.skip("cuDNN's engines are what they are")
    cudnn.unsupported.add(missing)
    case = dtrain.float32, (2, 4, 5, 5), (3, 4, 3, 3)
    assert_near(run(F.conv2d, "cuda", *case), run(F.conv2d, "cpu", *case), 1e-5)
    assert missing not in {name for name, _ in cudnn.executed}
    assert len(cudnn.executed) == 2


def test_disabled_or_of_another_dtype_it_is_not_called(cudnn):
    if not cudnn:
        pytest.skip("calls are counted on host memory only")
    with dtrain.backends.cudnn.flags(enabled=False):
        run(F.conv2d, "cuda", dtrain.float32, (2, 4, 5, 5), (3, 4, 3, 3))
    run(F.conv2d, "cuda", dtrain.float64, (2, 4, 5, 5), (3, 4, 3, 3))
    run(attention, "cuda", dtrain.float32, *[(2, 2, 5, 16)] * 3)
    run(attention, "cuda", dtrain.float16, *[(2, 2, 5, 12)] * 3)
    with dtrain.nn.attention.sdpa_kernel(dtrain.nn.attention.SDPBackend.FLASH_ATTENTION):
        run(attention, "cuda", dtrain.float16, *[(2, 2, 5, 16)] * 3)
    assert not cudnn.executed


def attention(q, k, v, **how):
    return F.scaled_dot_product_attention(q, k, v, **how)


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize(
    ("shapes", "how"),
    [
        ([(2, 4, 19, 16)] * 3, {}),
        ([(2, 4, 19, 16)] * 3, {"is_causal": True, "scale": 0.3}),
        ([(2, 4, 7, 24), (2, 2, 9, 24), (2, 2, 9, 8)], {"enable_gqa": True}),
    ],
)
def test_attention_has_the_values_of_a_cpu(shapes, how, dtype, cudnn):
    results = run(attention, "cuda", dtype, *shapes, **how)
    expected = run(attention, "cpu", dtype, *shapes, **how)
    assert_near(results, expected, 4e-3 if dtype == dtrain.float16 else 3e-2)
    if cudnn:
        assert cudnn.executed == [("sdpa", "winograd"), ("sdpa_backward", "winograd")]


def test_masks_and_dropout_are_dtrains_own(cudnn):
    if not cudnn:
        pytest.skip("calls are counted on host memory only")
    shapes = [(2, 2, 5, 16)] * 3
    mask = dtrain.ones(5, 5, dtype=dtrain.bool, device="cuda")
    run(attention, "cuda", dtrain.float16, *shapes, attn_mask=mask)
    run(attention, "cuda", dtrain.float16, *shapes, dropout_p=0.5)
    assert not cudnn.executed


def test_arrays_that_are_broadcast_or_not_aligned_are_copied(cudnn):
    dtrain.manual_seed(0)
    q, k, v = (dtrain.randn(1, 2, 6, 16).half().to("cuda").requires_grad_() for _ in range(3))
    g = dtrain.randn(16).half().to("cuda")
    attention(q, k, v).backward(g.expand(1, 2, 6, 16))
    of_q, q.grad = q.grad, None
    attention(q, k, v).backward(g.expand(1, 2, 6, 16).contiguous())
    assert dtrain.equal(of_q, q.grad)
    x = dtrain.randn(201, device="cuda")[1:].view(2, 4, 5, 5)
    weight = dtrain.randn(3, 4, 3, 3, device="cuda")
    assert dtrain.equal(F.conv2d(x, weight), F.conv2d(x.clone(), weight))
    if cudnn:
        assert len(cudnn.executed) == 6


def test_the_module_says_what_is_there():
    cudnn = dtrain.backends.cudnn
    assert cudnn.is_available()
    assert cudnn.version() >= 90000
    x = dtrain.ones(2, device="cuda")
    assert cudnn.is_acceptable(x)
    assert not cudnn.is_acceptable(x.cpu())
    assert not cudnn.is_acceptable(x.double())
    with cudnn.flags(enabled=False):
        assert not cudnn.is_acceptable(x)
