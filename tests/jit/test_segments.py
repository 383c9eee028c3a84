"""Segments, which run several operations as one node, are to autograd what the operations are."""

import numpy as np
import pytest

import dtrain
import dtrain.nn.functional as F
from dtrain import nn
from dtrain.jit import step_code
from tests.jit.test_graphs import leaf, require_eager_bits


def block(x, w, b):
    """Values used several times, a view, a common subexpression, a scalar, and three outputs."""
    h = F.linear(x, w, b).tanh()
    left, right = h.chunk(2, -1)
    y = left * right.sigmoid() + left
    z = h.reshape(-1, 4)[::2] * x.mean() + h.reshape(-1, 4)[::2]
    return y, z.exp(), (y * y).sum()


def make_block():
    return leaf(3, 4), leaf(8, 4), leaf(8)


def compiled_thrice(function, make):
    """The compiled function after it was recorded, verified, and divided into segments."""
    compiled = dtrain.compile(function, fullgraph=True)
    for _ in range(3):
        compiled(*make())
    return compiled


@pytest.mark.parametrize("used", [(0,), (1,), (2,), (0, 2), (2, 1, 0)])
def test_gradients_of_some_outputs_have_eager_bits(used):
    require_eager_bits(lambda *args: tuple(block(*args)[i] for i in used), make_block)
    compiled, args = compiled_thrice(block, make_block), make_block()
    for given in (args, args[:1], args[1:]):
        mine, theirs = (
            dtrain.autograd.grad(sum(f(*args)[i].sum() for i in used), given)
            for f in (compiled, block)
        )
        assert all(np.array_equal(a.numpy(), b.numpy()) for a, b in zip(mine, theirs))


def test_second_derivatives_have_eager_bits():
    compiled, args = compiled_thrice(block, make_block), make_block()

    def second(function):
        y, z, total = function(*args)
        first = dtrain.autograd.grad(y.sum() + z.sum() + total, args, create_graph=True)
        penalty = sum((g * g).sum() for g in first) + (y * z[:3, :4]).sum() + total
        return [*first, *dtrain.autograd.grad(penalty, args)]

    for mine, theirs in zip(second(compiled), second(block), strict=True):
        assert np.array_equal(mine.detach().numpy(), theirs.detach().numpy())


def test_batch_norm_and_dropout_in_training_have_eager_bits_twice_differentiated():
    model = nn.Sequential(
        nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 5)
    )
    compiled = dtrain.compile(model, fullgraph=True)
    params = list(model.parameters())
    for _ in range(4):
        x, found = leaf(7, 6), []
        buffers = [b.clone() for b in model.buffers()]
        for run in (model, compiled):
            for buffer, before in zip(model.buffers(), buffers):
                buffer.copy_(before)
            dtrain.manual_seed(3)
            (gx,) = dtrain.autograd.grad(run(x).pow(2).sum(), x, create_graph=True)
            found.append([gx, *dtrain.autograd.grad(gx.pow(2).sum(), params)])
            found[-1] += [b.clone() for b in model.buffers()]
        for mine, theirs in zip(*found, strict=True):
            assert np.array_equal(mine.detach().numpy(), theirs.detach().numpy())


def test_hooks_and_grad_of_a_returned_value_see_its_whole_gradient():
    def function(x):
        h = x.exp().sin()
        return h, (h * x).cos()

    compiled = compiled_thrice(function, lambda: (leaf(3),))
    x, seen = leaf(3), []
    for run in (function, compiled):
        h, y = run(x)
        h.retain_grad()
        h.register_hook(lambda g: seen.append(g.numpy().copy()))
        (y.sum() + h.sum()).backward()
        assert np.array_equal(h.grad.numpy(), seen[-1])
    assert np.array_equal(*seen)


def test_a_second_backward_pass_needs_retain_graph():
    compiled, args = compiled_thrice(block, make_block), make_block()
    total = compiled(*args)[2]
    total.backward(retain_graph=True)
    once = args[0].grad.numpy().copy()
    total.backward()
    assert np.array_equal(args[0].grad.numpy(), once + once)
    with pytest.raises(RuntimeError, match="were freed by an earlier backward"):
        total.backward()
    with pytest.raises(RuntimeError, match="were freed by an earlier backward"):
        total.backward(create_graph=True)


