"""Every operation of the table: values against float64 NumPy, in every layout and in float32."""

import sys

import numpy as np
import pytest

import dtrain
from dtrain.autograd.graph import Node
from dtrain.autograd.op import OPS
from dtrain.backend.dtypes import real_dtype
from dtrain.functions.table import FREE_FUNCTIONS, FUNCTIONS
from tests.cases.case import LAYOUTS, leaf, run_backward
from tests.cases.samples import SAMPLES, assert_all_close, by_values, laid_out, samples
from tests.cases.table import CASES


@samples(SAMPLES)
def test_value_is_that_of_the_reference(case, sample):
    reference = by_values(case.expected)
    for layout in LAYOUTS:
        arrays = laid_out(case, sample, layout)
        before = [np.array(array) for array in arrays]
        outputs = case.run(dtrain, *map(dtrain.from_numpy, arrays))
        expected = reference(*before)
        assert [out.shape for out in outputs] == [array.shape for array in expected], layout
        kinds = [array.dtype.kind for array in expected]
        assert [out.dtype.kind for out in outputs] == kinds, layout
        actual = [out.numpy() for out in outputs]
        assert_all_close(actual, expected, layout, rtol=1e-10, atol=1e-12)
        assert all(map(np.array_equal, arrays, before)), f"{layout}: an input was changed"


@samples(SAMPLES)
def test_float32_stays_float32_forward_and_backward(case, sample, monkeypatch):
    dtypes = set()
    take_vjps = Node.take_vjps

    def watched(self, *arguments):
        def noting(vjp):
            def run(*given):  # the gradient, and perhaps an array to which it is added
                part = vjp(*given)
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
    assert {real_dtype(dtype) for _, dtype in dtypes} <= {dtrain.float32}, dtypes
    assert_all_close(
        [out.detach().numpy() for out in floats],
        [array for out, array in zip(outputs, expected) if out.is_floating_point()],
        rtol=1e-4,
        atol=1e-5,
    )


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
    # sparse_matmul: tests/test_sparse.py; sync_batch_norm needs the other ranks: tests/ranks/bodies.py;
    # these are for GPUs: tests/cupy/test_attention.py, …/test_batch_norm.py, …/test_linear_activation.py
    on_gpus = {"attention", "batch_norm_relu", "keyed_dropout", "linear_activation"}
    assert set(OPS) - ran == {*on_gpus, "sparse_matmul", "sync_batch_norm"}
