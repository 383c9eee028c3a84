"""The rows of the table for special functions, slopes, integrals, covariances and divisors."""

from __future__ import annotations

import math

import numpy as np
from scipy import special

import dtrain
from dtrain.autograd.op import OPS
from tests.cases.case import ANY, Case

PAIRS = [[(2, 3, 4), (2, 3, 4)], [(3, 1), (4,)], [(), ()], [(0, 3), (3,)]]
PLACES = np.array([0.0, 0.5, 2.0, 2.25])

lgamma = np.vectorize(math.lgamma, otypes=[float])


def integers(x):
    return np.round(x * 10).astype("i8")


def smooth(name, reference, **options):
    """A row for a function of torch.special."""
    in_special = not hasattr(dtrain, name)
    return Case(
        name,
        ANY,
        reference,
        (lambda t, x: getattr(t.special, name)(x)) if in_special else None,
        **options,
    )


def renorm(x):
    size = np.sqrt((x * x).sum(1, keepdims=True))
    return np.where(size > 1, x / (size + 1e-7), x)


SPECIAL = [
    smooth("lgamma", lgamma, low=0.1, high=9),
    Case("lgamma", ANY, lgamma, label="below 0", low=-1.9, high=-1.1),
    smooth("digamma", special.digamma, low=0.1, high=9, in_torch=False),  # its gradient is exact to 5e-10
    Case("digamma", ANY, special.digamma, label="below 0", low=-1.9, high=-1.1, in_torch=False),
    *(
        Case(
            "polygamma",
            ANY,
            lambda x, n=n: special.polygamma(n, x),
            lambda t, x, n=n: t.polygamma(n, x),
            f"order {n}",
            low=0.5,
            high=9,
            in_torch=n > 1,
        )
        for n in (1, 2, 3)
    ),
    Case(
        "mvlgamma",
        ANY,
        np.vectorize(lambda x: special.multigammaln(x, 2), otypes=[float]),
        lambda t, x: t.mvlgamma(x, 2),
        low=1,
        high=5,
    ),
    *(smooth(name, getattr(special, name), low=-9, high=9) for name in ("i0", "i0e", "i1", "i1e")),
    *(
        Case(name, ANY, lambda x, name=name: getattr(special, name)(2.5, x),
             lambda t, x, name=name: getattr(t.special, name)(t.tensor(2.5, dtype=x.dtype), x),
             low=0.2, high=6, in_torch=False)  # by the first argument: tests/test_distributions.py
        for name in ("gammainc", "gammaincc")
    ),
    Case("log_gamma_quantile", [[(3, 4)]], lambda a: np.log(special.gammaincinv(a, 0.3)),
         lambda t, a: OPS["log_gamma_quantile"](a.detach(), uniform=(0 * a.detach() + 0.3).array),
         low=0.2, high=6, in_torch=False, differentiable=False),
    smooth("entr", special.entr, low=0.1),
    smooth("ndtr", special.ndtr),
    Case("xlog1py", PAIRS, special.xlog1py, lambda t, x, y: t.special.xlog1py(x, y), low=0.1),
    Case("fmax", PAIRS, np.fmax),
    Case("fmin", PAIRS, np.fmin),
    Case("rsub", PAIRS, lambda x, y: y - 2 * x, lambda t, x, y: t.rsub(x, y, alpha=2)),
    Case("nextafter", PAIRS, np.nextafter),
    Case("frexp", ANY, np.frexp, lambda t, x: t.frexp(x)),
    Case("sgn", ANY, np.sign),
    Case("isreal", ANY, np.isreal, differentiable=False),
    *(
        Case(
            name,
            PAIRS,
            lambda x, y, name=name: getattr(np, name)(integers(x), integers(y)),
            lambda t, x, y, name=name: getattr(t, name)(
                (x * 10).round().long(), (y * 10).round().long()
            ),
            differentiable=False,
        )
        for name in ("gcd", "lcm")
    ),
    Case(
        "isin",
        [[(3, 4)], [(0, 2)], [()]],
        lambda x: np.isin(integers(x), [3, -7, 12]),
        lambda t, x: t.isin((x * 10).round().long(), t.tensor([3, -7, 12])),
        differentiable=False,
    ),
    Case("angle", ANY, lambda x: np.where(x < 0, math.pi, 0.0)),
    *(Case(name, ANY, np.copy) for name in ("conj", "conj_physical", "real", "resolve_conj", "resolve_neg")),
    Case("adjoint", [[(2, 3)]], np.transpose),
    Case("renorm", [[(3, 4)]], renorm, lambda t, x: t.renorm(x, 2, 0, 1.0)),
]  # fmt: skip

SAMPLED = [
    *(
        Case(name, [[(3, 4)], [(4,)]], lambda y: np.trapezoid(y), lambda t, y, n=name: getattr(t, n)(y))
        for name in ("trapezoid", "trapz")
    ),
    Case("trapezoid", [[(4, 3)]], lambda y: np.trapezoid(y, PLACES, axis=0),
         lambda t, y: t.trapezoid(y, t.tensor(PLACES).to(y.dtype), dim=0), "at places"),
    Case("cumulative_trapezoid", [[(3, 4)]], lambda y: np.cumsum((y[:, 1:] + y[:, :-1]) / 4, 1),
         lambda t, y: t.cumulative_trapezoid(y, dx=0.5)),
    Case("gradient", [[(3, 4)], [(4, 3, 5)]], np.gradient, lambda t, x: t.gradient(x)),
    Case("gradient", [[(3, 4)]], lambda x: np.gradient(x, PLACES, axis=1, edge_order=2),
         lambda t, x: t.gradient(x, spacing=(t.tensor(PLACES).to(x.dtype),), dim=1, edge_order=2),
         "at places"),
    Case("cov", [[(3, 5)], [(4,)]], np.cov),
    Case("cov", [[(3, 5)]], lambda x: np.cov(x, fweights=[1, 2, 1, 3, 1], aweights=[1, 1, 2, 1, 0.5]),
         lambda t, x: t.cov(x, fweights=t.tensor([1, 2, 1, 3, 1]),
                            aweights=t.tensor([1, 1, 2, 1, 0.5], dtype=x.dtype)),
         "weights"),
    Case("corrcoef", [[(3, 5)]], np.corrcoef),
    Case("histogram", [[(5, 4)]], lambda x: tuple(map(np.float64, np.histogram(x, 4, (-1, 2)))),
         lambda t, x: t.histogram(x.detach(), 4, range=(-1.0, 2.0)), differentiable=False),
    Case("isin", ANY, lambda x: np.isin(x, x), lambda t, x: OPS["isin"](x, among=x.array, invert=False),
         "rule", in_torch=False, differentiable=False),
]  # fmt: skip

DRAWN = [  # of chances that leave no choice; the distributions are tests/test_random_draws.py
    Case("bernoulli", ANY, lambda x: x > 0, lambda t, x: t.bernoulli((x > 0).to(x.dtype)).bool(),
         differentiable=False),
    Case("multinomial", [[(4, 3)]], lambda x: x.argmax(1)[:, None],
         lambda t, x: t.multinomial((x == x.amax(1, True)).to(x.dtype), 1), differentiable=False),
    Case("fill", ANY, lambda x: np.full(x.shape, 2.5), lambda t, x: t.fill(x, 2.5)),
    Case("zero_", ANY, np.zeros_like, lambda t, x: t.zero_(x.clone())),
    Case("normal", ANY, np.copy, lambda t, x: t.normal(x.detach(), 0.0), differentiable=False),
]  # fmt: skip
