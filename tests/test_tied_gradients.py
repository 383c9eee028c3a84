"""Gradients of a parameter that is used more than once: summed in the memory of its bucket."""

import tracemalloc

import numpy as np
import pytest

import dtrain
import dtrain.nn.functional as F
from dtrain import nn
from dtrain.autograd.bucket import make_buckets

TOKENS = dtrain.tensor([[1, 5, 1], [2, 1, 6]])


class Tied(nn.Module):
    """Logits by the table that the tokens are looked up in."""

    def __init__(self, rows=7, width=4, **options):
        super().__init__()
        dtrain.manual_seed(0)
        self.table = nn.Embedding(rows, width, **options)
        self.inner = nn.Linear(width, width)

    def forward(self, tokens):
        return F.linear(self.inner(self.table(tokens)).tanh(), self.table.weight)


def grads_of(model, run, in_bucket):
    """The gradients that `run(model)` leaves."""
    if in_bucket:
        make_buckets(model.parameters())
    run(model)
    return [None if p.grad is None else p.grad.numpy().copy() for p in model.parameters()]


def require_equal_bits(run, **options):
    plain, in_bucket = (grads_of(Tied(**options), run, in_bucket) for in_bucket in (False, True))
    for first, second in zip(plain, in_bucket, strict=True):
        assert first.tobytes() == second.tobytes()


@pytest.mark.parametrize("options", [{}, {"padding_idx": 1}, {"scale_grad_by_freq": True}], ids=str)
def test_rows_are_added_to_the_gradient_of_the_product(options):
    def run(model):
        for _ in range(2):  # the second time there is a gradient
            (model(TOKENS) ** 2).sum().backward()

    require_equal_bits(run, **options)


def test_zeros_have_the_sign_of_a_sum():
    def run(model):
        (model(TOKENS) * -0.0).sum().backward()

    require_equal_bits(run)


def test_a_backward_pass_in_another_one_adds_to_the_same_gradient():
    class BackwardInside(dtrain.autograd.Function):
        @staticmethod
        def forward(ctx, x, weight):
            ctx.weight = weight
            return x.clone()

        @staticmethod
        def backward(ctx, grad):
            with dtrain.enable_grad():
                (ctx.weight**3).sum().backward()
                F.linear(dtrain.ones(1, 4), ctx.weight).sum().backward()
            return grad, None

    def run(model):
        weight = model.table.weight
        hidden = BackwardInside.apply(model.inner(model.table(TOKENS)), weight)
        F.linear(hidden, weight).pow(2).sum().backward()

    require_equal_bits(run)


def test_a_backward_pass_that_fails_leaves_no_gradient_and_the_next_one_is_right():
    class Fails(dtrain.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, grad):
            raise ArithmeticError("on purpose")

    def run(model):
        weight = model.table.weight
        with pytest.raises(ArithmeticError):
            F.linear(Fails.apply(model.table(TOKENS)), weight).sum().backward()
        assert weight.grad is None
        model(TOKENS).sum().backward()

    require_equal_bits(run)


def test_a_large_table_takes_its_memory_once_in_the_backward_pass():
    model = Tied(rows=20_000, width=64)
    (bucket,) = make_buckets(model.parameters())
    assert bucket.grads.flat.size  # the memory is there
    loss = model(TOKENS).sum()
    tracemalloc.start()
    loss.backward()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.5 * model.table.weight.array.nbytes
    assert np.count_nonzero(model.table.weight.grad.numpy().any(1)) == 20_000


@pytest.mark.parametrize("is_leaf", [True, False])
@pytest.mark.parametrize("cuts", [[(0, 2), (2, 5), (5, 7)], [(1, 3), (4, 7)], [(0, 4), (2, 7)]])
def test_gradients_of_parts_have_the_bits_of_a_sum_of_whole_ones(cuts, is_leaf):
    leaf = dtrain.randn(3, 7).requires_grad_()
    x = leaf if is_leaf else leaf * 1
    weights = [np.full((3, end - start), -0.0, np.float32) for start, end in cuts]
    weights[0][:, 1] = 5
    sum((x[:, a:b] * dtrain.tensor(w)).sum() for (a, b), w in zip(cuts, weights)).backward()
    expected = np.zeros((3, 7), np.float32)
    for (start, end), weight in zip(cuts, weights):
        expected[:, start:end] += weight
    assert leaf.grad.numpy().tobytes() == expected.tobytes()
