"""Convolutions on AMX agree with the definition for all options; other methods take the rest."""

import importlib.util

import numpy as np
import pytest

import dtrain
from dtrain import nn
from dtrain.backend.kernels.reference import conv as reference
from dtrain.backend.kernels.reference.window import window_counts

if importlib.util.find_spec("numba") is None:
    pytest.skip("Numba is not installed", allow_module_level=True)

from dtrain.backend.kernels.cpu import amx, conv, implicit, implicit_plan

pytestmark = pytest.mark.skipif(not amx.is_available(), reason="this processor has no AMX")

#: (n, c, height and width, m, kernel, stride, padding, dilation)
CASES = {
    "whole tiles": (4, 32, (16, 16), 32, (3, 3), (1, 1), (1, 1), (1, 1)),
    "lanes, channels and outputs that fill none": (
        5, 37, (13, 9), 41, (3, 3), (1, 1), (1, 1), (1, 1)),
    "many channels": (2, 230, (7, 7), 210, (3, 3), (1, 1), (1, 1), (1, 1)),
    "more outputs than are packed at once": (2, 40, (6, 6), 830, (3, 3), (1, 1), (0, 0), (1, 1)),
    "stride 2": (3, 40, (15, 14), 36, (3, 3), (2, 2), (1, 1), (1, 1)),
    "a stride that leaves elements out": (3, 40, (17, 18), 36, (2, 2), (3, 3), (0, 1), (1, 1)),
    "dilation": (3, 40, (17, 18), 36, (3, 3), (1, 1), (2, 3), (2, 3)),
    "stride and dilation": (2, 32, (21, 20), 33, (3, 3), (2, 3), (2, 4), (3, 2)),
    "5x5": (3, 33, (12, 20), 32, (5, 5), (1, 1), (2, 2), (1, 1)),
    "more padding than a window reaches": (2, 32, (8, 8), 40, (2, 3), (1, 1), (3, 4), (1, 1)),
    "a sequence": (2, 48, (1, 200), 64, (1, 9), (1, 2), (0, 4), (1, 1)),
    "windows beyond the last element": (2, 40, (2, 2), 36, (4, 4), (2, 2), (3, 3), (1, 1)),
}  # fmt: skip


def arrays(case, seed=0):
    """x, weight, bias and the output's gradient."""
    n, c, hw, m, kernel, *how = case
    rng = np.random.default_rng(seed)
    x, weight = rng.normal(size=(n, c, *hw)), rng.normal(size=(m, c, *kernel))
    g = rng.normal(size=(n, m, *window_counts(hw, kernel, *how)))
    given = x, weight / np.sqrt(weight[0].size), weight[:, 0, 0, 0], g
    return [a.astype(np.float32) for a in given]


def step(body, x, weight, bias, g, how):
    """The output and the gradients of weight and x; the latter if `implicit` has it."""
    out = body.conv(x, weight, bias, *how)
    grad = body.conv_grad_weight(g, x, weight.shape[2:], *how)
    if how[0] != (1, 1):
        return [out, grad]
    options = how[1:] if body is implicit else how
    return [out, grad, body.conv_grad_x(g, weight, x.shape[2:], *options)]


def assert_near_definition(case):
    x, weight, bias, g = arrays(case)
    exact = step(reference, *(a.astype(np.float64) for a in (x, weight, bias, g)), (*case[5:], 1))
    for out, value in zip(step(implicit, x, weight, bias, g, case[5:]), exact):
        assert out.shape == value.shape
        assert np.abs(out - value).max() < 2e-6 * np.abs(value).max()


@pytest.mark.parametrize("name", CASES)
def test_values_are_those_of_the_definition(name):
    assert_near_definition(CASES[name])


@pytest.mark.parametrize("name", ["whole tiles", "stride 2", "stride and dilation"])
def test_large_images_are_cut_to_bands_and_batches_to_parts(name, monkeypatch):
    case, whole = CASES[name], implicit.conv
    x, weight, bias, _ = arrays(case)
    expected = whole(x, weight, bias, *case[5:])
    implicit_plan.find_windows.cache_clear()
    monkeypatch.setattr(implicit_plan, "_BYTES", 1 << 16)
    monkeypatch.setattr(implicit_plan, "_WINDOWS", 30)
    assert_near_definition(case)
    assert np.array_equal(implicit.conv(x, weight, bias, *case[5:]), expected)
    implicit_plan.find_windows.cache_clear()


