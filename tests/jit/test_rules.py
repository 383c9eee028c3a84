"""Graphs run the array code of primitives' rules, to eager bits in every layout."""

import gc
import sys
import warnings
import weakref

import numpy as np
import pytest

import dtrain
import dtrain.nn.functional as F
from dtrain.jit import segment_code
from dtrain.jit.rule_tracer import RuleTracer
from dtrain.jit.rules import trace_rule
from tests.cases.case import leaf as double_leaf, run_backward
from tests.cases.samples import SAMPLES, laid_out
from tests.jit.test_graphs import leaf, require_eager_bits
from tests.jit.test_segments import compiled_thrice


def require_same(mine, theirs):
    for first, second in zip(mine, theirs, strict=True):
        assert (first is None) == (second is None)
        assert first is None or np.array_equal(first, second, equal_nan=first.dtype.kind in "fc")


def test_operations_of_the_table_have_eager_bits_on_transposed_inputs(monkeypatch):
    traced = set()

    def noting(primitive, *args):
        rule = trace_rule(primitive, *args)
        traced.update([primitive.name] if rule is not None else [])
        return rule

    monkeypatch.setattr(segment_code, "trace_rule", noting)
    for case, sample in SAMPLES[::24]:
        arrays = laid_out(case, sample, "transposed")

        def function(*xs, run=case.run):
            return tuple(y * 1 if y.is_floating_point() else y for y in run(dtrain, *xs))

        def outcome(called, arrays=arrays):
            dtrain.manual_seed(0)
            leaves = [double_leaf(array) for array in arrays]
            outputs = called(*leaves)
            recorded = [y for y in outputs if y.requires_grad]
            if recorded:
                run_backward(recorded)
            grads = [None if x.grad is None else x.grad.numpy() for x in leaves]
            return [y.detach().numpy() for y in outputs] + grads

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # some run without a graph
            compiled = dtrain.compile(function)
            for _ in range(4):
                require_same(outcome(compiled), outcome(function))
    assert len(traced) > 40


def test_a_copy_that_only_another_layout_needs_is_made():
    def function(x):
        y = (x * 2).t().contiguous().t() + 1
        return y.sum() * 3, y

    require_eager_bits(function, lambda: (leaf(57, 63),))


def test_calls_of_one_form_share_a_rule_and_others_do_not(monkeypatch):
    forms = []

    def noting(primitive, *args):
        forms.append(primitive.name)
        return trace_rule(primitive, *args)

    monkeypatch.setattr(segment_code, "trace_rule", noting)

    def function(x, y):
        z = x.clamp(-0.5, 0.5) * x.clamp(-0.5, 0.25) + x.clamp(0, 0.5) + x.clamp(0.0, 0.5)
        z = z * y + z * x.detach() + x * x + (z[0] * y[1])[None] - z * z
        return z.sum() + z[0].sum() + z.sum(0).sum() + (x.softmax(0) @ y.softmax(1).t()).sum()

    require_eager_bits(function, lambda: (leaf(3, 3), leaf(3, 3)))
    assert forms.count("clamp") == 4
    assert forms.count("softmax") == 2
    assert forms.count("add") < 6


def test_a_product_with_a_detached_factor_is_not_taken_for_the_product():
    def function(x, y):
        return ((x.detach() * y).exp() + (x * y).exp() + (x * y.detach()).exp()).sum()

    require_eager_bits(function, lambda: (leaf(3, 4), leaf(3, 4)))


def test_what_others_hold_is_not_written_over():
    """The output, and what was saved, are there for a second backward pass, as is the gradient."""

    def function(x, w):
        h = ((x @ w).exp().tanh() * 3 - x).sigmoid()
        return h, (h * h + h.exp() * x).tanh()

    compiled = compiled_thrice(function, lambda: (leaf(4, 4), leaf(4, 4)))
    args = leaf(4, 4), leaf(4, 4)
    first, second = compiled(*args), compiled(*(leaf(4, 4), leaf(4, 4)))
    held = [y.detach().clone() for y in (*first, *second)]
    given = dtrain.randn(4, 4)
    kept = given.clone()
    found = [dtrain.autograd.grad(first, args, (given, given), retain_graph=True) for _ in range(2)]
    expected = dtrain.autograd.grad(function(*args), args, (given, given))
    for grads in found:
        require_same([g.numpy() for g in grads], [g.numpy() for g in expected])
    held_now = [y.detach() for y in (*first, *second)]
    require_same([y.numpy() for y in held_now], [y.numpy() for y in held])
    assert np.array_equal(given.numpy(), kept.numpy())


def test_a_rule_that_reads_values_is_run_as_it_is():
    def function(x, target):
        return F.cross_entropy(x * 2, target)

    targets = iter([[0, 1], [1, 2], [2, 0], [1, 1]])
    compiled = require_eager_bits(function, lambda: (leaf(2, 3), dtrain.tensor(next(targets))))
    with pytest.raises(IndexError, match="Target 3 is out of bounds"):
        compiled(leaf(2, 3), dtrain.tensor([0, 3]))


def test_a_saved_value_that_was_modified_is_named_as_its_operation_names_it():
    compiled = compiled_thrice(lambda x, w: (x.tanh() @ w).exp(), lambda: (leaf(3, 4), leaf(4, 2)))
    x, w = leaf(3, 4), leaf(4, 2)
    y = compiled(x, w)
    with dtrain.no_grad():
        w.mul_(2)
    with pytest.raises(RuntimeError, match="backward: matmul needs its `y`"):
        y.sum().backward()


def test_solvers_of_lapack_lose_no_reference_to_a_dtype():
    dtype = np.dtype(np.complex64)
    a, b = (dtrain.tensor(np.eye(3, 3, dtype=dtype) + n) for n in range(2))
    gc.collect()
    before = sys.getrefcount(dtype)
    for _ in range(3):
        compiled = dtrain.compile(
            lambda a, b: dtrain.linalg.solve_triangular(a * 1, b * 1, upper=True)
        )
        for _ in range(3):
            compiled(a, b)
    del compiled
    gc.collect()
    assert sys.getrefcount(dtype) >= before


def test_tracing_leaves_no_arrays_to_the_cyclic_collector(monkeypatch):
    examples = []

    def noting(self, example, add=RuleTracer.add):
        examples.extend([weakref.ref(example)] if isinstance(example, np.ndarray) else [])
        return add(self, example)

    monkeypatch.setattr(RuleTracer, "add", noting)
    gc.disable()
    try:
        compiled = compiled_thrice(
            lambda x, w: F.layer_norm(x @ w, (4,)).tanh() + x, lambda: (leaf(3, 4), leaf(4, 4))
        )
        compiled(leaf(3, 4), leaf(4, 4)).sum().backward()
        assert examples
        assert not any(example() is not None for example in examples)
    finally:
        gc.enable()
