"""NaN in values and gradients: as in PyTorch."""

from __future__ import annotations

import math

import pytest

import dtrain
from dtrain.nn import functional as F

NAN = math.nan


def gradient(function, values):
    x = dtrain.tensor(values, requires_grad=True)
    function(x).sum().backward()
    return x.grad.tolist()


@pytest.mark.parametrize("name", ["max", "min"])
def test_the_gradient_of_an_extreme_goes_to_the_nans(name):
    assert gradient(lambda x: getattr(x, name)(), [1.0, NAN, 3.0]) == [0, 1, 0]
    assert gradient(lambda x: getattr(x, name)(), [NAN, 2.0, NAN, 1.0]) == [0.5, 0, 0.5, 0]
    assert gradient(lambda x: getattr(x, name)(), [2.0, 2.0]) == [0.5, 0.5]


@pytest.mark.parametrize("name", ["amax", "amin"])
def test_amax_and_amin_of_nan_have_no_gradient_but_nan(name):
    assert all(map(math.isnan, gradient(lambda x: getattr(x, name)(), [1.0, NAN, 3.0])))


@pytest.mark.parametrize("name", ["relu6", "hardtanh", "hardshrink", "softshrink"])
def test_nan_passes_an_activation_with_its_gradient(name):
    function = getattr(F, name)
    assert math.isnan(function(dtrain.tensor([NAN])).item())
    expected = [1, 0, 1] if name in ("hardshrink", "softshrink") else [0, 0, 1]
    assert gradient(function, [-9.0, 0.0 if name != "hardtanh" else 2.0, NAN]) == expected


def test_the_largest_norm_of_nan():
    assert math.isnan(dtrain.tensor([1.0, NAN]).norm(math.inf).item())
    assert gradient(lambda x: x.norm(math.inf), [1.0, NAN, -3.0]) == [0, 0, 0]
    assert gradient(lambda x: x.norm(math.inf), [1.0, -3.0, 3.0]) == [0, -0.5, 0.5]
    assert dtrain.tensor([0.0, NAN, 2.0]).norm(0).item() == 2


def test_cdist_of_infinite_order_gives_each_tie_the_whole_gradient():
    x = dtrain.tensor([[1.0, 3.0, -3.0]], requires_grad=True)
    dtrain.cdist(x, dtrain.zeros(1, 3), p=math.inf).backward()
    assert x.grad.tolist() == [[0, 1, -1]]


def test_limits_that_are_tensors_share_the_gradient_as_in_pytorch():
    x = dtrain.tensor([0.0, 5.0, 1.0, 0.0, 2.0], requires_grad=True)
    low = dtrain.tensor([1.0, 1.0, 1.0, 3.0, 2.0], requires_grad=True)
    high = dtrain.tensor([1.0, 2.0, 1.0, 2.0, 4.0], requires_grad=True)
    out = dtrain.clamp(x, low, high)
    assert out.tolist() == [1, 2, 1, 2, 2]
    out.sum().backward()
    assert x.grad.tolist() == [0, 0, 1, 0, 1]
    assert low.grad.tolist() == [0, 0, 0, 0, 0]
    assert high.grad.tolist() == [0, 1, 0, 1, 0]


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_cross_entropy_of_weights_0_is_nan_throughout(label_smoothing):
    x = dtrain.tensor([[0.3, 0.2], [1.0, 2.0]], requires_grad=True)
    weight = dtrain.tensor([1.0, 0.0])
    target = dtrain.tensor([1, 1])
    loss = F.cross_entropy(x, target, weight, label_smoothing=label_smoothing)
    loss.backward()
    assert math.isnan(loss.item())
    assert all(map(math.isnan, x.grad.reshape(-1).tolist()))


