"""Products of large float32 matrices on AMX: exact enough, in one order, with the BLAS's infinities."""

import copy
import importlib.util

import numpy as np
import pytest

import dtrain
from dtrain import nn
from dtrain.backend import kernels, settings
from dtrain.backend.dtypes import bfloat16

if importlib.util.find_spec("numba") is None:
    pytest.skip("Numba is not installed", allow_module_level=True)

from dtrain.backend.kernels.cpu import amx, product
from dtrain.backend.kernels.cpu.packed_factor import PackedFactor

pytestmark = pytest.mark.skipif(not amx.is_available(), reason="this processor has no AMX")

#: (m, n, k): whole tiles; rows, columns and numbers that fill none; more than are packed at once
SHAPES = ((128, 128, 128), (300, 200, 64), (131, 77, 413), (45, 1700, 70), (2000, 60, 193))


@pytest.fixture(autouse=True)
def _take_narrow_matrices(monkeypatch):
    """Narrow matrices, whose sums are those of wide ones, have more edges for their size."""
    monkeypatch.setattr(product, "_USES", 0)


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def transposed(x):
    """The same numbers, with contiguous columns."""
    return np.ascontiguousarray(x.swapaxes(-1, -2)).swapaxes(-1, -2)


def rms_error(out, exact):
    return np.sqrt(np.mean((out - exact) ** 2) / np.mean(exact**2))


@pytest.mark.parametrize(("m", "n", "k"), SHAPES)
def test_sums_round_no_more_than_those_of_the_blas(m, n, k):
    x, y = normal(m, k), normal(k, n, seed=1)
    assert product.is_worthwhile(x, y)
    out, exact = kernels.matmul(x, y), x.astype(np.float64) @ y
    assert rms_error(out, exact) <= 1.05 * rms_error(np.matmul(x, y), exact)
    assert not np.array_equal(out, np.matmul(x, y)), "the BLAS multiplied"
    for left in (x, transposed(x)):
        for right in (y, transposed(y)):
            assert np.array_equal(kernels.matmul(left, right), out), "the layout changed bits"


def test_numbers_of_any_size_keep_all_their_bits():
    """A diagonal matrix multiplies exactly, so that each part of a number must arrive."""
    x = normal(256, 256) * np.float32(2.0) ** np.random.default_rng(2).integers(-90, 90, (256, 256))
    x = x.astype(np.float32)
    assert np.array_equal(kernels.matmul(x, np.eye(256, dtype=np.float32)), x)
    assert np.array_equal(kernels.matmul(np.eye(256, dtype=np.float32), transposed(x)), x)
    largest = np.full((256, 256), np.finfo(np.float32).max)
    half = np.float32(0.5) * np.eye(256, dtype=np.float32)
    assert np.array_equal(kernels.matmul(largest, half), largest / 2)


def test_numbers_of_one_part_have_the_bits_of_three():
    x = normal(200, 300).astype(bfloat16).astype(np.float32)
    y = normal(300, 200, seed=1).astype(bfloat16).astype(np.float32)
    with_others = np.concatenate([y, normal(300, 32, seed=2)], 1)
    assert np.array_equal(kernels.matmul(x, y), kernels.matmul(x, with_others)[:, :200])


def test_the_order_of_additions_depends_on_no_shape():
    x, y = normal(500, 300), normal(300, 900, seed=1)
    out = kernels.matmul(x, y)
    assert np.array_equal(kernels.matmul(x[37:301], y), out[37:301])
    assert np.array_equal(kernels.matmul(x, y[:, 401:]), out[:, 401:])


@pytest.mark.parametrize("parts", [2, 3, 7])
@pytest.mark.parametrize("shape", [(450, 300), (300, 450)])
def test_threads_have_the_bits_of_one(monkeypatch, parts, shape):
    m, n = shape
    x, y = normal(m, 200), normal(200, n, seed=1)
    xs, ys = normal(5, 200, 200), normal(200, 150, seed=1)
    expected, batch = kernels.matmul(x, y), kernels.matmul(xs, ys)
    monkeypatch.setattr(product, "blas_threads", lambda: parts)
    monkeypatch.setattr(product, "_PART", 1)
    for left in (x, transposed(x)):
        for right in (y, transposed(y)):
            assert np.array_equal(kernels.matmul(left, right), expected)
    assert np.array_equal(kernels.matmul(xs, ys), batch)


def test_batches_broadcast():
    x, y = normal(3, 1, 150, 160), normal(2, 160, 140, seed=1)
    out = kernels.matmul(x, y)
    assert out.shape == (3, 2, 150, 140)
    for i in range(3):
        for j in range(2):
            assert np.array_equal(out[i, j], kernels.matmul(x[i, 0], y[j]))
    heads = normal(4, 160, 3, 160).transpose(0, 2, 1, 3)  # not contiguous, as those of attention
    assert np.array_equal(kernels.matmul(heads, y[0]), kernels.matmul(heads.copy(), y[0]))


@pytest.mark.parametrize("view", ["rows", "backward", "every other column", "one row"])
def test_views(view):
    base, y = normal(400, 600), normal(200, 250, seed=1)
    x = {
        "rows": base[::2, 100:300], "backward": base[::-1, 100:300],
        "every other column": base[:, ::3], "one row": np.broadcast_to(base[0, :200], (400, 200)),
    }[view]  # fmt: skip
    assert np.array_equal(kernels.matmul(x, y), kernels.matmul(x.copy(), y))


