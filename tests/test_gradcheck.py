"""Backward passes from several tensors, hooks after accumulation, and gradcheck."""

import pytest

import dtrain
from dtrain import autograd
from dtrain.errors import GradcheckError


def test_backward_of_several_tensors_with_gradients_of_their_own():
    x = dtrain.ones(2, requires_grad=True)
    autograd.backward([x * 2, (x * x).sum()], [dtrain.tensor([1.0, 10.0]), None])
    assert x.grad.tolist() == [4, 22]
    with pytest.raises(RuntimeError, match="expected 2 gradients, one for each tensor, got 1"):
        autograd.backward([x.sum(), x.sum()], [None])


def test_hooks_after_accumulation_see_the_gradient():
    x, seen = dtrain.ones(2, requires_grad=True), []
    handle = x.register_post_accumulate_grad_hook(lambda leaf: seen.append(leaf.grad.tolist()))
    (x * 2 + x).sum().backward()
    handle.remove()
    x.sum().backward()
    assert seen == [[3, 3]]
    with pytest.raises(RuntimeError, match="leaf tensors only"):
        (x * 2).register_post_accumulate_grad_hook(print)


def test_gradcheck_tells_right_gradients_from_wrong_ones():
    class Wrong(autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * x

        @staticmethod
        def backward(ctx, g):
            return g

    x = dtrain.rand(2, 3, dtype=dtrain.float64, requires_grad=True)
    before = x.tolist()
    assert autograd.gradcheck(lambda a: (a.sum(0), a * a, a > 0.5), x)
    assert not autograd.gradcheck(Wrong.apply, x, raise_exception=False)
    with pytest.raises(GradcheckError, match="output 0 with respect to input 0"):
        autograd.gradcheck(Wrong.apply, x)
    with pytest.raises(ValueError, match="requires grad, got none"):
        autograd.gradcheck(dtrain.exp, dtrain.ones(1))
    assert x.tolist() == before
    assert x.grad is None
