"""Distributions against SciPy: values, quantiles, gradients; draws by moments and by tests."""

import copy
import math

import numpy as np
import pytest
from scipy import special, stats

import dtrain
from dtrain import distributions as D
from dtrain.autograd import gradcheck
from dtrain.primitives.special import log_gamma_quantile
from tests.cases.distribution_cases import DISTRIBUTIONS, KL_PAIRS, TRANSFORMS


def f64(*values):
    return [dtrain.tensor(v, dtype=dtrain.float64) for v in values]


#: A distribution of dtrain and the same of SciPy.
CONTINUOUS = {
    "Beta": (D.Beta(*f64(2.5, 0.7)), stats.beta(2.5, 0.7)),
    "Cauchy": (D.Cauchy(*f64(0.3, 1.7)), stats.cauchy(0.3, 1.7)),
    "Chi2": (D.Chi2(*f64(3.3)), stats.chi2(3.3)),
    "Exponential": (D.Exponential(*f64(1.6)), stats.expon(scale=1 / 1.6)),
    "Gamma": (D.Gamma(*f64(0.6, 2.0)), stats.gamma(0.6, scale=0.5)),
    "Gamma of a large shape": (D.Gamma(*f64(250.0, 2.0)), stats.gamma(250, scale=0.5)),
    "Gumbel": (D.Gumbel(*f64(0.4, 1.3)), stats.gumbel_r(0.4, 1.3)),
    "HalfNormal": (D.HalfNormal(*f64(1.4)), stats.halfnorm(scale=1.4)),
    "Laplace": (D.Laplace(*f64(-0.3, 0.8)), stats.laplace(-0.3, 0.8)),
    "LogNormal": (D.LogNormal(*f64(0.2, 0.5)), stats.lognorm(0.5, scale=math.exp(0.2))),
    "Normal": (D.Normal(*f64(-1.0, 2.3)), stats.norm(-1.0, 2.3)),
    "StudentT": (D.StudentT(*f64(4.5, 0.2, 1.5)), stats.t(4.5, 0.2, 1.5)),
    "Uniform": (D.Uniform(*f64(-1.0, 2.5)), stats.uniform(-1.0, 3.5)),
    "VonMises": (D.VonMises(*f64(0.5, 2.2)), stats.vonmises(2.2, 0.5)),
}
DISCRETE = {
    "Bernoulli": (D.Bernoulli(*f64(0.3)), stats.bernoulli(0.3)),
    "Binomial": (D.Binomial(9, *f64(0.35)), stats.binom(9, 0.35)),
    "Binomial of many": (D.Binomial(1000, *f64(0.004)), stats.binom(1000, 0.004)),
    "Geometric": (D.Geometric(*f64(0.4)), stats.geom(0.4, loc=-1)),
    "Poisson": (D.Poisson(*f64(3.7)), stats.poisson(3.7)),
    "Poisson of a large rate": (D.Poisson(*f64(400.0)), stats.poisson(400)),
}
QUANTILES = np.linspace(0.02, 0.98, 25)


def values_of(reference):
    x = reference.ppf(QUANTILES)
    return x, dtrain.from_numpy(np.array(x))


def close(ours, expected, rtol=1e-9):
    np.testing.assert_allclose(ours.detach().numpy(), expected, rtol=rtol, atol=1e-12)


@pytest.mark.parametrize("name", CONTINUOUS)
def test_densities_and_moments_are_those_of_scipy(name):
    ours, reference = CONTINUOUS[name]
    x, tensor = values_of(reference)
    close(ours.log_prob(tensor), reference.logpdf(x))
    if name not in ("Cauchy", "VonMises"):  # whose moments are none, or those of a circle
        close(ours.mean, reference.mean())
        close(ours.variance, reference.var())
        close(ours.stddev, reference.std())
    if name != "VonMises":
        close(ours.entropy(), reference.entropy(), rtol=1e-8)
        close(ours.perplexity(), np.exp(reference.entropy()), rtol=1e-8)


