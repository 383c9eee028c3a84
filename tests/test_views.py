"""Gradients through views and writes to them: each case by central differences and by PyTorch."""

import numpy as np
import pytest

import dtrain
from tests.cases.case import central_differences, run_backward


def row_times_vector(T, x, w):
    y = x * 2
    y[0].mul_(w[0])
    return y


def overlapping_views_of_a_transpose(T, x, w):
    y = x * 2
    v = y.t()[1:]
    u = y.view(-1)[2:5]
    v += w[0, :3]
    u *= u.exp()
    v[0] = 3 * w[1, 0]
    return y + u.sum() + v.sum()


def indexed_assignments(T, x, w):
    y = x * 1
    y[0] += x[1]
    y[:, 1] *= w[0, 0]
    z = y[1]
    y.mul_(2)
    return z * y


def a_base_without_gradient(T, x, w):
    y = T.zeros(3, 4, dtype=T.float64)
    y[1].add_(w[0])
    y[:, :2].mul_(x[:, :2])
    return y


def a_view_of_a_noncontiguous_base(T, x, w):
    y = (x * 2).t()
    y.reshape(4, 3)[2].copy_(w[0, :3])
    return y.t() * 1 + y.unbind(0)[1][0]


def a_view_of_a_view_is_zeroed(T, x, w):
    r = (x * 3).view(4, 3)
    r.view(2, 6)[0, 1:3].zero_()
    return r * w.sum()


def a_view_made_before_its_base_is_written_to(T, x, w):
    y = x * 1
    corner = y[:2, :2]
    y *= w[0]
    return corner * 2


CASES = [
    row_times_vector,
    overlapping_views_of_a_transpose,
    indexed_assignments,
    a_base_without_gradient,
    a_view_of_a_noncontiguous_base,
    a_view_of_a_view_is_zeroed,
    a_view_made_before_its_base_is_written_to,
]
each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
INPUTS = [np.random.default_rng(seed).normal(size=(3, 4)) for seed in (0, 1)]


def weighted(T, case, x, w):
    """One number of a case's result, in which each element counts differently."""
    y = case(T, x, w)
    return (y * y * T.tensor(np.arange(y.numel()).reshape(tuple(y.shape)) + 1.0)).sum()


def value_and_gradients(T, case):
    x, w = (T.tensor(array, requires_grad=True) for array in INPUTS)
    out = weighted(T, case, x, w)
    out.backward()
    return out.item(), [None if t.grad is None else t.grad.numpy() for t in (x, w)]


@each_case
def test_gradients_equal_central_differences(case):
    def outputs(*arrays):
        return [case(dtrain, *map(dtrain.tensor, arrays)).numpy()]

    x, w = (dtrain.tensor(array, requires_grad=True) for array in INPUTS)
    run_backward([case(dtrain, x, w)])
    for ours, expected in zip((x.grad, w.grad), central_differences(outputs, INPUTS)):
        ours = np.zeros(expected.shape) if ours is None else ours.numpy()
        np.testing.assert_allclose(ours, expected, rtol=1e-6, atol=1e-8)


@pytest.mark.oracle
@each_case
def test_values_and_gradients_equal_pytorchs(case):
    torch = pytest.importorskip("torch")
    value, gradients = value_and_gradients(dtrain, case)
    expected, theirs = value_and_gradients(torch, case)
    assert value == pytest.approx(expected)
    for ours, their in zip(gradients, theirs):
        np.testing.assert_allclose(ours, their)


def test_a_view_tells_of_its_bases_new_history():
    base = dtrain.zeros(3)
    view = base[:2]
    base[0] = dtrain.tensor(2.0, requires_grad=True) * 3
    assert view.requires_grad
    assert not view.is_leaf
    with dtrain.no_grad():
        assert view.requires_grad
    assert not dtrain.zeros(3)[:2].requires_grad


@pytest.mark.parametrize("times", [1, 2])
def test_repeated_elements_share_no_memory(times):
    x = dtrain.tensor([[1.0, 2.0]])
    for dim in (0, 1):
        x.repeat_interleave(times, dim).add_(5)
    dtrain.repeat_interleave(x, times).add_(5)
    assert x.tolist() == [[1, 2]]
