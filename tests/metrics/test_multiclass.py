"""Accuracy, log-loss and the mean AUC over pairs of classes, against independent implementations."""

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics

from jetassay.errors import DataError
from jetassay.metrics.intervals import delong_variance
from jetassay.metrics.multiclass import SMALLEST, accuracy, log_loss, macro_ovo_auc


def sample(jets=300, classes=4, *, seed=1, separation=1.0):
    random = np.random.default_rng(seed)
    labels = random.integers(classes, size=jets)
    logits = random.normal(size=(jets, classes))
    logits[np.arange(jets), labels] += separation
    shifted = np.exp(logits)
    return shifted / shifted.sum(axis=1, keepdims=True), labels


def test_values_are_those_of_scikit_learn():
    probabilities, labels = sample()
    assert accuracy(probabilities, labels, level=0.68)[0] == metrics.accuracy_score(
        labels, probabilities.argmax(axis=1)
    )
    assert log_loss(probabilities, labels, level=0.68)[0] == pytest.approx(metrics.log_loss(labels, probabilities))
    expected = metrics.roc_auc_score(labels, probabilities, multi_class="ovo", average="macro")
    assert macro_ovo_auc(probabilities, labels, level=0.68)[0] == pytest.approx(expected, abs=1e-12)


def test_the_interval_of_the_accuracy_is_that_of_a_binomial_and_that_of_the_log_loss_that_of_a_mean():
    probabilities, labels = sample()
    hits = int((probabilities.argmax(axis=1) == labels).sum())
    exact = stats.binomtest(hits, len(labels)).proportion_ci(0.68, method="exact")
    _, interval = accuracy(probabilities, labels, level=0.68)
    assert (interval.low, interval.high) == (pytest.approx(exact.low), pytest.approx(exact.high))
    losses = -np.log(probabilities[np.arange(len(labels)), labels])
    value, interval = log_loss(probabilities, labels, level=0.68)
    ends = stats.norm.interval(0.68, value, stats.sem(losses))
    assert (interval.low, interval.high) == pytest.approx(ends)


def test_the_mean_over_one_pair_of_classes_has_the_variance_of_delong():
    probabilities, labels = sample(classes=2)
    value, interval = macro_ovo_auc(probabilities, labels, level=0.6826894921370859)
    variance = delong_variance(probabilities[labels == 1, 1], probabilities[labels == 0, 1])
    assert (interval.high - value) ** 2 == pytest.approx(variance, rel=1e-6)


def test_the_interval_of_the_mean_auc_covers_as_often_as_it_says():
    truth = np.mean([macro_ovo_auc(*sample(4000, 3, seed=seed), level=0.68)[0] for seed in range(8)])
    intervals = [macro_ovo_auc(*sample(150, 3, seed=100 + seed), level=0.68)[1] for seed in range(300)]
    covered = np.mean([each.low <= truth <= each.high for each in intervals])
    assert 0.60 < covered < 0.76


def test_a_probability_of_zero_counts_as_the_smallest_number():
    value, interval = log_loss(np.array([[0.0, 1.0]], np.float32), np.array([0]), level=0.68)
    assert value == pytest.approx(-np.log(SMALLEST))
    assert interval.low == interval.high == value


def test_perfect_order_is_one_and_its_interval_ends_there_and_does_not_begin_there():
    labels = np.repeat([0, 1, 2], [20, 30, 40])
    value, interval = macro_ovo_auc(np.eye(3)[labels], labels, level=0.68)
    assert (value, interval.high, interval.method) == (1.0, 1.0, "disjoint-pairs")
    assert interval.low == pytest.approx(0.16 ** (1 / 20))


def test_classes_with_fewer_than_two_jets_are_left_out():
    probabilities, labels = sample(classes=3)
    once = np.append(labels, 3)
    padded = np.vstack([np.pad(probabilities, ((0, 0), (0, 1))), [[0, 0, 0, 1]]])
    assert macro_ovo_auc(padded, once, level=0.68) == macro_ovo_auc(probabilities, labels, level=0.68)


def test_too_few_jets_are_an_error():
    with pytest.raises(DataError, match="two jets of each of two classes"):
        macro_ovo_auc(np.eye(2), np.array([0, 1]), level=0.68)
    for measure in (accuracy, log_loss):
        with pytest.raises(DataError, match="no jets"):
            measure(np.empty((0, 2)), np.empty(0, np.int64), level=0.68)