def test_nll_loss_of_weights_0_is_nan_at_the_targets():
    x = dtrain.tensor([[0.3, 0.2], [1.0, 2.0]], requires_grad=True)
    loss = F.nll_loss(x, dtrain.tensor([1, 1]), dtrain.tensor([1.0, 0.0]))
    loss.backward()
    assert math.isnan(loss.item())
    assert [[math.isnan(v) for v in row] for row in x.grad.tolist()] == [[False, True]] * 2


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_ignored_targets_have_no_gradient_though_the_loss_is_nan(label_smoothing):
    x = dtrain.tensor([[0.3, 0.2], [1.0, 2.0]], requires_grad=True)
    loss = F.cross_entropy(x, dtrain.tensor([-100, -100]), label_smoothing=label_smoothing)
    loss.backward()
    assert math.isnan(loss.item())
    assert x.grad.tolist() == [[0, 0], [0, 0]]


def test_a_slope_that_is_nan_matters_only_where_it_is_used():
    x = dtrain.tensor([2.0, -1.0], requires_grad=True)
    out = F.prelu(x, dtrain.tensor([NAN]))
    assert [math.isnan(v) for v in out.tolist()] == [False, True]
    out.sum().backward()
    assert [math.isnan(v) for v in x.grad.tolist()] == [False, True]
    assert gradient(lambda x: F.prelu(x, dtrain.tensor([0.25])), [0.0, 1.0]) == [0.25, 1]


def test_nan_has_no_gradient_where_the_limits_or_the_angle_take_it():
    assert gradient(lambda x: x.logit(0.25), [NAN, 0.5, 0.2]) == [0, 4, 0]
    assert gradient(lambda x: x.logit(0.25), [0.25]) == pytest.approx([16 / 3])
    assert gradient(dtrain.angle, [NAN, -2.0, 3.0]) == [0, 0, 0]
    assert math.isnan(dtrain.angle(dtrain.tensor([NAN])).item())


def test_a_slope_by_central_differences_does_not_look_at_its_own_place():
    (slopes,) = dtrain.gradient(dtrain.tensor([1.0, NAN, 5.0, 6.0]))
    assert slopes[1].item() == 2
    assert [math.isnan(v) for v in slopes.tolist()] == [True, False, True, False]


@pytest.mark.parametrize("reduce", ["amax", "amin"])
def test_an_extreme_that_nan_was_scattered_to_has_a_gradient_of_nan(reduce):
    x = dtrain.tensor([1.0, 2.0], requires_grad=True)
    source = dtrain.tensor([NAN, 3.0, 3.0], requires_grad=True)
    index = dtrain.tensor([0, 1, 1])
    x.scatter_reduce(0, index, source, reduce).sum().backward()
    assert math.isnan(x.grad[0].item())
    shares = [0, 0.5, 0.5] if reduce == "amax" else [1, 0, 0]
    assert [x.grad[1].item(), *source.grad[1:].tolist()] == shares


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_nan_in_an_ignored_row_is_not_in_the_loss(label_smoothing):
    x = dtrain.tensor([[NAN, 0.5], [1.0, 2.0]])
    target = dtrain.tensor([-100, 1])
    options = {"label_smoothing": label_smoothing}
    expected = F.cross_entropy(x[1:], target[1:], **options).item()
    assert F.cross_entropy(x, target, **options).item() == pytest.approx(expected)
    assert F.cross_entropy(x, target, reduction="none", **options)[0].item() == 0
    assert F.nll_loss(x, target).item() == -2


def test_a_violation_that_is_nan_or_0_is_no_loss_of_margins():
    x = dtrain.tensor([[0.0, NAN, 1.0], [2.0, 1.0, 0.0]], requires_grad=True)
    loss = F.multi_margin_loss(x, dtrain.tensor([0, 0]), reduction="sum")
    assert loss.item() == pytest.approx(2 / 3)
    loss.backward()
    assert x.grad.reshape(-1).tolist() == pytest.approx([-1 / 3, 0, 1 / 3, 0, 0, 0])


def is_nan(values):
    return [math.isnan(value) for value in values]


