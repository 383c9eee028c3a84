"""What holds for any shapes, indices and views: checked on random ones against NumPy."""

import math

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp

import dtrain
from tests.cases.case import leaf

often = settings(deadline=None, max_examples=80)
SHAPES = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)
FULL_SHAPES = hnp.array_shapes(min_dims=1, max_dims=4, max_side=4)


def numbered(shape):
    """1, 2, 3, ... in a shape."""
    return np.arange(1.0, math.prod(shape) + 1).reshape(shape)


def collected(weights, places, shape):
    """The sums, in an array of `shape`, of the weights that fall on each of its flat places."""
    size = math.prod(shape)
    sums = np.bincount(np.ravel(places), np.ravel(weights), minlength=size)
    return sums[:size].astype(float).reshape(shape)


# --- broadcasting ---

#: an operation and its derivatives
BINARY = {
    "add": (np.add, lambda x, y: (np.ones_like(x), np.ones_like(y))),
    "sub": (np.subtract, lambda x, y: (np.ones_like(x), -np.ones_like(y))),
    "mul": (np.multiply, lambda x, y: (y, x)),
    "div": (np.divide, lambda x, y: (1 / y, -x / y**2)),
    "hypot": (np.hypot, lambda x, y: (x / np.hypot(x, y), y / np.hypot(x, y))),
    "atan2": (np.arctan2, lambda x, y: (y / (x**2 + y**2), -x / (x**2 + y**2))),
    "maximum": (np.maximum, lambda x, y: (np.heaviside(x - y, 0.5), np.heaviside(y - x, 0.5))),
}


@pytest.mark.parametrize("name", BINARY)
@often
@given(hnp.mutually_broadcastable_shapes(num_shapes=2, min_side=0, max_dims=4, max_side=3))
def test_operands_broadcast_and_gradients_are_summed_back(name, shapes):
    arrays = [np.asarray(numbered(s) * k) for s, k in zip(shapes.input_shapes, (1, -0.75))]
    operands = [leaf(array) for array in arrays]
    out = getattr(dtrain, name)(*operands)
    reference, slopes = BINARY[name]
    np.testing.assert_allclose(out.detach().numpy(), np.asarray(reference(*arrays)))
    weights = numbered(out.shape)
    out.backward(dtrain.from_numpy(weights))
    for x, slope in zip(operands, slopes(*np.broadcast_arrays(*arrays))):
        places = np.broadcast_to(np.arange(x.numel()).reshape(x.shape), out.shape)
        np.testing.assert_allclose(
            x.grad.numpy(), collected(weights * slope, places, x.shape), rtol=1e-9, strict=True
        )


# --- indexing ---


@st.composite
def indices(draw, shape):
    """An index of any kinds of parts, and what it reads of an array of that shape, by NumPy."""
    parts, views, arrays = [], [], []
    count = draw(st.integers(0, len(shape)))
    common = draw(hnp.array_shapes(min_dims=1, max_dims=2, min_side=0, max_side=3))
    dim = skipped = 0
    while dim < count:
        size = shape[dim + skipped]
        kind = draw(st.sampled_from(["int", "slice", "array", "mask", "none", "ellipsis"]))
        if kind == "none":
            part, view, array = None, [None], [slice(None)]
        elif kind == "ellipsis" and all(p is not Ellipsis for p in parts):
            skipped = len(shape) - count
            part, view, array = Ellipsis, [slice(None)] * skipped, [slice(None)] * skipped
        elif kind == "int" and size:
            part = draw(st.integers(-size, size - 1))
            view, array, dim = [part], [], dim + 1
        elif kind == "array" and size:
            part = draw(hnp.arrays(np.int64, common, elements=st.integers(-size, size - 1)))
            view, array, dim = [slice(None)], [part], dim + 1
        elif kind == "mask" and 1 in common:
            part = np.zeros(size, bool)
            part[: min(1, size)] = True
            if not size:
                continue
            view, array, dim = [slice(None)], [part], dim + 1
        else:
            part = draw(st.slices(size).filter(lambda s: (s.step or 1) > 0))
            view, array, dim = [part], [slice(None)], dim + 1
        parts.append(part)
        views += view
        arrays += array

    def read(x):
        x = x[(*views, ...)]
        return x[tuple(arrays)] if any(isinstance(a, np.ndarray) for a in arrays) else x

    return tuple(parts), read


