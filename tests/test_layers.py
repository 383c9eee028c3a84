"""Layers: what they keep, what training changes, what they refuse."""

import pytest

import dtrain
from dtrain import nn
from dtrain.nn import functional as F

# --- dropout ---


def test_dropout_zeroes_its_share_and_scales_the_rest():
    out = nn.Dropout(0.25)(dtrain.ones(100, 100))
    assert sorted(set(out.flatten().tolist())) == pytest.approx([0, 4 / 3])
    assert (out == 0).float().mean().item() == pytest.approx(0.25, abs=0.02)


def test_dropout_draws_anew_and_again_from_one_seed():
    layer, x = nn.Dropout(0.5), dtrain.ones(64)
    first, second = layer(x).tolist(), layer(x).tolist()
    assert first != second
    dtrain.manual_seed(0)
    assert [layer(x).tolist(), layer(x).tolist()] == [first, second]


def test_dropout_passes_the_gradient_where_it_passed_the_value():
    x = dtrain.ones(50, requires_grad=True)
    out = F.dropout(x, 0.5)
    out.sum().backward()
    assert x.grad.tolist() == out.tolist()


def test_dropout_is_the_input_itself_in_eval_mode():
    x = dtrain.ones(3)
    assert nn.Dropout(0.5).eval()(x) is x


@pytest.mark.parametrize("p", [-0.1, 1.1])
def test_dropout_refuses_what_is_no_probability(p):
    with pytest.raises(ValueError, match=f"between 0 and 1, got {p}"):
        nn.Dropout(p)


# --- normalization ---


def test_batch_norm_folds_running_statistics_in_training_only():
    layer = nn.BatchNorm1d(2, momentum=0.5)
    x = dtrain.tensor([[0.0, 1.0], [2.0, 5.0]])
    layer(x)
    assert layer.running_mean.tolist() == [0.5, 1.5]
    assert layer.running_var.tolist() == [0.5 + 0.5 * 2, 0.5 + 0.5 * 8]
    assert layer.num_batches_tracked.item() == 1
    layer.eval()
    before = {name: t.tolist() for name, t in layer.state_dict().items()}
    layer(x)
    assert {name: t.tolist() for name, t in layer.state_dict().items()} == before


def test_batch_norm_of_training_has_mean_zero_and_variance_one():
    out = nn.BatchNorm2d(3)(dtrain.randn(8, 3, 5, 5) * 4 + 7)
    assert out.mean((0, 2, 3)).abs().max().item() < 1e-5
    assert out.var((0, 2, 3), correction=0).tolist() == pytest.approx([1] * 3, abs=1e-4)


def test_batch_norm_refuses_one_value_a_channel():
    with pytest.raises(ValueError, match="Expected more than 1 value per channel when training"):
        nn.BatchNorm1d(3)(dtrain.ones(1, 3))
    assert nn.BatchNorm1d(3).eval()(dtrain.ones(1, 3)).shape == (1, 3)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.BatchNorm1d(3), (2, 4)),
        (nn.BatchNorm1d(3), (2, 3, 4, 4)),
        (nn.BatchNorm2d(3), (2, 3)),
        (nn.BatchNorm2d(3), (2, 4, 3, 3)),
    ],
    ids=str,
)
def test_batch_norm_refuses_other_shapes(layer, shape):
    with pytest.raises(ValueError, match="with 3 channels"):
        layer(dtrain.ones(shape))


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lambda: nn.BatchNorm3d(3), (4, 3, 2, 2, 2)),
        (lambda: nn.InstanceNorm1d(3, track_running_stats=True), (4, 3, 5)),
    ],
    ids=["BatchNorm3d", "InstanceNorm1d"],
)
def test_deferred_statistics_are_applied_in_another_order(make, shape):
    at_once, later = make(), make()
    later.pending_updates = []
    inputs = [dtrain.randn(shape), dtrain.randn(shape)]
    for x in inputs:
        at_once(x)
    for x in reversed(inputs):
        later(x)
    assert later.running_mean.tolist() == [0, 0, 0]
    for update in reversed(later.pending_updates):
        later.apply_update(update)
    for name, value in at_once.state_dict().items():
        assert later.state_dict()[name].equal(value)


def test_layer_norm_does_not_look_at_other_rows():
    layer = nn.LayerNorm(4)
    x = dtrain.randn(5, 4)
    assert layer(x)[2].tolist() == layer(x[2:3])[0].tolist()


# --- the rest ---


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.Conv2d(4, 6, 3, groups=3), "divisible by groups=3"),
        (lambda: nn.Embedding(3, 2, padding_idx=3), "padding_idx=3 is no row of 3"),
        (lambda: nn.GELU("fast")(dtrain.ones(1)), "'none' or 'tanh', got 'fast'"),
        (lambda: nn.MSELoss(reduction="all")(dtrain.ones(1), dtrain.ones(1)), "got 'all'"),
        (lambda: nn.Conv2d(1, 1, 3, stride=2, padding="same"), "padding='same' needs stride 1"),
        (lambda: nn.Conv2d(1, 1, 3, padding="full"), "'same' or 'valid', got 'full'"),
        (lambda: nn.Conv2d(1, 1, 3, padding_mode="edge"), "expected padding_mode in"),
        (
            lambda: nn.ConvTranspose2d(1, 1, 3, padding_mode="reflect"),
            r"expected padding_mode in \('zeros',\)",
        ),
        (
            lambda: nn.ConvTranspose2d(1, 1, 3, 2)(dtrain.ones(1, 1, 4, 4), (11, 9)),
            r"expected an output_size from \[9, 9\] to \[10, 10\]",
        ),
        (lambda: nn.CircularPad1d(1)(dtrain.ones(3)), "expected an input of 2 or 3 dimensions"),
        (lambda: nn.FractionalMaxPool2d(2), "an output_size or an output_ratio, one of both"),
        (lambda: nn.FractionalMaxPool2d(2, output_ratio=1.5), "between 0 and 1"),
        (
            lambda: nn.MaxUnpool1d(2)(dtrain.ones(1, 3), dtrain.tensor([[0, 2, 4]]), (9,)),
            "differs from",
        ),
        (
            lambda: nn.ConvTranspose2d(1, 1, 3, 2)(dtrain.ones(1, 1, 4, 4), (9,)),
            "output_size of 2 or 4 numbers",
        ),
        (lambda: nn.init.xavier_uniform_(dtrain.ones(3)), "at least 2 dimensions"),
        (lambda: nn.init.calculate_gain("swish"), "expected one of"),
        (lambda: nn.init.kaiming_normal_(dtrain.ones(3, 3), mode="fan"), "'fan_in' or 'fan_out'"),
    ],
)
def test_wrong_options_are_refused(make, message):
    with pytest.raises((ValueError, RuntimeError), match=message):
        make()