@pytest.mark.parametrize("value", [NAN, math.inf])
def test_the_gradient_of_a_product_of_one_element_is_1(value):
    assert gradient(dtrain.prod, value) == 1
    assert gradient(lambda x: x.cumprod(0), [value]) == [1]


def test_the_gradient_of_a_product_of_nan():
    assert is_nan(gradient(dtrain.prod, [NAN, 1.0, 2.0])) == [True] * 3
    beside_zero = gradient(dtrain.prod, [NAN, 0.0, 2.0])  # the product of the others
    assert beside_zero[0] == 0
    assert is_nan(beside_zero) == [False, True, True]
    assert gradient(dtrain.prod, [0.0, NAN, 0.0]) == [0, 0, 0]
    assert is_nan(gradient(lambda x: x.prod(0), [0.0, NAN, 0.0])) == [True, False, True]
    assert gradient(dtrain.prod, [[math.inf, 0.0]])[0][1] == math.inf


def test_running_products_stop_at_the_second_zero():
    assert gradient(lambda x: x.cumprod(0), [0.0, 0.0, NAN]) == [1, 0, 0]
    first, second, third = gradient(lambda x: x.cumprod(0), [2.0, -math.inf, 0.0])
    assert (first, third) == (-math.inf, -math.inf)
    assert math.isnan(second)


def test_the_second_derivative_of_a_product_with_two_zeros():
    x = dtrain.tensor([0.0, 3.0, 0.0], requires_grad=True)
    (first,) = dtrain.autograd.grad(x.prod(), x, create_graph=True)
    (second,) = dtrain.autograd.grad(first[0], x)
    assert second.tolist() == [0, 0, 3]


def test_a_mean_of_nothing_but_nan_has_a_gradient_of_nan():
    assert is_nan(gradient(dtrain.nanmean, [NAN, NAN])) == [True, True]
    assert gradient(dtrain.nanmean, [NAN, 1.0, 3.0]) == [0, 0.5, 0.5]
    assert gradient(dtrain.nansum, [NAN, 1.0]) == [0, 1]


def test_an_interpolation_begins_at_the_nearer_end():
    low, high = dtrain.tensor([-math.inf, 1.0]), dtrain.tensor([2.0, math.inf])
    assert dtrain.lerp(low, high, 0.5)[0].item() == -math.inf
    assert dtrain.lerp(low, high, dtrain.tensor([0.75, 0.25])).tolist() == [-math.inf, math.inf]
    x = dtrain.tensor([-math.inf, 1.0, 2.0, 3.0])
    assert x.quantile(0.3, interpolation="midpoint").item() == -math.inf
    assert x.quantile(0.2).item() == -math.inf


def test_norms_that_are_nan_scale_nothing():
    x = [[NAN, 1.0], [3.0, 4.0]]
    out = dtrain.renorm(dtrain.tensor(x), 2, 0, 5.5)
    assert out[0, 1].item() == 1
    assert gradient(lambda x: dtrain.renorm(x, 2, 0, 5.5), x) == [[1, 1], [1, 1]]


@pytest.mark.parametrize("name", ["i1", "i1e"])
def test_the_slope_of_bessel_functions_at_nan_is_that_at_0(name):
    assert gradient(getattr(dtrain.special, name), [NAN, 0.0]) == [0.5, 0.5]


def test_nan_comes_last_in_searches():
    row = dtrain.tensor([1.0, 2.0, NAN])
    values = dtrain.tensor([0.0, 1.0, 5.0, NAN])
    for rows, columns in ((row, values), (row.expand(2, 3), values.expand(2, 4))):
        for right, expected in ((False, [0, 0, 3, 3]), (True, [0, 1, 3, 3])):
            found = dtrain.searchsorted(rows, columns, right=right)
            assert found.reshape(-1, 4)[0].tolist() == expected
    assert dtrain.bucketize(NAN, dtrain.tensor([1.0, 2.0])).item() == 2
    assert dtrain.bucketize(5.0, row).item() == 3


