"""Clipping gradients on a GPU: three launches, NumPy's values."""

import numpy as np
import pytest

import dtrain
from dtrain.nn.utils import clip_grad_norm_

SHAPES = [(40, 130), (), (0,), (7,)]


def clipped(device, dtype, most, factor=1.0):
    generator = dtrain.Generator(1)
    params = []
    for shape in SHAPES:
        param = dtrain.zeros(shape, dtype=dtype, device=device).requires_grad_()
        param.grad = (dtrain.randn(shape, generator=generator) * factor).to(dtype).to(device)
        params.append(param)
    total = clip_grad_norm_(params, most)
    return [total.cpu(), *(param.grad.cpu() for param in params)]


@pytest.mark.parametrize("dtype", [dtrain.float32, dtrain.bfloat16])
@pytest.mark.parametrize(("most", "factor"), [(2.0, 1.0), (1e6, 1.0), (2.0, 1e25), (2.0, np.nan)])
def test_gradients_are_clipped_as_on_the_cpu(dtype, most, factor):
    if factor == 1e25 and dtype != dtrain.float32:
        pytest.skip("the CPU's norm of halves is that of float32 squares")
    given, expected = (clipped(device, dtype, most, factor) for device in ("cuda", "cpu"))
    for a, b in zip(given, expected):
        assert a.dtype == b.dtype
        rtol = 1e-2 if a.dtype == dtrain.bfloat16 else 1e-5
        np.testing.assert_allclose(a.float().numpy(), b.float().numpy(), rtol=rtol)


@pytest.mark.parametrize("count", [20, 300])
def test_a_clipped_step_takes_three_launches(count, counts):
    clipped("cuda", dtrain.float32, 2.0)
    params = [dtrain.ones(5, device="cuda").requires_grad_() for _ in range(count)]
    for param in params:
        param.grad = dtrain.ones(5, device="cuda")
    counts()
    clip_grad_norm_(params, 1.0)
    assert counts() == {"sum_squares": 1, "root_of_sum": 1, "clip_parts": 1}
    clipped_to = (5 * count) ** -0.5
    for param in params:
        np.testing.assert_allclose(param.grad.tolist(), [clipped_to] * 5, rtol=1e-5)


def test_a_refused_clipping_changes_nothing():
    param = dtrain.ones(3, device="cuda").requires_grad_()
    param.grad = dtrain.tensor([1.0, float("inf"), 2.0], device="cuda")
    with pytest.raises(RuntimeError, match="cannot be clipped"):
        clip_grad_norm_([param], 1.0, error_if_nonfinite=True)
    assert param.grad.tolist() == [1.0, float("inf"), 2.0]
