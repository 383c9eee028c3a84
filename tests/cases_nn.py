"""The rows of the table for `nn.functional`: references written out from the formulas."""

from __future__ import annotations

import numpy as np

from tests.case import Case

# --- linear ---


LINEAR = [
    Case("F.linear", [[(5, 4), (3, 4)], [(0, 4), (3, 4)], [(5, 0), (3, 0)]], lambda x, w: x @ w.T),
    Case(
        "F.linear",
        [[(2, 5, 4), (3, 4), (3,)], [(4,), (3, 4), (3,)], [(2, 0), (3, 0), (3,)]],
        lambda x, w, b: x @ w.T + b,
        label="bias",
    ),
]


# --- embedding ---

WORDS = np.array([[1, 0, 3], [3, 3, 2]])


def one_hot(padding=None):
    """WORDS as rows of the identity; the gradient does not go to the row `padding`."""
    rows = np.eye(4)[WORDS]
    return rows if padding is None else rows * (np.arange(4) != padding)


LAYERS = [
    Case(
        "F.embedding",
        [[(4, 2)]],
        lambda w: one_hot() @ w,
        lambda t, w: t.nn.functional.embedding(t.tensor(WORDS), w),
    ),
]

NN_CASES = [*LINEAR, *LAYERS]
