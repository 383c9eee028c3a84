"""The rules of `kl_divergence`."""

from __future__ import annotations

import math

from dtrain.autograd.tensor import Tensor
from dtrain.distributions.bernoulli import Bernoulli, Binomial, Geometric
from dtrain.distributions.categorical import Categorical, OneHotCategorical
from dtrain.distributions.dirichlet import Beta, Dirichlet
from dtrain.distributions.distribution import Distribution
from dtrain.distributions.gamma import Exponential, Gamma
from dtrain.distributions.independent import Independent
from dtrain.distributions.kl import kl_divergence, register_kl
from dtrain.distributions.location_scale import _EULER, Cauchy, Gumbel, Laplace, Uniform
from dtrain.distributions.multivariate_normal import (
    MultivariateNormal,
    half_log_det,
    squared_distance,
)
from dtrain.distributions.normal import HalfNormal, LogNormal, Normal
from dtrain.distributions.poisson import Poisson
from dtrain.distributions.transformed import TransformedDistribution
from dtrain.distributions.transforms import sum_rightmost
from dtrain.functions.indexing import where
from dtrain.functions.joining import broadcast_shapes
from dtrain.linalg import solve_triangular

# --- a family and itself ---


@register_kl(Normal, Normal)
def _normal(p: Normal, q: Normal) -> Tensor:
    ratio = (p.scale / q.scale).square()
    return (ratio + ((p.loc - q.loc) / q.scale).square() - 1 - ratio.log()) / 2


@register_kl(HalfNormal, HalfNormal)
@register_kl(LogNormal, LogNormal)
def _of_bases(p: TransformedDistribution, q: TransformedDistribution) -> Tensor:
    """Both are the same function of x, so the divergence is that of x."""
    return kl_divergence(p.base_dist, q.base_dist)


@register_kl(TransformedDistribution, TransformedDistribution)
def _transformed(p: TransformedDistribution, q: TransformedDistribution) -> Tensor:
    if p.transforms != q.transforms or p.event_shape != q.event_shape:
        raise NotImplementedError(
            "kl_divergence: of transformed distributions with different transforms it is not there"
        )
    events = len(p.event_shape) - len(p.base_dist.event_shape)
    return sum_rightmost(kl_divergence(p.base_dist, q.base_dist), max(events, 0))


@register_kl(Independent, Independent)
def _independent(p: Independent, q: Independent) -> Tensor:
    if p.reinterpreted_batch_ndims != q.reinterpreted_batch_ndims:
        raise NotImplementedError(
            "kl_divergence: expected Independent distributions of equal reinterpreted_batch_ndims, "
            f"got {p.reinterpreted_batch_ndims} and {q.reinterpreted_batch_ndims}"
        )
    return sum_rightmost(kl_divergence(p.base_dist, q.base_dist), p.reinterpreted_batch_ndims)


@register_kl(MultivariateNormal, MultivariateNormal)
def _multivariate_normal(p: MultivariateNormal, q: MultivariateNormal) -> Tensor:
    if p.event_shape != q.event_shape:
        raise ValueError(
            f"kl_divergence: expected equal event shapes, got {p.event_shape} and {q.event_shape}"
        )
    batch, n = broadcast_shapes(p.batch_shape, q.batch_shape), p.event_shape[0]
    own, other = (d.scale_tril.expand(*batch, n, n) for d in (p, q))
    spread = solve_triangular(other, own, upper=False).square().sum((-2, -1))
    distance = squared_distance(other, p.loc - q.loc)
    return half_log_det(other) - half_log_det(own) + (spread + distance - n) / 2


@register_kl(Categorical, Categorical)
def _categorical(p: Categorical, q: Categorical) -> Tensor:
    terms = p.probs * (p.logits - q.logits)
    terms = where(q.probs == 0, math.inf, terms)
    return where(p.probs == 0, 0.0, terms).sum(-1)


@register_kl(OneHotCategorical, OneHotCategorical)
def _one_hot(p: OneHotCategorical, q: OneHotCategorical) -> Tensor:
    return _categorical(p._categorical, q._categorical)


@register_kl(Bernoulli, Bernoulli)
def _bernoulli(p: Bernoulli, q: Bernoulli) -> Tensor:
    one, zero = p.probs, 1 - p.probs
    success = where(one == 0, 0.0, one * (p.probs / q.probs).log())
    failure = where(zero == 0, 0.0, zero * (zero / (1 - q.probs)).log())
    return success + failure


@register_kl(Binomial, Binomial)
def _binomial(p: Binomial, q: Binomial) -> Tensor:
    trials = p.total_count * (
        p.probs * (p.logits - q.logits) + (-p.probs).log1p() - (-q.probs).log1p()
    )
    if (p.total_count < q.total_count).any():
        raise NotImplementedError(
            "kl_divergence: of binomials it is not there where q has the larger total_count"
        )
    return where(p.total_count > q.total_count, math.inf, trials)


@register_kl(Geometric, Geometric)
def _geometric(p: Geometric, q: Geometric) -> Tensor:
    return -p.entropy() - (-q.probs).log1p() / p.probs - q.logits


@register_kl(Poisson, Poisson)
def _poisson(p: Poisson, q: Poisson) -> Tensor:
    return p.rate * (p.rate.log() - q.rate.log()) - (p.rate - q.rate)


@register_kl(Dirichlet, Dirichlet)
def _dirichlet(p: Dirichlet, q: Dirichlet) -> Tensor:
    a, b = p.concentration, q.concentration
    total = a.sum(-1, True)
    return (
        total.squeeze(-1).lgamma()
        - b.sum(-1).lgamma()
        - (a.lgamma() - b.lgamma()).sum(-1)
        + ((a - b) * (a.digamma() - total.digamma())).sum(-1)
    )


