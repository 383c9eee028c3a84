"""The rows of the table for losses."""

from __future__ import annotations

import warnings

import numpy as np

from tests.cases.case import Case, sigmoid

REDUCTIONS = {"mean": np.mean, "sum": np.sum, "none": lambda losses: losses}


def loss(name, reference, label="", **options):
    """A row for a loss of two tensors of one shape; the second is a target in (0, 1)."""
    return [
        Case(
            f"F.{name}",
            [[(2, 3), (2, 3)], [(), ()]],
            lambda x, y, reduce=reduce: reduce(reference(x, sigmoid(y))),
            lambda t, x, y, how=how: getattr(t.nn.functional, name)(
                x, t.sigmoid(y), reduction=how, **options
            ),
            f"{label} {how}".strip(),
        )
        for how, reduce in REDUCTIONS.items()
    ]


WEIGHTS = np.array([0.5, 2.0, 1.5])

# --- more of two tensors ---


def huber(d, delta):
    return np.where(abs(d) < delta, d * d / 2, delta * (abs(d) - delta / 2))


def poisson(rate, y, full=False, eps=0.0):
    return (
        rate
        - y * np.log(rate + eps)
        + (y * np.log(y) - y + np.log(2 * np.pi * y) / 2 if full else 0)
    )


def gaussian(x, y, var, full=False):
    return (np.log(var) + (x - y) ** 2 / var + (np.log(2 * np.pi) if full else 0)) / 2


def binary(p, y):
    return -(y * np.log(p) + (1 - y) * np.log(1 - p))


SIGNS = np.array([[1, -1, 1], [-1, -1, 1]])


def rows(name, reference, samples, call, label="", low=-2.0, high=2.0):
    """A row for each reduction of a loss; `call(f, reduction, *tensors)` calls it."""
    return [
        Case(
            f"F.{name}",
            samples,
            lambda *xs, reduce=reduce: reduce(reference(*xs)),
            lambda t, *xs, how=how: call(t, getattr(t.nn.functional, name), how, *xs),
            f"{label} {how}".strip(),
            low=low,
            high=high,
        )
        for how, reduce in REDUCTIONS.items()
    ]


def signed(name, reference, samples, label="", **options):
    """Of targets 1 and -1 after the tensors."""
    return rows(
        name,
        lambda *xs: reference(*xs, SIGNS),
        samples,
        lambda t, f, how, *xs: f(*xs, t.tensor(SIGNS, dtype=xs[0].dtype), reduction=how, **options),
        label,
    )


def without_warnings(function, *args, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*args, **options)


PAIR = [[(2, 3), (2, 3)]]
TENSORS = [
    *loss("huber_loss", lambda x, y: huber(x - y, 1)),
    *loss("huber_loss", lambda x, y: huber(x - y, 0.3), "delta", delta=0.3),
    *loss("smooth_l1_loss", lambda x, y: huber(x - y, 1)),
    *loss("smooth_l1_loss", lambda x, y: huber(x - y, 0.3) / 0.3, "beta", beta=0.3),
    *loss("smooth_l1_loss", lambda x, y: abs(x - y), "beta=0", beta=0.0),
    *loss("poisson_nll_loss", lambda x, y: poisson(np.exp(x), y)),
    *rows("poisson_nll_loss", lambda x, y: poisson(x, y, True, 1e-8), PAIR,
          lambda t, f, how, x, y: f(x, y, log_input=False, full=True, reduction=how), "full",
          low=1.1, high=3),
    *rows("gaussian_nll_loss", gaussian, [[(2, 3)] * 3],
          lambda t, f, how, *xs: f(*xs, reduction=how), low=0.2),
    *rows("gaussian_nll_loss", lambda x, y, var: gaussian(x, y, var[..., None], True),
          [[(2, 3), (2, 3), (2,)]], lambda t, f, how, *xs: f(*xs, full=True, reduction=how),
          "full", low=0.2),
    *rows("binary_cross_entropy", binary, PAIR, lambda t, f, how, *xs: f(*xs, reduction=how),
          low=0.1, high=0.9),
    *rows("binary_cross_entropy", lambda p, y: WEIGHTS * binary(p, y), PAIR,
          lambda t, f, how, *xs: f(*xs, t.tensor(WEIGHTS, dtype=xs[0].dtype), reduction=how),
          "weight", low=0.1, high=0.9),
    *rows("binary_cross_entropy_with_logits",
          lambda x, y: -2 * (WEIGHTS * y * np.log(sigmoid(x)) + (1 - y) * np.log(sigmoid(-x))),
          PAIR,
          lambda t, f, how, x, y: f(
              x, y, t.tensor([2.0], dtype=x.dtype), reduction=how,
              pos_weight=t.tensor(WEIGHTS, dtype=x.dtype)), "weights"),
    *rows("kl_div", lambda x, y: y * (np.log(y) - x), PAIR,
          lambda t, f, how, *xs: without_warnings(f, *xs, reduction=how), low=0.1),
    *rows("kl_div", lambda x, y: np.exp(y) * (y - x), PAIR,
          lambda t, f, how, *xs: without_warnings(f, *xs, reduction=how, log_target=True), "log_target"),
    Case("F.kl_div", PAIR, lambda x, y: (y * (np.log(y) - x)).sum() / 2,
         lambda t, x, y: t.nn.functional.kl_div(x, y, reduction="batchmean"), "batchmean", low=0.1),
    *signed("hinge_embedding_loss",
            lambda x, y: np.where(y == 1, x, np.maximum(0, 1 - x)), [[(2, 3)]]),
    *signed("hinge_embedding_loss",
            lambda x, y: np.where(y == 1, x, np.maximum(0, 0.2 - x)), [[(2, 3)]], "margin",
            margin=0.2),
    *signed("soft_margin_loss", lambda x, y: np.log(1 + np.exp(-x * y)), [[(2, 3)]]),
    *signed("margin_ranking_loss",
            lambda a, b, y: np.maximum(0, 0.5 - y * (a - b)), [[(2, 3), (2, 3)]], margin=0.5),
]  # fmt: skip
for how in ("mse", "l1"):  # the weighted mean is over the sum of weights
    power = 2 if how == "mse" else 1
    for reduction in REDUCTIONS:
        TENSORS.append(Case(
            f"F.{how}_loss", [[(2, 3), (2, 3), (2, 3)]],
            lambda x, y, w, power=power, reduction=reduction: {
                "none": w * abs(x - y) ** power, "sum": (w * abs(x - y) ** power).sum(),
                "mean": (w * abs(x - y) ** power).sum() / w.sum()}[reduction],
            lambda t, x, y, w, how=how, reduction=reduction: getattr(
                t.nn.functional, f"{how}_loss")(x, y, reduction=reduction, weight=w),
            f"weight {reduction}", low=0.1,
        ))  # fmt: skip


