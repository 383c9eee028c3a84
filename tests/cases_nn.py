"""The rows of the table for `nn.functional`: references written out from the formulas."""

from __future__ import annotations

import numpy as np

import dtrain
from tests.case import ANY, Case

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


# --- embedding, dropout, normalization ---

WORDS = np.array([[1, 0, 3], [3, 3, 2]])


def one_hot(padding=None):
    """WORDS as rows of the identity; the gradient does not go to the row `padding`."""
    rows = np.eye(4)[WORDS]
    return rows if padding is None else rows * (np.arange(4) != padding)


def keep_mask():
    """What dropout multiplies ones with: which elements stay is not in its definition."""
    dtrain.manual_seed(3)
    return dtrain.nn.functional.dropout(dtrain.ones(4, 5, dtype=dtrain.float64)).numpy()


def dropout(t, x):
    t.manual_seed(3)
    return t.nn.functional.dropout(x)


def normalized(x, axes, weight=1.0, bias=0.0, eps=1e-5):
    mean, var = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
    return (x - mean) / np.sqrt(var + eps) * weight + bias


def channels(value, x):
    return np.reshape(value, (1, -1) + (1,) * (x.ndim - 2))


def batch_norm(x, weight, bias):
    axes = (0, *range(2, x.ndim))
    return normalized(x, axes, channels(weight, x), channels(bias, x))


def running(t, x):
    """A mean and a variance for each of three channels."""
    return [t.tensor(row, dtype=x.dtype) for row in ([1 / 3, 2 / 3, 1], [1, 3 / 2, 2])]


LAYERS = [
    Case(
        "F.embedding",
        [[(4, 2)]],
        lambda w: one_hot() @ w,
        lambda t, w: t.nn.functional.embedding(t.tensor(WORDS), w),
    ),
    Case("F.dropout", [[(4, 5)]], lambda x: x * keep_mask(), dropout, in_torch=False),
    Case("F.dropout", ANY, np.copy, lambda t, x: t.nn.functional.dropout(x, p=0.0), "p=0"),
    Case("F.dropout", ANY, np.zeros_like, lambda t, x: t.nn.functional.dropout(x, p=1.0), "p=1"),
    Case(
        "F.dropout", ANY, np.copy, lambda t, x: t.nn.functional.dropout(x, training=False), "eval"
    ),
    Case(
        "F.layer_norm",
        [[(2, 3, 4)], [(0, 4)]],
        lambda x: normalized(x, (-1,)),
        lambda t, x: t.nn.functional.layer_norm(x, (4,)),
    ),
    Case(
        "F.layer_norm",
        [[(2, 3, 4), (3, 4), (3, 4)]],
        lambda x, w, b: normalized(x, (1, 2), w, b, 1e-3),
        lambda t, x, w, b: t.nn.functional.layer_norm(x, (3, 4), w, b, eps=1e-3),
        "affine",
    ),
    Case(
        "F.batch_norm",
        [[(4, 3), (3,), (3,)], [(2, 3, 2, 2), (3,), (3,)]],
        batch_norm,
        lambda t, x, w, b: t.nn.functional.batch_norm(x, None, None, w, b, training=True),
        "training",
    ),
    Case(
        "F.batch_norm",
        [[(2, 3, 4)]],
        lambda x: normalized(x, (0, 2)),
        lambda t, x: t.nn.functional.batch_norm(x, None, None, training=True),
        "without affine",
    ),
    Case(
        "F.batch_norm",
        [[(4, 3), (3,), (3,)], [(0, 3), (3,), (3,)]],
        lambda x, w, b: (x - [1 / 3, 2 / 3, 1]) / np.sqrt(np.array([1, 3 / 2, 2]) + 1e-5) * w + b,
        lambda t, x, w, b: t.nn.functional.batch_norm(x, *running(t, x), w, b),
        "running statistics",
    ),
]

NN_CASES = [*LINEAR, *LAYERS]