@pytest.mark.parametrize("parts", [2, 3])
def test_threads_have_the_bits_of_one(monkeypatch, parts):
    case = CASES["lanes, channels and outputs that fill none"]
    x, weight, bias, g = arrays(case)
    expected = step(implicit, x, weight, bias, g, case[5:])
    monkeypatch.setattr(implicit, "blas_threads", lambda: parts)
    monkeypatch.setattr(implicit, "_PART", 1)
    for got, want in zip(step(implicit, x, weight, bias, g, case[5:]), expected):
        assert np.array_equal(got, want)


def test_the_order_of_additions_does_not_depend_on_the_batch():
    case = CASES["lanes, channels and outputs that fill none"]
    x, weight, bias, g = arrays(case)
    out, _, grad = step(implicit, x, weight, bias, g, case[5:])
    for image in range(len(x)):
        one = slice(image, image + 1)
        own = step(implicit, x[one], weight, bias, g[one], case[5:])
        assert np.array_equal(own[0], out[one])
        assert np.array_equal(own[2], grad[one])


def test_sums_round_less_than_by_other_methods():
    x, weight, bias, g = arrays((4, 128, (14, 14), 128, (3, 3), (1, 1), (1, 1), (1, 1)))
    how = (1, 1), (1, 1), (1, 1), 1
    exact = step(reference, *(a.astype(np.float64) for a in (x, weight, bias, g)), how)
    rounded = step(reference, x, weight, bias, g, how)
    for out, other, value in zip(step(conv, x, weight, bias, g, how), rounded, exact):
        assert np.std(out - value) < np.std(other - value)


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("which", ["x", "weight", "g"])
def test_infinity_and_nan_are_those_of_the_definition(value, which):
    case = CASES["whole tiles"]
    names = dict(zip(("x", "weight", "bias", "g"), arrays(case)))
    names[which][1, 2, 1, 1] = value
    assert implicit.is_worthwhile(4 * 16 * 16, 32, 32, (3, 3), (1, 1), True)
    ours = step(conv, *names.values(), (*case[5:], 1))
    with np.errstate(invalid="ignore"):
        expected = step(reference, *names.values(), (*case[5:], 1))
    for out, wanted in zip(ours, expected):
        assert np.array_equal(np.isnan(out), np.isnan(wanted))
        finite = np.isfinite(wanted)
        assert np.array_equal(out[~finite], wanted[~finite], equal_nan=True)
        assert np.allclose(out[finite], wanted[finite], atol=1e-4)


def test_ieee_and_small_or_grouped_convolutions_take_other_methods():
    def takes(
        n=4, c=64, m=64, dtype=np.float32, groups=1, method="winograd", stride=(1, 1), size=(28, 28)
    ):
        return conv._gathers(method, np.dtype(dtype), n, size, c, m, (3, 3), stride, groups)

    assert takes()
    assert not takes(c=3)
    assert not takes(n=1, c=16, m=16)
    assert not takes(groups=2)
    assert not takes(dtype=np.float64)
    assert not takes(method="product")
    assert not takes(stride=(3, 3))
    assert not takes(c=512, m=512, size=(7, 7))
    assert takes(n=8, c=512, m=512, size=(7, 7))
    dtrain.backends.mkldnn.conv.fp32_precision = "ieee"
    try:
        assert not takes()
    finally:
        dtrain.backends.mkldnn.conv.fp32_precision = "none"


def test_compiled_steps_have_eager_bits():
    dtrain.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(32, 48, 3, padding=1), nn.ReLU(), nn.Conv2d(48, 64, 3, 2))
    x = dtrain.randn(4, 32, 20, 20)

    def run(f):
        for parameter in model.parameters():
            parameter.grad = None
        (f(x) ** 2).sum().backward()
        return [parameter.grad.numpy().copy() for parameter in model.parameters()]

    expected, compiled = run(model), dtrain.compile(model)
    for _ in range(3):
        for got, want in zip(run(compiled), expected):
            assert np.array_equal(got, want)
