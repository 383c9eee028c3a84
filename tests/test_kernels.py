"""The kernels compiled by Numba compute what their references do, and nobody needs Numba."""

import importlib
import importlib.util

import numpy as np
import pytest

import dtrain
from dtrain import nn, optim
from dtrain.backend import kernels
from dtrain.nn import functional as F
from tests.cases.case import central_differences, leaf, run_backward
from tests.cases.kernel_cases import CASES, assert_close, results
from tests.cases.table import CASES as OP_CASES

from .processes import finished

numba_only = pytest.mark.skipif(
    importlib.util.find_spec("numba") is None, reason="Numba is not installed"
)
dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])


@numba_only
@dtypes
@pytest.mark.parametrize("case", CASES, ids=str)
def test_numba_computes_what_the_reference_does(case, dtype):
    for arrays in case.samples(dtype):
        before = [None if x is None else x.copy() for x in arrays]
        expected = results(case, "reference", arrays)
        assert_close(case, arrays, results(case, "cpu", arrays), expected)
        for x, y in zip(arrays, before):
            assert x is None or np.array_equal(x, y, equal_nan=True), "an input was changed"


@numba_only
@dtypes
@pytest.mark.parametrize(
    "case", [c for c in CASES if c.family in ("optimizer", "reduction")], ids=str
)
def test_steps_and_means_have_the_bits_of_the_reference(case, dtype):
    for arrays in case.samples(dtype):
        for a, b in zip(results(case, "cpu", arrays), results(case, "reference", arrays)):
            np.testing.assert_array_equal(a, b)


_DIGESTS = """
import hashlib, numpy as np
from tests.cases.kernel_cases import CASES, results

for case in CASES:
    hasher = hashlib.sha256()
    for arrays in case.samples(np.float32):
        for out in results(case, "cpu", arrays):
            hasher.update(b"" if out is None else np.ascontiguousarray(out).tobytes())
    print(repr(str(case)), hasher.hexdigest())
"""


@pytest.mark.slow
@numba_only
def test_compiled_kernels_have_the_bits_of_those_from_the_cache(run_python, tmp_path):
    first, second = (
        finished(run_python("-c", _DIGESTS, NUMBA_CACHE_DIR=tmp_path / "cache")) for _ in range(2)
    )
    assert len(first.splitlines()) == len(CASES)
    assert first.splitlines() == second.splitlines()


def test_every_kernel_has_a_case():
    names = {name for name, value in vars(kernels).items() if hasattr(value, "__wrapped__")}
    assert names - {"_import_body"} == {case.name for case in CASES}


# --- through the operations ---

FUSED = (
    "softmax", "F.softmax", "F.log_softmax", "F.cross_entropy", "F.layer_norm", "F.batch_norm",
    "F.relu", "F.silu", "F.gelu", "F.conv2d", "F.max_pool2d", "F.avg_pool2d", "F.embedding",
)  # fmt: skip


