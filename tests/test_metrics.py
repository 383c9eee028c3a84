"""Metrics of one rank: values against scikit-learn, exact sums, errors. On ranks: bodies_metrics."""

import copy
import itertools
import math
import pickle
import types
from fractions import Fraction

import numpy as np
import pytest
from sklearn import metrics as sklearn

import dtrain
from dtrain.distributed.step import Microbatch, Step, microbatch_scope
from dtrain.train import F1, Accuracy, ConfusionMatrix, Mean, Perplexity, metric
from dtrain.train.exact_sum import ExactSum
from dtrain.train.mean import WeightedSum

RNG = np.random.default_rng(0)
SCORES = RNG.standard_normal((50, 5)).astype(np.float32)
TARGET = RNG.integers(0, 4, 50)  # class 4 is predicted, but never right


def counted(metric, pieces=(20, 49, 50)):
    """A metric that has seen SCORES and TARGET in batches that end there, one of them empty."""
    begin = 0
    for end in (*pieces, 50):
        metric.update(dtrain.tensor(SCORES[begin:end]), dtrain.tensor(TARGET[begin:end]))
        begin = end
    return metric


@pytest.mark.parametrize("k", [1, 2, 4])
def test_accuracy(k):
    expected = sklearn.top_k_accuracy_score(TARGET, SCORES, k=k, labels=range(5))
    assert counted(Accuracy(top_k=k)).compute() == pytest.approx(expected, abs=1e-15)


def test_accuracy_of_predicted_classes_and_of_ignored_targets():
    accuracy = Accuracy(ignore_index=-100)
    accuracy.update(dtrain.tensor([[1, 2], [3, 0]]), dtrain.tensor([[1, -100], [0, 0]]))
    assert accuracy.compute() == 2 / 3
    scores = dtrain.tensor(SCORES.reshape(10, 5, 5).transpose(0, 2, 1).copy())  # (N, C, length)
    accuracy = Accuracy(ignore_index=3)
    accuracy.update(scores, dtrain.tensor(TARGET.reshape(10, 5)))
    kept = TARGET != 3
    assert accuracy.compute() == np.mean(SCORES.argmax(1)[kept] == TARGET[kept])


@pytest.mark.parametrize("scores", [[1, 1, 0], [0, math.nan, 2], [math.nan, math.inf, math.nan]])
def test_accuracy_takes_the_class_that_argmax_takes(scores):
    first = int(np.argmax(scores))
    for target in range(3):
        accuracy = Accuracy()
        accuracy.update(dtrain.tensor([scores]), dtrain.tensor([target]))
        assert accuracy.compute() == (target == first)


def test_confusion_matrix():
    expected = sklearn.confusion_matrix(TARGET, SCORES.argmax(1), labels=range(5))
    np.testing.assert_array_equal(counted(ConfusionMatrix(5)).compute().numpy(), expected)


@pytest.mark.parametrize("average", ["macro", "micro", "weighted", None])
def test_f1(average):
    # of 7 classes two occur nowhere: scikit-learn leaves them out of a mean
    expected = sklearn.f1_score(
        TARGET, SCORES.argmax(1), average=average, zero_division=0,
        labels=None if average else range(7),
    )  # fmt: skip
    f1 = F1(7, average)
    f1.update(dtrain.tensor(SCORES.argmax(1)), dtrain.tensor(TARGET))
    np.testing.assert_allclose(f1.compute(), expected, rtol=1e-15)


def test_sums_are_exact_in_any_order():
    values = [1e16, 1.0, -1e16, 3e-20, 0.1, -1.0, 2.0**60, 1e-300]
    exact = float(sum(map(Fraction, values)))
    for order in itertools.islice(itertools.permutations(values), 0, 40320, 97):
        cut = len(order) // 2
        assert float(ExactSum.of(order[:cut]) + ExactSum.of(order[cut:])) == exact


def test_sums_of_infinity_and_nan_are_those_of_plain_addition():
    assert float(ExactSum.of([1.0, math.inf, 2.0])) == math.inf
    assert math.isnan(float(ExactSum.of([math.inf, -math.inf, 1.0])))
    assert math.isnan(float(ExactSum.of([1.0, math.nan])))
    assert float(ExactSum.of([1e308, 1e308])) == math.inf


def test_mean_is_weighted_and_leaves_batches_of_no_samples_out():
    mean = Mean()
    assert math.isnan(mean.compute())
    mean.update(dtrain.tensor([0.5], requires_grad=True) * 1, weight=3)
    mean.update(math.nan, weight=0)
    mean.update(1.0)
    assert mean.compute() == mean.compute_own() == 2.5 / 4
    mean.reset()
    mean.update(7)
    assert mean.compute() == 7


def test_perplexity():
    perplexity = Perplexity()
    perplexity.update(math.log(2), weight=10)
    perplexity.update(math.log(8), weight=10)
    assert perplexity.compute() == pytest.approx(4)
    perplexity.update(1e9, weight=1000)
    assert perplexity.compute() == math.inf


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_a_copy_goes_on_by_itself(copied):
    mean = Mean()
    mean.update(1.0)
    other = copied(mean)
    other.update(3.0)
    assert (mean.compute(), other.compute()) == (1, 2)


def test_elastic_ranks_keep_what_a_failed_one_counted(monkeypatch):
    comm, others = types.SimpleNamespace(elastic=True), [ExactSum((6.0,))]
    monkeypatch.setattr(metric, "world", types.SimpleNamespace(communicator=lambda: comm))
    monkeypatch.setattr(
        metric, "allgather_in_blocks", lambda comm, own: [own, *(WeightedSum(x, x) for x in others)]
    )
    mean, step = Mean(), Step(0, (1, 1), True, True)
    with microbatch_scope(Microbatch(step, 0)):
        mean.update(0.0, weight=2)
    mean.reduce_step(step)
    mean.commit_step(step)
    others.clear()  # that rank fails
    assert mean.compute() == mean.compute_own() == 6 / 8


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Mean().update(dtrain.ones(2)), r"a tensor of one element, got a tensor of shape \(2,\)"),
        (lambda: Mean().update(1.0, weight=-1), "expected a weight >= 0, got -1"),
        (lambda: Mean().update(1.0, weight=math.nan), "expected a weight >= 0, got nan"),
        (lambda: Accuracy(top_k=0), "expected top_k >= 1, got 0"),
        (
            lambda: Accuracy().update(dtrain.ones(3), dtrain.tensor([0, 1, 1])),
            r"expected scores of shape \(N, C, ...\) or integer classes .* got float32 of shape \(3,\)",
        ),
        (
            lambda: Accuracy().update(dtrain.ones(4, 2), dtrain.tensor([0, 1, 1])),
            r"for a target of shape \(3,\), got float32 of shape \(4, 2\)",
        ),
        (
            lambda: F1(3).load_state_dict(ConfusionMatrix(2).state_dict()),
            r"F1: expected counts of shape \(3, 3\), got \(2, 2\)",
        ),
        (lambda: ConfusionMatrix(0), "at least one class, got 0"),
        (
            lambda: ConfusionMatrix(2).update(dtrain.tensor([0, 1]), dtrain.tensor([0, 2])),
            "expected classes from 0 to 1 in target, got 0 to 2",
        ),
        (lambda: F1(2, "mean"), "expected average 'macro', 'micro', 'weighted' or None, got 'mean'"),
    ],
)  # fmt: skip
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
