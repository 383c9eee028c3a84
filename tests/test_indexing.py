"""Reading by index, for any index that NumPy takes, and its gradient."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp

import dtrain
from dtrain.backend import kernels
from tests.cases.case import leaf

SHAPES = hnp.array_shapes(min_dims=1, max_dims=3, max_side=4)


def numbered(shape):
    return np.arange(float(np.prod(shape, dtype=int))).reshape(shape)


def gradient_of_reading(shape, index):
    """How often each element is read, weighted by where it lands."""
    read = numbered(shape)[index]
    weights = np.arange(1.0, read.size + 1).reshape(read.shape)
    expected = np.zeros(shape)
    np.add.at(expected, index, weights)
    return weights, expected


def check(shape, index, as_given=None):
    x = leaf(numbered(shape))
    out = x[index if as_given is None else as_given]
    expected = np.asarray(numbered(shape)[index])
    assert out.shape == expected.shape
    np.testing.assert_array_equal(out.detach().numpy(), expected)
    weights, gradient = gradient_of_reading(shape, index)
    out.backward(dtrain.from_numpy(weights))
    np.testing.assert_array_equal(x.grad.numpy(), gradient)


def goes_forward(index):
    parts = index if isinstance(index, tuple) else (index,)
    return all((getattr(part, "step", None) or 1) > 0 for part in parts)


def test_slices_do_not_go_backward():
    with pytest.raises(ValueError, match="step above 0"):
        dtrain.ones(3)[::-1]


@given(st.data(), SHAPES)
def test_ints_slices_none_and_ellipsis(data, shape):
    check(shape, data.draw(hnp.basic_indices(shape, allow_newaxis=True).filter(goes_forward)))


@settings(deadline=None)  # a kernel is compiled in between
@given(st.data(), SHAPES)
def test_arrays_of_places(data, shape):
    index = data.draw(hnp.integer_array_indices(shape))
    check(shape, index)
    check(shape, index, tuple(map(dtrain.from_numpy, index)))


@given(st.data(), SHAPES)
def test_masks(data, shape):
    mask = data.draw(hnp.arrays(bool, shape))
    check(shape, mask)
    check(shape, mask, dtrain.from_numpy(mask))


@pytest.mark.parametrize(
    "index",
    [[0, 1, 0], range(2), (slice(None), [2, 0]), (1, [0, 0], slice(1)), np.int64(1), [True, False]],
)
def test_lists_ranges_and_numpy_numbers(index):
    plain = [0, 1] if isinstance(index, range) else index
    check((2, 3, 2), plain, index)


def test_an_empty_list_reads_nothing():
    assert dtrain.ones(3, 2)[[]].shape == (0, 2)


def test_a_0d_tensor_is_an_index():
    check((3, 2), np.array(1), dtrain.tensor(1))
    check((3, 2), (slice(None), np.array(1)), (slice(None), dtrain.tensor(1)))


def test_bounds_of_slices_may_be_tensors():
    values = np.arange(12.0).reshape(4, 3)
    x = dtrain.tensor(values, requires_grad=True)
    one, three = dtrain.tensor(1), dtrain.tensor([3])[0]
    for index, plain in (
        (slice(three), slice(3)), (slice(one, None), slice(1, None)),
        ((slice(None), slice(one, three)), (slice(None), slice(1, 3))),
        ((slice(one, None), [0, 2]), (slice(1, None), [0, 2])), (slice(None, None, one + 1), slice(None, None, 2)),
    ):  # fmt: skip
        np.testing.assert_array_equal(x[index].detach(), values[plain])
    x[:three].sum().backward()
    assert x.grad.sum() == 9
    written, begin, x.grad = dtrain.tensor(values), dtrain.tensor(1), None
    (x[begin:three] * 2).sum().backward(retain_graph=True)
    row = dtrain.ones(1, 3).double().requires_grad_()
    written[begin : begin + 1] = row
    out = x[begin:three].sum() + written.sum()
    begin += 2  # the slices keep what it was
    out.backward()
    assert x.grad.sum(1).tolist() == [0, 9, 9, 0]
    assert row.grad.tolist() == [[1, 1, 1]]


def test_iteration_and_unpacking_give_the_rows():
    a, b = dtrain.tensor([[1, 2], [3, 4]])
    assert (a.tolist(), b.tolist()) == ([1, 2], [3, 4])
    assert [row.tolist() for row in dtrain.tensor([[1], [2]])] == [[1], [2]]


def test_what_is_read_by_slices_shares_memory():
    x = dtrain.zeros(3, 4)
    for index in (0, (0, 0), slice(1, None), (..., 1), (None, 2)):
        assert np.shares_memory(x[index].numpy(), x.numpy())
    for index in ([0], (0, [0]), x == 0):
        assert not np.shares_memory(x[index].numpy(), x.numpy())


def test_no_indices_are_unravelled_in_a_shape_without_elements():
    none = dtrain.zeros(0, dtype=dtrain.int64)
    assert [part.shape for part in dtrain.unravel_index(none, (0, 3))] == [(0,), (0,)]
    with pytest.raises(ValueError, match="without negative numbers"):
        dtrain.unravel_index(none, (-1, 3))


@pytest.mark.parametrize("wrong", [3, -1])
def test_the_first_index_that_is_out_of_range_is_refused(wrong):
    x, index = dtrain.zeros(3, 3), dtrain.tensor([[0, wrong, 2]])
    message = f"index {wrong} is out of bounds for a dimension of size 3: expected 0 to 2"
    for call in (
        lambda: x.gather(1, index),
        lambda: x.scatter_add(1, index, dtrain.ones(1, 3)),
        lambda: x.index_select(0, index[0]),
        lambda: x.index_add(0, index[0], x),
        lambda: dtrain.nn.functional.embedding(index, x),
    ):
        with pytest.raises(IndexError, match=message):
            call()
    assert not x.any()


def test_kernels_refuse_indices_of_the_size_itself():
    x, index = np.zeros((2, 3), np.float32), np.array([[0, 3], [1, 2]])
    with pytest.raises(IndexError):
        kernels.gather(x, index, 1)
    with pytest.raises(IndexError):
        kernels.add_along_axis(np.ones((2, 2), np.float32), index, x, 1)
    with pytest.raises(IndexError):
        kernels.add_slices(np.ones((2, 2), np.float32), index[0], x, 1)
    assert not x.any()
