"""`create_graph=True`: the backward pass is recorded, and can be gone through again."""

import numpy as np
import pytest

import dtrain
from dtrain.autograd import Function, backward, grad, gradcheck, gradgradcheck
from dtrain.autograd.op import OPS, op
from dtrain.backend import array_module
from dtrain.errors import GradcheckError


@pytest.fixture(autouse=True)
def forget_the_primitives_of_these_tests():
    before = dict(OPS)
    yield
    OPS.clear()
    OPS.update(before)


def leaf(*values):
    return dtrain.tensor(values, dtype=dtrain.float64, requires_grad=True)


def test_derivatives_of_every_order():
    x = leaf(0.7)
    y, expected = x.sin(), [np.cos(0.7), -np.sin(0.7), -np.cos(0.7), np.sin(0.7)]
    for value in expected:
        (y,) = grad(y.sum(), x, create_graph=True)
        assert y.item() == pytest.approx(value, rel=1e-12)


def test_a_gradient_without_create_graph_is_outside_the_graph():
    x = leaf(2.0)
    (slope,) = grad((x**3).sum(), x)
    assert not slope.requires_grad
    (slope,) = grad((x**3).sum(), x, create_graph=True)
    assert slope.requires_grad
    assert not slope.is_leaf


def test_backward_accumulates_gradients_that_have_a_graph():
    x = leaf(3.0)
    (x**3).sum().backward(create_graph=True)
    penalty = (x.grad**2).sum()  # (3 x^2)^2, its slope 36 x^3
    (slope,) = grad(penalty, x)
    assert slope.item() == pytest.approx(36 * 27)


def test_backward_through_a_gradient_adds_to_the_same_grad():
    x = leaf(3.0)
    (slope,) = grad((x**3).sum(), x, create_graph=True)
    slope.backward()
    assert x.grad.item() == pytest.approx(18)


def test_a_gradient_penalty_trains_what_is_in_buckets():
    dtrain.manual_seed(0)
    model = dtrain.nn.Linear(3, 1).double()
    optimizer = dtrain.optim.SGD(model.parameters(), lr=0.1)
    before = model.weight.detach().clone()
    x = dtrain.randn(5, 3, dtype=dtrain.float64, requires_grad=True)
    for _ in range(2):
        optimizer.zero_grad()
        (slope,) = grad(model(x).tanh().sum(), x, create_graph=True)
        ((slope.norm(dim=1) - 1) ** 2).mean().backward()
        optimizer.step()
    assert not dtrain.equal(before, model.weight)


def test_the_gradient_given_to_backward_has_a_gradient_too():
    x, v = leaf(1.0, 2.0), leaf(3.0, 4.0)
    (slope,) = grad(x**2, x, v, create_graph=True)
    (by_v,) = grad(slope.sum(), v)
    assert by_v.tolist() == [2.0, 4.0]


def test_inputs_name_the_tensors_that_get_a_gradient():
    x, y = leaf(2.0), leaf(3.0)
    (x * y).sum().backward(inputs=[x])
    assert x.grad.item() == 3
    assert y.grad is None
    middle = x * 2
    backward((middle * y).sum(), inputs=middle)
    assert middle.grad.item() == 3


def test_hooks_see_and_replace_gradients_that_have_a_graph():
    x = leaf(2.0)
    seen = []
    y = x**2
    y.register_hook(lambda g: seen.append(g.requires_grad) or g * 10)
    (slope,) = grad((y**2).sum(), x, create_graph=True)
    assert seen == [True]
    assert slope.item() == pytest.approx(320)  # 10 * 4 x^3
    # slope = 40 x y; in the second pass the hook makes tenfold what comes to y
    assert grad(slope, x)[0].item() == pytest.approx(40 * 4 + 10 * 80 * 4)