@pytest.mark.parametrize("name", CONTINUOUS)
def test_functions_and_quantiles_are_those_of_scipy(name):
    ours, reference = CONTINUOUS[name]
    x, tensor = values_of(reference)
    if name not in ("Beta", "StudentT", "VonMises"):  # which have none in PyTorch either
        close(ours.cdf(tensor), QUANTILES)
        if name not in ("Chi2", "Gamma", "Gamma of a large shape"):
            close(ours.icdf(dtrain.from_numpy(QUANTILES.copy())), x)


@pytest.mark.parametrize("name", DISCRETE)
def test_probabilities_and_moments_are_those_of_scipy(name):
    ours, reference = DISCRETE[name]
    x, tensor = values_of(reference)
    close(ours.log_prob(tensor), reference.logpmf(x))
    close(ours.mean, reference.mean())
    close(ours.variance, reference.var())
    if "Poisson" not in name:
        close(ours.entropy(), reference.entropy(), rtol=1e-8)


def test_vectors_have_scipys_densities():
    concentration = np.array([0.7, 2.0, 3.5])
    dirichlet, reference = D.Dirichlet(*f64(concentration)), stats.dirichlet(concentration)
    x = np.array([0.2, 0.5, 0.3])
    close(dirichlet.log_prob(*f64(x)), reference.logpdf(x))
    close(dirichlet.entropy(), reference.entropy())
    close(dirichlet.variance, reference.var())
    probs, counts = np.array([0.2, 0.5, 0.3]), np.array([1.0, 3.0, 2.0])
    multinomial, reference = D.Multinomial(6, *f64(probs)), stats.multinomial(6, probs)
    close(multinomial.log_prob(*f64(counts)), reference.logpmf(counts))
    close(multinomial.entropy(), reference.entropy())
    covariance = np.array([[2.0, 0.3], [0.3, 0.5]])
    reference = stats.multivariate_normal([1.0, -1.0], covariance)
    for keyword, matrix in {
        "covariance_matrix": covariance,
        "precision_matrix": np.linalg.inv(covariance),
        "scale_tril": np.linalg.cholesky(covariance),
    }.items():
        ours = D.MultivariateNormal(*f64([1.0, -1.0]), **{keyword: f64(matrix)[0]})
        close(ours.log_prob(*f64(x[:2])), reference.logpdf(x[:2]))
        close(ours.entropy(), reference.entropy())
        close(ours.covariance_matrix, covariance)
        close(ours.precision_matrix, np.linalg.inv(covariance))
        close(ours.variance, np.diag(covariance))


# --- draws ---


def drawn(distribution, count, seed=5):
    dtrain.manual_seed(seed)
    return distribution.sample((count,)).numpy()


@pytest.mark.parametrize("name", CONTINUOUS)
def test_draws_pass_the_test_of_kolmogorov_and_smirnov(name):
    ours, reference = CONTINUOUS[name]
    assert stats.kstest(drawn(ours, 5000), reference.cdf).pvalue > 0.01


@pytest.mark.parametrize("name", DISCRETE)
def test_counts_pass_the_chi_squared_test(name):
    ours, reference = DISCRETE[name]
    draws = drawn(ours, 5000)
    edges = np.unique(reference.ppf(np.linspace(0.05, 0.95, 19)))
    chances = np.diff([0, *reference.cdf(edges), 1])
    seen = np.bincount(np.searchsorted(edges, draws), minlength=len(chances))
    keep = chances > 1e-9
    assert not seen[~keep].any()
    assert stats.chisquare(seen[keep], 5000 * chances[keep]).pvalue > 0.01


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_draws_have_the_mean_and_variance_and_lie_in_the_support(name):
    distribution = DISTRIBUTIONS[name].make(dtrain)
    draws = drawn(distribution, 4000)
    assert draws.shape == (4000, *distribution.batch_shape, *distribution.event_shape)
    assert distribution.support.check(dtrain.from_numpy(draws)).all()
    if name in ("Cauchy", "VonMises") or "Categorical" in name[:11]:
        return
    try:
        mean, deviation = distribution.mean.numpy(), distribution.stddev.numpy()
    except NotImplementedError:  # relaxed and transformed ones
        return
    regular = np.isfinite(deviation) & (deviation < 10)
    error = np.abs(draws.mean(0) - mean) / (deviation / math.sqrt(4000))
    assert (error[regular] < 4.5).all()


