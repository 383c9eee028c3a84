"""The rows of the table for losses of classes, labels and sequences of labels."""

from __future__ import annotations

import itertools

import numpy as np

from tests.cases.case import Case, log_softmax, sigmoid
from tests.cases.losses import REDUCTIONS, WEIGHTS, rows

CLASSES = np.array([2, 0, -100, 1])


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


# --- of classes ---

LABELS = np.array([[2, 0, -1], [1, -1, 0]])


def multi_margin(x, p=1, margin=1.0, weights=(1, 1, 1)):
    target = CLASSES % 3
    own = np.take_along_axis(x, target[:, None], 1)
    missing = np.maximum(0, margin - own + x) ** p * (np.arange(3) != target[:, None])
    return (missing * np.array(weights)[target][:, None]).sum(1) / 3


def multilabel_margin(x):
    """By hand: the labels of the first row are {2, 0}, those of the second {1}."""

    def missing(label, other):
        return np.maximum(0, 1 - label + other)

    (a, b, c), (d, e, f) = x
    return np.array([missing(c, b) + missing(a, b), missing(e, d) + missing(e, f)]) / 3


CHANCES = np.array([[0.2, 0.5, 0.3], [1.0, 0.0, 0.0]])


def soft_entropy(x, weights=(1, 1, 1), smoothing=0.0):
    target = CHANCES * (1 - smoothing) + smoothing / 3
    return -(log_softmax(x, 1) * target * np.array(weights)).sum(1)


def alignments(logs, labels, blank):
    """-log of the sum over all paths that say `labels`, one by one."""
    total = 0.0
    for path in itertools.product(range(logs.shape[1]), repeat=len(logs)):
        said = [c for i, c in enumerate(path) if c != blank and (not i or path[i - 1] != c)]
        if said == list(labels):
            total += np.exp(sum(row[c] for row, c in zip(logs, path)))
    return -np.log(total)


def ctc(x, blank):
    """Three samples, of 4, 3 and 2 steps, saying 1 1, 2 and nothing."""
    logs = log_softmax(x, 2)
    says = ([1, 1], [2], []) if blank == 0 else ([1, 1], [0], [])
    return np.array([alignments(logs[:n, i], says[i], blank) for i, n in enumerate((4, 3, 2))])


def call_ctc(t, f, how, x, blank=0):
    target = [1, 1, 2] if blank == 0 else [[1, 1], [0, 2], [2, 2]]
    logs = t.log_softmax(x, 2)
    return f(logs, t.tensor(target), (4, 3, 2), (2, 1, 0), blank, how)


def rows_of_ctc(blank, label):
    mean = lambda losses: (losses / [2, 1, 1]).mean()
    return [
        Case("F.ctc_loss", [[(4, 3, 3)]], lambda x, r=r: r(ctc(x, blank)),
             lambda t, x, how=how: call_ctc(t, t.nn.functional.ctc_loss, how, x, blank),
             f"{label} {how}".strip())
        for how, r in (REDUCTIONS | {"mean": mean}).items()
    ]  # fmt: skip


CLASS_LOSSES = [
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

    *rows("multi_margin_loss", multi_margin, [[(4, 3)]],
          lambda t, f, how, x: f(x, t.tensor(CLASSES % 3), reduction=how)),
    *rows("multi_margin_loss", lambda x: multi_margin(x, 2, 0.5, WEIGHTS), [[(4, 3)]],
          lambda t, f, how, x: f(
              x, t.tensor(CLASSES % 3), 2, 0.5, t.tensor(WEIGHTS, dtype=x.dtype), reduction=how),
          "options"),
    *rows("multilabel_margin_loss", multilabel_margin, [[(2, 3)]],
          lambda t, f, how, x: f(x, t.tensor(LABELS), reduction=how)),
    *rows("multilabel_soft_margin_loss",
          lambda x: -(np.array([1, 0, 1]) * np.log(sigmoid(x))
                      + np.array([0, 1, 0]) * np.log(sigmoid(-x))).mean(-1),
          [[(2, 3)], [(3,)]],
          lambda t, f, how, x: f(x, t.tensor([1.0, 0, 1], dtype=x.dtype).expand(x.shape),
                                 reduction=how)),
    *rows("cross_entropy", soft_entropy, [[(2, 3)]],
          lambda t, f, how, x: f(x, t.tensor(CHANCES, dtype=x.dtype), reduction=how),
          "probabilities"),
    *rows("cross_entropy", lambda x: soft_entropy(x, WEIGHTS, 0.1), [[(2, 3)]],
          lambda t, f, how, x: f(
              x, t.tensor(CHANCES, dtype=x.dtype), t.tensor(WEIGHTS, dtype=x.dtype),
              label_smoothing=0.1, reduction=how), "probabilities, options"),
    Case("F.cross_entropy", [[(2, 3, 4), (2, 3, 4)]],
         lambda x, y: -(log_softmax(x, 1) * y).sum() / 8,
         lambda t, x, y: t.nn.functional.cross_entropy(x, y), "probabilities of images"),
    *rows_of_ctc(0, ""),
    *rows_of_ctc(2, "another blank"),
]  # fmt: skip
