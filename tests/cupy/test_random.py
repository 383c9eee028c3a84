"""Random numbers are the same on CuPy as on NumPy."""

import numpy as np
import pytest

import dtrain
from dtrain.backend.random import philox_bits, philox_bits_on_gpu, random_key
from dtrain.nn import functional as F

SEEDS = [0, 7, 2**64 - 1]


@pytest.mark.parametrize("count", [0, 1, 4, 7, 1000])
@pytest.mark.parametrize("counter", [(0, 0, 0), (1, 2, 3), (5, 0, 2**63)])
@pytest.mark.parametrize("key", [(0, 0), (7, 1), (2**64 - 1, 3)])
def test_philox_has_the_same_bits(key, counter, count):
    cupy = pytest.importorskip("cupy")
    key = random_key(*key, *counter)
    bits = philox_bits_on_gpu(count, key)
    assert isinstance(bits, cupy.ndarray)
    np.testing.assert_array_equal(bits.get(), philox_bits(count, key))


def on_both(draw, seed):
    """What `draw(device)` draws on each device from one seed, as host arrays."""
    drawn = []
    for device in ("cpu", "cuda"):
        dtrain.manual_seed(seed)
        drawn.append(draw(device).cpu().numpy())
    assert drawn[0].dtype == drawn[1].dtype
    return drawn


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    "draw",
    [
        lambda d: dtrain.rand(3, 5, device=d),
        lambda d: dtrain.rand(7, dtype=dtrain.float64, device=d),
        lambda d: dtrain.rand(7, dtype=dtrain.float16, device=d),
        lambda d: dtrain.randint(3, 17, (50,), device=d),
        lambda d: dtrain.randperm(100, device=d),
        lambda d: dtrain.zeros(101, device=d).uniform_(-1, 2),
        lambda d: dtrain.zeros(101, device=d).bernoulli_(0.3),
        lambda d: dtrain.stack([dtrain.rand(3, device=d), dtrain.rand(3, device=d)]),
    ],
    ids=["rand", "float64", "float16", "randint", "randperm", "uniform_", "bernoulli_", "two"],
)
def test_draws_are_equal(draw, seed):
    np.testing.assert_array_equal(*on_both(draw, seed))


@pytest.mark.parametrize("dtype", [dtrain.float32, dtrain.float64])
@pytest.mark.parametrize("seed", SEEDS)
def test_normal_numbers_are_equal_within_rounding(dtype, seed):
    drawn = on_both(lambda d: dtrain.randn(1001, dtype=dtype, device=d), seed)
    tolerance = 8 * np.finfo(dtype).eps
    np.testing.assert_allclose(*drawn, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("p", [0.1, 0.5, 1.0])
def test_dropout_keeps_the_same_elements(p):
    np.testing.assert_array_equal(
        *on_both(lambda d: F.dropout(dtrain.ones(33, 31, device=d), p), seed=3)
    )


@pytest.mark.parametrize("make", [dtrain.rand_like, dtrain.randn_like])
def test_draws_like_a_tensor_are_on_the_device_that_is_given_or_on_its_own(make):
    host, device = dtrain.ones(3), dtrain.ones(3, device="cuda")
    assert make(host, device="cuda").is_cuda
    assert make(device).is_cuda
    assert not make(device, device="cpu").is_cuda
