"""The rows of the table for running sums and extremes, and for sorting."""

from __future__ import annotations

import numpy as np

from tests.cases.case import MATRIX, Case

ZEROS = np.array([[1, 1, 0, 1, 1], [0, 1, 1, 0, 1], [1] * 5, [0] * 5])
TIES = [[(3, 8)]]  # truncated to whole numbers, many are equal


def ordered(x, axis, descending=False):
    places = np.argsort(-x if descending else x, axis, kind="stable")
    return np.take_along_axis(x, places, axis), places


def running(x, axis, largest):
    """(values, places) of the extremes up to each place, of equal ones the last."""
    values, places = np.empty(x.shape), np.empty(x.shape, int)
    for index in np.ndindex(x.shape):
        line = list(index)
        line[axis] = slice(index[axis] + 1)
        part = x[tuple(line)][::-1]
        values[index] = part.max() if largest else part.min()
        places[index] = index[axis] - (part.argmax() if largest else part.argmin())
    return values, places


SCANS = [
    *(
        Case(
            name,
            [[(2, 3, 4)], [(0, 3, 2)], [(3, 0, 2)]],
            lambda x, of=reference, axis=axis: of(x, axis),
            lambda t, x, name=name, axis=axis: getattr(t, name)(x, axis),
            f"dim={axis}",
        )
        for axis in (0, -1)
        for name, reference in {
            "cumprod": np.cumprod,
            "cumsum": np.cumsum,
            "logcumsumexp": lambda x, axis: np.log(np.cumsum(np.exp(x), axis)),
        }.items()
    ),
    *(
        Case(name, [[()]], np.copy, lambda t, x, name=name: getattr(x, name)(0), "0-d")
        for name in ("cumprod", "cumsum", "logcumsumexp")
    ),
    Case(
        "cumprod",
        [[(4, 5)]],
        lambda x: np.cumprod(x * ZEROS, 1),
        lambda t, x: t.cumprod(x * t.tensor(ZEROS), 1),
        "with zeros",
    ),
    *(
        Case(
            name,
            [[(2, 3, 4)], [(1, 5, 7)]],
            lambda x, largest=largest, axis=axis: running(x, axis, largest),
            lambda t, x, name=name, axis=axis: getattr(t, name)(x, axis),
            f"dim={axis}",
            smooth=False,
        )
        for name, largest in (("cummax", True), ("cummin", False))
        for axis in (1, -1)
    ),
    *(
        Case(
            name,
            TIES,
            lambda x, largest=largest: running(np.trunc(x), 1, largest),
            lambda t, x, name=name: getattr(t, name)(x.trunc(), 1),
            "of equal ones",
        )
        for name, largest in (("cummax", True), ("cummin", False))
    ),
    *(
        Case(name, [[()]], lambda x: (x, np.int64(0)), lambda t, x, name=name: getattr(x, name)(0), "0-d")
        for name in ("cummax", "cummin", "sort")
    ),
    Case("diff", [[(3, 4)], [(2, 1)], [(2, 0)]], np.diff),
    Case("diff", MATRIX, lambda x: np.diff(x, 2, 0), lambda t, x: x.diff(2, dim=0), "n=2 dim=0"),
    Case(
        "diff",
        [[(3, 4), (3, 1), (3, 2)]],
        lambda x, a, b: np.diff(x, prepend=a, append=b),
        lambda t, x, a, b: t.diff(x, prepend=a, append=b),
        "prepend append",
    ),
    *(
        Case(
            "sort",
            [[(2, 3, 4)], [(0, 3, 1)]],
            lambda x, axis=axis, down=down: ordered(x, axis, down),
            lambda t, x, axis=axis, down=down: t.sort(x, dim=axis, descending=down),
            f"dim={axis} descending={down}",
            smooth=False,
        )
        for axis in (0, -1)
        for down in (False, True)
    ),
    Case("msort", [[(4, 3)]], lambda x: np.sort(x, 0), smooth=False),
    Case(
        "argsort",
        [[(2, 4)], [()]],
        lambda x: ordered(x, -1, True)[1] if x.ndim else np.int64(0),
        lambda t, x: t.argsort(x, descending=True),
        differentiable=False,
    ),
    Case(
        "topk",
        [[(2, 5)]],
        lambda x: tuple(a[:, :2] for a in ordered(x, 1, True)),
        lambda t, x: t.topk(x, 2),
        smooth=False,
    ),
    Case(
        "topk",
        [[(5, 2)]],
        lambda x: tuple(a[:3] for a in ordered(x, 0)),
        lambda t, x: t.topk(x, 3, 0, largest=False),
        "smallest",
        smooth=False,
    ),
]  # fmt: skip
