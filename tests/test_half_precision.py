"""float16 and bfloat16: what adds or squares is computed in float32 and rounded once."""

from __future__ import annotations

import math

import numpy as np
import pytest

import dtrain
from dtrain import nn, optim
from dtrain.nn import functional as F
from tests.cases.optimizer_cases import OPTIMIZERS

HALVES = [dtrain.float16, dtrain.bfloat16]
ROW = [[300.0, -400.0, 500.0, 250.0]]

#: functions of x (1, 4) and y = -x, that are finite, where squares of halves are not
FUNCTIONS = {
    "norm": lambda x, y: x.norm(),
    "norm along a dimension": lambda x, y: dtrain.norm(x, dim=1),
    "vector_norm": lambda x, y: dtrain.linalg.vector_norm(x, 2),
    "cubes": lambda x, y: dtrain.linalg.vector_norm(x, 3),
    "matrix_norm": lambda x, y: dtrain.linalg.matrix_norm(x),
    "std": lambda x, y: x.std(1),
    "std_mean": lambda x, y: dtrain.std_mean(x, 1)[0],
    "dist": lambda x, y: dtrain.dist(x, y),
    "normalize": lambda x, y: F.normalize(x, dim=1),
    "cosine_similarity": lambda x, y: F.cosine_similarity(x, y, dim=1),
    "pairwise_distance": lambda x, y: F.pairwise_distance(x, y),
    "cdist": lambda x, y: dtrain.cdist(x, y),
    "pdist": lambda x, y: F.pdist(dtrain.cat([x, y])),
    "addcmul": lambda x, y: dtrain.addcmul(x, x, y, value=1e-3),
    "addcdiv": lambda x, y: dtrain.addcdiv(x, x, y, value=300),
    "addmm": lambda x, y: dtrain.addmm(x[:, :1], x, y.T, alpha=1e-3),
    "corrcoef": lambda x, y: dtrain.corrcoef(dtrain.cat([x, y])),
    "sum with alpha": lambda x, y: dtrain.add(x, y, alpha=1.001),
    "mse_loss": lambda x, y: F.mse_loss(
        dtrain.cat([x, x * 0, x * 0, x * 0]), dtrain.cat([y * 0] * 4)
    ),
    "poisson_nll_loss": lambda x, y: F.poisson_nll_loss(x.abs(), x.abs(), log_input=False),
    "gaussian_nll_loss": lambda x, y: F.gaussian_nll_loss(x, y, x.abs()),
    "group_norm": lambda x, y: F.group_norm(dtrain.cat([x, y], 1), 2, x[0, :1].repeat(8)),
    "batch_norm": lambda x, y: F.batch_norm(
        dtrain.cat([x, y]).T, None, None, weight=x[0, :2], training=True
    ),
    "local_response_norm": lambda x, y: F.local_response_norm(x.reshape(1, 2, 2), 2, alpha=1e-2),
    "lp_pool1d": lambda x, y: F.lp_pool1d(x, 2, 2),
    "avg_pool1d, padding not counted": lambda x, y: F.avg_pool1d(
        x, 3, padding=1, count_include_pad=False
    ),
    "adaptive_avg_pool2d": lambda x, y: F.adaptive_avg_pool2d(dtrain.cat([x] * 3)[None], (2, 3)),
    "bilinear": lambda x, y: F.bilinear(x, y * 1e-3, dtrain.ones(1, 4, 4, dtype=x.dtype)),
    "scaled_dot_product_attention": lambda x, y: F.scaled_dot_product_attention(x, x, y),
    "conv3d": lambda x, y: F.conv3d(
        x.reshape(1, 1, 4, 1, 1), x.reshape(1, 1, 4, 1, 1) * 1e-2, x[0, :1] * 1e-2
    ),
    "quantile": lambda x, y: x.quantile(0.3),
    "gradient": lambda x, y: dtrain.gradient(x, spacing=3, dim=1)[0],
    "trapezoid": lambda x, y: dtrain.trapezoid(x * 100, x),
    "renorm": lambda x, y: dtrain.renorm(x, 2, 0, 100),
    "matrix_power": lambda x, y: dtrain.matrix_power(x.reshape(2, 2) / 256, 5),
    "glu": lambda x, y: F.glu(x / 256),
    "mish": lambda x, y: F.mish(x / 256),
    "cosine_embedding_loss": lambda x, y: F.cosine_embedding_loss(x, y, x[0, :1] * 0 - 1),
}


