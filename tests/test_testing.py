"""torch.testing: what assert_close says, and the tensors of make_tensor."""

import numpy as np
import pytest

import dtrain
from dtrain.testing import assert_close, make_tensor

nan, inf, tensor = float("nan"), float("inf"), dtrain.tensor


@pytest.mark.parametrize(
    ("actual", "expected", "options"),
    [
        (tensor([1.0, 2.0]), tensor([1.0, 2.0 + 1e-6]), {}),
        (tensor([nan, inf, -inf]), tensor([nan, inf, -inf]), {"equal_nan": True}),
        (tensor([]), tensor([]), {}),
        (tensor([1.0]), tensor([1.0], dtype=dtrain.float64), {"check_dtype": False}),
        (tensor([1.0]).half(), tensor([1.0009]).half(), {}),
        (tensor([0.0]), tensor([0.9]), {"atol": 1.0, "rtol": 0.0}),
        (np.ones(2), np.ones(2), {}),
        (1.0, 1.0 + 1e-8, {}),
        (1, 1.0, {"check_dtype": False}),
        (None, None, {}),
        ({"a": [tensor(1), (2.0, None)]}, {"a": [tensor(1), (2.0, None)]}, {}),
    ],
)
def test_close_values_pass(actual, expected, options):
    assert_close(actual, expected, **options)


TENSORS = """Tensor-likes are not close!

Mismatched elements: 1 / 3 (33.3%)
Greatest absolute difference: 1.0 at index (2,) (up to 1e-05 allowed)
Greatest relative difference: 0.25 at index (2,) (up to 1.3e-06 allowed)"""
SCALARS = """Scalars are not close!

Expected 2.0 but got 1.0.
Absolute difference: 1.0 (up to 1e-07 allowed)
Relative difference: 0.5 (up to 1e-07 allowed)"""
INTEGERS = """Tensor-likes are not equal!

Mismatched elements: 1 / 2 (50.0%)
Greatest absolute difference: 1 at index (1,)
Greatest relative difference: 0.5 at index (1,)"""


@pytest.mark.parametrize(
    ("actual", "expected", "message"),
    [
        (tensor([1.0, 2, 3]), tensor([1.0, 2, 4]), TENSORS),
        (1.0, 2.0, SCALARS),
        (tensor([1, 3]), tensor([1, 2]), INTEGERS),
        ([tensor([1, 3])], [tensor([1, 2])], f"{INTEGERS}\n\nThe failure occurred for item [0]"),
        ({"a": 1}, {"b": 1}, "Missing keys in the actual mapping: ['b']"),
        ([1], [1, 2], "The lengths do not match: 1 != 2"),
        (tensor([1]), tensor([1.0]), "attribute 'dtype' do not match: int64 != float32."),
        (tensor([1]), tensor([1, 2]), "attribute 'shape' do not match"),
        (tensor([nan]), tensor([nan]), "Greatest absolute difference: nan at index (0,)"),
        (tensor([inf]), tensor([1.0]), "Greatest absolute difference: inf at index (0,)"),
        (tensor([1.0]), tensor([inf]), "Mismatched elements: 1 / 1 (100.0%)"),
        (tensor([[0.0, 1]]), tensor([[0.0, 0]]), "Greatest relative difference: inf at index (0, 1)"),
        (None, 1, "None mismatch: None is not 1"),
        (1, 1.0, "The (d)types do not match: <class 'int'> != <class 'float'>."),
    ],
)  # fmt: skip
def test_what_differs_is_counted_and_named(actual, expected, message):
    with pytest.raises(AssertionError) as raised:
        assert_close(actual, expected)
    assert message in str(raised.value)


def test_strides_and_messages_are_compared_on_request():
    x = dtrain.ones(2, 3)
    assert_close(x, dtrain.ones(3, 2).T)
    with pytest.raises(AssertionError, match="attribute 'stride'"):
        assert_close(x, dtrain.ones(3, 2).T, check_stride=True)
    with pytest.raises(AssertionError, match=r"^mine$"):
        assert_close(1.0, 2.0, msg="mine")
    with pytest.raises(AssertionError, match=r"^step 3: Scalars are not close"):
        assert_close(1.0, 2.0, msg=lambda text: f"step 3: {text}")


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(ValueError, match="expected both tolerances or none, got rtol, no atol"):
        assert_close(1.0, 1.0, rtol=1.0)
    with pytest.raises(TypeError, match=r"expected two tensors, .* got Tensor and float"):
        assert_close(tensor(1.0), 1.0)


def test_tensors_to_test_with():
    x = make_tensor(
        3, 4, dtype=dtrain.float64, device="cpu", noncontiguous=True, requires_grad=True
    )
    assert (x.shape, x.dtype, x.requires_grad, x.is_contiguous()) == (
        (3, 4),
        "float64",
        True,
        False,
    )
    assert -9 <= x.min().item() < x.max().item() < 9
    y = make_tensor((50,), dtype=dtrain.int64, device="cpu", low=0, high=2, exclude_zero=True)
    assert set(y.tolist()) == {1}
    assert make_tensor(3, dtype=dtrain.bool, device="cpu").dtype == dtrain.bool
