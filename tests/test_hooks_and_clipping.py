"""Hooks of modules, dictionaries of modules, and clipping of gradients."""

import numpy as np
import pytest

import dtrain
from dtrain import nn
from dtrain.nn.utils import clip_grad_norm_, clip_grad_value_


def test_forward_hooks_see_and_replace_arguments_and_outputs():
    layer, seen = nn.Linear(2, 2), []
    before = layer.register_forward_pre_hook(
        lambda module, args: seen.append(args) or (args[0] * 0,)
    )
    after = layer.register_forward_hook(lambda module, args, out: out + 1)
    x = dtrain.ones(1, 2)
    assert layer(x).tolist() == (layer.bias + 1).reshape(1, 2).tolist()
    assert seen[0][0] is x
    before.remove()
    after.remove()
    assert layer(x).tolist() == nn.functional.linear(x, layer.weight, layer.bias).tolist()
    assert len(seen) == 1


def test_parameters_of_this_module_alone():
    model = nn.Sequential(nn.Linear(1, 1))
    model.register_parameter("own", nn.Parameter(dtrain.ones(1)))
    assert [name for name, _ in model.named_parameters(recurse=False)] == ["own"]
    assert [name for name, _ in model.named_parameters("m")] == ["m.own", "m.0.weight", "m.0.bias"]


def test_a_dictionary_of_modules():
    heads = nn.ModuleDict({"a": nn.Linear(1, 1)})
    heads["b"] = nn.ReLU()
    heads.update([("c", nn.Tanh())])
    assert list(heads) == list(heads.keys()) == ["a", "b", "c"]
    assert "b" in heads
    del heads["b"]
    assert len(heads) == 2
    assert set(heads.state_dict()) == {"a.weight", "a.bias"}
    assert [name for name, _ in heads.items()] == ["a", "c"]


def with_gradients():
    rng = np.random.default_rng(0)
    params = [dtrain.zeros(3, 2, requires_grad=True), dtrain.zeros(4, requires_grad=True)]
    for param in params:
        param.grad = dtrain.from_numpy(rng.normal(size=param.shape).astype(np.float32))
    return [*params, dtrain.zeros(1, requires_grad=True)]  # the last has none


@pytest.mark.parametrize("order", [1.0, 2.0, 3.0, float("inf")])
def test_the_norm_of_all_gradients_is_clipped(order):
    params = with_gradients()
    flat = np.concatenate([p.grad.numpy().ravel() for p in params[:2]])
    before = np.linalg.norm(flat, order)
    assert clip_grad_norm_(params, before / 2, order).item() == pytest.approx(before, rel=1e-5)
    after = np.concatenate([p.grad.numpy().ravel() for p in params[:2]])
    np.testing.assert_allclose(after, flat / 2, rtol=1e-5)
    clip_grad_norm_(params, 100.0, order)
    np.testing.assert_array_equal(
        np.concatenate([p.grad.numpy().ravel() for p in params[:2]]), after
    )


def test_a_norm_that_is_not_finite_is_refused_if_asked():
    params = with_gradients()
    params[0].grad[0, 0] = float("nan")
    before = params[1].grad.tolist()
    with pytest.raises(RuntimeError, match=r"norm of order 2\.0 of the gradients is nan"):
        clip_grad_norm_(params, 1.0, error_if_nonfinite=True)
    assert params[1].grad.tolist() == before


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gradients_whose_squares_are_too_large_are_clipped(dtype):
    param = dtrain.zeros(3, 2, dtype=dtype, requires_grad=True)
    large = dtype(1e30 if dtype == np.float32 else 1e100)
    param.grad = dtrain.from_numpy(np.full((2, 3), large, dtype).T)  # not contiguous
    assert clip_grad_norm_(param, 1.0).item() == pytest.approx(float(large) * 6**0.5, rel=1e-6)
    np.testing.assert_allclose(param.grad.numpy(), 6**-0.5, rtol=1e-6)


def test_gradients_are_limited_by_value():
    params = with_gradients()
    expected = [np.clip(p.grad.numpy(), -0.25, 0.25) for p in params[:2]]
    clip_grad_value_(params, 0.25)
    for param, limited in zip(params, expected):
        np.testing.assert_array_equal(param.grad.numpy(), limited)


def test_nothing_to_clip():
    assert clip_grad_norm_([dtrain.zeros(1, requires_grad=True)], 1.0).item() == 0


def test_clipping_sees_the_gradients_of_the_whole_step():
    model = dtrain.DataParallel(nn.Linear(2, 1))
    model(dtrain.ones(3, 2)).sum().backward()
    clip_grad_norm_(model.parameters(), 0.5)
    grads = [p.grad.numpy().ravel() for p in model.parameters()]
    assert np.linalg.norm(np.concatenate(grads)) == pytest.approx(0.5, rel=1e-5)