@numba_only
@pytest.mark.parametrize(
    ("case", "sample"),
    [
        pytest.param(case, sample, id=f"{case} {sample}")
        for case in OP_CASES
        for sample in case.samples
        if case.op in FUSED
    ],
)
def test_operations_are_right_with_small_arrays_too(case, sample, monkeypatch):
    monkeypatch.setattr(kernels, "SMALL", {})
    arrays = case.arrays(sample)
    leaves = [leaf(array) for array in arrays]
    outputs = case.run(dtrain, *leaves)
    run_backward(outputs)
    for out, expected in zip(outputs, case.expected(*arrays)):
        np.testing.assert_allclose(out.detach().numpy(), expected, rtol=1e-10, atol=1e-12)
    gradients = [np.zeros(x.shape) if x.grad is None else x.grad.numpy() for x in leaves]
    for given, expected in zip(gradients, central_differences(case.expected, arrays)):
        np.testing.assert_allclose(given, expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(
    "arrays",
    [
        [np.ones(1 << 20, np.float16)],
        [np.ones(1 << 20, np.int64)],
        [np.ones(1 << 20, np.float32), np.ones(1 << 20)],
        [np.ones(1 << 20, np.float32), np.ones(1 << 20, np.float16)],
        [np.ones(1 << 20, np.float32), np.ones(1 << 20, dtrain.bfloat16)],
    ],
    ids=["float16", "int64", "mixed", "mixed with float16", "mixed with bfloat16"],
)
def test_the_reference_takes_what_the_others_cannot(arrays):
    assert kernels._choose_body("activation", tuple(arrays)) is None


@numba_only
@pytest.mark.parametrize("family", ["conv", "optimizer"])
def test_the_reference_takes_small_arrays_of_some_families(family):
    few, many = np.ones(100, np.float32), np.ones(1 << 16, np.float32)
    assert kernels._choose_body(family, (few, few)) is None
    assert kernels._choose_body(family, (few, many)) is not None
    assert kernels._choose_body("activation", (few,)) is not None


@pytest.mark.parametrize("body", ["cpu", "reference"])
@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_cross_entropy_refuses_targets_that_are_no_class(body, label_smoothing, monkeypatch):
    if body == "reference":
        monkeypatch.setattr(kernels, "_import_body", lambda where, family: None)
    x = dtrain.zeros(3, 5).requires_grad_()
    how = {"label_smoothing": label_smoothing}
    for wrong in (5, -1, -5):
        with pytest.raises(IndexError, match=f"Target {wrong} is out of bounds.* < 5, the number"):
            F.cross_entropy(x, dtrain.tensor([0, wrong, 1]), **how)
        target = dtrain.tensor([0, wrong, 4])
        losses = F.cross_entropy(x, target, ignore_index=wrong, reduction="none", **how)
        np.testing.assert_allclose(losses.tolist(), [np.log(5), 0, np.log(5)], rtol=1e-6)
    F.cross_entropy(x, dtrain.tensor([3, 3, 3]), ignore_index=3, **how).backward()
    assert not x.grad.any()  # though the mean of no losses is NaN


@numba_only
@pytest.mark.parametrize("groups", [1, 4])
def test_nan_in_an_image_reaches_the_taps_that_see_it(groups):
    rng = np.random.default_rng(0)
    x, g = (rng.normal(size=(2, 4, n, n)).astype(np.float32) for n in (6, 4))
    x[1, 2, 3, 5] = np.nan  # the last column: of no window's first two
    how = (3, 3), (1, 1), (0, 0), (1, 1), groups
    given, expected = (
        importlib.import_module(f"dtrain.backend.kernels.{body}.conv").conv_grad_weight(g, x, *how)
        for body in ("cpu", "reference")
    )
    np.testing.assert_allclose(given, expected, rtol=1e-5, atol=1e-5)
    assert 0 < np.isnan(given).sum() < given[:, 0].size


@numba_only
def test_the_maximum_of_equal_elements_is_the_first_of_them_in_the_image():
    how = (2, 3), (1, 2), (1, 1), (1, 1)
    for x in (np.full((1, 1, 4, 5), -np.inf, np.float32), np.zeros((1, 1, 4, 5), np.float32)):
        for body in ("cpu", "reference"):
            module = importlib.import_module(f"dtrain.backend.kernels.{body}.window")
            out, positions = module.max_pool(x, *how)
            assert (out == x[0, 0, 0, 0]).all()
            # the first row of windows begins above the image, the first column on its left
            expected = [[4, 3, 3], *[[1, 0, 0]] * 4]
            assert positions[0, 0].tolist() == expected


# --- rounding ---


def convolution_errors():
    """The root mean square errors of a 3x3 convolution's output and gradients, of unit size."""
    rng = np.random.default_rng(0)
    x, g = rng.normal(size=(2, 4, 64, 16, 16))
    weight = rng.normal(size=(64, 64, 3, 3)) / 24
    results = []
    for dtype in (np.float64, np.float32):
        leaves = [dtrain.from_numpy(a.astype(np.float32).astype(dtype)) for a in (x, weight, g)]
        for leaf_ in leaves[:2]:
            leaf_.requires_grad = True
        out = F.conv2d(*leaves[:2], padding=1)
        out.backward(leaves[2])
        results.append([y.detach().numpy() for y in (out, *(a.grad for a in leaves[:2]))])
    return [np.std(given - exact) / np.std(exact) for exact, given in zip(*results)]


@numba_only
def test_winograd_rounds_little_more_than_the_definition_which_is_used_on_demand(monkeypatch):
    from dtrain.backend.kernels.cpu import amx

    monkeypatch.setattr(amx, "is_available", lambda: False)
    conv = dtrain.backends.mkldnn.conv
    by_tiles = convolution_errors()
    assert max(by_tiles) < 9e-7, by_tiles
    conv.fp32_precision = "ieee"
    try:
        exact = convolution_errors()
        with pytest.raises(RuntimeError, match="fp32_precision: expected one of none, ieee"):
            conv.fp32_precision = "exact"
        assert conv.fp32_precision == "ieee"
    finally:
        conv.fp32_precision = "none"
    assert all(1.2 * a < b for a, b in zip(exact, by_tiles)), (exact, by_tiles)
    assert convolution_errors() == by_tiles


# --- without Numba ---


def losses():
    """Three steps of a model that needs most kernels, on arrays that are not small."""
    dtrain.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.GELU(), nn.Flatten(), nn.Linear(2048, 256),
        nn.LayerNorm(256), nn.SiLU(), nn.Linear(256, 10),
    )  # fmt: skip
    optimizer = optim.AdamW(model.parameters(), 1e-3)
    x, y = dtrain.randn(64, 3, 16, 16), dtrain.randint(0, 10, (64,))
    for _ in range(3):
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        yield loss.item()


def test_without_numba_and_cupy_training_is_the_same_within_rounding(run_python):
    hidden = "import sys; sys.modules.update(numba=None, cupy=None); "
    code = "from tests.test_kernels import losses; print(*losses())"
    alone = run_python("-c", hidden + code)
    assert alone.returncode == 0, alone.stderr
    np.testing.assert_allclose([float(x) for x in alone.stdout.split()], list(losses()), rtol=1e-4)


@pytest.mark.slow
@numba_only
def test_kernels_can_be_switched_off(run_python):
    code = "import sys; from tests.test_kernels import losses; list(losses()); print('numba' in sys.modules)"
    assert run_python("-c", code).stdout == "True\n"
    assert run_python("-c", code, DTRAIN_KERNELS="reference").stdout == "False\n"


def test_importing_dtrain_imports_no_package_that_only_some_programs_need(run_python):
    names = "{'numba', 'cupy', 'rich', 'scipy', 'multiprocessing'}"
    code = f"import gc, sys, dtrain; print({names} & {{*sys.modules}}, gc.isenabled())"
    assert run_python("-c", code).stdout == "set() True\n"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(1024, 65), (6, 7, 40), (3, 4, 5, 6), (64, 1, 7), (128, 128, 1)])
def test_sums_over_leading_axes_have_the_bits_of_numpy(shape, dtype):
    x = np.random.default_rng(0).standard_normal(shape).astype(dtype)
    for count in range(1, len(shape)):
        expected = x.sum(tuple(range(count)))
        assert kernels.sum_leading(x, count).tobytes() == expected.tobytes()
        assert kernels.sum_leading(x.T, count).tobytes() == x.T.sum(tuple(range(count))).tobytes()