def test_a_function_is_differentiated_through_its_backward():
    class Cube(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x**3

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return g * 3 * x**2

    assert gradgradcheck(Cube.apply, leaf(0.5, -1.5))


def test_a_saved_output_leads_back_to_the_input():
    class Exp(Function):
        @staticmethod
        def forward(ctx, x):
            out = x.exp()
            ctx.save_for_backward(out)
            return out

        @staticmethod
        def backward(ctx, g):
            return g * ctx.saved_tensors[0]

    assert gradgradcheck(Exp.apply, leaf(0.5, -1.5))


def test_gradients_of_views_and_writes_in_place():
    def written(x, y):
        z = x * 2
        z[1:] = z[1:].clone() * y
        z[:1].add_(y[:1] ** 2)
        return z.reshape(-1) ** 2

    assert gradcheck(written, (leaf(1.0, 2.0, 3.0), leaf(0.5, -0.5)))
    assert gradgradcheck(written, (leaf(1.0, 2.0, 3.0), leaf(0.5, -0.5)))


def test_a_value_that_changed_since_is_refused():
    x = leaf(2.0)
    y = x * 1
    z = (y**2).sum()
    y.add_(1)
    with pytest.raises(RuntimeError, match="modified by an in-place operation"):
        grad(z, x, create_graph=True)


def test_a_function_that_is_no_operation_is_refused_by_name():
    @op
    def spectral(x):
        return x * 1, (lambda g: array_module(g).fft.ifft(g).real,)

    x = leaf(1.0)
    with pytest.raises(RuntimeError, match=r"spectral cannot be differentiated twice.*`ifft`"):
        grad(spectral(x), x, create_graph=True)


def test_a_primitive_whose_vjp_keeps_an_intermediate_is_run_again():
    @op
    def square_of_three(x):
        hidden = x * 3
        return hidden * hidden, (lambda g: g * 6 * hidden,)

    assert gradgradcheck(square_of_three, leaf(1.0, -2.0))


def test_intermediates_in_lists_and_defaults_count_too():
    @op
    def in_a_list(x):
        hidden = [(x * 3,)]
        return hidden[0][0] * hidden[0][0], (lambda g: g * 6 * hidden[0][0],)

    @op
    def as_a_default(x):
        return x * x * x, (lambda g, slope=x * x * 3: g * slope,)

    assert gradgradcheck(in_a_list, leaf(1.0, -2.0))
    assert gradgradcheck(as_a_default, leaf(1.0, -2.0))


def test_an_array_given_twice_does_not_decide_what_a_variable_is():
    @op
    def product(x, y):
        first, second = x, y
        return x * y, (lambda g: g * second, lambda g: g * first)

    x, y = leaf(0.5, 2.0), leaf(3.0, -1.0)
    assert gradgradcheck(lambda x: product(x, x), x)
    assert gradgradcheck(product, (x, y))


def test_a_variable_may_hold_something_else_in_another_call():
    @op
    def cube(x, *, scaled, bias=None):
        kept = x * 2 if scaled else x
        more = bias
        unit = 4 if scaled else 1
        out = x**3 if more is None else x**3 + more

        def grad_x(g):
            return g * 3 * kept * kept / unit * (1 if more is None else more / more)

        return out, (grad_x,)

    for scaled in (True, False, True):
        assert gradgradcheck(lambda x, scaled=scaled: cube(x, scaled=scaled), leaf(0.5, -2.0))


def test_a_reassigned_argument_is_not_taken_for_the_input():
    @op
    def cube_of_twice(x, *, twice):
        if twice:
            x = 2 * x
        return x**3, (lambda g: g * 3 * x * x * (2 if twice else 1),)

    for twice in (False, True, False):
        assert gradgradcheck(lambda x, twice=twice: cube_of_twice(x, twice=twice), leaf(0.5, -2.0))


def test_gradgradcheck_finds_a_wrong_second_derivative():
    class Wrong(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x**3

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return g * 3 * x * x.detach()  # the right gradient, half of its derivative

    assert gradcheck(Wrong.apply, leaf(0.5))
    assert not gradgradcheck(Wrong.apply, leaf(0.5), raise_exception=False)
    with pytest.raises(GradcheckError, match="Jacobian mismatch for output 0"):
        gradgradcheck(Wrong.apply, leaf(0.5))


def test_zeros_in_place_of_none():
    x, y = leaf(2.0), leaf(3.0, 4.0)
    assert grad(x.sum(), [x, y], allow_unused=True)[1] is None
    assert grad(x.sum(), [x, y], materialize_grads=True)[1].tolist() == [0, 0]