def test_norms_of_differences_that_are_nan():
    y = dtrain.zeros(1, 2)

    def apart(x, p):
        return dtrain.cdist(dtrain.tensor([x]), y, p).item()

    def slope(x, p):
        return gradient(lambda x: dtrain.cdist(x, y, p), [x])[0]

    assert math.isnan(apart([NAN, 2.0], 0))
    assert slope([NAN, 2.0], 0) == [0, 0]
    assert is_nan(slope([NAN, 2.0], 1)) == [True, False]
    assert apart([NAN, 2.0], math.inf) == 2
    assert is_nan(slope([NAN, 2.0], math.inf)) == [True, False]
    assert is_nan(slope([math.inf, 2.0], math.inf)) == [True, False]
    pairs = dtrain.tensor([[NAN, 2.0], [0.0, 0.0]])
    assert math.isnan(F.pdist(pairs, math.inf).item())


@pytest.mark.parametrize("dtype", [dtrain.float32, dtrain.float16, dtrain.bfloat16], ids=str)
def test_the_first_of_the_largest_rows_of_a_bag_has_the_gradient(dtype):
    weight = dtrain.tensor([[1.0, NAN], [1.0, 2.0], [NAN, 2.0]], dtype=dtype, requires_grad=True)
    bags, offsets = dtrain.tensor([0, 1, 2, 1, 0]), dtrain.tensor([0, 3, 3])
    out = F.embedding_bag(bags, weight, offsets, mode="max")
    assert out[1].tolist() == [0, 0]
    assert out[::2, 0].tolist() == [1, 1]
    assert is_nan(out[:, 1].tolist()) == [True, False, False]  # it is in the first row of the bag
    out.sum().backward()
    assert weight.grad.tolist() == [[1, 1], [1, 1], [0, 0]]


def test_bags_without_rows_are_0():
    weight = dtrain.ones(3, 2, requires_grad=True)
    none = dtrain.zeros(0, dtype=dtrain.int64)
    out = F.embedding_bag(none, weight, dtrain.zeros(2, dtype=dtrain.int64), mode="max")
    out.sum().backward()
    assert out.tolist() == weight.grad.new_zeros(2, 2).tolist()
    assert weight.grad.tolist() == [[0, 0]] * 3


def test_attention_adds_its_mask_so_that_nan_is_not_hidden():
    query, key, value = dtrain.ones(3, 2), dtrain.ones(3, 2), dtrain.ones(3, 2)
    key[2, 0] = NAN
    seen = dtrain.tensor([[True, True, False], [False] * 3, [True, False, True]])
    options = [{"attn_mask": seen}, {"attn_mask": dtrain.where(seen, 0.0, -math.inf)}]
    for masked in options:
        out = F.scaled_dot_product_attention(query, key, value, **masked)
        assert bool(out.isnan().all())
    # A causal softmax does not look at later keys, as PyTorch's kernel for attention does not.
    out = F.scaled_dot_product_attention(query, key, value, is_causal=True)
    assert out.isnan().all(-1).tolist() == [False, False, True]


def test_a_query_without_keys_gives_0_times_the_values():
    key, nothing = dtrain.ones(2, 3), dtrain.zeros(1, 2, dtype=dtrain.bool)
    out = F.scaled_dot_product_attention(key[:1], key, dtrain.tensor([[1.0, NAN], [2, 3]]), nothing)
    assert is_nan(out[0].tolist()) == [False, True]
    assert out[0, 0].item() == 0
    out = F.scaled_dot_product_attention(key[:1] * NAN, key, key, nothing)
    assert bool(out.isnan().all())


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_pixels_of_weight_0_are_in_an_interpolation(mode):
    image = dtrain.tensor([[[[1.0, NAN], [1.0, 1.0]]]])
    out = F.interpolate(image, size=(3, 3), mode=mode, align_corners=True)
    assert bool(out[0, 0, 0].isnan().all())


