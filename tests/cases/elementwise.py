"""The rows of the table for elementwise operations of one tensor."""

from __future__ import annotations

import math

import numpy as np

from tests.cases.case import ANY, Case, erf, sigmoid

erfc = np.vectorize(math.erfc, otypes=[float])


def erfinv(x):
    """By bisection."""
    low, high = np.full(x.shape, -6.0), np.full(x.shape, 6.0)
    for _ in range(80):
        middle = (low + high) / 2
        above = erf(middle) > x
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    return (low + high) / 2


def renamed(names, samples=ANY, **options):
    """A row for each name, with the NumPy function that it is."""
    return [
        Case(name, samples, getattr(np, numpy_name), **options)
        for name, numpy_name in names.items()
    ]


def same(*names):
    """The names, which NumPy has too."""
    return {name: name for name in names}


INVERSES = {
    "acos": "arccos",
    "arccos": "arccos",
    "arcsin": "arcsin",
    "arctanh": "arctanh",
    "asin": "arcsin",
    "atanh": "arctanh",
}
INVERSES_ANYWHERE = {
    "arcsinh": "arcsinh",
    "arctan": "arctan",
    "asinh": "arcsinh",
    "atan": "arctan",
}
STEPS = {**same("ceil", "floor", "round", "sign", "trunc"), "fix": "trunc"}

ELEMENTWISE = [
    *renamed(same("abs", "absolute", "cos", "cosh", "deg2rad", "exp", "exp2", "expm1")),
    *renamed(same("negative", "positive", "rad2deg", "reciprocal", "sin", "sinc", "sinh")),
    *renamed(same("square", "tanh")),
    *renamed(same("log", "log10", "log1p", "log2", "sqrt"), low=0.2, high=3),
    *renamed(same("tan"), low=-1.2, high=1.2),
    *renamed(INVERSES, low=-0.9, high=0.9),
    *renamed(INVERSES_ANYWHERE),
    *renamed({"acosh": "arccosh", "arccosh": "arccosh"}, low=1.2, high=4),
    *renamed(STEPS),
    *renamed(
        same("isfinite", "isinf", "isnan", "isneginf", "isposinf", "logical_not", "signbit"),
        differentiable=False,
    ),
    Case("neg", ANY, np.negative),
    Case("rsqrt", ANY, lambda x: 1 / np.sqrt(x), low=0.2, high=3),
    Case("sigmoid", ANY, sigmoid),
    Case("relu", ANY, lambda x: np.maximum(x, 0)),
    Case("erf", ANY, erf, low=-3, high=3),
    Case("erfc", ANY, erfc, low=-3, high=4),
    Case("erfinv", ANY, erfinv, low=-0.95, high=0.95),
    Case("logit", ANY, lambda x: np.log(x / (1 - x)), low=0.1, high=0.9),
    Case(
        "logit",
        ANY,
        lambda x: np.log(np.clip(x, 0.2, 0.8) / (1 - np.clip(x, 0.2, 0.8))),
        lambda t, x: t.logit(x, eps=0.2),
        "eps",
        low=-0.5,
        high=1.5,
    ),
    Case("frac", ANY, lambda x: x - np.trunc(x)),
    Case("round", ANY, lambda x: np.round(x, 2), lambda t, x: t.round(x, decimals=2), "decimals=2"),
    Case(
        "round",
        ANY,
        lambda x: np.round(x, -1),
        lambda t, x: x.round(decimals=-1),
        "decimals=-1",
        low=-40,
        high=40,
    ),
    Case("clone", ANY, np.copy),
    Case("invert", ANY, lambda x: ~(x > 0), lambda t, x: ~(x > 0), differentiable=False),
    Case(
        "bitwise_not",
        ANY,
        lambda x: ~x.astype("i8"),
        lambda t, x: t.bitwise_not(x.long()),
        differentiable=False,
    ),
    *(
        Case(
            name, ANY, lambda x: np.clip(x, -1, 0.5), lambda t, x, n=name: getattr(t, n)(x, -1, 0.5)
        )
        for name in ("clamp", "clip")
    ),
    Case("clamp", ANY, lambda x: np.maximum(x, 0.1), lambda t, x: x.clamp(min=0.1), "below"),
    Case("clamp", ANY, lambda x: np.minimum(x, 0.1), lambda t, x: x.clamp(max=0.1), "above"),
    Case("clamp_min", ANY, lambda x: np.maximum(x, 0.1), lambda t, x: t.clamp_min(x, 0.1)),
    Case("clamp_max", ANY, lambda x: np.minimum(x, 0.1), lambda t, x: t.clamp_max(x, 0.1)),
    Case("nan_to_num", ANY, np.copy),
    Case("pow", ANY, lambda x: x**2, lambda t, x: x**2, "square"),
    Case("pow", ANY, lambda x: x**3, lambda t, x: t.pow(x, 3), "cube"),
    Case("pow", ANY, lambda x: x**0, lambda t, x: t.pow(x, 0), "zeroth"),
    Case("pow", ANY, lambda x: x**-1.5, lambda t, x: x**-1.5, "negative", low=0.3),
    Case("pow", ANY, lambda x: 2.5**x, lambda t, x: 2.5**x, "of a number"),
]