def test_a_saved_value_that_was_modified_is_refused_by_the_operations_name():
    def function(x, w):
        return (F.linear(x, w).exp() + 1).tanh()

    def make():
        return leaf(2, 3), leaf(4, 3)

    compiled = compiled_thrice(function, make)
    for run in (function, compiled):
        x, w = make()
        out = run(x, w)
        out.detach().add_(1)
        with pytest.raises(RuntimeError, match=r"tanh needs its `output`.*at version 1, expected"):
            out.sum().backward()
        out = run(x, w)
        with dtrain.no_grad():
            w.mul_(2)
        with pytest.raises(RuntimeError, match="linear needs its `weight`"):
            out.sum().backward()

    def sums(x, w):
        return (x + w).sum() * 2

    compiled = compiled_thrice(sums, lambda: (leaf(3), leaf(3)))
    x, w = leaf(3), leaf(3)
    out = compiled(x, w)
    with dtrain.no_grad():
        w.mul_(2)
    out.backward()  # nobody needs w
    assert w.grad.tolist() == [2.0, 2.0, 2.0]


def test_a_value_that_only_a_decision_needs_may_be_modified():
    def function(x, w):
        y = x @ w - x
        while y.abs().max() > 1.0:
            y *= 0.25
        return y * 2

    require_eager_bits(function, lambda: (leaf(3, 3), leaf(3, 3)), calls=8)


def test_a_value_used_within_its_segment_and_in_a_later_one():
    def function(x):
        h = x.exp()
        s = h.sin() + h
        other = x * 2
        other += 1  # between the segments
        return (h * other + s).cos()

    require_eager_bits(function, lambda: (leaf(3, 3),))


def test_a_returned_view_is_a_view_of_the_returned_value():
    def function(x):
        h = x.exp() * 2
        return h, h.reshape(-1)

    compiled, found = compiled_thrice(function, lambda: (leaf(2, 3),)), []
    x = leaf(2, 3)
    for run in (function, compiled):
        h, flat = run(x)
        flat.mul_(3.0)
        found.append(dtrain.autograd.grad((h * flat.reshape(2, 3)).sum(), x)[0].numpy())
    assert np.array_equal(*found)


def test_an_error_in_a_segment_is_that_of_the_operation():
    def function(x, index):
        return x.exp()[index].sin()

    compiled = compiled_thrice(function, lambda: (leaf(3), dtrain.tensor([0, 2])))
    with pytest.raises(IndexError) as eager:
        function(leaf(3), dtrain.tensor([0, 3]))
    with pytest.raises(IndexError) as graph:
        compiled(leaf(3), dtrain.tensor([0, 3]))
    assert str(eager.value) == str(graph.value)


def test_a_frozen_parameter_and_a_constant_that_begins_to_require_grad():
    scale = dtrain.ones(3)

    def function(x):
        return (x * scale).exp().sum()

    compiled = compiled_thrice(function, lambda: (leaf(3),))
    scale.requires_grad_()
    x = leaf(3)
    compiled(x).backward()
    assert np.array_equal(scale.grad.numpy(), (x.exp() * x).detach().numpy())
    model = nn.Sequential(nn.Linear(3, 3), nn.Tanh())
    compiled = compiled_thrice(model, lambda: (dtrain.randn(2, 3),))
    model[0].weight.requires_grad_(False)
    for _ in range(3):
        compiled(dtrain.randn(2, 3)).sum().backward()
    assert model[0].weight.grad is None
    assert model[0].bias.grad is not None


def test_a_list_subclass_among_the_arguments():
    class Pair(list):
        scale = 1.0

    def function(pair):
        return (pair[0] * pair.scale + pair[1]).tanh() * len(pair)

    compiled = dtrain.compile(function, fullgraph=True)
    for scale in (2.0, 2.0, 2.0, 3.0, 2.0):
        pair = Pair([leaf(3), leaf(3)])
        pair.scale = scale
        assert np.array_equal(compiled(pair).detach().numpy(), function(pair).detach().numpy())


def test_a_slice_of_a_mask_does_not_end_a_segment(monkeypatch):
    written = []

    def noting(graph, segment, *args, write=step_code.write_segment):
        written.append(len(segment.calls))
        return write(graph, segment, *args)

    monkeypatch.setattr(step_code, "write_segment", noting)
    mask = dtrain.ones(6, 6, dtype=dtrain.bool).tril()

    def function(x):
        y = (x @ x.t()).masked_fill(~mask[: len(x), : len(x)], -1.0)
        return y.softmax(-1) @ x, x.exp()[mask[0]].tanh().sin()

    require_eager_bits(function, lambda: (leaf(6, 6),))
    assert len(written) == 1
    assert written[0] > 6