def test_elements_outside_of_a_window_are_not_in_its_mean():
    pooled = F.adaptive_avg_pool1d(dtrain.tensor([[1.0, 2.0, 3.0, NAN]]), 3)  # windows of 2, 2, 2
    assert is_nan(pooled[0].tolist()) == [False, False, True]
    pooled = F.adaptive_avg_pool1d(dtrain.tensor([[1.0, math.inf, 1.0, 1.0, 1.0]]), 3)  # 2, 3, 2
    assert pooled[0].tolist() == [math.inf, math.inf, 1]


def test_the_last_nan_of_a_window_is_its_maximum():
    rows = [[NAN, NAN, 1.0, NAN], [2.0, 2.0, -math.inf, -math.inf]]
    expected = [[0, 1, 0, 1], [1, 0, 1, 0]]  # of equal ones the first
    for pool in (F.max_pool1d, lambda x, n: F.adaptive_max_pool1d(x, n)):
        assert gradient(lambda x, pool=pool: pool(x, 2), rows) == expected
    for repeated in (lambda x: x.reshape(1, 2, 1, 4), lambda x: x.reshape(1, 2, 1, 1, 4)):
        whole = repeated(dtrain.tensor(rows))
        pools = [F.max_pool2d, F.max_pool3d][whole.ndim - 4]
        kernel = (1,) * (whole.ndim - 3) + (2,)
        out, places = pools(whole, kernel, return_indices=True)
        assert places.reshape(-1).tolist() == [1, 3, 0, 2]
        assert is_nan(out.reshape(-1).tolist()) == [True, True, False, False]
        assert gradient(lambda x, f=repeated, p=pools, k=kernel: p(f(x), k), rows) == expected
    _, places = F.max_pool1d(  # what is outside of the row is in no window
        dtrain.tensor([[NAN, NAN, 1.0]]), 3, 1, padding=1, return_indices=True
    )
    assert places.tolist() == [[1, 1, 1]]
    image = dtrain.full((1, 4, 4), NAN)
    samples = dtrain.full((1, 1, 2), 0.5)
    _, places = F.fractional_max_pool2d(
        image, 2, output_size=2, return_indices=True, _random_samples=samples
    )
    assert places.reshape(-1).tolist() == [5, 7, 13, 15]


def test_a_relu_of_nan_in_a_recurrent_layer_has_the_gradient_of_nan():
    layer = dtrain.nn.RNN(1, 2, nonlinearity="relu")
    with dtrain.no_grad():
        for p in layer.parameters():
            p.fill_(0.5)
    for value, expected in ((NAN, 3), (1.0, 3), (-9.0, 0)):
        layer.zero_grad()
        out, _ = layer(dtrain.tensor([[value], [value]]))
        out.sum().backward()  # 1 for the second step; 1 and two times 0.5 for the first
        assert layer.bias_ih_l0.grad.tolist() == [expected] * 2


def test_images_are_sampled_at_positions_that_are_not_finite():
    image = dtrain.arange(1.0, 7).reshape(1, 1, 2, 3).requires_grad_()
    grid = dtrain.tensor([[[[NAN, 1.0], [math.inf, 0.9]]]], requires_grad=True)
    for mode, padding, expected in (
        ("bilinear", "border", [4, 6]),
        ("bilinear", "reflection", [4, 4]),
        ("bilinear", "zeros", [NAN, NAN]),
        ("nearest", "border", [4, 6]),
        ("nearest", "zeros", [0, 0]),
        ("bicubic", "border", [NAN, NAN]),
    ):
        out = F.grid_sample(image, grid, mode, padding, align_corners=True)
        assert out.reshape(-1).tolist() == pytest.approx(expected, nan_ok=True, abs=0.16)
    F.grid_sample(image, grid, "bilinear", "border", align_corners=True).sum().backward()
    assert grid.grad[..., 0].tolist() == [[[0, 0]]]
    grid.grad = None
    F.grid_sample(image, grid, "nearest", align_corners=True).sum().backward()
    assert grid.grad.tolist() == [[[[0, 0], [0, 0]]]]
    assert image.grad.sum().item() == pytest.approx(2)
    volume, places = image.detach()[:, :, None], dtrain.zeros(1, 1, 1, 2, 3)
    places[..., 0, 0], places[..., 1, 1] = NAN, math.inf
    assert F.grid_sample(volume, places, align_corners=True).tolist() == [[[[[0, 0]]]]]
    out = F.grid_sample(volume, places, padding_mode="border", align_corners=True)
    assert out.tolist() == [[[[[2.5, 5]]]]]