def test_categories_are_drawn_with_their_probabilities():
    probs = np.array([[0.1, 0.2, 0.7], [0.5, 0.0, 0.5]])
    for distribution in (
        D.Categorical(*f64(probs)),
        D.Categorical(logits=f64(np.log(probs + 1e-300))[0]),
    ):
        draws = drawn(distribution, 6000)
        seen = np.stack([(draws == k).mean(0) for k in range(3)], -1)
        np.testing.assert_allclose(seen, probs, atol=0.02)
    assert D.Categorical(dtrain.ones(2, 3)).sample((0,)).shape == (0, 2)


def test_components_of_a_mixture_are_drawn_with_their_weights():
    mixture = D.MixtureSameFamily(
        D.Categorical(*f64([0.25, 0.75])), D.Normal(*f64([-10.0, 10.0]), 1.0)
    )
    draws = drawn(mixture, 4000)
    assert abs((draws < 0).mean() - 0.25) < 0.02
    assert abs(draws[draws > 0].mean() - 10) < 0.1


def test_relaxed_draws_tend_to_the_discrete_ones():
    probs = np.array([0.2, 0.3, 0.5])
    draws = drawn(D.RelaxedOneHotCategorical(0.05, *f64(probs)), 4000)
    np.testing.assert_allclose(draws.mean(0), probs, atol=0.03)
    draws = drawn(D.RelaxedBernoulli(0.05, *f64(0.3)), 4000)
    assert abs(draws.mean() - 0.3) < 0.03


def test_draws_depend_on_the_seed_alone_and_not_on_what_was_drawn_together():
    gamma = D.Gamma(dtrain.tensor([0.5, 30.0]), 2.0)
    first = drawn(gamma, 3)
    assert (first == drawn(gamma, 3)).all()
    assert (first != drawn(gamma, 3, seed=6)).any()
    poisson = drawn(D.Poisson(dtrain.tensor([2.0, 1e5])), 4)[:, 0]
    assert (poisson == drawn(D.Poisson(dtrain.tensor([2.0, 3.0])), 4)[:, 0]).all()


def test_tiny_concentrations_draw_corners_and_no_nan():
    draws = drawn(D.Dirichlet(dtrain.full((3,), 1e-3)), 200)
    np.testing.assert_allclose(draws.sum(-1), 1, rtol=1e-5)
    assert (draws.max(-1) > 0.99).mean() > 0.9
    gamma = D.Gamma(dtrain.tensor(1e-3), 1.0)
    assert (drawn(gamma, 200) > 0).all()


# --- gradients of draws ---


@pytest.mark.parametrize("a", [0.004, 0.3, 1.0, 8.0, 5e4])
def test_the_implicit_gradient_is_the_slope_of_the_quantile(a):
    u = np.array([1e-9, 0.01, 0.4, 0.6, 0.99, 1 - 1e-9])
    shape = dtrain.full((6,), a, dtype=dtrain.float64).requires_grad_()
    log_gamma_quantile(shape, uniform=u).sum().backward()

    def quantile(a):
        return log_gamma_quantile(dtrain.full((6,), a, dtype=dtrain.float64), uniform=u).numpy()

    h = 1e-4 * a
    slope = (quantile(a + h) - quantile(a - h)) / (2 * h)
    np.testing.assert_allclose(shape.grad.numpy(), slope, rtol=1e-6)


def test_quantiles_of_the_upper_tail_keep_their_digits():
    a, u = np.array([0.5, 3.0, 400.0]), np.full(3, 1 - 1e-14)
    quantiles = log_gamma_quantile(dtrain.from_numpy(a), uniform=u).numpy()
    np.testing.assert_allclose(quantiles, np.log(special.gammainccinv(a, 1 - u)), rtol=1e-12)


