import math
import re
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from jetassay.errors import DataError
from jetassay.metrics.roc import auc, cut_at, jets_to_keep, roc_curve, signal_jets_needed

few_values = arrays(np.float64, st.integers(1, 40), elements=st.integers(-3, 3).map(float))
WORKING_POINTS = (0.3, 0.5, 0.7, 0.99, 0.995)


def normal_scores(seed, *, jets=2000, separation=1.5):
    stream = np.random.default_rng(seed)
    return stream.normal(separation, 1, jets), stream.normal(0, 1, jets)


@given(few_values, few_values)
def test_auc_counts_ordered_pairs_and_half_of_the_ties(signal, background):
    pairs = np.sign(signal[:, None] - background[None, :])
    exact = Fraction(int((pairs > 0).sum() * 2 + (pairs == 0).sum()), 2 * pairs.size)
    assert auc(signal, background) == float(exact)


@pytest.mark.parametrize("decimals", [1, 8])
def test_auc_agrees_with_scikit_learn(decimals):
    from sklearn.metrics import roc_auc_score

    signal, background = (scores.round(decimals) for scores in normal_scores(1))
    labels = np.repeat([1, 0], [len(signal), len(background)])
    assert auc(signal, background) == pytest.approx(roc_auc_score(labels, np.concatenate([signal, background])), 1e-12)


@given(few_values, few_values)
def test_exchanging_signal_and_background_gives_the_complement(signal, background):
    assert auc(signal, background) + auc(background, signal) == pytest.approx(1, abs=1e-15)


@given(few_values, few_values)
def test_auc_ignores_any_rising_map_of_the_scores(signal, background):
    assert auc(np.exp(signal), np.exp(background)) == auc(signal, background)


def test_auc_of_float32_scores_is_that_of_the_same_scores_in_float64():
    signal, background = (scores.astype(np.float32) for scores in normal_scores(2))
    assert auc(signal, background) == auc(signal.astype(np.float64), background.astype(np.float64))


@pytest.mark.parametrize("efficiency", WORKING_POINTS)
def test_random_scores_reject_one_over_efficiency(efficiency):
    stream = np.random.default_rng(3)
    cut = cut_at(stream.random(100_000), stream.random(100_000), signal_efficiency=efficiency)
    assert cut.rejection == pytest.approx(1 / efficiency, rel=0.02)


@given(st.integers(0, 2**32 - 1), st.integers(200, 400), st.sampled_from(WORKING_POINTS))
def test_the_cut_is_the_highest_that_keeps_the_stated_fraction_of_signal(seed, jets, efficiency):
    signal = np.random.default_rng(seed).integers(-50, 50, jets).astype(float)
    cut = cut_at(signal, np.array([-1.0, 0.0, 1.0]), signal_efficiency=efficiency)
    assert cut.signal_efficiency >= efficiency
    above = np.count_nonzero(signal > cut.score)
    assert above / len(signal) < efficiency
    assert cut.score in signal


@given(st.integers(1, 5000), st.integers(1, 199))
def test_the_number_of_jets_to_keep_is_free_of_rounding(jets, permille):
    share = Fraction(permille, 200)
    assert jets_to_keep(jets, float(share)) == math.ceil(share * jets)


def test_jets_that_tie_with_the_cut_stay():
    cut = cut_at(np.array([3.0, 2.0, 2.0, 2.0, 1.0]), np.array([2.0, 2.0, 0.0, 0.0]), signal_efficiency=0.4)
    assert (cut.score, cut.n_signal_passing, cut.n_survivors) == (2.0, 4, 2)
    assert (cut.signal_efficiency, cut.background_efficiency, cut.rejection) == (0.8, 0.5, 2.0)


def test_identical_scores_keep_everything_and_reject_nothing():
    cut = cut_at(np.zeros(10), np.zeros(20), signal_efficiency=0.5)
    assert (cut.signal_efficiency, cut.rejection, auc(np.zeros(10), np.zeros(20))) == (1.0, 1.0, 0.5)


def test_where_nothing_survives_the_rejection_is_none_and_never_infinity():
    cut = cut_at(np.ones(10), np.zeros(20), signal_efficiency=0.5)
    assert (cut.rejection, cut.n_survivors, cut.background_efficiency) == (None, 0, 0.0)


@pytest.mark.parametrize(
    ("efficiency", "needed"), [(0.5, 2), (0.3, 4), (0.1, 10), (0.9, 10), (0.99, 100), (0.995, 200)]
)
def test_a_working_point_beyond_the_sample_says_how_many_jets_it_needs(efficiency, needed):
    assert signal_jets_needed(efficiency) == needed
    assert cut_at(np.arange(needed), np.arange(5), signal_efficiency=efficiency).n_signal == needed
    with pytest.raises(DataError, match=f"{efficiency} needs at least {needed} signal jets, .* has {needed - 1};"):
        cut_at(np.arange(needed - 1), np.arange(5), signal_efficiency=efficiency)


@pytest.mark.parametrize("efficiency", [0.0, 1.0, -0.5, 50.0, math.nan])
def test_a_working_point_outside_zero_and_one_is_refused(efficiency):
    with pytest.raises(DataError, match="between 0 and 1"):
        cut_at(np.arange(9), np.arange(9), signal_efficiency=efficiency)


@given(few_values, few_values)
def test_the_area_under_the_curve_is_the_auc(signal, background):
    curve = roc_curve(signal, background)
    from_origin = [np.concatenate([[0.0], each]) for each in (curve.background_efficiency, curve.signal_efficiency)]
    assert np.trapezoid(from_origin[1], from_origin[0]) == pytest.approx(auc(signal, background), abs=1e-12)


def test_the_curve_passes_through_every_cut():
    signal, background = (scores.round(2) for scores in normal_scores(4))
    curve = roc_curve(signal, background)
    for efficiency in WORKING_POINTS:
        cut = cut_at(signal, background, signal_efficiency=efficiency)
        point = int(np.flatnonzero(curve.cuts == cut.score)[0])
        assert curve.signal_efficiency[point] == pytest.approx(cut.signal_efficiency, abs=1e-15)
        assert curve.background_efficiency[point] == pytest.approx(cut.background_efficiency, abs=1e-15)


@pytest.mark.parametrize("metric", [auc, roc_curve, lambda *sides: cut_at(*sides, signal_efficiency=0.5)])
@pytest.mark.parametrize(
    ("signal", "background", "message"),
    [
        ([1.0, math.nan, 2.0], [0.0, 1.0], "signal scores: 1 of 3 are NaN, the first at position 1"),
        ([1.0, 2.0], [math.nan], "background scores: 1 of 1 are NaN"),
        ([], [1.0], "signal scores: expected a non-empty array"),
        ([[1.0, 2.0]], [1.0], "got shape (1, 2)"),
    ],
)
def test_missing_scores_are_named(metric, signal, background, message):
    with pytest.raises(DataError, match=re.escape(message)):
        metric(np.array(signal), np.array(background))