def test_options_have_a_number_for_each_axis():
    with pytest.raises(RuntimeError, match="kernel_size: expected an int or 2, got"):
        nn.Conv2d(1, 1, (3, 3, 3))
    with pytest.raises(TypeError, match=r"stride: expected an int or 1, got 1\.5"):
        nn.Conv1d(1, 1, 3, stride=1.5)


def test_a_transposed_convolution_gives_the_size_that_is_asked_for():
    layer = nn.ConvTranspose2d(1, 1, 3, stride=2, padding=1)
    assert layer(dtrain.ones(1, 1, 4, 4), output_size=(8, 7)).shape == (1, 1, 8, 7)
    assert layer(dtrain.ones(1, 4, 4), output_size=(1, 7, 8)).shape == (1, 7, 8)


def test_layers_are_made_in_a_dtype():
    for layer in (
        nn.Linear(2, 2, dtype=dtrain.float64),
        nn.Conv2d(1, 1, 1, dtype=dtrain.float64),
        nn.BatchNorm1d(2, dtype=dtrain.float64),
        nn.LayerNorm(2, dtype=dtrain.float64),
        nn.Embedding(2, 2, dtype=dtrain.float64),
    ):
        assert {p.dtype for p in layer.parameters()} == {dtrain.float64}


def test_initial_values_depend_on_the_seed_alone():
    def made():
        dtrain.manual_seed(5)
        return [p.tolist() for p in nn.Sequential(nn.Linear(3, 3), nn.Conv2d(1, 2, 3)).parameters()]

    assert made() == made()


def test_initializers_write_in_place_into_parameters():
    layer = nn.Linear(2, 2)
    assert nn.init.ones_(layer.weight) is layer.weight
    assert layer.weight.tolist() == [[1, 1], [1, 1]]
    assert layer.weight.requires_grad
    assert layer.weight.is_leaf


@pytest.mark.parametrize("padding_idx", [1, -4])
def test_the_padding_row_stays_zero(padding_idx):
    layer = nn.Embedding(5, 2, padding_idx=padding_idx)
    assert layer.padding_idx == 1
    layer(dtrain.tensor([[0, 1], [1, 2]])).sum().backward()
    assert layer.weight[1].tolist() == layer.weight.grad[1].tolist() == [0, 0]
    assert layer.weight.grad[0].tolist() == [1, 1]


def test_attention_is_not_masked_and_causal_at_once():
    q = dtrain.ones(1, 2, 2)
    with pytest.raises(RuntimeError, match="not both"):
        F.scaled_dot_product_attention(q, q, q, dtrain.ones(2, 2), is_causal=True)


def test_causal_attention_does_not_see_what_comes_later():
    q, k, v = (dtrain.randn(1, 4, 3) for _ in range(3))
    before = F.scaled_dot_product_attention(q, k, v, is_causal=True)[0, :3].tolist()
    k[0, 3], v[0, 3] = 100.0, 100.0
    assert F.scaled_dot_product_attention(q, k, v, is_causal=True)[0, :3].tolist() == before


@pytest.mark.parametrize("keys", [300, 200, 450])
def test_long_causal_attention_is_that_with_a_mask(keys):
    queries = 300  # several blocks, the last of them shorter
    shapes = (2, queries, 3), (2, keys, 3), (2, keys, 4)
    inputs = [dtrain.randn(*shape, dtype=dtrain.float64).requires_grad_() for shape in shapes]
    mask = dtrain.ones(queries, keys).tril() > 0
    values = []
    for how in ({"is_causal": True}, {"attn_mask": mask}):
        out = F.scaled_dot_product_attention(*inputs, **how)
        first = dtrain.autograd.grad(out.square().sum(), inputs, create_graph=True)
        second = dtrain.autograd.grad(sum(x.square().sum() for x in first), inputs)
        values.append([x.tolist() for x in (out, *first, *second)])
    assert all(
        dtrain.allclose(dtrain.tensor(x), dtrain.tensor(y), 1e-9, 1e-9) for x, y in zip(*values)
    )


def test_converted_batch_norm_shares_parameters_and_statistics():
    model = nn.Sequential(nn.Linear(2, 3), nn.Sequential(nn.BatchNorm1d(3))).eval()
    before = model[1][0]
    converted = nn.SyncBatchNorm.convert_sync_batchnorm(model)
    after = model[1][0]
    assert converted is model
    assert type(after) is nn.SyncBatchNorm
    assert after.weight is before.weight
    assert after.running_var is before.running_var
    assert not after.training


def test_sync_batch_norm_has_no_groups_of_ranks():
    with pytest.raises(ValueError, match="SyncBatchNorm: expected process_group=None"):
        nn.SyncBatchNorm(3, process_group=[0, 1])