@pytest.mark.parametrize("drawn", [0.0, 1.0])
def test_uniform_numbers_lie_inside_the_open_interval(drawn, monkeypatch):
    ends = dtrain.full((2,), drawn)
    monkeypatch.setattr("dtrain.distributions.draws.rand", lambda *shape, **options: ends)
    for distribution in (D.Gumbel(dtrain.zeros(2), 1.0), D.Exponential(dtrain.ones(2))):
        assert distribution.sample().isfinite().all()


def test_incomplete_gamma_functions_have_gradients_by_both_arguments():
    a, x = f64([0.5, 2.0, 30.0], [0.2, 4.0, 28.0])
    a.requires_grad_(), x.requires_grad_()
    assert gradcheck(dtrain.special.gammainc, (a, x))
    assert gradcheck(dtrain.special.gammaincc, (a, x))
    (slope,) = dtrain.autograd.grad(dtrain.special.gammainc(a, x).sum(), x, create_graph=True)
    (second,) = dtrain.autograd.grad(slope.sum(), x)
    expected = stats.gamma(a.detach().numpy()).pdf(x.detach().numpy()) * (
        (a.detach().numpy() - 1) / x.detach().numpy() - 1
    )
    close(second, expected)


def test_second_derivatives_of_the_quantile_are_refused_by_name():
    a = dtrain.tensor([2.0]).requires_grad_()
    with pytest.raises((RuntimeError, NotImplementedError), match="log_gamma_quantile"):
        dtrain.autograd.grad(D.Gamma(a, 1.0).rsample().sum(), a, create_graph=True)


MEAN_SLOPES = {  # d E[x] / d parameter, which the mean of the draws' gradients tends to
    "Gamma": (lambda p: D.Gamma(p, 2.0), 1.7, 0.5),
    "Beta": (lambda p: D.Beta(p, 2.0), 1.5, 2 / 3.5**2),
    "Dirichlet": (lambda p: D.Dirichlet(dtrain.stack([p, p * 0 + 2.0], -1)), 1.5, None),
    "StudentT": (lambda p: D.StudentT(5.0, p, 1.0), 0.3, 1.0),
    "Normal": (lambda p: D.Normal(p, 1.0), 0.3, 1.0),
    "LogNormal": (lambda p: D.LogNormal(p, 0.5), 0.3, math.exp(0.3 + 0.125)),
    "Exponential": (lambda p: D.Exponential(p), 1.5, -1 / 1.5**2),
}


@pytest.mark.parametrize("name", MEAN_SLOPES)
def test_the_gradients_of_draws_have_the_gradient_of_the_mean(name):
    make, value, expected = MEAN_SLOPES[name]
    p = dtrain.full((), value, dtype=dtrain.float64).requires_grad_()
    dtrain.manual_seed(0)
    draws = make(p).rsample((6000,))
    (draws[..., 0] if draws.ndim > 1 else draws).mean().backward()
    expected = 2 / 3.5**2 if expected is None else expected
    assert abs(p.grad.item() / expected - 1) < 0.05
    assert not make(p).sample().requires_grad


def test_straight_through_draws_pass_gradients_to_the_probabilities():
    probs = dtrain.tensor([0.2, 0.8]).requires_grad_()
    draw = D.OneHotCategoricalStraightThrough(probs).rsample((3,))
    assert ((draw.detach() - draw.detach().round()).abs() < 1e-6).all()
    (draw * dtrain.tensor([1.0, 0.0])).sum().backward()
    assert probs.grad[0] > 0 > probs.grad[1]


# --- divergences ---

BY_MONTE_CARLO = [
    ("Normal", "Normal"), ("Gamma", "Gamma"), ("Beta", "Beta"), ("Dirichlet", "Dirichlet"),
    ("Laplace", "Laplace"), ("Cauchy", "Cauchy"), ("Gumbel", "Gumbel"), ("Geometric", "Geometric"),
    ("Poisson", "Poisson"), ("Binomial", "Binomial"), ("MultivariateNormal", "MultivariateNormal"),
    ("Gamma", "Gumbel"), ("Laplace", "Normal"), ("Normal", "Laplace"), ("Beta", "Gamma"),
]  # fmt: skip