def given_as_tensors(parts):
    return tuple(dtrain.from_numpy(p) if isinstance(p, np.ndarray) else p for p in parts)


def read_or_none(read, x):
    try:
        return read(x)
    except IndexError:  # arrays that do not broadcast
        return None


@settings(often, max_examples=300)
@given(st.data(), hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4))
def test_any_index_reads_and_its_gradient_goes_where_it_read(data, shape):
    parts, read = data.draw(indices(shape))
    expected = read_or_none(read, numbered(shape))
    x = leaf(numbered(shape))
    if expected is None:
        with pytest.raises(IndexError):
            x[given_as_tensors(parts)]
        return
    for index in (parts, given_as_tensors(parts)):
        np.testing.assert_array_equal(x[index].detach().numpy(), expected, strict=True)
    weights = numbered(expected.shape)
    x[parts].backward(dtrain.from_numpy(weights))
    places = read(np.arange(math.prod(shape)).reshape(shape))
    np.testing.assert_array_equal(x.grad.numpy(), collected(weights, places, shape), strict=True)


@settings(often, max_examples=300)
@given(st.data(), hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4))
def test_any_index_writes_and_both_gradients_are_right(data, shape):
    parts, read = data.draw(indices(shape))
    places = read_or_none(read, np.arange(math.prod(shape)).reshape(shape))
    if places is None:
        return
    small = places.shape[data.draw(st.integers(0, places.ndim)) :]  # the value broadcasts
    old, value = leaf(numbered(shape)), leaf(np.asarray(-numbered(small)))
    x = old * 1
    x[given_as_tensors(parts)] = value
    written = np.broadcast_to(value.detach().numpy(), places.shape)
    expected = numbered(shape).ravel()
    expected[places.ravel()] = written.ravel()
    if len(np.unique(places)) == places.size:  # else it is open which one is written last
        np.testing.assert_array_equal(x.detach().numpy(), expected.reshape(shape), strict=True)
    weights = numbered(shape)
    x.backward(dtrain.from_numpy(weights))
    kept = weights.ravel().copy()
    kept[places.ravel()] = 0
    np.testing.assert_array_equal(old.grad.numpy(), kept.reshape(shape), strict=True)
    sources = np.broadcast_to(np.arange(value.numel()).reshape(small), places.shape)
    if places.size:
        expected = collected(weights.ravel()[places], sources, small)
        np.testing.assert_array_equal(value.grad.numpy(), expected, strict=True)


@often
@given(st.data(), hnp.array_shapes(min_dims=1, max_dims=3, max_side=4))
def test_accumulated_writes_count_each_mention(data, shape):
    index = data.draw(hnp.integer_array_indices(shape))
    x, value = leaf(numbered(shape)), leaf(numbered(numbered(shape)[index].shape))
    out = x.index_put(given_as_tensors(index), value, accumulate=True)
    expected = numbered(shape)
    np.add.at(expected, index, value.detach().numpy())
    np.testing.assert_array_equal(out.detach().numpy(), expected)
    out.backward(dtrain.from_numpy(numbered(shape)))
    np.testing.assert_array_equal(x.grad.numpy(), numbered(shape))
    np.testing.assert_array_equal(value.grad.numpy(), numbered(shape)[index])


# --- views ---


def factored(n, parts):
    """A shape of n elements in which each of `parts` is a length, if it divides what is left."""
    shape = []
    for part in parts:
        if n and part and n % part == 0:
            shape.append(part)
            n //= part
    return (*shape, n)