@pytest.mark.parametrize(("reduce", "value"), [("amin", math.inf), ("amax", -math.inf)])
def test_a_place_that_is_not_reduced_has_no_share_in_the_gradient(reduce, value):
    x = dtrain.tensor([1.0, 2.0, 3.0], requires_grad=True)
    source = dtrain.tensor([value, value, 5.0], requires_grad=True)
    index = dtrain.tensor([0, 0, 2])
    out = x.scatter_reduce(0, index, source, reduce, include_self=False)
    assert out.tolist() == [value, 2, 5]
    out.sum().backward()
    assert source.grad.tolist() == [0.5, 0.5, 1]
    assert x.grad.tolist() == [0, 1, 0]


@pytest.mark.parametrize("inner", [1, 3])
def test_nan_does_not_reach_the_gradient_of_a_norm_by_running_statistics(inner):
    x = dtrain.ones(2, 2, inner)
    x[0, 0, 0], x[1, 1, 0] = NAN, math.inf
    x.requires_grad_()
    weight = dtrain.tensor([2.0, -3.0], requires_grad=True)
    var = dtrain.tensor([3.0, 8.0])
    for norm in (F.batch_norm, lambda *a, **k: F.instance_norm(*a, use_input_stats=False, **k)):
        norm(x, dtrain.zeros(2), var, weight, eps=1.0).sum().backward()
        assert x.grad[0, :, 0].tolist() == [1, -1]
        assert bool((x.grad[:, 1] == -1).all())
        assert bool((x.grad[:, 0] == 1).all())
        assert weight.grad.isfinite().tolist() == [False, False]
        x.grad = None


@pytest.mark.parametrize("zero_infinity", [False, True])
def test_ctc_loss_of_nan_is_nan_and_no_missing_alignment(zero_infinity):
    x = dtrain.zeros(3, 2, 3)
    x[1, 0, 0] = NAN
    x.requires_grad_()
    lengths = dtrain.tensor([3, 1]), dtrain.tensor([1, 2])  # the second has no alignment
    targets = dtrain.tensor([[1, 0], [1, 2]])
    losses = F.ctc_loss(x, targets, *lengths, reduction="none", zero_infinity=zero_infinity)
    assert math.isnan(losses[0].item())
    assert losses[1].item() == (0 if zero_infinity else math.inf)
    losses.sum().backward()
    assert bool(x.grad[:, 0, :2].isnan().all())
    assert bool((x.grad[:, 1] == 0).all()) == zero_infinity


def test_logits_that_are_infinite_have_the_loss_of_their_limit():
    x = dtrain.tensor([math.inf, -80.0, 80.0], requires_grad=True)
    target = dtrain.tensor([0, 0, 1])
    losses = F.binary_cross_entropy_with_logits(x, target, reduction="none")
    assert losses.dtype == dtrain.float32
    assert losses.tolist() == pytest.approx([math.inf, math.exp(-80), math.exp(-80)])
    losses.sum().backward()
    assert x.grad.tolist() == pytest.approx([1, math.exp(-80), 0])


def test_an_infinite_variance_has_an_infinite_loss():
    x = dtrain.tensor([1.0], requires_grad=True)
    loss = F.gaussian_nll_loss(x, dtrain.tensor([0.0]), dtrain.tensor([math.inf]))
    loss.backward()
    assert (loss.item(), x.grad.item()) == (math.inf, 0)


