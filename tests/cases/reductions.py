"""The rows of the table for reductions and softmax."""

from __future__ import annotations

import math

import numpy as np

from tests.cases.case import MATRIX, Case, log_softmax

# every form of `dim` on one shape, then 0-d and empty where they are legal
AXES = [None, 0, -1, (0, 2), [1]]


def reductions(name, reference, zero_d=True, **options):
    """A row for each form of `dim`, with and without `keepdim`."""
    rows = [
        Case(
            name,
            [[(2, 3, 4)]],
            lambda x, axis=axis, keep=keep: reference(
                x, axis=tuple(axis) if isinstance(axis, list) else axis, keepdims=keep
            ),
            lambda t, x, axis=axis, keep=keep: getattr(t, name)(x, dim=axis, keepdim=keep),
            f"dim={axis} keepdim={keep}",
            **options,
        )
        for axis in AXES
        for keep in (False, True)
    ]
    if zero_d:
        rows.append(Case(name, [[()]], reference, label="0-d", **options))
        rows.append(
            Case(
                name,
                [[()]],
                lambda x: reference(x, axis=()),
                lambda t, x: getattr(t, name)(x, 0),
                "0-d dim=0",
                **options,
            )
        )
    return rows


def logsumexp(x, axis, keepdims=False):
    return np.log(np.exp(x).sum(axis, keepdims=keepdims))


def variance(x, axis=None, keepdims=False):
    return x.var(axis, ddof=1, keepdims=keepdims)


def picked(x, axis, pick, keepdims=False):
    """(values, places) of the extremes along an axis."""
    places = pick(x, axis, keepdims=True)
    values = np.take_along_axis(x, places, axis)
    return (values, places) if keepdims else (values.squeeze(axis), places.squeeze(axis))


def holed(x):
    return np.where(x > 1, np.nan, x)


def with_holes(t, x):
    return t.where(x > 1, float("nan"), x)


def p_norm(x, p, axis):
    return np.power(np.power(abs(x), p).sum(axis), 1 / p)


