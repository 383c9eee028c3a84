"""The rows of the table for losses."""

from __future__ import annotations

import numpy as np

from tests.case import Case, log_softmax, sigmoid

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


CLASSES = np.array([2, 0, -100, 1])
WEIGHTS = np.array([0.5, 2.0, 1.5])


def cross_entropy(logs, how, weights, ignore, smoothing, target):
    """PyTorch's, from the formulas of its documentation. logs: (4, 3) or (4, 3, d)."""
    kept = target != ignore
    chosen = np.where(kept, target, 0)
    scale = np.where(kept, weights[chosen], 0)
    losses = -(np.take_along_axis(logs, chosen[:, None], 1)[:, 0]) * scale
    spread = -(np.moveaxis(logs, 1, -1) * weights).sum(-1) * kept / 3
    losses = (1 - smoothing) * losses + smoothing * spread
    return {"none": losses, "sum": losses.sum(), "mean": losses.sum() / scale.sum()}[how]


def entropy(label, shape=(4, 3), target=CLASSES, weights=None, ignore=-100, smoothing=None):
    """A row for each reduction; nll_loss too where there is no label smoothing."""
    smooth = {} if smoothing is None else {"label_smoothing": smoothing}

    def row(name, how, logs_of):
        def call(t, x):
            return getattr(t.nn.functional, name)(
                x,
                t.tensor(target),
                weight=None if weights is None else t.tensor(weights, dtype=x.dtype),
                ignore_index=ignore,
                reduction=how,
                **smooth,
            )

        def reference(x):
            scale = np.ones(3) if weights is None else weights
            return cross_entropy(logs_of(x), how, scale, ignore, smoothing or 0, target)

        return Case(f"F.{name}", [[shape]], reference, call, f"{label} {how}".strip())

    rows = [row("cross_entropy", how, lambda x: log_softmax(x, 1)) for how in REDUCTIONS]
    if smoothing is None:
        rows += [row("nll_loss", how, lambda x: x) for how in REDUCTIONS]
    return rows


LOSSES = [
    *loss("mse_loss", lambda x, y: (x - y) ** 2),
    *loss("l1_loss", lambda x, y: abs(x - y)),
    *loss(
        "binary_cross_entropy_with_logits",
        lambda x, y: -(y * np.log(sigmoid(x)) + (1 - y) * np.log(1 - sigmoid(x))),
    ),
    *entropy(""),
    *entropy("weight", weights=WEIGHTS),
    *entropy("ignore_index", target=CLASSES % 3, ignore=1),
    *entropy("label_smoothing", smoothing=0.2),
    *entropy("all options", target=CLASSES % 3, weights=WEIGHTS, ignore=0, smoothing=0.2),
    *entropy("images", (4, 3, 2), np.stack([CLASSES, CLASSES[::-1]], 1), WEIGHTS, smoothing=0.1),
    Case(
        "F.cross_entropy",
        [[(3,)]],
        lambda x: -log_softmax(x, 0)[1],
        lambda t, x: t.nn.functional.cross_entropy(x, t.tensor(1)),
        "one sample",
    ),
]
