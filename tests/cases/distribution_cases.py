"""The table of distributions: how each is made, and values at which it is asked.

`tests/test_distributions.py` compares them with SciPy, `tests/oracle` with PyTorch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

POSITIVE, REAL, CHANCE, SIMPLEX = "positive", "real", "chance", "simplex"
_DRAW = {
    POSITIVE: lambda rng, shape: rng.uniform(0.4, 4.0, shape),
    REAL: lambda rng, shape: rng.normal(size=shape),
    CHANCE: lambda rng, shape: rng.uniform(0.1, 0.9, shape),
    SIMPLEX: lambda rng, shape: rng.dirichlet(np.ones(shape[-1]), shape[:-1]),
}
NUMBERS, VECTORS = (3,), (3, 4)


@dataclass(frozen=True)
class DistributionCase:
    """A distribution: `build(t, *parameters)`, where `t` is dtrain or torch."""

    build: Callable[..., Any]
    params: Sequence[tuple[str, tuple[int, ...]]]
    value: Callable[[np.random.Generator], np.ndarray]

    def tensors(self, t: Any, requires_grad: bool = False, seed: int = 0) -> list[Any]:
        """The parameters, in float64."""
        rng = np.random.default_rng(seed)
        arrays = [np.asarray(_DRAW[kind](rng, shape)) for kind, shape in self.params]
        return [t.from_numpy(a.copy()).requires_grad_(requires_grad) for a in arrays]

    def make(self, t: Any) -> Any:
        return self.build(t, *self.tensors(t))

    def values(self) -> np.ndarray:
        """Some values that can be drawn, (5, *batch, *event)."""
        return np.asarray(self.value(np.random.default_rng(99)), np.float64)


def real(rng):
    return rng.normal(size=(5, 3)) * 2


def positive(rng):
    return rng.uniform(0.05, 5, (5, 3))


def chance(rng):
    return rng.uniform(0.05, 0.95, (5, 3))


def bit(rng):
    return rng.integers(0, 2, (5, 3))


def count(rng):
    return rng.integers(0, 6, (5, 3))


def simplex(rng):
    return rng.dirichlet(np.ones(4), (5, 3))


def one_hot(rng):
    return np.eye(4)[rng.integers(0, 4, (5, 3))]


def of_numbers(name, *kinds, value):
    """A distribution of numbers, by its parameters in order."""
    return DistributionCase(
        lambda t, *params: getattr(t.distributions, name)(*params),
        [(kind, NUMBERS) for kind in kinds],
        value,
    )


def by_keyword(name, keyword, kind, shape, value, *first):
    """A distribution that is given probs or logits, after `first`."""
    return DistributionCase(
        lambda t, given: getattr(t.distributions, name)(*first, **{keyword: given}),
        [(kind, shape)],
        value,
    )


def _mixture(t, logits, loc, scale):
    d = t.distributions
    return d.MixtureSameFamily(d.Categorical(logits=logits), d.Normal(loc, scale))


def _vector_mixture(t, logits, loc, scale):
    d = t.distributions
    components = d.Independent(d.Normal(loc, scale), 1)
    return d.MixtureSameFamily(d.Categorical(logits=logits), components)


def _multivariate(keyword):
    def build(t, loc, factor):
        tril = factor.tril(-1) * 0.3 + t.eye(4, dtype=factor.dtype) * 1.5
        matrix = tril if keyword == "scale_tril" else tril @ tril.mT
        return t.distributions.MultivariateNormal(loc, **{keyword: matrix})

    return DistributionCase(
        build, [(REAL, VECTORS), (REAL, (4, 4))], lambda rng: rng.normal(size=(5, 3, 4))
    )


def _squashed(t, loc, scale):
    d = t.distributions
    return d.TransformedDistribution(
        d.Normal(loc, scale), [d.AffineTransform(0.5, -2.0), d.SigmoidTransform()]
    )


def _broken_stick(t, loc, scale):
    d = t.distributions
    return d.TransformedDistribution(d.Normal(loc, scale), d.StickBreakingTransform())


DISTRIBUTIONS = {
    "Bernoulli": by_keyword("Bernoulli", "probs", CHANCE, NUMBERS, bit),
    "Bernoulli logits": by_keyword("Bernoulli", "logits", REAL, NUMBERS, bit),
    "Beta": of_numbers("Beta", POSITIVE, POSITIVE, value=chance),
    "Binomial": by_keyword("Binomial", "probs", CHANCE, NUMBERS, count, 7),
    "Binomial logits": by_keyword("Binomial", "logits", REAL, NUMBERS, count, 7),
    "Categorical": by_keyword("Categorical", "probs", SIMPLEX, VECTORS, lambda rng: rng.integers(0, 4, (5, 3))),
    "Categorical logits": by_keyword("Categorical", "logits", REAL, VECTORS, lambda rng: rng.integers(0, 4, (5, 3))),
    "Cauchy": of_numbers("Cauchy", REAL, POSITIVE, value=real),
    "Chi2": of_numbers("Chi2", POSITIVE, value=positive),
    "Dirichlet": DistributionCase(lambda t, c: t.distributions.Dirichlet(c), [(POSITIVE, VECTORS)], simplex),
    "Exponential": of_numbers("Exponential", POSITIVE, value=positive),
    "Gamma": of_numbers("Gamma", POSITIVE, POSITIVE, value=positive),
    "Geometric": by_keyword("Geometric", "probs", CHANCE, NUMBERS, count),
    "Geometric logits": by_keyword("Geometric", "logits", REAL, NUMBERS, count),
    "Gumbel": of_numbers("Gumbel", REAL, POSITIVE, value=real),
    "HalfNormal": of_numbers("HalfNormal", POSITIVE, value=positive),
    "Independent": DistributionCase(
        lambda t, loc, scale: t.distributions.Independent(t.distributions.Normal(loc, scale), 1),
        [(REAL, VECTORS), (POSITIVE, VECTORS)],
        lambda rng: rng.normal(size=(5, 3, 4)),
    ),
    "Laplace": of_numbers("Laplace", REAL, POSITIVE, value=real),
    "LogNormal": of_numbers("LogNormal", REAL, POSITIVE, value=positive),
    "MixtureSameFamily": DistributionCase(
        _mixture, [(REAL, (4,)), (REAL, VECTORS), (POSITIVE, VECTORS)], real
    ),
    "MixtureSameFamily of vectors": DistributionCase(
        _vector_mixture, [(REAL, (3, 4)), (REAL, (3, 4, 2)), (POSITIVE, (3, 4, 2))], lambda rng: rng.normal(size=(5, 3, 2))
    ),
    "Multinomial": by_keyword("Multinomial", "probs", SIMPLEX, VECTORS, lambda rng: rng.multinomial(6, np.ones(4) / 4, (5, 3)), 6),
    "MultivariateNormal": _multivariate("scale_tril"),
    "MultivariateNormal covariance": _multivariate("covariance_matrix"),
    "MultivariateNormal precision": _multivariate("precision_matrix"),
    "Normal": of_numbers("Normal", REAL, POSITIVE, value=real),
    "OneHotCategorical": by_keyword("OneHotCategorical", "probs", SIMPLEX, VECTORS, one_hot),
    "OneHotCategoricalStraightThrough": by_keyword("OneHotCategoricalStraightThrough", "logits", REAL, VECTORS, one_hot),
    "Poisson": of_numbers("Poisson", POSITIVE, value=count),
    "RelaxedBernoulli": DistributionCase(
        lambda t, logits: t.distributions.RelaxedBernoulli(t.tensor(0.7, dtype=t.float64), logits=logits), [(REAL, NUMBERS)], chance
    ),
    "RelaxedOneHotCategorical": DistributionCase(
        lambda t, logits: t.distributions.RelaxedOneHotCategorical(t.tensor(0.7, dtype=t.float64), logits=logits), [(REAL, VECTORS)], simplex
    ),
    "StudentT": of_numbers("StudentT", POSITIVE, REAL, POSITIVE, value=real),
    "TransformedDistribution": DistributionCase(_squashed, [(REAL, NUMBERS), (POSITIVE, NUMBERS)], chance),
    "TransformedDistribution of vectors": DistributionCase(
        _broken_stick, [(REAL, (3, 3)), (POSITIVE, (3, 3))], simplex
    ),
    "Uniform": DistributionCase(
        lambda t, low, high: t.distributions.Uniform(low - 9, low + high), [(REAL, NUMBERS), (POSITIVE, NUMBERS)],
        lambda rng: rng.uniform(-6, -3, (5, 3)),
    ),
    "VonMises": of_numbers("VonMises", REAL, POSITIVE, value=real),
}  # fmt: skip

_SAME = (
    "Bernoulli", "Beta", "Binomial", "Categorical", "Cauchy", "Chi2", "Dirichlet", "Exponential",
    "Gamma", "Geometric", "Gumbel", "HalfNormal", "Independent", "Laplace", "LogNormal",
    "MultivariateNormal", "Normal", "OneHotCategorical", "Poisson", "TransformedDistribution",
    "TransformedDistribution of vectors", "Uniform",
)  # fmt: skip
KL_PAIRS = [
    *((name, name) for name in _SAME),
    *((p, "Normal") for p in ("Beta", "Exponential", "Gamma", "Gumbel", "Laplace", "Uniform")),
    *((p, "Exponential") for p in ("Beta", "Gamma", "Uniform", "Normal")),
    *((p, "Gamma") for p in ("Beta", "Exponential", "Laplace")),
    *((p, "Gumbel") for p in ("Exponential", "Gamma", "Normal", "Uniform")),
    *((p, "Uniform") for p in ("Beta", "Gumbel")),
    ("Normal", "Laplace"),
    ("Normal", "Beta"),
    ("Poisson", "Bernoulli"),
    ("Poisson", "Binomial"),
    ("Categorical", "Categorical logits"),
    ("MultivariateNormal", "MultivariateNormal precision"),
]

_X = np.array([[-1.5, 0.3, 2.0], [0.7, -0.2, 0.9]])
TRANSFORMS = {
    "Exp": (lambda d, t: d.ExpTransform(), _X),
    "Sigmoid": (lambda d, t: d.SigmoidTransform(), _X),
    "Softplus": (lambda d, t: d.transforms.SoftplusTransform(), _X),
    "Tanh": (lambda d, t: d.TanhTransform(), _X),
    "Power": (lambda d, t: d.PowerTransform(t.tensor([2.0, -1.5, 0.5], dtype=t.float64)), np.abs(_X)),
    "Affine": (lambda d, t: d.AffineTransform(1.0, t.tensor([2.0, -1.5, 0.5], dtype=t.float64)), _X),
    "Affine of vectors": (lambda d, t: d.AffineTransform(1.0, -2.5, event_dim=1), _X),
    "Softmax": (lambda d, t: d.SoftmaxTransform(), _X),
    "StickBreaking": (lambda d, t: d.StickBreakingTransform(), _X),
    "LowerCholesky": (lambda d, t: d.LowerCholeskyTransform(), np.arange(8.0).reshape(2, 2, 2) / 5),
    "Reshape": (lambda d, t: d.ReshapeTransform((2, 3), (6,)), _X),
    "Independent": (lambda d, t: d.IndependentTransform(d.ExpTransform(), 1), _X),
    "inverse": (lambda d, t: d.SigmoidTransform().inv, np.array([[0.2, 0.5, 0.9]])),
    "Compose": (lambda d, t: d.ComposeTransform([d.AffineTransform(0.1, 2.0), d.TanhTransform()]), _X / 2),
    "Compose of vectors": (
        lambda d, t: d.ComposeTransform([d.ExpTransform(), d.StickBreakingTransform(), d.PowerTransform(2.0)]), _X,
    ),
    "CumulativeDistribution": (
        lambda d, t: d.CumulativeDistributionTransform(d.Normal(t.tensor(0.5, dtype=t.float64), 2.0)), _X,
    ),
}  # fmt: skip
