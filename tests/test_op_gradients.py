"""Every operation of the table: gradients against central differences, in every layout."""

import numpy as np
import pytest

import dtrain
from dtrain.autograd.op import OPS
from dtrain.autograd.primitive import Primitive
from dtrain.nn import functional as F
from tests.cases.case import central_differences, layouts_of, leaf, run_backward
from tests.cases.samples import SAMPLES, assert_all_close, by_values, laid_out, samples

DIFFERENTIABLE = [(case, sample) for case, sample in SAMPLES if case.differentiable]
OF_SEVERAL = [(case, sample) for case, sample in DIFFERENTIABLE if len(sample) > 1]


@samples(DIFFERENTIABLE)
def test_gradient_is_that_of_central_differences(case, sample):
    differences = by_values(lambda *arrays: central_differences(case.expected, arrays))
    for layout in layouts_of(case):
        arrays = laid_out(case, sample, layout)
        leaves = [leaf(array) for array in arrays]
        run_backward(case.run(dtrain, *leaves))
        gradients = [np.zeros(x.shape) if x.grad is None else x.grad.numpy() for x in leaves]
        expected = differences(*arrays)
        assert [g.shape for g in gradients] == [g.shape for g in expected], layout
        assert_all_close(gradients, expected, layout, rtol=1e-6, atol=1e-7)


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


@pytest.mark.parametrize("name", ["layer_norm", "rms_norm", "gather", "conv2d", "getitem", "glu"])
def test_what_a_vjp_keeps_is_found_in_the_first_calls(name):
    x = dtrain.randn(2, 4, 6, 6).requires_grad_()
    {
        "layer_norm": lambda: F.layer_norm(x, (6,)),
        "rms_norm": lambda: F.rms_norm(x, (6,)),
        "gather": lambda: x.gather(1, dtrain.zeros(2, 1, 6, 6, dtype=dtrain.int64)),
        "conv2d": lambda: F.conv2d(x, dtrain.randn(3, 4, 3, 3)),
        "getitem": lambda: x[0, :, 1:],
        "glu": lambda: F.glu(x, 1),
    }[name]()
    assert OPS[name].primitive.is_settled