@pytest.mark.parametrize(
    ("name", "values"),
    [("input", ([NAN], [1.0])), ("target", ([0.5], [NAN])), ("target", ([0.5], [1.5]))],
)
def test_what_is_no_probability_is_refused(name, values):
    with pytest.raises(RuntimeError, match=f"expected probabilities between 0 and 1 as {name}"):
        F.binary_cross_entropy(*map(dtrain.tensor, values))


@pytest.mark.parametrize("value", [NAN, math.inf])
def test_factorizations_of_what_is_not_finite_are_refused(value):
    x = dtrain.eye(3)
    x[1, 1] = value  # LAPACK does not return from some of these
    for name in ("svd", "svdvals", "eigh"):
        with pytest.raises(dtrain.linalg.LinAlgError, match="has NaN or infinity"):
            getattr(dtrain.linalg, name)(x)
    with pytest.raises(dtrain.linalg.LinAlgError, match="not positive definite"):
        dtrain.linalg.cholesky(x)
    assert dtrain.linalg.cholesky_ex(x).info.item() == 2
    with pytest.raises(RuntimeError, match="histc: expected a finite range"):
        dtrain.histc(x)


def test_matrices_beside_one_that_is_not_finite():
    x = dtrain.stack([dtrain.eye(3), 2 * dtrain.eye(3)])
    x[0, 0, 1] = math.inf
    x.requires_grad_()
    for function in (dtrain.det, dtrain.linalg.matrix_exp):
        (slope,) = dtrain.autograd.grad(function(x).sum(), x)
        assert bool(slope[0].isnan().all())
        assert bool(slope[1].isfinite().all())
    assert bool(dtrain.linalg.matrix_exp(x)[0].isnan().all())
    assert dtrain.linalg.matrix_exp(x)[1, 0, 0].item() == pytest.approx(math.exp(2))


def test_nan_is_throughout_the_solutions_of_its_matrix_alone():
    x = dtrain.stack([dtrain.eye(3), 2 * dtrain.eye(3)])
    x[0, 0, 0] = NAN  # where elimination would begin, and does not
    x.requires_grad_()
    for out in (dtrain.linalg.inv(x), dtrain.linalg.solve(x, dtrain.ones(3, 2))):
        assert bool(out[0].isnan().all())
        assert out[1, 0, 0].item() == 0.5
        (slope,) = dtrain.autograd.grad(out.sum(), x)
        assert bool(slope[0].isnan().all())
        assert bool(slope[1].isfinite().all())
    sign, size = dtrain.linalg.slogdet(x)
    assert sign.tolist() == [0, 1]
    assert size.isnan().tolist() == [True, False]
    (slope,) = dtrain.autograd.grad(size.sum(), x)
    assert bool(slope[0].isnan().all())
    assert slope[1].tolist() == [[0.5, 0, 0], [0, 0.5, 0], [0, 0, 0.5]]


def test_singular_matrices_have_no_finite_inverse():
    x = dtrain.stack([dtrain.zeros(2, 2), 2 * dtrain.eye(2)]).requires_grad_()
    for right in (dtrain.ones(2, 2), dtrain.ones(2, 2, 3)):
        for out in (dtrain.linalg.inv_ex(x), dtrain.linalg.solve_ex(x, right)):
            assert out.info.tolist() == [1, 0]
            assert bool(out[0][0].isnan().all())
            assert out[0][1].reshape(-1)[0].item() == 0.5
    sign, size = dtrain.linalg.slogdet(x)
    assert (sign.tolist(), size[0].item()) == ([0, 1], -math.inf)
    (slope,) = dtrain.autograd.grad(size.sum(), x)
    assert bool(slope[0].isnan().all())
    assert slope[1].tolist() == [[0.5, 0], [0, 0.5]]


