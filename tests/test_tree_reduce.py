"""The order of additions, without ranks: what two ranks of one partial sum each take together."""

import numpy as np
import pytest

from dtrain.distributed.comm import tree_reduce
from dtrain.distributed.comm.tree_reduce import combine


@pytest.mark.parametrize(("divisor", "fused"), [(2, True), (4, True), (3, False)])
def test_two_ranks_with_one_sum_each_take_the_mean_in_one_pass(monkeypatch, divisor, fused):
    calls, mean_of_both = [], tree_reduce.kernels.mean_of_both
    monkeypatch.setattr(
        tree_reduce.kernels, "mean_of_both", lambda *a: (calls.append(a), mean_of_both(*a))
    )
    first, second = np.random.default_rng(0).normal(size=(2, 7)).astype("f4")
    expected = (first + second) / np.float32(divisor)
    combine({(0, 1): first, (1, 2): second}, (0, 2), [first, second], slice(2, 7), divisor)
    np.testing.assert_array_equal(first[2:], expected[2:])
    np.testing.assert_array_equal(second[2:], expected[2:])
    assert len(calls) == fused
    others = [np.empty(7, "f4"), np.empty(7, "f4")]  # not where the partial sums are
    combine({(0, 1): first, (1, 2): second}, (0, 2), others, slice(None), divisor)
    assert len(calls) == fused
    np.testing.assert_array_equal(others[1], (first + second) / np.float32(divisor))
