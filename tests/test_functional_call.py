"""torch.func.functional_call, and the older forms of nn.utils and nn.init."""

import pytest

import dtrain
from dtrain import nn
from dtrain.func import functional_call, stack_module_state


def norm_layer():
    dtrain.manual_seed(0)
    return nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))


def test_the_given_tensors_get_the_gradients_and_the_module_keeps_its_own():
    model, x = nn.Linear(2, 3), dtrain.ones(4, 2)
    own = dict(model.named_parameters())
    given = {"weight": dtrain.zeros(3, 2, requires_grad=True)}
    out = functional_call(model, given, x)
    assert (out == model.bias).all()
    out.sum().backward()
    assert given["weight"].grad.tolist() == [[4.0, 4.0]] * 3
    assert model.weight.grad is None
    assert all(p is own[name] for name, p in model.named_parameters())


def test_the_module_has_its_own_again_after_an_exception():
    model = nn.Linear(2, 3)
    own = model.weight
    with pytest.raises(RuntimeError):
        functional_call(model, {"weight": dtrain.ones(7, 7)}, (dtrain.ones(1, 2),))
    assert model.weight is own


@pytest.mark.parametrize("queued", [None, []])
def test_buffers_are_written_where_they_are_given(queued):
    model = norm_layer()
    model[1].pending_updates = queued
    buffers = {name: b.clone() for name, b in model.named_buffers()}
    functional_call(model, [dict(model.named_parameters()), buffers], dtrain.rand(4, 2))
    assert buffers["1.num_batches_tracked"].item() == 1
    assert model[1].num_batches_tracked.item() == 0
    assert model[1].pending_updates == queued


def test_one_tensor_under_two_names_is_replaced_under_both():
    model = nn.Module()
    model.first = model.second = nn.Linear(2, 2, bias=False)
    model.forward = lambda x: model.second(model.first(x))
    x, zero = dtrain.ones(1, 2), dtrain.zeros(2, 2)
    assert functional_call(model, {"second.weight": zero}, x).tolist() == [[0, 0]]
    with pytest.raises(ValueError, match=r"'first\.weight', 'second\.weight'\] are one tensor"):
        functional_call(model, {"first.weight": zero, "second.weight": zero + 1}, x)
    functional_call(model, {"first.weight": zero, "second.weight": zero}, x)


def test_names_are_checked_on_request():
    model, x = nn.Linear(2, 2), dtrain.ones(1, 2)
    functional_call(model, {"nothing": x}, x)
    with pytest.raises(
        RuntimeError, match=r"unexpected names \['w'\], missing names \['bias', 'wei"
    ):
        functional_call(model, {"w": x}, x, strict=True)
    with pytest.raises(ValueError, match=r"\['weight'\] are in several of the dicts"):
        functional_call(model, ({"weight": x}, {"weight": x}), x)
    with pytest.raises(ValueError, match="expected a dict of tensors or a list of dicts, got int"):
        functional_call(model, 3, x)


def test_keywords_and_no_arguments():
    model = nn.Module()
    model.w = nn.Parameter(dtrain.ones(1))
    model.forward = lambda scale=1: (model.w * scale).item()
    assert functional_call(model, {"w": dtrain.tensor([3.0])}) == 3
    assert nn.utils.stateless.functional_call(model, {}, None, {"scale": 5}) == 5


def test_states_of_equal_models_are_stacked():
    params, buffers = stack_module_state([norm_layer(), norm_layer()])
    assert params["0.weight"].shape == (2, 2, 2)
    assert params["0.weight"].is_leaf
    assert buffers["1.running_var"].shape == (2, 2)
    with pytest.raises(RuntimeError, match="expected at least one model"):
        stack_module_state([])
    with pytest.raises(RuntimeError, match="one class"):
        stack_module_state([norm_layer(), nn.Linear(2, 2)])


@pytest.mark.parametrize("dim", [0, 1, -2, None])
def test_the_older_weight_norm_trains_g_and_v(dim):
    layer, x = nn.Linear(3, 2), dtrain.rand(4, 3)
    before, out = layer.weight.detach().clone(), layer(x)
    assert nn.utils.weight_norm(layer, dim=dim) is layer
    assert list(layer.state_dict()) == ["bias", "weight_g", "weight_v"]
    dtrain.testing.assert_close(layer(x), out)
    newer = nn.utils.parametrizations.weight_norm(nn.Linear(3, 2), dim=dim)
    newer.load_state_dict(layer.state_dict())
    for both in (layer, newer):
        both(x).square().sum().backward()
    dtrain.testing.assert_close(layer.weight_g.grad, newer.parametrizations.weight.original0.grad)
    with dtrain.no_grad():
        layer.weight_g.mul_(2)
    layer(x)
    nn.utils.remove_weight_norm(layer)
    dtrain.testing.assert_close(layer.weight.detach(), before * 2)
    assert isinstance(layer.weight, nn.Parameter)
    assert list(layer.state_dict()) == ["bias", "weight"]
    with pytest.raises(ValueError, match="Linear has none for 'weight'"):
        nn.utils.remove_weight_norm(layer)


def test_a_weight_is_normalized_once():
    layer = nn.utils.weight_norm(nn.Linear(2, 2))
    with pytest.raises(RuntimeError, match="Linear has one for 'weight' already"):
        nn.utils.weight_norm(layer)


def test_the_older_spectral_norm_reads_its_states():
    layer = nn.utils.spectral_norm(nn.Linear(3, 2))
    new = layer.state_dict()
    old = {
        "bias": new["bias"],
        "weight_orig": dtrain.eye(2, 3) * 4,
        "weight_u": dtrain.tensor([1.0, 0]),
        "weight_v": dtrain.tensor([1.0, 0, 0]),
    }
    layer.eval().load_state_dict(old)
    dtrain.testing.assert_close(layer.weight, dtrain.eye(2, 3))
    nn.utils.remove_spectral_norm(layer)
    assert list(layer.state_dict()) == ["bias", "weight"]
    with pytest.raises(ValueError, match="has none for 'weight'"):
        nn.utils.remove_spectral_norm(layer)


def test_old_names_are_the_functions_of_today():
    init = nn.init
    for name in ("constant", "dirac", "eye", "sparse", "normal", "orthogonal", "uniform",
                 "kaiming_normal", "kaiming_uniform", "xavier_normal", "xavier_uniform"):  # fmt: skip
        assert getattr(init, name) is getattr(init, f"{name}_")
    x = dtrain.ones(2, requires_grad=True)
    (x * 3).sum().backward()
    assert nn.utils.clip_grad_norm(x, 1.0).item() == pytest.approx(18**0.5)
    assert x.grad.norm().item() == pytest.approx(1)


def test_the_algorithm_of_attention_may_be_chosen():
    from dtrain.nn.attention import SDPBackend, sdpa_kernel

    q = dtrain.rand(1, 3, 4)
    expected = nn.functional.scaled_dot_product_attention(q, q, q)
    with sdpa_kernel([SDPBackend.MATH, SDPBackend.FLASH_ATTENTION]), sdpa_kernel(SDPBackend.MATH):
        assert (nn.functional.scaled_dot_product_attention(q, q, q) == expected).all()
    with pytest.raises(TypeError, match="expected an SDPBackend or a list of them, got 'math'"):
        sdpa_kernel("math").__enter__()
