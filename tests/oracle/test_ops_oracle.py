"""The table of operations against PyTorch: values, gradients, corner values, dtypes."""

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import dtrain  # noqa: E402
from tests.cases.case import leaf, run_backward  # noqa: E402
from tests.cases.table import CASES  # noqa: E402

pytestmark = pytest.mark.oracle

SAMPLES = [
    pytest.param(case, sample, id=f"{case} {sample}")
    for case in CASES
    if case.in_torch
    for sample in case.samples
]
TOLERANCE = {
    np.float64: {"rtol": 1e-10, "atol": 1e-12},
    np.float32: {"rtol": 2e-5, "atol": 2e-6},
}


def torch_leaf(array):
    return torch.from_numpy(np.array(array)).requires_grad_()


@pytest.mark.filterwarnings(r"ignore:var\(\). degrees of freedom:UserWarning")
@pytest.mark.filterwarnings("ignore:Using padding='same' with even:UserWarning")
@pytest.mark.filterwarnings("ignore:.nn.functional.upsample.* is deprecated:UserWarning")
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("case", "sample"), SAMPLES)
def test_values_and_gradients_are_those_of_pytorch(case, sample, dtype):
    arrays = [array.astype(dtype) for array in case.arrays(sample)]
    ours, theirs = [leaf(a) for a in arrays], [torch_leaf(a) for a in arrays]
    outputs, expected = case.run(dtrain, *ours), case.run(torch, *theirs)
    for out, wanted in zip(outputs, expected, strict=True):
        wanted_array = wanted.detach().numpy()
        assert out.dtype == wanted_array.dtype
        assert out.requires_grad == wanted.requires_grad
        np.testing.assert_allclose(out.detach().numpy(), wanted_array, **TOLERANCE[dtype])
    run_backward(outputs)
    run_backward(expected, torch)
    for x, y in zip(ours, theirs):
        assert (x.grad is None) == (y.grad is None)
        if y.grad is not None:
            np.testing.assert_allclose(x.grad.numpy(), y.grad.numpy(force=True), **TOLERANCE[dtype])


# --- corner values ---

CORNERS = np.array(
    [math.nan, math.inf, -math.inf, 0.0, -0.0, 1e-30, -1e-30, 1.0, -1.0, 20.0, -20.0, 90.0, -200.0,
     1e30, -1e30, 3e38],
    np.float32,
)  # fmt: skip
OF_ONE = [
    "abs", "ceil", "cos", "erf", "exp", "expm1", "floor", "isfinite", "isinf", "isnan", "log",
    "log10", "log1p", "log2", "neg", "reciprocal", "round", "rsqrt", "sigmoid", "sign", "sin",
    "sqrt", "tanh", "acos", "acosh", "asin", "atan", "atanh", "cosh", "deg2rad", "erfc",
    "erfinv", "exp2", "frac", "isneginf", "isposinf", "nan_to_num", "relu", "signbit",
    "sinh", "square", "tan", "trunc", "nn.functional.relu", "nn.functional.leaky_relu", "nn.functional.silu",
    "nn.functional.softplus", "nn.functional.logsigmoid", "nn.functional.mish", "nn.functional.elu",
    "nn.functional.selu", "nn.functional.celu", "nn.functional.hardtanh", "nn.functional.relu6",
    "nn.functional.hardsigmoid", "nn.functional.hardswish", "nn.functional.hardshrink",
    "nn.functional.softshrink", "nn.functional.softsign", "nn.functional.tanhshrink",
]  # fmt: skip
OF_A_ROW = {
    "amax": lambda t, x: t.amax(x, 1),
    "amin": lambda t, x: t.amin(x, 1),
    "argmax": lambda t, x: t.argmax(x, 1),
    "cummax": lambda t, x: t.cummax(x, 1)[0],
    "cummax places": lambda t, x: t.cummax(x, 1)[1],
    "cummin": lambda t, x: t.cummin(x, 1)[0],
    "median": lambda t, x: t.median(x, 1)[0],
    "median of all": lambda t, x: t.median(x),
    "nanmedian": lambda t, x: t.nanmedian(x, 1)[0],
    "nanmean": lambda t, x: t.nanmean(x, 1),
    "nansum": lambda t, x: t.nansum(x, 1),
    "quantile": lambda t, x: t.quantile(x, 0.5, 1),
    "cross_entropy": lambda t, x: t.nn.functional.cross_entropy(
        x, t.tensor([0, 1, 2, 0, 1, 2]), reduction="none"
    ),
    "clamp": lambda t, x: t.clamp(x, -1, 1),
    "log_softmax": lambda t, x: t.log_softmax(x, 1),
    "logsumexp": lambda t, x: t.logsumexp(x, 1),
    "max": lambda t, x: t.max(x, 1)[0],
    "max_pool2d": lambda t, x: t.nn.functional.max_pool2d(x[None], 2, 1),
    "mean": lambda t, x: t.mean(x, 1),
    "softmax": lambda t, x: t.softmax(x, 1),
    "sort": lambda t, x: t.sort(x, 1)[0],
    "sort descending": lambda t, x: t.sort(x, 1, True)[0],
    "sum": lambda t, x: t.sum(x, 1),
}
ROWS = np.array(
    [[math.inf, 1, 2], [-math.inf, 1, -math.inf], [-math.inf] * 3, [math.nan, 1, 2], [1e30, 3e38, 0],
     [100, -100, 88]],
    np.float32,
)  # fmt: skip


def function_of(t, name):
    for part in name.split("."):
        t = getattr(t, part)
    return t


def assert_same_corners(ours, theirs):
    np.testing.assert_allclose(ours, theirs, rtol=3e-5, atol=1e-37, equal_nan=True)


@pytest.mark.parametrize("name", OF_ONE)
def test_corner_values_are_those_of_pytorch(name):
    x, y = leaf(CORNERS), torch_leaf(CORNERS)
    out, expected = function_of(dtrain, name)(x), function_of(torch, name)(y)
    assert_same_corners(out.detach().numpy(), expected.detach().numpy())
    if expected.requires_grad:
        out.sum().backward()
        theirs, settled = settled_gradient(function_of(torch, name))
        assert_same_corners(x.grad.numpy()[settled], theirs[settled])


def settled_gradient(function):
    """PyTorch's gradient at each corner by its scalar code, and where its vector code agrees.

    At NaN some of its gradients (elu's, hardtanh's) depend on which of the two an element falls
    to, and so on the CPU.
    """
    alone, among = [torch_leaf(corner) for corner in CORNERS], torch_leaf(np.repeat(CORNERS, 64))
    for leaf_ in (*alone, among):
        function(leaf_).sum().backward()
    theirs = np.array([leaf_.grad.numpy() for leaf_ in alone])
    agrees = np.isclose(theirs, among.grad.numpy()[::64], equal_nan=True)
    return theirs, agrees | ~np.isnan(CORNERS)


@pytest.mark.parametrize("name", OF_A_ROW)
def test_corner_values_of_rows_are_those_of_pytorch(name):
    x, y = leaf(ROWS), torch_leaf(ROWS)
    out, expected = OF_A_ROW[name](dtrain, x), OF_A_ROW[name](torch, y)
    assert_same_corners(out.detach().numpy(), expected.detach().numpy())
    if expected.requires_grad:
        out.sum().backward()
        expected.sum().backward()
        assert_same_corners(x.grad.numpy(), y.grad.numpy())