@pytest.mark.parametrize(("p", "q"), BY_MONTE_CARLO)
def test_a_divergence_is_the_mean_difference_of_log_probabilities(p, q):
    assert (p, q) in KL_PAIRS
    one, other = (
        DISTRIBUTIONS[n].build(dtrain, *DISTRIBUTIONS[n].tensors(dtrain, seed=s))
        for s, n in enumerate((p, q))
    )
    dtrain.manual_seed(1)
    x = one.sample((4000,))
    differences = (one.log_prob(x) - other.log_prob(x)).numpy()
    error = differences.mean(0) - D.kl_divergence(one, other).numpy()
    assert (np.abs(error) < 4.5 * differences.std(0) / math.sqrt(4000) + 1e-9).all()


def test_a_divergence_from_outside_the_support_is_infinite():
    for p, q in [
        (D.Normal(0.0, 1.0), D.Exponential(1.0)),
        (D.Uniform(0.0, 2.0), D.Uniform(0.5, 3.0)),
        (D.Uniform(-1.0, 2.0), D.Exponential(1.0)),
        (D.Poisson(1.0), D.Bernoulli(0.5)),
        (D.Categorical(dtrain.tensor([0.5, 0.5])), D.Categorical(dtrain.tensor([1.0, 0.0]))),
    ]:
        assert D.kl_divergence(p, q) == math.inf
    never = D.Categorical(dtrain.tensor([1.0, 0.0]))  # neither draws the second
    assert D.kl_divergence(never, never) == 0


def test_a_divergence_without_a_rule_says_what_to_do_and_takes_the_nearest_rule():
    class Special(D.Normal):
        pass

    with pytest.raises(NotImplementedError, match=r"no rule for Cauchy and Special.*register_kl"):
        D.kl_divergence(D.Cauchy(0.0, 1.0), Special(0.0, 1.0))
    assert D.kl_divergence(Special(0.0, 1.0), D.Normal(0.0, 1.0)) == 0

    @D.register_kl(Special, D.Normal)
    def of_special(p, q):
        return dtrain.tensor(7.0)

    try:
        assert D.kl_divergence(Special(0.0, 1.0), D.Normal(0.0, 1.0)) == 7
    finally:
        del D.kl._RULES[Special, D.Normal]
    with pytest.raises(TypeError, match="register_kl: expected subclasses of Distribution"):
        D.register_kl(Special, int)


# --- transforms ---


@pytest.mark.parametrize("name", TRANSFORMS)
def test_the_logarithm_is_that_of_the_jacobian(name):
    make, x = TRANSFORMS[name]
    transform = make(D, dtrain)
    if not transform.bijective or transform.domain.event_dim:
        return  # vectors: against PyTorch, tests/oracle
    value = dtrain.from_numpy(np.array(x)).requires_grad_()
    y = transform(value)
    y.sum().backward()
    logs = transform.log_abs_det_jacobian(value.detach(), y.detach())
    close(logs, np.log(np.abs(value.grad.numpy())), rtol=1e-8)
    close(transform.inv(y), x)
    assert transform.inv.inv is transform


def test_a_cached_transform_returns_the_very_x():
    transform = D.ExpTransform(cache_size=1)
    x = dtrain.randn(3)
    y = transform(x)
    assert transform.inv(y) is x
    assert transform(x) is y
    assert transform.inv(y + 0) is not x
    with pytest.raises(ValueError, match="expected cache_size 0 or 1, got 2"):
        D.TanhTransform(cache_size=2)


