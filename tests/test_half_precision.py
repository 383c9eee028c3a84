"""float16 and bfloat16: what adds or squares is computed in float32 and rounded once."""

from __future__ import annotations

import math

import pytest

import dtrain
from dtrain import nn
from dtrain.nn import functional as F

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
