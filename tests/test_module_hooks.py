"""The hooks of modules, before and after forward and backward, as PyTorch calls them."""

import pytest

import dtrain
from dtrain import nn


class Scaled(nn.Module):
    """Two inputs, a keyword, two outputs."""

    def forward(self, x, y, scale=1.0):
        return x * y * scale, x + y


def two():
    return dtrain.tensor([1.0, 2.0], requires_grad=True), dtrain.tensor([3.0, 4.0])


def test_backward_hooks_see_the_gradients_of_outputs_and_inputs():
    module, seen = Scaled(), []
    module.register_full_backward_pre_hook(lambda m, out: seen.append([g.tolist() for g in out]))
    module.register_full_backward_hook(
        lambda m, into, out: seen.append(([g.tolist() for g in into], [g.tolist() for g in out]))
    )
    x, y = two()
    first, second = module(x, y, scale=3.0)
    (2 * first.sum() + second.sum()).backward()
    ones, twos = [1, 1], [2, 2]
    assert seen == [[twos, ones], ([[19, 25], [0, 0]], [twos, ones])]
    assert x.grad.tolist() == [19, 25]


def test_backward_hooks_replace_gradients_on_the_way():
    module = Scaled()
    module.register_full_backward_pre_hook(lambda m, out: (out[0] * 2, out[1]))
    handle = module.register_full_backward_hook(lambda m, into, out: (into[0] * 10, into[1]))
    x, y = two()
    sum(out.sum() for out in module(x, y)).backward()
    assert x.grad.tolist() == [70, 90]
    handle.remove()
    x.grad = None
    sum(out.sum() for out in module(x, y)).backward()
    assert x.grad.tolist() == [7, 9]


def test_inputs_without_gradients_have_none_in_their_place():
    layer, seen = nn.Linear(2, 1), []
    layer.register_full_backward_hook(lambda m, into, out: seen.append((into, out[0].tolist())))
    layer(dtrain.ones(1, 2)).sum().backward()
    assert seen == [((None,), [[1]])]


def test_hooks_with_keywords_and_in_front():
    module, order = Scaled(), []

    def doubled(m, args, kwargs):
        order.append("doubled")
        return args, {"scale": kwargs["scale"] * 2}

    module.register_forward_pre_hook(doubled, with_kwargs=True)
    module.register_forward_pre_hook(lambda m, args: order.append("first"), prepend=True)
    module.register_forward_hook(
        lambda m, args, kwargs, out: order.append(kwargs), with_kwargs=True
    )
    out, _ = module(*two(), scale=2.0)
    assert out.tolist() == [12, 32]
    assert order == ["first", "doubled", {"scale": 4.0}]


def test_a_hook_that_is_always_called_is_called_when_forward_raises():
    module, called = Scaled(), []
    handle = module.register_forward_hook(lambda m, args, out: called.append(out), always_call=True)
    module.register_forward_hook(lambda m, args, out: called.append("not this"))
    with pytest.raises(TypeError):
        module(1)
    assert called == [None]
    handle.remove()
    with pytest.raises(TypeError):
        module(1)
    assert called == [None]


def test_a_pre_hook_must_return_what_forward_takes():
    module = Scaled()
    module.register_forward_pre_hook(lambda m, args, kwargs: args, with_kwargs=True)
    x, _ = two()
    with pytest.raises(RuntimeError, match="must return None or a tuple"):
        module(x)
