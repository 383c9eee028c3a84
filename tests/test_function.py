"""`autograd.Function`: operations of a user's own."""

import pytest

import dtrain
from dtrain.autograd import Function


def wanting(*values):
    return dtrain.tensor(values, requires_grad=True)


class Cube(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x * x

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return 3 * x * x * grad


class ScaledSum(Function):
    """scale * (x + y); notes what backward was told."""

    told = None

    @staticmethod
    def forward(ctx, x, y, scale):
        ctx.scale = scale
        return (x + y) * scale

    @staticmethod
    def backward(ctx, grad):
        ScaledSum.told = ctx.needs_input_grad
        return grad * ctx.scale, grad * ctx.scale, None


class SumAndDifference(Function):
    @staticmethod
    def forward(ctx, x, y):
        return x + y, x - y

    @staticmethod
    def backward(ctx, of_sum, of_difference):
        return of_sum + of_difference, of_sum - of_difference


class Split(Function):
    """forward without ctx, and setup_context."""

    @staticmethod
    def forward(x):
        return x * 2

    @staticmethod
    def setup_context(ctx, inputs, output):
        (x,) = inputs
        ctx.save_for_backward(x, output, None)

    @staticmethod
    def backward(ctx, grad):
        x, output, none = ctx.saved_tensors
        assert none is None
        return grad * output / x


def returning(*gradients):
    """A Function of two inputs whose backward returns just this."""

    class Fixed(Function):
        @staticmethod
        def forward(ctx, x, y):
            return x + y

        @staticmethod
        def backward(ctx, grad):
            return gradients if len(gradients) != 1 else gradients[0]

    return Fixed


# --- what it computes ---


def test_backward_is_the_one_given():
    x = wanting(1.0, 2.0)
    y = Cube.apply(x)
    (y * 10).sum().backward()
    assert y.tolist() == [1, 8]
    assert x.grad.tolist() == [30, 120]


def test_functions_chain_with_operations_and_each_other():
    x = wanting(2.0)
    Cube.apply(Cube.apply(x) + x).sum().backward()
    assert x.grad.tolist() == [3 * (8 + 2) ** 2 * (3 * 4 + 1)]


def test_inputs_that_are_no_tensors_get_no_gradient():
    x, y = wanting(1.0), dtrain.ones(1)
    ScaledSum.apply(x, y, 5).sum().backward()
    assert x.grad.tolist() == [5]
    assert y.grad is None
    assert ScaledSum.told == (True, False, False)


def test_each_of_several_outputs_has_a_gradient():
    x, y = wanting(3.0), wanting(1.0)
    total, difference = SumAndDifference.apply(x, y)
    (total * difference).sum().backward()
    assert (x.grad.tolist(), y.grad.tolist()) == ([2 * 3], [-2 * 1])


def test_an_output_that_is_not_used_has_gradient_zero():
    x, y = wanting(3.0), wanting(1.0)
    _, difference = SumAndDifference.apply(x, y)
    difference.sum().backward()
    assert (x.grad.tolist(), y.grad.tolist()) == ([1], [-1])


def test_an_output_used_twice_has_the_sum():
    x, y = wanting(3.0), wanting(1.0)
    total, _ = SumAndDifference.apply(x, y)
    (total * total).sum().backward()
    assert x.grad.tolist() == [8]


def test_setup_context_sees_inputs_and_output():
    x = wanting(3.0)
    Split.apply(x).sum().backward()
    assert x.grad.tolist() == [2]


def test_gradients_that_are_none_are_none():
    x, y = wanting(1.0), wanting(1.0)
    returning(dtrain.ones(1), None).apply(x, y).sum().backward()
    assert x.grad.tolist() == [1]
    assert y.grad is None


def test_an_input_returned_as_it_is_is_another_tensor():
    class Same(Function):
        @staticmethod
        def forward(ctx, x):
            return x

        @staticmethod
        def backward(ctx, grad):
            return grad * 7

    x = wanting(1.0)
    y = Same.apply(x)
    assert y is not x
    y.sum().backward()
    assert x.grad.tolist() == [7]


def test_an_output_can_be_marked_as_not_differentiable():
    class WithPlaces(Function):
        @staticmethod
        def forward(ctx, x):
            order = x.argmax(0)
            ctx.mark_non_differentiable(order)
            return x * 2, order

        @staticmethod
        def backward(ctx, grad, _):
            return grad * 2

    x = wanting(1.0, 5.0)
    doubled, place = WithPlaces.apply(x)
    assert (doubled.requires_grad, place.requires_grad) == (True, False)
    doubled.sum().backward()
    assert x.grad.tolist() == [2, 2]


# --- when it is recorded ---


def test_nothing_is_recorded_without_need():
    assert not Cube.apply(dtrain.ones(1)).requires_grad
    with dtrain.no_grad():
        assert not Cube.apply(wanting(1.0)).requires_grad


def test_forward_and_backward_do_not_record():
    modes = []

    class Watched(Function):
        @staticmethod
        def forward(ctx, x):
            modes.append(dtrain.is_grad_enabled())
            return x * 2

        @staticmethod
        def backward(ctx, grad):
            modes.append(dtrain.is_grad_enabled())
            return grad

    Watched.apply(wanting(1.0)).sum().backward()
    assert modes == [False, False]


# --- what is refused ---


def test_saved_tensors_are_freed_by_backward():
    y = Cube.apply(wanting(2.0)).sum()
    y.backward()
    with pytest.raises(RuntimeError, match="freed by an earlier backward"):
        y.backward()


def test_saved_tensors_stay_where_the_graph_is_retained():
    x = wanting(2.0)
    y = Cube.apply(x).sum()
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.tolist() == [24]


def test_a_saved_tensor_modified_in_place_is_noticed():
    x = wanting(2.0) * 1
    y = Cube.apply(x)
    x.zero_()
    with pytest.raises(RuntimeError, match="save_for_backward was modified by an in-place"):
        y.sum().backward()


@pytest.mark.parametrize("gradients", [(dtrain.ones(1),), (dtrain.ones(1),) * 3], ids=len)
def test_a_wrong_number_of_gradients_is_refused(gradients):
    y = returning(*gradients).apply(wanting(1.0), wanting(1.0))
    with pytest.raises(RuntimeError, match=rf"expected 2 gradients.*got {len(gradients)}"):
        y.sum().backward()


def test_trailing_nones_too_many_are_allowed():
    x, y = wanting(1.0), wanting(1.0)
    returning(dtrain.ones(1), dtrain.ones(1), None).apply(x, y).sum().backward()
    assert y.grad.tolist() == [1]


def test_a_gradient_that_is_no_tensor_is_refused():
    y = returning(1.0, None).apply(wanting(1.0), wanting(1.0))
    with pytest.raises(TypeError, match="expected a Tensor or None as gradient 0, got float"):
        y.sum().backward()


def test_forward_and_backward_must_be_there():
    class Empty(Function):
        pass

    with pytest.raises(NotImplementedError, match="static method forward"):
        Empty.apply(wanting(1.0))