# --- of vectors ---


def length(x, p=2.0):
    return (abs(x) ** p).sum(-1) ** (1 / p)


def cosine(x, y):
    return (x * y).sum(-1) / (length(x) * length(y))


def triplet(a, p, n, order=2.0, margin=1.0, swap=False):
    near, far = length(a - p + 1e-6, order), length(a - n + 1e-6, order)
    far = np.minimum(far, length(p - n + 1e-6, order)) if swap else far
    return np.maximum(0, margin + near - far)


THREE = [[(4, 3)] * 3, [(3,)] * 3]
VECTORS = [
    Case("F.normalize", [[(2, 3)]], lambda x: x / length(x)[:, None]),
    Case("F.normalize", [[(2, 3, 4)]], lambda x: x / (abs(x) ** 3).sum(0, keepdims=True) ** (1 / 3),
         lambda t, x: t.nn.functional.normalize(x, 3, dim=0), "p, dim"),
    Case("F.normalize", [[(2, 3)]], lambda x: x / 100,
         lambda t, x: t.nn.functional.normalize(x, eps=100), "eps"),
    Case("F.cosine_similarity", [[(2, 3), (2, 3)], [(4, 3), (1, 3)]], cosine),
    Case("F.cosine_similarity", [[(3, 2), (3, 2)]], lambda x, y: cosine(x.T, y.T),
         lambda t, x, y: t.nn.functional.cosine_similarity(x, y, dim=0), "dim"),
    Case("F.pairwise_distance", [[(2, 3), (2, 3)], [(3,), (2, 3)]],
         lambda x, y: length(x - y + 1e-6)),
    Case("F.pairwise_distance", [[(2, 3), (2, 3)]], lambda x, y: length(x - y + 1e-3, 3)[:, None],
         lambda t, x, y: t.nn.functional.pairwise_distance(x, y, 3, 1e-3, True), "options"),
    *rows("triplet_margin_loss", triplet, THREE, lambda t, f, how, *xs: f(*xs, reduction=how)),
    *rows("triplet_margin_loss", lambda *xs: triplet(*xs, 3, 0.5, True), THREE,
          lambda t, f, how, *xs: f(*xs, margin=0.5, p=3, swap=True, reduction=how), "options"),
    *rows("triplet_margin_with_distance_loss", triplet, THREE,
          lambda t, f, how, *xs: f(*xs, reduction=how)),
    *rows("triplet_margin_with_distance_loss",
          lambda a, p, n: np.maximum(0, 2 - cosine(a, p) + cosine(a, n)), THREE,
          lambda t, f, how, *xs: f(
              *xs, distance_function=lambda x, y: -t.nn.functional.cosine_similarity(x, y, dim=-1),
              margin=2, reduction=how), "distance"),
    *rows("cosine_embedding_loss",
          lambda x, y: np.array([1, -1]) * (np.array([1, 0]) - cosine(x, y))
          * ((cosine(x, y) > 0) | [True, False]),
          [[(2, 3), (2, 3)]],
          lambda t, f, how, x, y: f(x, y, t.tensor([1, -1]), reduction=how)),
    *rows("cosine_embedding_loss", lambda x, y: np.maximum(0, cosine(x, y) + 0.9),
          [[(3,), (3,)]],
          lambda t, f, how, x, y: f(x, y, t.tensor(-1), margin=-0.9, reduction=how), "margin"),
]  # fmt: skip


LOSSES = [
    *TENSORS,
    *VECTORS,
    *loss("mse_loss", lambda x, y: (x - y) ** 2),
    *loss("l1_loss", lambda x, y: abs(x - y)),
    *loss(
        "binary_cross_entropy_with_logits",
        lambda x, y: -(y * np.log(sigmoid(x)) + (1 - y) * np.log(1 - sigmoid(x))),
    ),
]