REDUCTIONS = [
    *reductions("sum", np.sum),
    *reductions("mean", np.mean),
    *reductions("amax", np.max, smooth=False),
    *reductions("amin", np.min, smooth=False),
    *reductions("var", variance, zero_d=False),
    *reductions("std", lambda x, **axis: np.sqrt(variance(x, **axis)), zero_d=False, smooth=False),
    *(
        Case(
            "logsumexp",
            [[(2, 3, 4)]],
            lambda x, axis=axis: logsumexp(x, axis),
            lambda t, x, axis=axis: t.logsumexp(x, axis),
            f"dim={axis}",
        )
        for axis in (0, -1, (0, 2))
    ),
    Case("logsumexp", [[()]], np.copy, lambda t, x: x.logsumexp(0), "0-d"),
    Case("sum", [[(0, 3)]], lambda x: x.sum(0), lambda t, x: x.sum(0), "empty"),
    Case("mean", [[(3, 0)]], lambda x: np.full(3, np.nan), lambda t, x: x.mean(1), "empty"),
    Case("var", [[(3, 0)]], lambda x: np.full(3, np.nan), lambda t, x: x.var(1), "empty"),
    Case("var", [[(3, 1)]], lambda x: np.full(3, np.nan), lambda t, x: x.var(1), "of one"),
    Case("prod", [[(0, 3)]], lambda x: x.prod(0), lambda t, x: x.prod(0), "empty"),
    Case("prod", [[(2, 3, 4)], [()], [(0,)]], np.prod),
    Case("prod", [[(2, 3, 4)]], lambda x: x.prod(1), lambda t, x: t.prod(x, 1), "dim=1"),
    Case(
        "prod",
        [[(3, 3)]],
        lambda x: (x * [[1, 1, 1], [0, 1, 1], [0, 0, 1]]).prod(1),
        lambda t, x: (x * t.tensor([[1, 1, 1], [0, 1, 1], [0, 0, 1]])).prod(1),
        "with zeros",
    ),
    Case("var", MATRIX, np.var, lambda t, x: x.var(correction=0), "correction=0"),
    Case("var", MATRIX, np.var, lambda t, x: x.var(unbiased=False), "unbiased=False"),
    *(
        Case(name, [[(2, 3)], [()], [(0,)]], getattr(np, name), differentiable=False)
        for name in ("all", "any")
    ),
    *(
        Case(
            name,
            [[(2, 3)]],
            lambda x, name=name, axis=axis: getattr(np, name)(x > 0, axis=axis),
            lambda t, x, name=name, axis=axis: getattr(x > 0, name)(axis),
            f"dim={axis}",
            differentiable=False,
        )
        for name in ("all", "any")
        for axis in (1, (0, -1))
    ),
    *(
        Case(name, [[(2, 3)], [()]], getattr(np, name), differentiable=False)
        for name in ("argmax", "argmin")
    ),
    *(
        Case(
            name,
            [[(2, 3, 4)]],
            lambda x, name=name: getattr(np, name)(x, 1, keepdims=True),
            lambda t, x, name=name: getattr(x, name)(1, keepdim=True),
            "dim=1",
            differentiable=False,
        )
        for name in ("argmax", "argmin")
    ),
    *(
        Case(
            name,
            [[(2, 3, 4)], [(2, 1)]],
            lambda x, pick=pick, keep=keep: picked(x, 1, pick, keep),
            lambda t, x, name=name, keep=keep: getattr(t, name)(x, 1, keepdim=keep),
            f"dim=1 keepdim={keep}",
            smooth=False,
        )
        for name, pick in (("max", np.argmax), ("min", np.argmin))
        for keep in (False, True)
    ),
    *(
        Case(name, [[(2, 3)], [()]], getattr(np, name), label="of all", smooth=False)
        for name in ("max", "min")
    ),
    *(
        Case(
            name,
            [[()]],
            lambda x: (x, np.int64(0)),
            lambda t, x, name=name: getattr(t, name)(x, 0),
            "0-d",
        )
        for name in ("max", "min")
    ),
    *(
        Case(
            "norm",
            [[(2, 3)]],
            lambda x, p=p, axis=axis: p_norm(x, p, axis),
            lambda t, x, p=p, axis=axis: t.norm(x, p, axis),
            f"p={p} dim={axis}",
        )
        for p in (1, 2, 3.5)
        for axis in (None, 1)
    ),
    *(
        Case(
            "norm",
            MATRIX,
            lambda x, p=p, axis=axis: np.linalg.vector_norm(x, axis=axis, ord=p),
            lambda t, x, p=p, axis=axis: (x if p else x.detach()).norm(p, axis),
            f"p={p} dim={axis}",
            smooth=False,
            differentiable=p != 0,
        )
        for p in (math.inf, -math.inf, 0)
        for axis in (None, 0)
    ),
    Case("norm", MATRIX, np.linalg.norm, lambda t, x: t.norm(x, "fro"), "fro"),
    Case("norm", [[(2, 3)], [()]], lambda x: np.sqrt((x * x).sum()), label="of all"),
    *(
        Case(
            "dist",
            [[(2, 3), (2, 3)], [(2, 3), (3,)], [(), ()]],
            lambda x, y, p=p: p_norm(x - y, p, None),
            lambda t, x, y, p=p: t.dist(x, y, p),
            f"p={p}",
        )
        for p in (1, 2, 3)
    ),
    *(
        Case(
            "aminmax",
            [[(2, 3, 4)]],
            lambda x, axis=axis, keep=keep: (
                x.min(axis, keepdims=keep),
                x.max(axis, keepdims=keep),
            ),
            lambda t, x, axis=axis, keep=keep: t.aminmax(x, dim=axis, keepdim=keep),
            f"dim={axis} keepdim={keep}",
            smooth=False,
        )
        for axis in (None, 1, -1)
        for keep in (False, True)
        if axis is not None or not keep
    ),
    *(
        Case(
            name,
            MATRIX,
            lambda x, power=power, axis=axis: (x.var(axis) ** power, x.mean(axis)),
            lambda t, x, name=name, axis=axis: getattr(t, name)(x, dim=axis, correction=0),
            f"dim={axis}",
            smooth=False,
        )
        for name, power in (("var_mean", 1), ("std_mean", 0.5))
        for axis in (None, 1)
    ),
    *(
        Case(
            name,
            [[(4, 5)]],
            lambda x, name=name, axis=axis: getattr(np, name)(holed(x), axis),
            lambda t, x, name=name, axis=axis: getattr(t, name)(with_holes(t, x), axis),
            f"dim={axis} with NaN",
        )
        for name in ("nansum", "nanmean")
        for axis in (None, 1)
    ),
    *reductions("nansum", np.sum),
    *reductions("nanmean", np.mean),
    *(
        Case(
            "count_nonzero",
            [[(2, 3, 4)]],
            lambda x, axis=axis: np.count_nonzero(np.trunc(x), axis),
            lambda t, x, axis=axis: t.count_nonzero(x.trunc(), dim=axis),
            f"dim={axis}",
            differentiable=False,
        )
        for axis in (None, 1, (0, -1))
    ),
    Case("count_nonzero", [[()], [(0,)]], np.count_nonzero, differentiable=False),
    Case(
        "softmax", [[(2, 3, 4)]], lambda x: np.exp(log_softmax(x, 1)), lambda t, x: t.softmax(x, 1)
    ),
    Case("softmax", [[()]], np.ones_like, lambda t, x: t.softmax(x, 0), "0-d"),
    Case(
        "log_softmax",
        [[(2, 3, 4)], [(0, 3)]],
        lambda x: log_softmax(x, -1),
        lambda t, x: t.log_softmax(x, -1),
    ),
    Case("log_softmax", [[()]], np.zeros_like, lambda t, x: t.log_softmax(x, 0), "0-d"),
]