@register_kl(Beta, Beta)
def _beta(p: Beta, q: Beta) -> Tensor:
    return _dirichlet(p._dirichlet, q._dirichlet)


@register_kl(Laplace, Laplace)
def _laplace(p: Laplace, q: Laplace) -> Tensor:
    distance = (p.loc - q.loc).abs()
    near = p.scale / q.scale * (-distance / p.scale).exp()
    return (q.scale / p.scale).log() + near + distance / q.scale - 1


@register_kl(Cauchy, Cauchy)
def _cauchy(p: Cauchy, q: Cauchy) -> Tensor:
    together = (p.scale + q.scale).square() + (p.loc - q.loc).square()
    return together.log() - (4 * p.scale * q.scale).log()


@register_kl(Uniform, Uniform)
def _uniform(p: Uniform, q: Uniform) -> Tensor:
    ratio = ((q.high - q.low) / (p.high - p.low)).log()
    return where((q.low > p.low) | (q.high < p.high), math.inf, ratio)


# --- two families: -entropy(p) - E_p[log q], where E_p[log q] needs a few means under p ---


def _mean_log(p: Distribution) -> Tensor:
    """E[log x]"""
    if isinstance(p, Beta):
        return p.concentration1.digamma() - (p.concentration1 + p.concentration0).digamma()
    if isinstance(p, Gamma):
        return p.concentration.digamma() - p.rate.log()
    assert isinstance(p, Exponential)
    return -p.rate.log() - _EULER


def _mean_exp(p: Distribution, t: Tensor) -> Tensor:
    """E[exp(-t x)], for t > 0"""
    if isinstance(p, Exponential):
        return p.rate / (p.rate + t)
    if isinstance(p, Gamma):
        return (1 + t / p.rate).pow(-p.concentration)
    if isinstance(p, Normal):
        return (-t * p.loc + (t * p.scale).square() / 2).exp()
    if isinstance(p, Uniform):
        return ((-t * p.low).exp() - (-t * p.high).exp()) / (t * (p.high - p.low))
    assert isinstance(p, Gumbel)
    return (-t * p.loc).exp() * (1 + t * p.scale).lgamma().exp()


@register_kl(Beta, Normal)
@register_kl(Exponential, Normal)
@register_kl(Gamma, Normal)
@register_kl(Gumbel, Normal)
@register_kl(Laplace, Normal)
@register_kl(Uniform, Normal)
def _to_normal(p: Distribution, q: Normal) -> Tensor:
    square = p.variance + (p.mean - q.loc).square()
    log_q = -square / (2 * q.scale.square()) - q.scale.log() - math.log(2 * math.pi) / 2
    return -p.entropy() - log_q


@register_kl(Normal, Laplace)
def _normal_to_laplace(p: Normal, q: Laplace) -> Tensor:
    z = (p.loc - q.loc) / p.scale
    folded = math.sqrt(2 / math.pi) * (-z.square() / 2).exp() + z * (z / math.sqrt(2)).erf()
    return -p.entropy() + (2 * q.scale).log() + p.scale * folded / q.scale


@register_kl(Exponential, Exponential)
@register_kl(Beta, Exponential)
@register_kl(Gamma, Exponential)
def _to_exponential(p: Distribution, q: Exponential) -> Tensor:
    return -p.entropy() - q.rate.log() + q.rate * p.mean


@register_kl(Uniform, Exponential)
def _uniform_to_exponential(p: Uniform, q: Exponential) -> Tensor:
    return where(p.low < 0, math.inf, _to_exponential(p, q))


@register_kl(Gamma, Gamma)
@register_kl(Beta, Gamma)
@register_kl(Exponential, Gamma)
def _to_gamma(p: Distribution, q: Gamma) -> Tensor:
    c = q.concentration
    log_q = c * q.rate.log() - c.lgamma() + (c - 1) * _mean_log(p) - q.rate * p.mean
    return -p.entropy() - log_q


@register_kl(Gumbel, Gumbel)
@register_kl(Exponential, Gumbel)
@register_kl(Gamma, Gumbel)
@register_kl(Normal, Gumbel)
@register_kl(Uniform, Gumbel)
def _to_gumbel(p: Distribution, q: Gumbel) -> Tensor:
    t = 1 / q.scale
    log_q = -q.scale.log() - (p.mean - q.loc) * t - (q.loc * t).exp() * _mean_exp(p, t)
    return -p.entropy() - log_q


@register_kl(Beta, Uniform)
def _beta_to_uniform(p: Beta, q: Uniform) -> Tensor:
    outside = (q.low > 0) | (q.high < 1)
    return where(outside, math.inf, (q.high - q.low).log() - p.entropy())


def _infinite(p: Distribution, q: Distribution) -> Tensor:
    """p draws values that q never does."""
    like = next(value for value in vars(p).values() if isinstance(value, Tensor))
    return like.new_full(broadcast_shapes(p.batch_shape, q.batch_shape), math.inf)


for _q, _ps in {
    Beta: (Exponential, Gamma, Gumbel, Laplace, Normal),
    Uniform: (Exponential, Gamma, Gumbel, Laplace, Normal),
    Exponential: (Gumbel, Laplace, Normal),
    Gamma: (Gumbel, Laplace, Normal),
    Bernoulli: (Poisson,),
    Binomial: (Poisson,),
}.items():
    for _p in _ps:
        register_kl(_p, _q)(_infinite)
