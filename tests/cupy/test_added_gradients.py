"""Gradients of slices, and of residual connections, are added in few launches, to NumPy's sums."""

import numpy as np
import pytest

import dtrain


def joined(x):
    a, b, c = x.chunk(3, 0)
    return dtrain.cat([c * 2, a * 3, b], 0)


def one_array(x):
    """The gradients of the parts lie in one array, in the parts' order."""
    return dtrain.cat(x.chunk(3, 0), 0) ** 2


def one_part(x):
    return x[:, 1:3] * 2


def overlapping(x):
    return x[:4] * 2 + x[2:]


def and_the_whole(x):
    a, b = x.split([2, 4])
    return a.sum() * x + b.sum() * x[:, :2].sum()


def along_two_axes(x):
    return x[:3].sum() * x[3:].sum() + x[:, :1].sum() * 2 + x[1:2, 1:3].sum()


def twice_the_same(x):
    a, b = x[:3], x[3:]
    return a + b


@pytest.mark.parametrize(
    "function",
    [joined, one_array, one_part, overlapping, and_the_whole, along_two_axes, twice_the_same],
)
def test_gradients_of_slices_are_those_of_numpy(function):
    grads = []
    for device in ("cpu", "cuda"):
        x = dtrain.randn(6, 5, generator=dtrain.Generator(1)).to(device).requires_grad_()
        y = x * 1.5
        out = function(y)
        weights = dtrain.arange(out.numel(), device=device).reshape(out.shape)
        ((out * weights).sum() + (y[4:] ** 3).sum()).backward()
        grads.append(x.grad.cpu().numpy())
    np.testing.assert_allclose(grads[1], grads[0], rtol=1e-5, atol=1e-5)


def test_slices_that_cover_an_array_need_no_zeros(counts):
    x = dtrain.randn(6, 5, device="cuda").requires_grad_()
    a, b = (x * 1.5).split([2, 3], 1)
    out = dtrain.cat([b * 2, a], 1)
    counts()
    out.backward(dtrain.ones(6, 5, device="cuda"))
    names = counts()
    assert names["cupy_copy__float32_float32"] == 3  # one of them to x.grad
    assert not [name for name in names if "add" in name]


@pytest.mark.parametrize("norm", [dtrain.nn.functional.layer_norm, dtrain.nn.functional.rms_norm])
def test_a_normalization_adds_its_gradient_to_that_of_a_residual_connection(norm, counts):
    results = []
    for device in ("cpu", "cuda"):
        x = dtrain.randn(4, 5, generator=dtrain.Generator(1)).to(device).requires_grad_()
        weight = dtrain.arange(1.0, 6.0, device=device).requires_grad_()
        y = x * 1.5
        out = y + norm(y, (5,), weight) ** 2
        counts()
        for _ in range(2):  # the gradient of `out` is the same array twice
            out.backward(out.detach(), retain_graph=True)
        launches = counts()
        results.append([t.cpu().numpy() for t in (x.grad, weight.grad)])
    assert launches["layer_norm_backward"] == 2
    for given, expected in zip(results[1], results[0]):
        np.testing.assert_allclose(given, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("kernel", "padding"), [(3, 1), (1, 0)])
@pytest.mark.parametrize("dtype", [dtrain.float32, dtrain.bfloat16])
def test_a_convolution_adds_its_gradient_to_that_of_a_residual_connection(kernel, padding, dtype):
    """It has the bits of a sum by itself."""
    generator = dtrain.Generator(1)
    x = dtrain.randn(2, 3, 5, 4, generator=generator).to("cuda", dtype)
    weight = dtrain.randn(3, 3, kernel, kernel, generator=generator).to("cuda", dtype)
    both, apart = x.clone().requires_grad_(), x.clone().requires_grad_()
    conv2d = dtrain.nn.functional.conv2d
    out = both + conv2d(both, weight, padding=padding)
    out.backward(out.detach())
    conv2d(apart, weight, padding=padding).backward(out.detach())
    np.testing.assert_array_equal(
        both.grad.float().cpu().numpy(), (out.detach() + apart.grad).float().cpu().numpy()
    )


def residual(x):
    for _ in range(2):
        y = dtrain.nn.functional.layer_norm(x, (5,))
        a, b, c = dtrain.cat([y, y * 2, y * 3], 1).chunk(3, 1)
        x = x + a * b + c
    return x


@pytest.mark.parametrize(
    "function", [joined, one_array, overlapping, and_the_whole, twice_the_same, residual]
)
def test_compiled_functions_add_gradients_in_as_few_launches(counts, function):
    def whole(x):
        return function(x * 1.5)

    found, launches = [], []
    for run in (whole, dtrain.compile(whole, fullgraph=True)):
        for _ in range(4):  # recorded, verified, run
            x = dtrain.randn(6, 5, generator=dtrain.Generator(1)).cuda().requires_grad_()
            out = run(x)
            counts()
            out.sum().backward()
            launches.append(counts().total())
        found.append(x.grad.cpu().numpy().tobytes())
    assert found[0] == found[1]
    assert launches[-1] <= launches[3]
