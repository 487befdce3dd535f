"""Learning curves: their area, the part of the test jets, and where two of them cross."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jetassay.errors import DataError
from jetassay.metrics.intervals import delong_variance
from jetassay.metrics.learning_curves import LearningCurve, area_weights, crossing, last_crossing
from jetassay.metrics.roc import auc

JETS = np.array([10, 100, 1000])


def flat_curve(values, *, draws=20, spread=0.0, seed=0, jets=JETS):
    """A curve of known AUC at each number of jets, of draws that scatter by `spread`; test jets do not fluctuate."""
    noise = np.random.default_rng(seed).normal(size=(len(jets), draws)) * spread
    aucs = tuple(value + row for value, row in zip(values, noise, strict=True))
    still = np.zeros((len(jets), 2))
    return LearningCurve(jets, aucs, still, still)


def scored(seed, *, jets=300, points=3, draws=4):
    """Scores (points, draws, jets) that share much of their noise over draws, and labels."""
    stream = np.random.default_rng(seed)
    is_signal = np.arange(jets) % 3 == 0
    own = stream.normal(size=jets) + is_signal
    scores = tuple(own + 0.5 * stream.normal(size=(draws, jets)) for _ in range(points))
    return scores, is_signal


def test_a_curve_holds_the_auc_of_every_draw_and_their_mean():
    scores, is_signal = scored(1)
    curve = LearningCurve.of(JETS, scores, is_signal)
    for row, each in zip(curve.aucs, scores, strict=True):
        assert row == pytest.approx([auc(one[is_signal], one[~is_signal]) for one in each], abs=1e-12)
    assert curve.mean == pytest.approx([row.mean() for row in curve.aucs])


def test_the_part_of_the_test_jets_is_that_of_delong_for_a_single_draw():
    scores, is_signal = scored(2, draws=1)
    curve = LearningCurve.of(JETS, scores, is_signal)
    expected = [delong_variance(each[0][is_signal], each[0][~is_signal]) for each in scores]
    assert np.diag(curve.covariance) == pytest.approx(expected)


def test_the_part_of_the_test_jets_is_what_a_bootstrap_over_them_finds():
    scores, is_signal = scored(3, points=2)
    curve = LearningCurve.of(JETS[:2], scores, is_signal)
    stream, means = np.random.default_rng(0), []
    sides = np.flatnonzero(is_signal), np.flatnonzero(~is_signal)
    for _ in range(400):
        rows = np.concatenate([stream.choice(side, len(side)) for side in sides])
        means.append(LearningCurve.of(JETS[:2], tuple(each[:, rows] for each in scores), is_signal[rows]).mean)
    assert curve.covariance == pytest.approx(np.cov(np.array(means).T), rel=0.25)


@given(st.lists(st.integers(1, 10**6), min_size=2, max_size=10, unique=True), st.floats(0.5, 1), st.floats(-0.05, 0.05))
def test_the_area_is_the_mean_of_a_curve_that_is_linear_in_the_logarithm(jets, offset, slope):
    jets = np.sort(np.array(jets))
    log = np.log(jets)
    assert area_weights(jets) @ (offset + slope * log) == pytest.approx(offset + slope * (log[0] + log[-1]) / 2)


def test_a_single_point_has_no_area():
    with pytest.raises(DataError, match="two numbers of training jets"):
        area_weights(np.array([10]))


def test_two_lines_cross_where_they_do():
    log = np.log10(JETS)
    found = crossing(flat_curve(0.7 + 0.1 * log), flat_curve(0.75 + 0.08 * log), level=0.68)
    assert found.jets == pytest.approx(10**2.5)
    assert (found.low, found.high) == (pytest.approx(10**2.5), pytest.approx(10**2.5))
    assert (found.share, found.ahead) == (1.0, True)


def test_an_end_of_the_interval_that_lies_outside_of_the_curves_is_open():
    """The second is behind at the end by less than the draws scatter: it may never be overtaken."""
    first = flat_curve([0.7, 0.8, 0.9], spread=0.05, draws=10, seed=1)
    second = flat_curve([0.8, 0.85, first.mean[-1] - 0.002], draws=10)
    found = crossing(first, second, level=0.68)
    assert 100 < found.low < found.jets < 1000
    assert found.high is None
    assert 0.3 < found.share < 0.84


def test_a_crossing_fluctuates_with_the_test_jets_as_the_slope_says():
    """All points share one fluctuation of width s, so a crossing of slope a in ln n moves by s / a."""
    stream, slope, jets = np.random.default_rng(0), 0.01, 400
    sides = [np.tile(stream.normal(0, 0.1, jets), (3, 1)) for _ in range(2)]
    log = np.log(JETS)
    still = LearningCurve(JETS, flat_curve(0.8 * np.ones(3)).aucs, *np.zeros((2, 3, jets)))
    first = LearningCurve(JETS, flat_curve(0.8 + slope * (log - log[1])).aucs, *sides)
    found = crossing(first, still, level=0.68)
    spread = np.sqrt(sum(side[0].var(ddof=1) / jets for side in sides)) / slope
    assert np.log(found.high / found.low) / 2 == pytest.approx(0.994 * spread, rel=0.1)


def test_curves_that_keep_their_order_do_not_cross():
    found = crossing(flat_curve([0.7, 0.8, 0.9]), flat_curve([0.6, 0.7, 0.89]), level=0.68)
    assert (found.jets, found.low, found.high, found.share, found.ahead) == (None, None, None, 0.0, True)


def test_a_curve_does_not_cross_itself():
    curve = LearningCurve.of(JETS, *scored(4))
    found = crossing(curve, curve, level=0.68)
    assert (found.jets, found.share, found.ahead) == (None, 0.0, None)


def test_curves_that_meet_at_the_end_keep_their_order():
    found = crossing(flat_curve([0.6, 0.7, 0.9]), flat_curve([0.7, 0.8, 0.9]), level=0.68)
    assert (found.jets, found.ahead) == (None, False)
    back = crossing(flat_curve([0.7, 0.8, 0.9]), flat_curve([0.6, 0.7, 0.9]), level=0.68)
    assert (back.jets, back.ahead) == (None, True)


def test_the_order_of_two_backbones_does_not_move_their_crossing():
    first, second = (
        flat_curve(values, spread=0.01, seed=k) for k, values in enumerate(([0.7, 0.8, 0.9], [0.75, 0.8, 0.85]))
    )
    there, back = crossing(first, second, level=0.68), crossing(second, first, level=0.68)
    assert there.jets == pytest.approx(back.jets)
    assert there.ahead != back.ahead


def test_curves_of_other_draws_cannot_be_compared():
    with pytest.raises(DataError, match="the same draws"):
        crossing(flat_curve([0.7, 0.8, 0.9]), flat_curve([0.7, 0.8, 0.9], draws=5), level=0.68)


@given(st.lists(st.sampled_from([-2.0, -1.0, 0.0, 1.0, 3.0]), min_size=1, max_size=8))
def test_the_last_crossing_is_found_as_by_hand(values):
    log = np.arange(len(values), dtype=float)
    signs = [(x, value) for x, value in zip(log, values, strict=True) if value]
    expected = np.nan
    for (x, before), (y, value) in itertools.pairwise(signs):
        if before * value < 0:
            expected = x + (y - x) * before / (before - value)
    assert last_crossing(np.array([values]), log)[0] == pytest.approx(expected, nan_ok=True)


@pytest.mark.slow
def test_the_interval_of_a_crossing_covers_about_as_often_as_it_says():
    """Lines that cross at 10**2.5 with independent draws; a bootstrap of ten draws is a little narrow."""
    jets, log = np.array([10, 100, 1000, 10_000]), np.arange(1, 5)
    covered = 0
    for seed in range(300):
        first = flat_curve(0.7 + 0.05 * log, spread=0.01, seed=2 * seed, draws=10, jets=jets)
        second = flat_curve(0.75 + 0.03 * log, spread=0.01, seed=2 * seed + 1, draws=10, jets=jets)
        found = crossing(first, second, level=0.68, seed=seed)
        covered += found.jets is not None and found.low <= 10**2.5 <= found.high
    assert 0.55 < covered / 300 < 0.76