@pytest.mark.parametrize("dtype", HALVES, ids=str)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_of_halves_is_that_of_float32_rounded_once(name, dtype):
    x = dtrain.tensor(ROW, dtype=dtype)
    wide = FUNCTIONS[name](x.float(), -x.float())
    out = FUNCTIONS[name](x, -x)
    assert out.dtype == dtype
    assert bool(wide.isfinite().all())
    assert dtrain.allclose(out.float(), wide.to(dtype).float(), rtol=2e-3, atol=1e-6)


ONES = 1000  # added one by one in bfloat16 they are 256

#: functions of x (1,) that mention it a thousand times
MENTIONS = {
    "expand": lambda x: x.expand(ONES),
    "repeat": lambda x: x.repeat(ONES),
    "index": lambda x: x[dtrain.zeros(ONES, dtype=dtrain.int64)],
    "gather": lambda x: x.gather(0, dtrain.zeros(ONES, dtype=dtrain.int64)),
    "cummax": lambda x: dtrain.cat([x, dtrain.zeros(ONES - 1, dtype=x.dtype)]).cummax(0)[0],
    "as_strided": lambda x: x.as_strided((ONES,), (0,)),
    "embedding": lambda x: F.embedding(dtrain.zeros(ONES, dtype=dtrain.int64), x[:, None]),
    "unfold": lambda x: dtrain.cat([x * 0, x, x * 0]).unfold(0, 1, 1).expand(3, ONES)[1],
    "interpolate": lambda x: F.interpolate(x[None, None], size=ONES, mode="nearest"),
}


@pytest.mark.parametrize("dtype", HALVES, ids=str)
@pytest.mark.parametrize("name", MENTIONS)
def test_the_gradients_of_many_mentions_are_added_in_float32(name, dtype):
    x = dtrain.ones(1, dtype=dtype, requires_grad=True)
    MENTIONS[name](x).sum().backward()
    assert x.grad.dtype == dtype
    assert x.grad.item() == ONES


@pytest.mark.parametrize("dtype", HALVES, ids=str)
def test_windows_that_overlap_add_in_float32(dtype):
    x = dtrain.zeros(2 * ONES, dtype=dtype, requires_grad=True)
    x.unfold(0, ONES, 1).sum().backward()
    assert x.grad[ONES].item() == ONES


@pytest.mark.parametrize("dtype", HALVES, ids=str)
def test_running_statistics_of_halves_are_those_of_float32_rounded_once(dtype):
    x = dtrain.linspace(-900, 1000, 64).reshape(8, 2, 4).to(dtype)
    x.div_(4)
    wide, layer = nn.BatchNorm1d(2), nn.BatchNorm1d(2, dtype=dtype)
    out, expected = layer(x), wide(x.float())
    assert bool(out.isfinite().all())
    for half, full in [
        (out, expected),
        (layer.running_mean, wide.running_mean),
        (layer.running_var, wide.running_var),
        (layer.eval()(x), None),
    ]:
        if full is None:
            wide.running_mean.copy_(layer.running_mean)
            wide.running_var.copy_(layer.running_var)
            full = wide.eval()(x.float())
        assert half.dtype == dtype
        assert half.tolist() == full.to(dtype).tolist()


def test_gradients_through_a_norm_of_halves_are_halves():
    x = dtrain.tensor(ROW, dtype=dtrain.float16, requires_grad=True)
    x.norm().backward()
    assert x.grad.dtype == dtrain.float16
    assert x.grad.float().reshape(-1).tolist() == pytest.approx(
        [0.4, -0.5333, 0.6667, 0.3333], rel=1e-3
    )