@pytest.mark.parametrize("columns", [slice(0, 250), slice(130, 380), slice(0, 500, 2)])
def test_results_are_written_into_memory_and_nowhere_else(columns):
    x, y, memory = normal(300, 200), normal(200, 250, seed=1), normal(302, 500)
    before, out = memory.copy(), memory[1:-1, columns]
    assert kernels.matmul(x, y, out) is out
    assert np.array_equal(out, kernels.matmul(x, y))
    out[...] = before[1:-1, columns]
    assert np.array_equal(memory, before)


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_infinity_and_nan_are_those_of_the_blas(value):
    for changed in (0, 1):
        factors = [normal(300, 200), normal(200, 250, seed=1)]
        factors[changed][7, 9] = value
        out = kernels.matmul(*factors)
        assert np.array_equal(out, np.matmul(*factors), equal_nan=True)
        assert not np.isfinite(out).all()


def test_ieee_has_the_blas_multiply():
    x, y = normal(300, 200), normal(200, 250, seed=1)
    dtrain.backends.mkldnn.matmul.fp32_precision = "ieee"
    try:
        assert np.array_equal(kernels.matmul(x, y), np.matmul(x, y))
    finally:
        dtrain.backends.mkldnn.matmul.fp32_precision = "none"
    with pytest.raises(RuntimeError, match="expected one of none, ieee, tf32, bf16, got 'int8'"):
        settings.set_matmul_precision("int8")


def test_what_is_small_narrow_or_no_float32_is_left_to_the_blas(monkeypatch):
    monkeypatch.undo()
    for x, y in (
        (normal(4000, 800), normal(800, 64)),
        (normal(64, 64), normal(64, 64)), (normal(4000, 800), normal(800)),
        (normal(4000, 800), normal(800, 4)), (normal(300, 300).astype(np.float64), normal(300, 300)),
    ):  # fmt: skip
        assert not product.is_worthwhile(x, y)
        assert np.array_equal(kernels.matmul(x, y), np.matmul(x, y))
    with pytest.raises(ValueError, match="mismatch"):
        kernels.matmul(normal(300, 200), normal(300, 200))


def step(model, x):
    """The output and all gradients of a step."""
    for parameter in model.parameters():
        parameter.grad = None
    x = x.detach().requires_grad_()
    out = model(x)
    (out * out).sum().backward()
    return [out.detach().numpy(), x.grad.numpy(), *(p.grad.numpy() for p in model.parameters())]


def test_compiled_steps_have_eager_bits():
    dtrain.manual_seed(0)
    model = nn.Sequential(nn.Linear(200, 300), nn.ReLU(), nn.Linear(300, 160))
    x = dtrain.randn(250, 200)
    expected = step(model, x)
    compiled = dtrain.compile(model)
    for _ in range(4):
        for got, want in zip(step(compiled, x), expected):
            assert np.array_equal(got, want)


def test_second_derivatives():
    x, weight = (dtrain.tensor(a).requires_grad_() for a in (normal(200, 150), normal(150, 180)))
    (first,) = dtrain.autograd.grad(((x @ weight) ** 2).sum(), x, create_graph=True)
    (second,) = dtrain.autograd.grad((first * first).sum(), weight)
    a, w = (t.detach().numpy().astype(np.float64) for t in (x, weight))
    g = 2 * a @ w @ w.T  # first; d sum(first^2) / d w
    exact = 4 * (a.T @ g @ w + (g.T @ a) @ w)
    assert rms_error(second.numpy(), exact) < 1e-6


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
@pytest.mark.parametrize("lengths", [[9] * 18, list(range(20, 2, -1))])
def test_recurrent_layers_agree_with_float64(kind, lengths):
    """A weight that is packed for all steps; sequences of one length and of several."""
    dtrain.manual_seed(0)
    layer = kind(40, 260, bidirectional=True)
    x = [dtrain.randn(n, 40) for n in lengths]

    def gradients(layer, x):
        packed = nn.utils.rnn.pack_sequence(x)
        inputs = packed.data.detach().requires_grad_()
        out, _ = layer(packed._replace(data=inputs))
        (out.data**2).sum().backward()
        return [out.data.detach(), inputs.grad, *(p.grad for p in layer.parameters())]

    wide = copy.deepcopy(layer).double()
    for got, exact in zip(gradients(layer, x), gradients(wide, [a.double() for a in x])):
        assert rms_error(got.numpy(), exact.numpy()) < 1e-6


def test_a_packed_factor_has_the_bits_of_a_product():
    x, y = normal(70, 400), normal(400, 900, seed=1)
    for right in (y, transposed(y)):
        factor, out = PackedFactor(right), np.empty((70, 900), np.float32)
        factor.multiply(x, out)
        assert np.array_equal(out, kernels.matmul(x, y))
        factor.multiply(x[5:20], out[5:20])
        assert np.array_equal(out, kernels.matmul(x, y))
    for bad_x, bad_y in ((np.nan, 1), (1, np.inf)):
        a, b = x.copy(), y.copy()
        a[3, 4] *= bad_x
        b[5, 6] *= bad_y
        PackedFactor(b).multiply(a, out)
        assert np.array_equal(out, np.matmul(a, b), equal_nan=True)