@st.composite
def steps(draw, shape):
    """One operation that gives a view, if it can: (of a tensor, of an array)."""
    ndim = len(shape)
    kinds = ["reshape", "unsqueeze", "squeeze", "flatten", "expand", "flip"]
    if ndim:
        kinds += ["permute", "transpose", "slice", "select", "chunk", "unfold"]
    if ndim > 1:
        kinds += ["diagonal"]
    kind = draw(st.sampled_from(kinds))
    a, b = (draw(st.integers(-ndim, ndim - 1)) if ndim else 0 for _ in range(2))
    lead = (slice(None),) * (a % ndim if ndim else 0)
    if kind == "reshape":
        new = factored(math.prod(shape), draw(st.lists(st.integers(1, 4), max_size=3)))
        return lambda t: t.reshape(new), lambda x: x.reshape(new)
    if kind == "unsqueeze":
        return lambda t: t.unsqueeze(a), lambda x: np.expand_dims(x, a)
    if kind == "squeeze":
        return lambda t: t.squeeze(), np.squeeze
    if kind == "flatten":
        return lambda t: t.flatten(), lambda x: x.reshape(-1)
    if kind == "expand":
        full = (2, *(3 if n == 1 else n for n in shape))
        return lambda t: t.expand(full), lambda x: np.broadcast_to(x, full)
    if kind == "flip":  # PyTorch's is a copy
        return lambda t: t.flip(range(ndim)), lambda x: np.flip(x).copy()
    if kind == "permute":
        order = draw(st.permutations(range(ndim)))
        return lambda t: t.permute(order), lambda x: x.transpose(order)
    if kind == "transpose":
        return lambda t: t.transpose(a, b), lambda x: x.swapaxes(a, b)
    if kind == "slice":
        part = draw(st.slices(shape[a]).filter(lambda s: (s.step or 1) > 0))
        return lambda t: t[(*lead, part)], lambda x: x[(*lead, part)]
    if kind == "select" and shape[a]:
        i = draw(st.integers(0, shape[a] - 1))
        return lambda t: t.select(a, i), lambda x: x[(*lead, i, ...)]
    if kind == "unfold" and shape[a] > 1:
        window = np.lib.stride_tricks.sliding_window_view
        return lambda t: t.unfold(a, 2, 1), lambda x: window(x, 2, a, writeable=True)
    if kind == "diagonal" and a % ndim != b % ndim:
        return lambda t: t.diagonal(1, a, b), lambda x: x.diagonal(1, a, b)
    return lambda t: t.chunk(2, a)[0], lambda x: x[(*lead, slice(0, -(-shape[a] // 2)))]


@st.composite
def chains(draw):
    """A shape, and a chain of such operations: (of a tensor, of an array)."""
    shape = draw(FULL_SHAPES)
    chain, array = [], np.empty(shape)
    for _ in range(draw(st.integers(1, 4))):
        step = draw(steps(array.shape))
        array = step[1](array)
        chain.append(step)
        if array.size > 200 or array.ndim > 6:
            break

    def through(which):
        def run(x):
            for step in chain:
                x = step[which](x)
            return x

        return run

    return shape, through(0), through(1)


@settings(often, max_examples=300)
@given(chains())
def test_views_share_memory_and_give_gradients_where_numpys_would(chain):
    shape, of_tensor, of_array = chain
    array = numbered(shape)
    x = leaf(array)
    out, expected = of_tensor(x), of_array(array)
    np.testing.assert_array_equal(out.detach().numpy(), expected, strict=True)
    assert np.shares_memory(out.detach().numpy(), array) == np.shares_memory(expected, array)
    weights = numbered(expected.shape)
    out.backward(dtrain.from_numpy(weights))
    places = of_array(np.arange(array.size).reshape(shape))
    np.testing.assert_array_equal(x.grad.numpy(), collected(weights, places, shape), strict=True)


@settings(often, max_examples=300)
@given(chains())
def test_writes_through_views_reach_the_base_and_its_gradient(chain):
    shape, of_tensor, of_array = chain
    places = of_array(np.arange(math.prod(shape)).reshape(shape))
    if len(np.unique(places)) < places.size:  # an element in two places cannot be written to
        return
    x = leaf(numbered(shape))
    base, array = x * 1, numbered(shape)
    part, target = of_tensor(base), of_array(array)
    part.mul_(3)
    factor = np.ones(shape)
    if np.shares_memory(target, array):
        factor.ravel()[places.ravel()] = 3
    np.testing.assert_array_equal(base.detach().numpy(), array * factor)
    base.backward(dtrain.from_numpy(numbered(shape)), retain_graph=True)
    np.testing.assert_array_equal(x.grad.numpy(), numbered(shape) * factor)
    if places.size:
        x.grad = None
        part.backward(dtrain.from_numpy(numbered(places.shape)))
        np.testing.assert_array_equal(
            x.grad.numpy(), 3 * collected(numbered(places.shape), places, shape)
        )