def test_a_half_beside_a_float32_matrix_gives_float32():
    x = dtrain.tensor(ROW, dtype=dtrain.float16)
    assert dtrain.addcmul(x, x.float(), x).dtype == dtrain.float32
    assert dtrain.norm(x, dtype=dtrain.float32).dtype == dtrain.float32


def test_a_count_above_the_largest_half_is_exact():
    x = dtrain.ones(70000, dtype=dtrain.float16)
    assert x.norm().item() == pytest.approx(math.sqrt(70000), rel=1e-3)
    assert x.nanmean().item() == 1


@pytest.mark.parametrize("dtype", HALVES, ids=str)
def test_clipping_keeps_finite_half_gradients(dtype):
    w = nn.Parameter(dtrain.ones(4, dtype=dtype))
    w.grad = dtrain.full((4,), 60000.0, dtype=dtype)
    total = nn.utils.clip_grad_norm_([w], 1.0)
    assert total.dtype == dtrain.float32  # 120000 is no float16
    assert total.item() == pytest.approx(120000, rel=1e-2)
    assert w.grad.float().tolist() == pytest.approx([0.5] * 4, rel=1e-2)


def test_a_scale_too_small_for_float16_does_not_make_gradients_0():
    w = nn.Parameter(dtrain.ones(4, dtype=dtrain.float16))
    w.grad = dtrain.full((4,), 60000.0, dtype=dtrain.float16)
    nn.utils.clip_grads_with_norm_([w], 1e-3, dtrain.tensor(120000.0))
    assert w.grad.float().tolist() == pytest.approx([5e-4] * 4, rel=1e-2)


@pytest.mark.parametrize("dtype", [*HALVES, dtrain.float32], ids=str)
def test_rms_norm_has_the_epsilon_of_float32(dtype):
    x = dtrain.tensor([[0.02, -0.02, 0.02, -0.02]], dtype=dtype)
    for out in (F.rms_norm(x, (4,)), nn.RMSNorm(4, dtype=dtype)(x)):
        assert out.float().abs().mean().item() == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("dtype", HALVES, ids=str)
@pytest.mark.parametrize(("name", "options"), OPTIMIZERS.values(), ids=OPTIMIZERS.keys())
def test_a_step_of_halves_is_that_of_float32_rounded_once(name, options, dtype):
    half = nn.Parameter(dtrain.linspace(-2, 2, 64).reshape(8, 8).to(dtype))
    full = nn.Parameter(half.detach().float())
    optimizers = [getattr(optim, name)([p], lr=2**-6, **options) for p in (half, full)]
    grad = dtrain.linspace(-1e-4, 3, 64).reshape(8, 8).flip(1).to(dtype)
    half.grad, full.grad = grad, grad.float()
    for optimizer in optimizers:
        optimizer.step()
    assert half.tolist() == full.to(dtype).tolist()
    states = [optimizer.state[p] for optimizer, p in zip(optimizers, (half, full))]
    for key, value in states[0].items():
        if value.shape == half.shape:
            assert value.dtype == dtype
            assert value.tolist() == states[1][key].to(dtype).tolist()


def test_adam_does_not_divide_by_0_where_eps_is_less_than_a_half_can_be():
    w = nn.Parameter(dtrain.ones(2, dtype=dtrain.float16))
    w.grad = dtrain.tensor([0.0, 1e-5], dtype=dtrain.float16)
    optim.Adam([w], lr=0.1).step()
    assert w.tolist() == pytest.approx([1.0, 0.9], abs=2e-3)


@pytest.mark.parametrize("lower", [0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF])
def test_float32_numbers_round_to_bfloat16_as_in_ml_dtypes(lower):
    """All upper halves of bits: subnormal numbers, ties, infinity and NaN, too."""
    x = (np.arange(1 << 16, dtype=np.uint32) << 16 | np.uint32(lower)).view(np.float32)
    for array in (x.reshape(256, 256), x.reshape(256, 256).T, x[::2]):
        with np.errstate(invalid="ignore"):
            expected = array.astype(dtrain.bfloat16)
        out = dtrain.from_numpy(array).bfloat16().array
        assert out.strides == expected.strides
        assert np.array_equal(out.view(np.uint16), expected.view(np.uint16))
