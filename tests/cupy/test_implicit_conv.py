"""Convolutions of few channels gather their windows: no patches, the values of the reference."""

import numpy as np
import pytest

import dtrain
from dtrain.backend.kernels.cuda import conv, implicit_conv
from dtrain.backend.kernels.reference import conv as reference

#: images, weight, stride, padding, dilation
SHAPES = [
    ((3, 8, 9, 7), (16, 8, 3, 3), (1, 1), (1, 1), (1, 1)),
    ((2, 3, 11, 8), (70, 3, 3, 2), (2, 3), (1, 0), (1, 1)),
    ((2, 65, 5, 6), (3, 65, 2, 3), (1, 2), (2, 1), (2, 1)),
    ((5, 8, 4, 4), (8, 8, 1, 1), (2, 2), (0, 0), (1, 1)),
    ((1, 1, 3, 3), (1, 1, 3, 3), (1, 1), (0, 0), (1, 1)),
]


#: name -> dtype, what float32 is rounded to, and how far results are from float64's
KINDS = {
    "float16": (dtrain.float16, "highest", 2e-3),
    "bfloat16": (dtrain.bfloat16, "highest", 1.6e-2),
    "tf32": (dtrain.float32, "high", 2e-3),
    "float32": (dtrain.float32, "highest", 1e-6),
}


@pytest.fixture(params=KINDS)
def kind(request):
    """The dtype of arrays, and how far results are from float64's."""
    dtype, precision, tolerance = KINDS[request.param]
    dtrain.set_float32_matmul_precision(precision)
    yield np.dtype(dtype), tolerance
    dtrain.set_float32_matmul_precision("highest")


@pytest.mark.parametrize(("images", "shape", "stride", "padding", "dilation"), SHAPES)
def test_values_are_those_of_float64(
    images, shape, stride, padding, dilation, kind, counts, monkeypatch
):
    cupy = pytest.importorskip("cupy")
    monkeypatch.setattr(implicit_conv, "_EXACT_CHANNELS", 70)
    (dtype, tolerance), how = kind, (stride, padding, dilation)
    rng = np.random.default_rng(0)

    def drawn(shape):
        array = rng.normal(size=shape).astype(dtype)
        return array.astype(np.float64), cupy.asarray(array)

    (x, x_here), (weight, weight_here), (bias, bias_here) = map(drawn, (images, shape, shape[:1]))
    expected = reference.conv(x, weight, bias, *how, 1)
    (g, g_here), (before, before_here) = drawn(expected.shape), drawn(images)
    pairs = [
        (conv.conv(x_here, weight_here, bias_here, *how, 1), expected),
        (
            conv.add_conv_grad_x(g_here, weight_here, before_here, images[2:], *how, 1),
            reference.add_conv_grad_x(g, weight, before, images[2:], *how, 1),
        ),
        (
            conv.conv_grad_weight(g_here, x_here, shape[2:], *how, 1),
            reference.conv_grad_weight(g, x, shape[2:], *how, 1),
        ),
    ]
    for a, b in pairs:
        assert (a.dtype, a.shape) == (dtype, b.shape)
        np.testing.assert_allclose(a.get().astype(np.float64), b, atol=tolerance * abs(b).max())
    names = counts()
    assert (names["convolve"], names["convolve_windows"]) == (2, 1)
    assert not [name for name in names if name.startswith(("im2col", "col2im", "cublas"))]


@pytest.mark.parametrize("change", ["exact", "double", "groups", "wide"])
def test_others_are_products_of_patches(change, counts):
    dtype = {"exact": dtrain.float32, "double": dtrain.float64}.get(change, dtrain.float16)
    limits = {"exact": implicit_conv._EXACT_CHANNELS, "wide": implicit_conv._CHANNELS}
    channels = limits[change] + 1 if change in limits else 4
    x = dtrain.randn(1, channels, 3, 3, device="cuda").to(dtype)
    groups = 2 if change == "groups" else 1
    weight = dtrain.randn(4, channels // groups, 2, 2, device="cuda").to(dtype)
    dtrain.nn.functional.conv2d(x, weight, groups=groups)
    assert counts()["im2col"] == 1
