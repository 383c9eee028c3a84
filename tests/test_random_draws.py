"""Draws from distributions: their moments, their dtypes, and what they refuse."""

import contextlib
import inspect
import math

import numpy as np
import pytest

import dtrain

COUNT = 100_000


def drawn(name, *args, dtype=dtrain.float32, **kwargs):
    return getattr(dtrain.zeros(COUNT, dtype=dtype), name)(*args, **kwargs)


@pytest.mark.parametrize(
    ("name", "args", "mean", "median"),
    [
        ("uniform_", (2, 4), 3, 3),
        ("normal_", (1, 2), 1, 1),
        ("bernoulli_", (0.25,), 0.25, 0),
        ("exponential_", (2.0,), 0.5, math.log(2) / 2),
        ("geometric_", (0.25,), 4, 3),
        ("cauchy_", (3.0, 0.5), None, 3),
        ("log_normal_", (0.0, 0.5), math.exp(0.125), 1),
        ("random_", (2, 7), 4, 4),
    ],
)
def test_draws_in_place_have_the_moments_of_their_distribution(name, args, mean, median):
    x = drawn(name, *args)
    assert x.median().item() == pytest.approx(median, abs=0.02)
    if mean is not None:
        assert x.mean().item() == pytest.approx(mean, rel=0.02)
    assert bool(x.isfinite().all())


@pytest.mark.parametrize("replacement", [True, False])
def test_places_are_drawn_in_proportion_to_their_weights(replacement):
    weights = dtrain.tensor([1.0, 0.0, 3.0, 6.0])
    rows = dtrain.multinomial(weights.expand(COUNT, 4), 1, replacement)
    share = dtrain.bincount(rows.reshape(-1), minlength=4) / COUNT
    assert share.tolist() == pytest.approx([0.1, 0, 0.3, 0.6], abs=0.01)


def test_without_replacement_no_place_is_drawn_twice():
    rows = dtrain.multinomial(dtrain.rand(1000, 5) + 0.1, 5)
    assert bool((rows.sort(1).values == dtrain.arange(5)).all())


def test_normal_takes_means_and_deviations_that_broadcast():
    x = dtrain.normal(dtrain.tensor([[0.0], [100.0]]), dtrain.full((COUNT,), 2.0))
    assert x.mean(1).tolist() == pytest.approx([0, 100], abs=0.05)
    assert x.std(1).tolist() == pytest.approx([2, 2], rel=0.02)


def test_bernoulli_takes_a_chance_for_each():
    x = dtrain.bernoulli(dtrain.tensor([[0.1], [0.9]], dtype=dtrain.float64).expand(2, COUNT))
    assert x.mean(1).tolist() == pytest.approx([0.1, 0.9], abs=0.01)
    assert x.dtype == dtrain.float64


def test_integers_fill_the_range_of_their_dtype():
    x = drawn("random_", dtype=dtrain.uint8)
    assert (x.min().item(), x.max().item()) == (0, 255)
    assert drawn("random_", 2, dtype=dtrain.bool).sum().item() == pytest.approx(COUNT / 2, rel=0.02)


@pytest.mark.parametrize("low", [0, 3])
def test_randint_like_has_the_shape_and_dtype_of_the_other(low):
    x = dtrain.randint_like(dtrain.zeros(3, 4), low, 5)
    assert (x.shape, x.dtype) == ((3, 4), dtrain.float32)
    assert low <= x.min().item() <= x.max().item() < 5


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda x: x.normal_(0, -1), "std >= 0"),
        (lambda x: x.uniform_(1, 0), "from <= to"),
        (lambda x: x.exponential_(0), "lambd > 0"),
        (lambda x: x.geometric_(1.5), r"p in \(0, 1\)"),
        (lambda x: x.bernoulli_(2), r"p in \[0, 1\]"),
        (lambda x: x.random_(5, 5), "low < high"),
        (lambda x: x.long().normal_(), "floating dtype"),
        (lambda x: dtrain.bernoulli(x + 2), r"probabilities in \[0, 1\]"),
        (lambda x: dtrain.multinomial(x, 1), "positive sum"),
        (lambda x: dtrain.multinomial(x - 1, 1), "at least 0"),
        (lambda x: dtrain.multinomial(x + 1, 4), "at most 3 samples"),
    ],
)
def test_what_is_no_distribution_is_refused(draw, message):
    with pytest.raises(RuntimeError, match=message):
        draw(dtrain.zeros(3))


