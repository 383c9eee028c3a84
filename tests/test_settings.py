"""Settings that scripts make at their heads: backends, precision, determinism, default device."""

import importlib
import pickle
import sys
import threading

import numpy as np
import pytest

import dtrain
from dtrain.backend.kernels.cuda import cudnn_plan

BACKENDS = ("cpu", "cuda", "cudnn", "mkl", "mkldnn", "mps", "openmp", "opt_einsum")


@pytest.mark.parametrize("name", BACKENDS)
def test_a_backend_is_a_module_that_explains_names_it_lacks(name):
    backend = importlib.import_module(f"dtrain.backends.{name}")
    assert getattr(dtrain.backends, name) is backend
    with pytest.raises(AttributeError, match=rf"dtrain has no torch\.backends\.{name}\.fastest"):
        backend.fastest  # noqa: B018


@pytest.mark.parametrize("name", ["mkldnn", "mps", "openmp", "opt_einsum"])
def test_libraries_that_are_not_used_are_not_available(name):
    assert not getattr(dtrain.backends, name).is_available()
    assert not dtrain.backends.mps.is_built()


def test_cudnn_is_available_where_its_package_is_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "cudnn", None)  # as if it were not
    cudnn_plan.find_library.cache_clear()
    try:
        assert not dtrain.backends.cudnn.is_available()
        assert dtrain.backends.cudnn.version() is None
        assert not dtrain.backends.cudnn.is_acceptable(dtrain.ones(1))
    finally:
        cudnn_plan.find_library.cache_clear()


@pytest.mark.parametrize(
    ("name", "simd"),
    [
        ("AVX512", {"baseline": ["SSE3"], "found": ["AVX2", "AVX512_SKX"]}),
        ("AVX512", {"baseline": ["X86_V2"], "found": ["X86_V3", "X86_V4"]}),
        ("AVX2", {"baseline": ["X86_V3"], "not found": ["X86_V4"]}),
        ("AVX2", {"baseline": ["SSE3"], "found": ["AVX2"], "not found": ["AVX512_SKX"]}),
        ("DEFAULT", {"baseline": ["NEON"], "found": ["SVE"]}),
    ],
)
def test_the_processors_vectors_have_pytorchs_names(name, simd, monkeypatch):
    monkeypatch.setattr(np, "show_config", lambda mode: {"SIMD Extensions": simd})
    assert dtrain.backends.cpu.get_cpu_capability() == name


def test_flags_are_kept_and_restored(monkeypatch):
    cudnn = dtrain.backends.cudnn
    monkeypatch.setattr(cudnn, "benchmark", True)
    with pytest.raises(KeyError), cudnn.flags(enabled=True, deterministic=True):  # noqa: PT012
        assert (cudnn.benchmark, cudnn.deterministic) == (False, True)
        raise KeyError
    assert (cudnn.enabled, cudnn.benchmark, cudnn.deterministic) == (True, True, False)
    with dtrain.backends.mkldnn.flags(deterministic=True):
        assert not dtrain.backends.mkldnn.enabled
    assert dtrain.backends.mkldnn.enabled


def test_switches_of_products_are_known_by_name(monkeypatch):
    matmul = dtrain.backends.cuda.matmul
    monkeypatch.setattr(matmul, "allow_tf32", True)
    assert matmul.allow_tf32
    with pytest.raises(AttributeError, match=r"expected one of allow_tf32, .*, got allow_tf16"):
        matmul.allow_tf16 = True


@pytest.mark.parametrize("name", ["flash", "mem_efficient", "math", "cudnn"])
def test_switches_of_attention_are_kept(name):
    cuda = dtrain.backends.cuda
    enabled = getattr(cuda, f"{name}_sdp_enabled")
    assert enabled()
    with cuda.sdp_kernel(False, False, False, False):
        assert not enabled()
    getattr(cuda, f"enable_{name}_sdp")(False)
    assert not enabled()
    getattr(cuda, f"enable_{name}_sdp")(True)
    assert enabled()


def test_precision_and_determinism_are_noted():
    dtrain.set_float32_matmul_precision("high")
    with pytest.warns(UserWarning, match="nothing is changed"):
        dtrain.set_float32_matmul_precision("best")
    assert dtrain.get_float32_matmul_precision() == "high"
    dtrain.set_float32_matmul_precision("highest")
    assert not dtrain.set_flush_denormal(True)


def test_deterministic_modes_have_pytorchs_names_and_numbers():
    try:
        dtrain.use_deterministic_algorithms(True)
        assert dtrain.are_deterministic_algorithms_enabled()
        assert not dtrain.is_deterministic_algorithms_warn_only_enabled()
        assert dtrain.get_deterministic_debug_mode() == 2
        dtrain.use_deterministic_algorithms(True, warn_only=True)
        assert dtrain.is_deterministic_algorithms_warn_only_enabled()
        dtrain.set_deterministic_debug_mode("error")
        assert dtrain.get_deterministic_debug_mode() == 2
        dtrain.set_deterministic_debug_mode(1)
        assert dtrain.is_deterministic_algorithms_warn_only_enabled()
        for wrong in (3, "loud"):
            with pytest.raises(RuntimeError, match="expected 'default', 'warn' or 'error'"):
                dtrain.set_deterministic_debug_mode(wrong)
    finally:
        dtrain.use_deterministic_algorithms(False)
    assert not dtrain.are_deterministic_algorithms_enabled()
    with pytest.raises(TypeError, match="expected a bool, got 1"):
        dtrain.use_deterministic_algorithms(1)


@pytest.mark.skipif(dtrain.cuda.is_available(), reason="what is refused without a GPU")
def test_new_tensors_are_made_on_the_default_device():
    with dtrain.device("cuda"):
        for make in (dtrain.zeros, dtrain.rand, dtrain.arange, dtrain.tensor, dtrain.eye):
            with pytest.raises(RuntimeError, match="device cuda: this machine shows 0 CUDA"):
                make(2)
        assert dtrain.zeros(2, device="cpu").device == dtrain.zeros_like(dtrain.Tensor(2)).device
        with dtrain.device("cpu"):
            assert dtrain.zeros(2).tolist() == [0, 0]
        assert dtrain.get_default_device() == dtrain.device("cuda")
    assert dtrain.get_default_device() == dtrain.device("cpu")


def test_the_default_device_is_that_of_a_thread():
    found = []
    dtrain.set_default_device("cuda:1")
    try:
        other = threading.Thread(target=lambda: found.append(dtrain.get_default_device()))
        other.start()
        other.join()
        assert dtrain.get_default_device() == dtrain.device("cuda", 1)
    finally:
        dtrain.set_default_device(None)
    assert found == [dtrain.device("cpu")]


def test_a_device_is_pickled():
    assert pickle.loads(pickle.dumps(dtrain.device("cuda:1"))) == dtrain.device("cuda:1")
