"""`Accuracy`, `ConfusionMatrix` and `F1`: counts of right and wrong classes over all ranks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dtrain.autograd.tensor import Tensor, wrap
from dtrain.backend import Array, array_module, to_host
from dtrain.distributed import world
from dtrain.train.metric import Metric
from dtrain.train.plots import draw_confusion_matrix


class Counts(Metric[Array]):
    """The base of metrics that count samples: their state is an array of integers."""

    def __init__(self, *shape: int) -> None:
        self._shape = shape
        super().__init__()

    def initial_state(self) -> Array:
        """Zeros."""
        return np.zeros(self._shape, np.int64)

    def merge(self, state: Array, other: Array) -> Array:
        """The counts of both, on the device of either."""
        xp = array_module(state) if not isinstance(state, np.ndarray) else array_module(other)
        return xp.asarray(state) + xp.asarray(other)

    def to_host(self, state: Array) -> Array:
        """The counts on the host."""
        return to_host(state)

    def unpack(self, packed: Array) -> Array:
        """The counts of a checkpoint.

        Raises
        ------
        ValueError
            If they are of other classes.
        """
        if np.shape(packed) != self._shape:
            raise ValueError(
                f"{type(self).__name__}: expected counts of shape {self._shape}, got "
                f"{np.shape(packed)}; make it with the options of the metric that was saved"
            )
        return np.array(to_host(packed), np.int64)


class Accuracy(Counts):
    """The part of samples whose class is among the `top_k` highest scores.

    Parameters
    ----------
    top_k : how many of the highest scores count
    ignore_index : samples with this target are not counted, as in `cross_entropy`

    Examples
    --------
    >>> import dtrain
    >>> accuracy = Accuracy()
    >>> accuracy.update(dtrain.tensor([[0.1, 0.9], [0.8, 0.2]]), dtrain.tensor([1, 1]))
    >>> accuracy.compute()
    0.5
    """

    def __init__(self, top_k: int = 1, ignore_index: int | None = None) -> None:
        if top_k < 1:
            raise ValueError(f"Accuracy: expected top_k >= 1, got {top_k}")
        self.top_k: int = top_k
        self.ignore_index: int | None = ignore_index
        super().__init__(2)

    def update(self, output: Tensor, target: Tensor) -> None:
        """Count a batch.

        Parameters
        ----------
        output : (N, C, ...) scores of the classes; or, for top_k = 1, (N, ...) predicted classes
        target : (N, ...) integer classes

        Raises
        ------
        ValueError
            If the shapes do not fit.
        """
        scores, classes = output.array, target.array
        if scores.shape == classes.shape and scores.dtype.kind in "iub" and self.top_k == 1:
            right = scores == classes
        else:
            right = _rank_of_target("Accuracy", scores, classes) < self.top_k
        xp = array_module(right)
        if self.ignore_index is None:
            counted = xp.ones_like(right)
        else:
            counted = classes != self.ignore_index
        self.add(xp.stack([(right & counted).sum(), counted.sum()]))

    def figure(self, state: Array) -> float:
        """The accuracy in [0, 1]; NaN without any sample."""
        right, total = to_host(state).tolist()
        return right / total if total else math.nan


class ConfusionMatrix(Counts):
    """How many samples of each class (row) were given which class (column).

    Parameters
    ----------
    num_classes : classes are 0 to num_classes - 1

    Examples
    --------
    >>> import dtrain
    >>> matrix = ConfusionMatrix(2)
    >>> matrix.update(dtrain.tensor([0, 1, 1]), dtrain.tensor([0, 0, 1]))
    >>> matrix.compute()
    tensor([[1, 1],
            [0, 1]])
    """

    def __init__(self, num_classes: int) -> None:
        if num_classes < 1:
            raise ValueError(
                f"{type(self).__name__}: expected at least one class, got {num_classes}"
            )
        self.num_classes = num_classes
        super().__init__(num_classes, num_classes)

    def update(self, output: Tensor, target: Tensor) -> None:
        """Count a batch.

        Parameters
        ----------
        output : (N, C, ...) scores of the classes, or (N, ...) predicted classes
        target : (N, ...) integer classes

        Raises
        ------
        ValueError
            If the shapes do not fit, or, on the CPU, a class is not in [0, num_classes).
        """
        predicted, classes = output.array, target.array
        if predicted.shape != classes.shape or predicted.dtype.kind not in "iub":
            _require_scores(type(self).__name__, predicted, classes)
            predicted = predicted.argmax(1)
        n = self.num_classes
        for name, values in (("output", predicted), ("target", classes)):
            self._require_classes(name, values)
        xp = array_module(predicted)
        pairs = (classes.astype(np.int64) * n + predicted).reshape(-1)
        self.add(xp.bincount(pairs, minlength=n * n).reshape(n, n))

    def figure(self, state: Array) -> Any:
        """The counts, (num_classes, num_classes) int64."""
        return wrap(to_host(state))

    def plot(self, path: str | Path, names: Sequence[str] | None = None) -> None:
        """Draw the counts of all ranks to a .png, .svg, .pdf or .html file; every rank calls it.

        Rank 0 writes it, by Matplotlib; `names` are the classes'.
        """
        counts = self.compute().array
        if world.rank() == 0:
            draw_confusion_matrix(counts, path, names)

    def _require_classes(self, name: str, values: Array) -> None:
        on_host = isinstance(values, np.ndarray)  # else the check would wait for the device
        if on_host and values.size and not 0 <= values.min() <= values.max() < self.num_classes:
            raise ValueError(
                f"{type(self).__name__}: expected classes from 0 to {self.num_classes - 1} in "
                f"{name}, got {values.min()} to {values.max()}"
            )


class F1(ConfusionMatrix):
    """The F1 score, 2 TP / (2 TP + FP + FN), as scikit-learn's f1_score.

    Parameters
    ----------
    num_classes : classes are 0 to num_classes - 1
    average : "macro": the mean over the classes that occur; "weighted": weighted by their samples;
        "micro": of all samples together; None: a score for each class, 0 for one that does not
        occur

    Examples
    --------
    >>> import dtrain
    >>> f1 = F1(2)
    >>> f1.update(dtrain.tensor([0, 1, 1]), dtrain.tensor([0, 0, 1]))
    >>> round(f1.compute(), 4)
    0.6667
    """

    def __init__(self, num_classes: int, average: str | None = "macro") -> None:
        if average not in ("macro", "micro", "weighted", None):
            raise ValueError(
                f"F1: expected average 'macro', 'micro', 'weighted' or None, got {average!r}"
            )
        self.average = average
        super().__init__(num_classes)

    def figure(self, state: Array) -> float | list[float]:
        """The score, or those of the classes; NaN without any sample."""
        matrix = to_host(state)
        right, given, true = matrix.diagonal(), matrix.sum(0), matrix.sum(1)
        occurring = given + true
        scores = 2 * right / np.maximum(occurring, 1)
        if self.average is None:
            return scores.tolist()
        if not matrix.any():
            return math.nan
        if self.average == "micro":
            return float(2 * right.sum() / occurring.sum())
        weights = true if self.average == "weighted" else (occurring > 0)
        return float((scores * weights).sum() / weights.sum())


def _require_scores(name: str, scores: Array, classes: Array) -> None:
    if scores.ndim != classes.ndim + 1 or scores.shape[:1] + scores.shape[2:] != classes.shape:
        raise ValueError(
            f"{name}: expected scores of shape (N, C, ...) or integer classes (N, ...) for a "
            f"target of shape {classes.shape}, got {scores.dtype} of shape {scores.shape}"
        )


def _rank_of_target(name: str, scores: Array, classes: Array) -> Array:
    """How many classes come before the target's: a lower one first among equals, NaN first."""
    _require_scores(name, scores, classes)
    xp = array_module(scores)
    scores = xp.where(xp.isnan(scores), np.inf, scores)
    inside = (classes >= 0) & (classes < scores.shape[1])
    index = xp.where(inside, classes, 0)[:, None]
    own = xp.take_along_axis(scores, index, 1)
    numbers = xp.arange(scores.shape[1]).reshape(1, -1, *[1] * (scores.ndim - 2))
    before = (scores > own) | ((scores == own) & (numbers < index))
    return xp.where(inside, before.sum(1), scores.shape[1])
