"""The rows of the table for what is chosen by rank, for different values and for counts."""

from __future__ import annotations

import numpy as np

from tests.cases.case import Case
from tests.cases.reductions import holed, picked, with_holes
from tests.cases.scans import TIES, ordered


def middle(x, axis):
    """(values, places) of the lower median."""
    rank = (x.shape[axis] - 1) // 2
    values, places = ordered(x, axis)
    return values.take(rank, axis), places.take(rank, axis)


def last_argmin(x, axis, keepdims):
    return x.shape[axis] - 1 - np.flip(x, axis).argmin(axis, keepdims=keepdims)


def runs(x):
    """(values, inverse, counts) of runs of equal elements."""
    starts = np.append(True, x[1:] != x[:-1])
    inverse = np.cumsum(starts) - 1
    return x[starts], inverse, np.bincount(inverse)


STATISTICS = [
    *(
        Case(name, [[()]], lambda x: (x, np.int64(0)), lambda t, x, name=name: getattr(x, name)(0), "0-d")
        for name in ("median", "mode", "nanmedian")
    ),
    Case(
        "kthvalue",
        [[(2, 5)]],
        lambda x: tuple(a[:, 1] for a in ordered(x, 1)),
        lambda t, x: t.kthvalue(x, 2),
        smooth=False,
    ),
    Case(
        "kthvalue",
        [[(5, 2)]],
        lambda x: tuple(a[2:3] for a in ordered(x, 0)),
        lambda t, x: x.kthvalue(3, 0, keepdim=True),
        "keepdim",
        smooth=False,
    ),
    *(
        Case(name, [[(3, 4)], [(5,)], [()]], lambda x: np.sort(x, None)[(x.size - 1) // 2],
             label="of all", smooth=False)
        for name in ("median", "nanmedian")
    ),
    *(
        Case(
            name,
            [[(3, 4, 5)]],
            lambda x, axis=axis: middle(x, axis),
            lambda t, x, name=name, axis=axis: getattr(t, name)(x, axis),
            f"dim={axis}",
            smooth=False,
        )
        for name in ("median", "nanmedian")
        for axis in (1, -1)
    ),
    Case(
        "nanmedian",
        [[(4, 7)]],
        lambda x: np.array([np.sort(row)[(np.isfinite(row).sum() - 1) // 2] for row in holed(x)]),
        lambda t, x: with_holes(t, x).nanmedian(1).values,
        "with NaN",
        smooth=False,
    ),
    Case(
        "mode",
        TIES,
        lambda x: np.array([np.unique(r)[np.unique(r, return_counts=True)[1].argmax()] for r in np.trunc(x)]),
        lambda t, x: t.mode(x.trunc())[0],
        "values",
    ),
    Case(
        "mode", [[(4, 3)]], lambda x: picked(x, 0, last_argmin, True), lambda t, x: x.mode(0, True),
        "of different ones", smooth=False,
    ),
    *(
        Case(
            name,
            [[(3, 4, 5)]],
            lambda x, q=q, axis=axis, how=how: np.quantile(x, q, axis, keepdims=how == "linear", method=how),
            lambda t, x, name=name, q=q, axis=axis, how=how: getattr(t, name)(
                x, t.tensor(q, dtype=x.dtype), axis, how == "linear", interpolation=how
            ),
            f"q={q} dim={axis} {how}",
            smooth=False,
        )
        for name in ("quantile", "nanquantile")
        for q in (0.3, [0.0, 0.55, 1.0])
        for axis in (None, 1, -1)
        for how in ("linear", "lower", "higher", "midpoint", "nearest")
    ),
    Case("quantile", [[()]], np.copy, lambda t, x: t.quantile(x, 0.4), "0-d"),
    Case(
        "nanquantile",
        [[(4, 7)]],
        lambda x: np.nanquantile(holed(x), [0.25, 0.6], 1),
        lambda t, x: t.nanquantile(with_holes(t, x), t.tensor([0.25, 0.6], dtype=x.dtype), 1),
        "with NaN",
        smooth=False,
    ),
    Case(
        "unique",
        [[(3, 4)], [()], [(0,)]],
        lambda x: np.unique(np.trunc(x), return_inverse=True, return_counts=True),
        lambda t, x: t.unique(x.detach().trunc(), return_inverse=True, return_counts=True),
        differentiable=False,
    ),
    Case("unique", [[(3, 4)]], np.unique, lambda t, x: x.detach().unique(), "alone", differentiable=False),
    *(
        Case(
            "unique",
            [[(6, 2)], [(2, 5)]],
            lambda x, axis=axis: np.unique(
                x > 0, return_inverse=True, return_counts=True, axis=axis
            ),
            lambda t, x, axis=axis: t.unique(x > 0, return_inverse=True, return_counts=True, dim=axis),
            f"dim={axis}",
            differentiable=False,
        )
        for axis in (0, 1)
    ),
    Case(
        "unique_consecutive",
        [[(12,)]],
        lambda x: runs(x > 0),
        lambda t, x: t.unique_consecutive(x > 0, return_inverse=True, return_counts=True),
        differentiable=False,
    ),
    Case(
        "histc",
        [[(5, 4)]],
        lambda x: np.histogram(x, 5, (-1, 1))[0].astype(float),
        lambda t, x: t.histc(x, 5, -1, 1),
        differentiable=False,
    ),
    Case(
        "histc",
        [[(5, 4)]],
        lambda x: np.histogram(x, 4)[0].astype(float),
        lambda t, x: t.histc(x, 4),
        "from the smallest",
        differentiable=False,
    ),
    Case(
        "bincount",
        [[(9,)], [(0,)]],
        lambda x: np.bincount(x.astype("i8"), minlength=3),
        lambda t, x: t.bincount(x.long(), minlength=3),
        low=0,
        high=6,
        differentiable=False,
    ),
    Case(
        "bincount",
        [[(9,)]],
        lambda x: np.bincount(x.astype("i8"), x),
        lambda t, x: t.bincount(x.long(), x.detach()),
        "weights",
        low=0,
        high=6,
        differentiable=False,
    ),
]  # fmt: skip