@pytest.mark.parametrize("copies", [1, 9])  # many small matrices are solved row by row
def test_a_triangular_solve_reads_one_triangle_and_divides_by_zeros(copies):
    x = dtrain.tensor([[2.0, NAN, NAN], [1, 0, NAN], [3, 1, 4]]).repeat(copies, 1, 1)
    right = dtrain.tensor([[4.0, 0], [8, 0], [1, math.inf]])
    for a, upper in ((x, False), (x.flip(-2, -1), True)):
        y = right.flip(0) if upper else right
        out = dtrain.linalg.solve_triangular(a, y, upper=upper)
        expected = dtrain.tensor([[2.0, 0], [math.inf, NAN], [-math.inf, NAN]])
        for one in out.flip(-2) if upper else out:
            assert str(one.tolist()) == str(expected.tolist())  # NaN is not equal to NaN
        out = dtrain.linalg.solve_triangular(a, y, upper=upper, unitriangular=True)
        for one in out.flip(-2) if upper else out:
            assert one.tolist() == [[4, 0], [4, 0], [-15, math.inf]]
    x.requires_grad_()
    out = dtrain.linalg.solve_triangular(x, right[:, :1], upper=False, unitriangular=True)
    (out * dtrain.tensor([[1.0], [2], [1]])).sum().backward()
    for slope in x.grad:
        assert slope.tolist() == [[0, 0, 0], [-4, 0, 0], [-4, -4, 0]]


def test_solutions_by_singular_factors_are_not_finite():
    factor = dtrain.tensor([[1.0, 0], [1, 0]])
    assert not bool(dtrain.cholesky_solve(dtrain.ones(2, 1), factor).isfinite().any())
    lu, pivots, info = dtrain.linalg.lu_factor_ex(dtrain.tensor([[1.0, 1], [1, 1]]))
    assert info.item() == 2
    assert not bool(
        dtrain.linalg.lu_solve(lu, pivots, dtrain.tensor([[1.0], [2]])).isfinite().any()
    )


@pytest.mark.parametrize("value", [NAN, -math.inf])
def test_qr_is_nan_from_the_column_on_that_is_not_finite(value):
    sound = dtrain.tensor([[3.0, 1, 2], [1, 4, 1], [2, 0, 5], [1, 1, 1]])
    x = dtrain.stack([sound, sound])
    x[0, 3, 1] = value  # LAPACK's norms pass over some of these
    for mode, columns in (("reduced", 3), ("complete", 4)):
        q, r = dtrain.linalg.qr(x, mode)
        assert q[0].isnan().tolist() == [[False] + [True] * (columns - 1)] * 4
        assert r[0].isfinite().tolist()[:3] == [[1, 0, 1], [1, 0, 0], [1, 1, 0]]
        assert r[0].tril(-1).count_nonzero().item() == 0
        assert dtrain.allclose(q[1] @ r[1], sound, atol=1e-5)
        assert q[0, :, 0].tolist() == q[1, :, 0].tolist()
    q, r = dtrain.linalg.qr(x[:, 2:])  # (2, 3): the last row has no reflection
    assert bool(q.isfinite().all())
    assert r[0].isfinite().tolist() == [[1, 0, 1], [1, 0, 1]]


def test_a_target_of_0_has_pytorchs_gradient_in_the_full_poisson_loss():
    assert is_nan(gradient(lambda y: F.poisson_nll_loss(y * 0, y, full=True), [0.0, 1, 2])) == [
        1,
        0,
        0,
    ]
    assert F.poisson_nll_loss(dtrain.zeros(1), dtrain.zeros(1), full=True).item() == 1


def test_a_mean_square_that_overflows_makes_no_step_of_centered_rmsprop():
    weight = dtrain.nn.Parameter(dtrain.ones(4))
    optimizer = dtrain.optim.RMSprop([weight], centered=True, momentum=0.5)
    weight.grad = dtrain.tensor([1e30, -3e38, 0, math.inf])
    optimizer.step()
    assert weight.tolist()[:3] == [1, 1, 1]
    assert is_nan(weight.tolist()) == [0, 0, 0, 1]
