"""R^2 against scikit-learn, and its interval."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import r2_score

from jetassay.errors import DataError
from jetassay.metrics.determination import explained, r_squared


def sample(jets=300, *, seed=0, noise=1.0):
    stream = np.random.default_rng(seed)
    truth = 7 + stream.normal(size=(jets, 3)) * [1, 10, 0.1]
    return truth, truth + noise * stream.normal(size=truth.shape) * [1, 10, 0.1]


def test_values_are_those_of_scikit_learn():
    truth, predictions = sample()
    expected = r2_score(truth, predictions, multioutput="raw_values")
    assert explained(truth, predictions) == pytest.approx(expected)
    assert [value for value, _ in r_squared(truth, predictions, level=0.68)] == pytest.approx(expected)


@given(st.floats(0.01, 1e3), st.floats(-1e3, 1e3))
def test_units_do_not_matter(scale, shift):
    truth, predictions = sample(20)
    assert explained(scale * truth + shift, scale * predictions + shift) == pytest.approx(
        explained(truth, predictions), rel=1e-6
    )


def test_the_interval_covers_the_truth_as_often_as_it_says():
    hits = 0
    for seed in range(150):
        ((_, interval), *_) = r_squared(*sample(200, seed=seed, noise=0.5), level=0.68, draws=150, seed=seed)
        hits += interval.low <= 0.75 <= interval.high
    assert 0.56 < hits / 150 < 0.80


def test_perfect_predictions_are_one_and_the_mean_is_zero():
    truth, _ = sample(50)
    ((value, interval), *_) = r_squared(truth, truth, level=0.68)
    assert (value, interval.low, interval.high) == (1, 1, 1)
    assert explained(truth, np.broadcast_to(truth.mean(axis=0), truth.shape)) == pytest.approx(np.zeros(3), abs=1e-12)


def test_a_quantity_that_is_the_same_for_all_jets_is_refused():
    with pytest.raises(DataError, match="same for all jets"):
        explained(np.ones((4, 1)), np.zeros((4, 1)))
    with pytest.raises(DataError, match="two jets"):
        explained(np.ones((1, 1)), np.zeros((1, 1)))


def test_resamples_in_which_a_rare_quantity_does_not_vary_are_left_out():
    truth = np.zeros((30, 1))
    truth[0] = 1
    ((value, interval),) = r_squared(truth, 0.5 * truth, level=0.68)
    assert interval.low <= value <= interval.high
