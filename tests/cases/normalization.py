"""The rows of the table for normalization and dropout."""

from __future__ import annotations

import math

import numpy as np

import dtrain
from tests.cases.case import ANY, Case


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


def root_mean_square(x, axes, weight=1.0, eps=2.220446049250313e-16):
    return x / np.sqrt((x * x).mean(axes, keepdims=True) + eps) * weight


def group_norm(x, groups, weight=1.0, bias=0.0, eps=1e-5):
    rows = x.reshape(len(x), groups, math.prod(x.shape[1:]) // groups)
    return normalized(rows, (2,), eps=eps).reshape(x.shape) * channels(weight, x) + channels(
        bias, x
    )


def instance_norm(x, weight=1.0, bias=0.0):
    return group_norm(x, x.shape[1], weight, bias)


def response_norm(x, size, alpha=1e-4, beta=0.75, k=1.0):
    """Of channels (n, c, ...), one by one."""
    before, count = size // 2, x.shape[1]
    around = [x[:, max(0, i - before) : i - before + size] for i in range(count)]
    sums = np.stack([(part**2).sum(1) for part in around], 1)
    return x / (k + alpha * sums / size) ** beta


NORMS = [
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
    Case(
        "F.batch_norm",
        [[(2, 3, 2, 1, 2), (3,), (3,)]],
        batch_norm,
        lambda t, x, w, b: t.nn.functional.batch_norm(x, None, None, w, b, training=True),
        "volumes",
    ),
    Case("F.rms_norm", [[(2, 4)], [(2, 3, 4)], [(0, 4)]], lambda x: root_mean_square(x, (-1,)),
         lambda t, x: t.nn.functional.rms_norm(x, (4,), eps=2.220446049250313e-16)),
    Case("F.rms_norm", [[(2, 3, 4), (3, 4)]], lambda x, w: root_mean_square(x, (1, 2), w, 0.1),
         lambda t, x, w: t.nn.functional.rms_norm(x, (3, 4), w, 0.1), "weight"),
    Case("F.group_norm", [[(2, 4, 3)], [(2, 6)], [(2, 4, 2, 3)], [(0, 4, 3)]],
         lambda x: group_norm(x, 2), lambda t, x: t.nn.functional.group_norm(x, 2)),
    Case("F.group_norm", [[(2, 4, 3), (4,), (4,)]], lambda x, w, b: group_norm(x, 2, w, b, 0.1),
         lambda t, x, w, b: t.nn.functional.group_norm(x, 2, w, b, 0.1), "affine"),
    Case("F.instance_norm", [[(2, 3, 4)], [(2, 3, 2, 2)], [(1, 2, 2, 1, 3)]], instance_norm),
    Case("F.instance_norm", [[(2, 3, 4), (3,), (3,)]], instance_norm,
         lambda t, x, w, b: t.nn.functional.instance_norm(x, weight=w, bias=b), "affine"),
    Case("F.instance_norm", [[(2, 3, 4), (3,), (3,)]], instance_norm,
         lambda t, x, w, b: t.nn.functional.instance_norm(x, *running(t, x), w, b), "tracking"),
    Case("F.instance_norm", [[(4, 3, 2), (3,), (3,)]],
         lambda x, w, b: (x - channels([1 / 3, 2 / 3, 1], x))
         / np.sqrt(channels([1, 3 / 2, 2], x) + 1e-5) * channels(w, x) + channels(b, x),
         lambda t, x, w, b: t.nn.functional.instance_norm(
             x, *running(t, x), w, b, use_input_stats=False),
         "running statistics"),
    Case("F.local_response_norm", [[(2, 5, 3)], [(2, 5, 2, 2)], [(1, 4, 2, 1, 2)]],
         lambda x: response_norm(x, 3), lambda t, x: t.nn.functional.local_response_norm(x, 3)),
    Case("F.local_response_norm", [[(2, 5, 3)]], lambda x: response_norm(x, 4, 0.5, 0.6, 2.0),
         lambda t, x: t.nn.functional.local_response_norm(x, 4, 0.5, 0.6, 2.0), "options"),
]  # fmt: skip


# --- dropout ---


def keep_mask():
    """What dropout multiplies ones with: which elements stay is not in its definition."""
    dtrain.manual_seed(3)
    return dtrain.nn.functional.dropout(dtrain.ones(4, 5, dtype=dtrain.float64)).numpy()


def dropout(t, x):
    t.manual_seed(3)
    return t.nn.functional.dropout(x)


def dropped(name, p=0.5):
    """A kind of dropout, always with the same mask."""

    def call(t, x):
        t.manual_seed(3)
        return getattr(t.nn.functional, name)(x, p, training=True)

    return call


def channel_mask(name, shape):
    """What it multiplies ones with; whole channels are kept or not."""
    mask = dropped(name)(dtrain, dtrain.ones(*shape, dtype=dtrain.float64)).numpy()
    assert set(np.unique(mask)) <= {0, 2}
    kept = mask.reshape(*shape[: 1 + (len(shape) in (3, 5) or name == "dropout2d")], -1)
    assert (kept == kept[..., :1]).all()
    return mask


def alpha(name, p):
    """What it does to zeros says which stay; those are scaled, others saturated."""

    def reference(x):
        saturated = -1.0507009873554805 * 1.6732632423543772
        zeros = dropped(name, p)(dtrain, dtrain.zeros(*x.shape, dtype=dtrain.float64)).numpy()
        scale = ((1 - p) * (1 + p * saturated**2)) ** -0.5
        return scale * (np.where(zeros > 0, x, saturated) - p * saturated)

    return reference


def of_channels(name, *shapes):
    return Case(
        f"F.{name}", [[shape] for shape in shapes],
        lambda x: x * channel_mask(name, x.shape), dropped(name), in_torch=False,
    )  # fmt: skip


OFF = [
    Case(f"F.{name}", [[(2, 3, 4)]], np.copy,
         lambda t, x, name=name: getattr(t.nn.functional, name)(x, training=False), "eval")
    for name in ("dropout1d", "alpha_dropout", "feature_alpha_dropout")
]  # fmt: skip
DROPOUT = [
    *OFF,
    Case("F.dropout", [[(4, 5)]], lambda x: x * keep_mask(), dropout, in_torch=False),
    Case("F.dropout", ANY, np.copy, lambda t, x: t.nn.functional.dropout(x, p=0.0), "p=0"),
    Case("F.dropout", ANY, np.zeros_like, lambda t, x: t.nn.functional.dropout(x, p=1.0), "p=1"),
    Case(
        "F.dropout", ANY, np.copy, lambda t, x: t.nn.functional.dropout(x, training=False), "eval"
    ),
    Case("F.dropout", [[(4, 5)]], lambda x: x * keep_mask(),
         lambda t, x: (t.manual_seed(3), t.nn.functional.dropout(x.clone(), inplace=True))[1],
         "in place", in_torch=False),
    of_channels("dropout1d", (3, 4, 2), (4, 3)),
    of_channels("dropout2d", (3, 4, 2, 2), (3, 4, 2)),
    of_channels("dropout3d", (3, 4, 2, 1, 2), (4, 2, 2, 1)),
    Case("F.alpha_dropout", [[(4, 5)]], alpha("alpha_dropout", 0.3), dropped("alpha_dropout", 0.3),
         in_torch=False),
    Case("F.feature_alpha_dropout", [[(4, 3, 2)]], alpha("feature_alpha_dropout", 0.3),
         dropped("feature_alpha_dropout", 0.3), in_torch=False),
    Case("F.alpha_dropout", ANY, np.zeros_like,
         lambda t, x: t.nn.functional.alpha_dropout(x, 1.0, True), "p=1"),
]  # fmt: skip