def test_transforms_are_equal_by_class_and_parameters():
    assert D.ExpTransform() == D.ExpTransform() != D.TanhTransform()
    assert D.AffineTransform(1.0, 2.0) == D.AffineTransform(1.0, dtrain.tensor(2.0))
    assert D.AffineTransform(1.0, 2.0) != D.AffineTransform(1.0, 3.0)
    assert D.PowerTransform(2.0) != D.PowerTransform(3.0)
    one, other = (
        D.ComposeTransform([D.ExpTransform().inv, D.SoftmaxTransform()]) for _ in range(2)
    )
    assert one == other
    assert len({one, other, D.ExpTransform(), D.ExpTransform()}) == 2


def test_a_transform_that_decreases_turns_the_quantiles_around():
    flipped = D.TransformedDistribution(D.Exponential(*f64(1.0)), D.AffineTransform(0.0, -2.0))
    x = f64([-0.5, -3.0])[0]
    close(flipped.cdf(x), np.exp(x.numpy() / 2))
    close(flipped.icdf(flipped.cdf(x)), x.numpy())


def test_a_reshaped_event_has_the_density_of_the_event():
    normal = D.Independent(D.Normal(dtrain.zeros(4, 2, 3), 2.0), 2)
    flat = D.TransformedDistribution(normal, [D.ReshapeTransform((2, 3), (6,)), D.ExpTransform()])
    assert (flat.batch_shape, flat.event_shape) == ((4,), (6,))
    x = dtrain.randn(4, 2, 3)
    expected = normal.log_prob(x) - x.sum((1, 2))  # of the exponential
    close(flat.log_prob(x.reshape(4, 6).exp()), expected.numpy(), rtol=1e-5)


# --- what is refused, and copies ---


def test_refusals_name_the_parameter_the_constraint_and_the_value():
    with pytest.raises(ValueError, match=r"(?s)parameter scale \(Tensor of shape \(2,\)\) of.*-2"):
        D.Normal(0.0, dtrain.tensor([1.0, -2.0]))
    with pytest.raises(ValueError, match=r"Uniform is not defined when low >= high"):
        D.Uniform(1.0, 1.0)
    with pytest.raises(ValueError, match="expected exactly one of probs, logits, got none"):
        D.Categorical()
    with pytest.raises(ValueError, match="expected numbers or tensors, got str"):
        D.Normal("0", 1.0)
    with pytest.raises(NotImplementedError, match="Poisson has no entropy"):
        D.Poisson(1.0).entropy()
    with pytest.raises(NotImplementedError, match="Poisson has no rsample"):
        D.Poisson(1.0).rsample()


def test_validation_can_be_turned_off():
    assert D.Normal(0.0, -1.0, validate_args=False).scale == -1
    D.Distribution.set_default_validate_args(False)
    try:
        assert D.Exponential(1.0).log_prob(dtrain.tensor(-1.0)) == 1
    finally:
        D.Distribution.set_default_validate_args(True)
    with pytest.raises(ValueError, match="Expected value argument"):
        D.Exponential(1.0).log_prob(dtrain.tensor(-1.0))


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_a_copy_draws_the_same_and_an_expansion_leaves_the_original(name):
    distribution = DISTRIBUTIONS[name].make(dtrain)
    shape = distribution.batch_shape
    twin = copy.deepcopy(distribution)
    assert (drawn(twin, 3) == drawn(distribution, 3)).all()
    assert distribution.expand((2, *shape)).batch_shape == (2, *shape)
    assert distribution.batch_shape == shape


def test_float32_parameters_give_float32_draws_and_values():
    for name, case in DISTRIBUTIONS.items():
        made = case.build(dtrain, *(p.float() for p in case.tensors(dtrain)))
        draw = made.sample()
        assert draw.dtype in (dtrain.float32, dtrain.int64), name
        assert made.log_prob(draw).dtype == dtrain.float32, name


def test_probabilities_and_logits_follow_one_another_with_gradients():
    logits = dtrain.tensor([0.3, -1.0]).requires_grad_()
    distribution = D.Bernoulli(logits=logits)
    with dtrain.no_grad():
        close(distribution.probs, special.expit([0.3, -1.0]), rtol=1e-6)
    assert distribution.probs.requires_grad
    close(D.Bernoulli(distribution.probs).logits, [0.3, -1.0], rtol=1e-5)
