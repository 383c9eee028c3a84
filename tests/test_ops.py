"""Every operation of the table: values against float64 NumPy, gradients against differences."""

import sys

import numpy as np
import pytest

import dtrain
from dtrain.autograd.graph import Node
from dtrain.autograd.op import OPS
from dtrain.autograd.primitive import Primitive
from dtrain.functions.table import FREE_FUNCTIONS, FUNCTIONS
from dtrain.nn import functional as F
from tests.cases.case import LAYOUTS, central_differences, layouts_of, leaf, run_backward
from tests.cases.table import CASES

SAMPLES = [(case, sample) for case in CASES for sample in case.samples]
OF_SEVERAL = [(case, sample) for case, sample in SAMPLES if len(sample) > 1 and case.differentiable]


def samples(rows):
    return pytest.mark.parametrize(
        ("case", "sample"), [pytest.param(*row, id=f"{row[0]} {row[1]}") for row in rows]
    )


def laid_out(case, sample, layout):
    """The inputs of a sample in a layout."""
    return [LAYOUTS[layout](array) for array in case.arrays(sample)]


def assert_all_close(actual, expected, **tolerance):
    assert len(actual) == len(expected)
    for a, b in zip(actual, expected):
        np.testing.assert_allclose(a, b, **tolerance)


# --- values ---


@pytest.mark.parametrize("layout", LAYOUTS)
@samples(SAMPLES)
def test_value_is_that_of_the_reference(case, sample, layout):
    arrays = laid_out(case, sample, layout)
    before = [np.array(array) for array in arrays]
    outputs = case.run(dtrain, *map(dtrain.from_numpy, arrays))
    expected = case.expected(*before)
    assert [out.shape for out in outputs] == [array.shape for array in expected]
    assert [out.dtype.kind for out in outputs] == [array.dtype.kind for array in expected]
    assert_all_close([out.numpy() for out in outputs], expected, rtol=1e-10, atol=1e-12)
    assert all(np.array_equal(a, b) for a, b in zip(arrays, before)), "an input was changed"


@samples(SAMPLES)
def test_float32_stays_float32_forward_and_backward(case, sample, monkeypatch):
    dtypes = set()
    take_vjps = Node.take_vjps

    def watched(self, *arguments):
        def noting(vjp):
            def run(grad):
                part = vjp(grad)
                dtypes.add((self.name, part.dtype))
                return part

            return run

        return [noting(vjp) for vjp in take_vjps(self, *arguments)]

    arrays = [array.astype(np.float32) for array in case.arrays(sample)]
    outputs = case.run(dtrain, *map(leaf, arrays))
    expected = case.expected(*case.arrays(sample))
    floats = [out for out in outputs if out.is_floating_point()]
    monkeypatch.setattr(Node, "take_vjps", watched)
    run_backward(floats)
    assert {out.dtype for out in floats} <= {dtrain.float32}
    assert {dtype for _, dtype in dtypes} <= {dtrain.float32}, dtypes
    assert_all_close(
        [out.detach().numpy() for out in floats],
        [array for out, array in zip(outputs, expected) if out.is_floating_point()],
        rtol=1e-4,
        atol=1e-5,
    )


# --- gradients ---


def test_what_vjps_keep_is_the_same_in_every_call(monkeypatch):
    # A primitive that is settled is not inspected any more; here it is, for every sample.
    def inspected(primitive):
        def run(*arrays, **static):
            out, vjps = primitive.function(*arrays, **static)
            if vjps and primitive.is_settled and len({*map(id, (*arrays, out))}) > len(arrays):
                fresh = Primitive(primitive.function, primitive.inputs)
                recomputed = fresh.inspect(vjps, arrays, out, static.values())
                assert fresh.kept <= primitive.kept, primitive.name
                assert primitive.is_recomputed or not recomputed, primitive.name
                if not primitive.is_recomputed:
                    assert fresh.places.items() <= primitive.places.items(), primitive.name
            return out, vjps

        return run

    for operation in OPS.values():
        inner = operation if "primitive" in operation.__globals__ else operation.__wrapped__
        monkeypatch.setitem(inner.__globals__, "function", inspected(operation.primitive))
    for case, sample in SAMPLES:
        if case.differentiable:
            case.run(dtrain, *map(leaf, case.arrays(sample)))


@pytest.mark.parametrize(
    "function",
    [dtrain.sum, dtrain.square, lambda x: dtrain.logsumexp(x, 0), lambda x: x**2],
    ids=["sum", "square", "logsumexp", "pow"],
)
def test_vjps_are_inspected_in_the_first_call_alone(function, monkeypatch):
    # `sum` keeps static arguments that are None, `pow` an output made in one of three branches.
    inspected = []
    inspect = Primitive.inspect

    def note(primitive, *values):
        inspected.append(primitive.name)
        return inspect(primitive, *values)

    x = leaf(np.ones((2, 3)))
    function(x)
    monkeypatch.setattr(Primitive, "inspect", note)
    function(x)
    assert not inspected


@pytest.mark.parametrize(
    ("case", "sample", "layout"),
    [
        pytest.param(case, sample, layout, id=f"{case} {sample} {layout}")
        for case, sample in SAMPLES
        if case.differentiable
        for layout in layouts_of(case)
    ],
)
def test_gradient_is_that_of_central_differences(case, sample, layout):
    arrays = laid_out(case, sample, layout)
    leaves = [leaf(array) for array in arrays]
    run_backward(case.run(dtrain, *leaves))
    gradients = [np.zeros(x.shape) if x.grad is None else x.grad.numpy() for x in leaves]
    expected = central_differences(case.expected, arrays)
    assert [g.shape for g in gradients] == [g.shape for g in expected]
    assert_all_close(gradients, expected, rtol=1e-6, atol=1e-7)