@pytest.mark.parametrize("make", [dtrain.rand, dtrain.randn, dtrain.randperm, dtrain.hann_window])
def test_unknown_options_are_refused_by_name(make):
    with pytest.raises(TypeError, match=rf"{make.__name__}: .*unexpected.*\['dtpye'\]"):
        make(2, dtpye=dtrain.float64)


def test_options_are_keywords_alone():
    signature = inspect.signature(dtrain.randint_like)
    options = "dtype", "device", "requires_grad", "generator"
    assert {signature.parameters[name].kind for name in options} == {inspect.Parameter.KEYWORD_ONLY}
    with pytest.raises(TypeError, match="positional argument"):
        dtrain.hann_window(4, True, dtrain.float64)


@pytest.mark.parametrize("make", [dtrain.rand_like, dtrain.randn_like, dtrain.randint_like])
def test_draws_like_a_tensor_have_its_shape_and_dtype_unless_others_are_given(make):
    x, limit = dtrain.ones(2, 3, dtype=dtrain.float64), (5,) * (make is dtrain.randint_like)
    plain, asked = make(x, *limit), make(x, *limit, dtype=dtrain.float32, requires_grad=True)
    assert (plain.shape, plain.dtype, plain.requires_grad) == ((2, 3), "float64", False)
    assert (asked.shape, asked.dtype, asked.requires_grad) == ((2, 3), "float32", True)


def test_options_of_permutations_windows_and_draws_like_integers():
    assert dtrain.randperm(3, dtype=dtrain.int32).dtype == "int32"
    assert dtrain.hann_window(3, dtype=dtrain.float64).dtype == "float64"
    assert dtrain.rand_like(dtrain.arange(3)).dtype == "float32"


WINDOWS = {
    "bartlett": np.bartlett,
    "blackman": np.blackman,
    "hamming": np.hamming,
    "hann": np.hanning,
    "kaiser": lambda count: np.kaiser(count, 12),
}


@pytest.mark.parametrize("name", WINDOWS)
@pytest.mark.parametrize("periodic", [False, True])
def test_windows_follow_the_formula(name, periodic):
    window = getattr(dtrain, f"{name}_window")(5, periodic, dtype=dtrain.float64)
    np.testing.assert_allclose(window.numpy(), WINDOWS[name](5 + periodic)[:5], atol=1e-12)


def test_a_draw_has_the_words_of_philox_at_its_counter_whatever_was_drawn_before():
    def draw(seed, count, step):
        generator = dtrain.Generator(seed)
        generator.enter_microbatch(step, 2)
        return generator.bits(np, 1).tolist(), generator.bits(np, count).tolist()

    for seed, count, step in ((7, 1, 0), (2**64 - 1, 9, 3), (0, 6, 2**64 - 1), (7, 4, 5)):
        for call, words in enumerate(draw(seed, count, step)):
            counter = np.array([0, call, 3, step], np.uint64)
            philox = np.random.Philox(key=np.array([seed, 0], np.uint64), counter=counter)
            assert words == philox.random_raw(len(words)).tolist()


def test_draws_in_fork_rng_leave_the_generator_as_it_was():
    dtrain.manual_seed(5)
    expected = dtrain.rand(3).numpy()
    dtrain.manual_seed(5)
    with contextlib.suppress(KeyError), dtrain.random.fork_rng(devices=[0]):
        assert (dtrain.rand(3).numpy() == expected).all()
        dtrain.manual_seed(9)
        raise KeyError
    with dtrain.random.fork_rng(enabled=False):
        assert (dtrain.rand(3).numpy() == expected).all()
    assert (dtrain.rand(3).numpy() != expected).all()
