"""Initial values: forms that can be said exactly, and that draws depend on the generator alone."""

import math

import numpy as np
import pytest

import dtrain
from dtrain.nn import init


def test_eye_is_the_identity_as_far_as_it_goes():
    assert init.eye_(dtrain.ones(2, 3)).tolist() == [[1, 0, 0], [0, 1, 0]]


@pytest.mark.parametrize(
    ("shape", "groups"), [((4, 4, 3), 1), ((4, 2, 3, 3), 2), ((3, 5, 1, 3, 3), 1)]
)
def test_a_dirac_convolution_passes_on_its_channels(shape, groups):
    x = dtrain.randn(1, shape[1] * groups, *(5 for _ in shape[2:]))
    weight = init.dirac_(dtrain.ones(*shape), groups)
    convolve = getattr(dtrain.nn.functional, f"conv{len(shape) - 2}d")
    passed = convolve(x, weight, padding="same", groups=groups)
    assert passed.equal(x[:, : shape[0]])


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (3, 2, 5), (5, 5)])
@pytest.mark.parametrize("dtype", [dtrain.float32, dtrain.float64])
def test_an_orthogonal_matrix_keeps_lengths(shape, dtype):
    matrix = init.orthogonal_(dtrain.empty(*shape, dtype=dtype), gain=2.0).reshape(shape[0], -1)
    product = matrix @ matrix.t() if matrix.shape[0] < matrix.shape[1] else matrix.t() @ matrix
    np.testing.assert_allclose(product.numpy(), 4 * np.eye(len(product)), atol=1e-5)


def test_a_sparse_matrix_has_as_many_zeros_in_each_column():
    matrix = init.sparse_(dtrain.ones(10, 4), sparsity=0.25, std=0.1)
    assert (matrix == 0).sum(0).tolist() == [3] * 4
    assert len({tuple(column) for column in (matrix == 0).t().tolist()}) > 1


def test_a_truncated_normal_stays_within_its_limits():
    values = init.trunc_normal_(dtrain.empty(100_000, dtype=dtrain.float64), 0.0, 1.0, 2.0, 5.0)
    assert 2 <= values.min().item() <= 2.001
    assert values.max().item() <= 5
    density, tail = math.exp(-2) / math.sqrt(2 * math.pi), math.erfc(2 / math.sqrt(2)) / 2
    assert values.mean().item() == pytest.approx(density / tail, rel=2e-3)


def test_a_truncated_normal_far_from_its_mean_warns():
    with pytest.warns(UserWarning, match="more than 2 std"):
        values = init.trunc_normal_(dtrain.empty(1000), 0.0, 1.0, 3.0, 5.0)
    assert 3 <= values.min().item() <= values.max().item() <= 5


@pytest.mark.parametrize(
    "name",
    ["uniform_", "normal_", "trunc_normal_", "xavier_uniform_", "xavier_normal_", "orthogonal_",
     "kaiming_uniform_", "kaiming_normal_"],
)  # fmt: skip
def test_draws_depend_on_the_generator_alone(name):
    def drawn(seed):
        generator = dtrain.Generator().manual_seed(seed)
        return getattr(init, name)(dtrain.empty(4, 3), generator=generator)

    before = dtrain.get_rng_state()
    assert drawn(1).equal(drawn(1))
    assert not drawn(1).equal(drawn(2))
    assert dtrain.get_rng_state() == before


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: init.eye_(dtrain.ones(2)), "2 dimensions"),
        (lambda: init.dirac_(dtrain.ones(2, 2)), "3, 4 or 5 dimensions"),
        (lambda: init.dirac_(dtrain.ones(3, 2, 1), 2), "divide 3 output channels"),
        (lambda: init.orthogonal_(dtrain.ones(2)), "2 or more dimensions"),
        (lambda: init.sparse_(dtrain.ones(2), 0.5), "2 dimensions"),
        (lambda: init.xavier_normal_(dtrain.ones(2)), "at least 2 dimensions"),
        (lambda: init.kaiming_normal_(dtrain.ones(2, 2), mode="fan"), "'fan_in' or 'fan_out'"),
        (lambda: init.calculate_gain("softmax"), "got 'softmax'"),
        (lambda: init.calculate_gain("leaky_relu", True), "number as slope"),
    ],
)
def test_what_cannot_be_initialized_is_said(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_parameters_are_initialized_without_a_graph():
    weight = dtrain.nn.Parameter(dtrain.empty(3, 3))
    for name in ("eye_", "orthogonal_", "trunc_normal_", "ones_"):
        assert getattr(init, name)(weight) is weight
        assert weight.is_leaf