def first_gradients(case, leaves, weights, create_graph=False):
    """The gradients of sum(weights * outputs ** 2): not constant where the outputs are linear."""
    outputs = [out for out in case.run(dtrain, *leaves) if out.requires_grad]
    loss = sum(((out * out * w).sum() for out, w in zip(outputs, weights)), dtrain.zeros(()))
    return dtrain.autograd.grad(loss, leaves, create_graph=create_graph, materialize_grads=True)


@samples([row for row in SAMPLES if row[0].differentiable])
def test_second_derivative_is_that_of_central_differences(case, sample):
    arrays = case.arrays(sample)
    numbers = np.random.default_rng(0)

    def random_like(x):
        return dtrain.from_numpy(np.asarray(numbers.uniform(-1, 1, x.shape)))

    of_outputs = [random_like(x) for x in case.run(dtrain, *map(leaf, arrays)) if x.requires_grad]
    of_gradients = [random_like(array) for array in arrays]

    def weighted(*arrays):
        gradients = first_gradients(case, [leaf(array) for array in arrays], of_outputs)
        return [np.asarray(sum(float((g * w).sum()) for g, w in zip(gradients, of_gradients)))]

    leaves = [leaf(array) for array in arrays]
    gradients = first_gradients(case, leaves, of_outputs, create_graph=True)
    pairs = [(g, w) for g, w in zip(gradients, of_gradients) if g.requires_grad]
    second = dtrain.autograd.grad(
        [g for g, _ in pairs], leaves, [w for _, w in pairs], materialize_grads=True
    )
    expected = central_differences(weighted, arrays, weights=[1.0])
    assert_all_close([g.numpy() for g in second], expected, rtol=1e-4, atol=1e-5)


@samples([row for row in SAMPLES if not row[0].differentiable])
def test_what_cannot_be_differentiated_is_not_recorded(case, sample):
    outputs = case.run(dtrain, *map(leaf, case.arrays(sample)))
    assert not any(out.requires_grad for out in outputs)


@samples(OF_SEVERAL)
def test_each_input_gets_the_same_gradient_alone_as_with_the_others(case, sample):
    arrays = case.arrays(sample)
    together = [leaf(array) for array in arrays]
    run_backward(case.run(dtrain, *together))
    for index, x in enumerate(together):
        alone = [leaf(array, wants_grad=i == index) for i, array in enumerate(arrays)]
        run_backward(case.run(dtrain, *alone))
        assert (alone[index].grad is None) == (x.grad is None)
        if x.grad is not None:
            assert np.array_equal(alone[index].grad.numpy(), x.grad.numpy(), equal_nan=True)


def test_padding_index_gets_no_gradient():
    weight = leaf(np.ones((4, 2)))
    F.embedding(dtrain.tensor([1, 3, 3]), weight, padding_idx=3).sum().backward()
    assert weight.grad.tolist() == [[0, 0], [1, 1], [0, 0], [0, 0]]


@pytest.mark.parametrize("function", [dtrain.amax, dtrain.max])
def test_equal_maxima_share_the_gradient(function):
    x = leaf(np.array([3.0, 1.0, 3.0]))
    function(x).backward()
    assert x.grad.tolist() == [0.5, 0, 0.5]


def test_the_first_of_equal_maxima_in_a_window_gets_the_gradient():
    x = leaf(np.zeros((1, 1, 3, 3)))
    F.max_pool2d(x, 2, stride=1).sum().backward()
    assert x.grad[0, 0].tolist() == [[1, 1, 0], [1, 1, 0], [0, 0, 0]]


@pytest.mark.parametrize("function", [dtrain.maximum, dtrain.minimum])
def test_equal_operands_share_the_gradient(function):
    x, y = leaf(np.array(2.0)), leaf(np.array(2.0))
    function(x, y).backward()
    assert (x.grad.item(), y.grad.item()) == (0.5, 0.5)


@pytest.mark.parametrize(
    "function",
    [dtrain.abs, dtrain.std, dtrain.norm, F.relu, lambda x: x.norm(dim=0), lambda x: x.prod()],
    ids=["abs", "std", "norm", "relu", "norm of a dim", "prod"],
)
def test_gradient_at_zero_is_zero(function):
    x = leaf(np.zeros(3))
    function(x).sum().backward()
    assert x.grad.tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    "function",
    [lambda x: x.max(1), lambda x: x.min(1), lambda x: x.sort(1), lambda x: x.topk(2, 1)],
    ids=["max", "min", "sort", "topk"],
)
def test_values_and_places_have_names(function):
    x = dtrain.tensor([[3.0, 1.0, 2.0]])
    out = function(x)
    assert (
        out.values.tolist()
        == x.gather(1, out.indices.reshape(1, -1)).reshape(out.values.shape).tolist()
    )


# --- the table is whole ---


@pytest.mark.parametrize("name", sorted({**FUNCTIONS, **FREE_FUNCTIONS}))
def test_every_public_function_has_a_row(name):
    assert name in {case.op for case in CASES}


def test_every_rule_runs_in_a_row():
    ran = set()

    def note(frame, event, _):
        place = frame.f_code.co_filename
        if event == "call" and place.startswith("<dtrain operation "):
            ran.add(place.split()[-1].rstrip(">"))

    sys.setprofile(note)
    try:
        for case, sample in SAMPLES:
            case.run(dtrain, *map(dtrain.from_numpy, laid_out(case, sample, "reversed")))
    finally:
        sys.setprofile(None)
    assert set(OPS) - ran == {"sync_batch_norm"}  # needs the other ranks: tests/ranks/bodies.py
