import doctest

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from jetassay.errors import DataError
from jetassay.metrics import intervals
from jetassay.metrics.intervals import (
    _resamples,
    auc_interval,
    bootstrap_auc,
    clopper_pearson,
    delong_variance,
    rejection_interval,
    rejection_interval_over_cuts,
)
from jetassay.metrics.roc import Cut, auc, cut_at


def cut_with(survivors, background):
    return Cut(
        requested=0.5, score=0.0, n_signal=10, n_signal_passing=5, n_background=background, n_survivors=survivors
    )


def normal_scores(stream, *, jets, separation):
    return stream.normal(separation, 1, jets), stream.normal(0, 1, jets)


@given(st.integers(0, 300), st.integers(1, 300), st.sampled_from([0.68, 0.95]))
def test_clopper_pearson_agrees_with_scipy(successes, trials, level):
    successes = min(successes, trials)
    ours = clopper_pearson(successes, trials, level=level)
    theirs = stats.binomtest(successes, trials).proportion_ci(level, method="exact")
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), rel=1e-9)


@pytest.mark.parametrize("level", [0.68, 0.95])
def test_the_interval_of_a_rejection_covers_whatever_the_expected_survivors(level):
    """Not simulated: the chance of every count is summed, from 0.05 to 40 expected survivors of 2000."""
    counts, background = np.arange(120), 2000
    intervals = [rejection_interval(cut_with(k, background), level=level) for k in counts]
    low = np.array([each.low for each in intervals])
    high = np.array([np.inf if each.high is None else each.high for each in intervals])
    for expected in (0.05, 0.5, 1.2, 3.0, 7.5, 40.0):
        rejection = background / expected
        chance = stats.binom.pmf(counts, background, expected / background)
        covered = chance[(low <= rejection) & (rejection <= high)].sum()
        assert level <= covered <= 1


def test_where_nothing_survives_there_is_a_lower_limit_and_no_upper_one():
    interval = rejection_interval(cut_with(0, 1000), level=0.68)
    assert interval.high is None
    assert interval.method == "clopper-pearson-limit"
    assert (1 - 1 / interval.low) ** 1000 == pytest.approx(0.16, rel=1e-6)


def test_where_everything_survives_the_rejection_is_one_at_least():
    assert rejection_interval(cut_with(50, 50), level=0.68).low == 1.0


def test_the_interval_over_cuts_is_clopper_pearson_where_signal_is_plentiful():
    stream = np.random.default_rng(1)
    signal, background = stream.normal(2, 1, 2_000_000), stream.normal(0, 1, 1000)
    over_cuts = rejection_interval_over_cuts(signal, background, signal_efficiency=0.5, level=0.68)
    fixed = rejection_interval(cut_at(signal, background, signal_efficiency=0.5), level=0.68)
    assert (over_cuts.low, over_cuts.high) == pytest.approx((fixed.low, fixed.high), rel=0.02)


def test_the_interval_over_cuts_has_no_upper_end_where_nothing_survives():
    interval = rejection_interval_over_cuts(np.ones(50), np.zeros(100), signal_efficiency=0.5, level=0.68)
    assert interval.high is None
    assert 1 < interval.low <= rejection_interval(cut_with(0, 100), level=0.68).low * (1 + 1e-9)


def test_at_high_efficiency_only_the_interval_over_cuts_covers_the_true_rejection():
    stream, true_efficiency = np.random.default_rng(2), stats.norm.sf(stats.norm.isf(0.99) + 4)
    covered = {"fixed": 0, "over cuts": 0}
    for _ in range(200):
        signal, background = normal_scores(stream, jets=600, separation=4)
        intervals = {
            "fixed": rejection_interval(cut_at(signal, background, signal_efficiency=0.99), level=0.68),
            "over cuts": rejection_interval_over_cuts(signal, background, signal_efficiency=0.99, level=0.68),
        }
        for name, each in intervals.items():
            covered[name] += each.low <= 1 / true_efficiency <= (each.high or np.inf)
    assert covered["fixed"] / 200 < 0.5
    assert 0.68 <= covered["over cuts"] / 200 < 0.9


def test_the_bootstrap_interval_of_the_auc_covers_two_times_in_three():
    stream, true_auc = np.random.default_rng(3), stats.norm.cdf(1.5 / np.sqrt(2))
    covered = 0
    for seed in range(300):
        signal, background = normal_scores(stream, jets=100, separation=1.5)
        interval = auc_interval(signal, background, level=0.68, draws=200, seed=seed)
        covered += interval.low <= true_auc <= interval.high
    assert 0.60 <= covered / 300 <= 0.76


@pytest.mark.parametrize("separation", [0.0, 1.0, 2.5])
def test_delong_agrees_with_the_bootstrap(separation):
    signal, background = normal_scores(np.random.default_rng(4), jets=1000, separation=separation)
    resampled = bootstrap_auc(signal, background, draws=2000, seed=0)
    assert np.sqrt(delong_variance(signal, background)) == pytest.approx(resampled.std(ddof=1), rel=0.06)
    assert resampled.mean() == pytest.approx(auc(signal, background), abs=3e-3)


def test_delong_agrees_with_its_formula_written_out_with_ties():
    stream = np.random.default_rng(5)
    signal, background = stream.integers(0, 6, 40).astype(float), stream.integers(0, 5, 30).astype(float)
    won = 0.5 * (np.sign(signal[:, None] - background) + 1)
    expected = won.mean(axis=1).var(ddof=1) / 40 + won.mean(axis=0).var(ddof=1) / 30
    assert delong_variance(signal, background) == pytest.approx(expected, rel=1e-12)


def test_a_bootstrap_draw_is_the_auc_of_the_resampled_jets():
    stream = np.random.default_rng(6)
    signal, background = stream.integers(0, 9, 50).astype(float), stream.integers(0, 8, 70).astype(float)
    draws = bootstrap_auc(signal, background, draws=20, seed=9)
    streams = [np.random.default_rng(each) for each in np.random.SeedSequence(9).spawn(2)]
    counts = zip(_resamples(streams[0], 50, 20), _resamples(streams[1], 70, 20), strict=True)
    by_hand = [auc(np.repeat(signal, s), np.repeat(background, b)) for s, b in counts]
    assert draws.tolist() == pytest.approx(by_hand, abs=1e-15)


def test_the_bootstrap_is_split_into_blocks_that_still_draw_every_jet_alike():
    stream = np.random.default_rng(7)
    counts = np.stack(list(_resamples(stream, 100_000, 5)))
    assert counts.shape == (5, 100_000)
    assert (counts.sum(axis=1) == 100_000).all()
    assert counts.var() == pytest.approx(1, rel=0.02)


def test_one_seed_resamples_the_same_jets_for_every_backbone():
    signal, background = normal_scores(np.random.default_rng(8), jets=500, separation=1)
    first = bootstrap_auc(signal, background, draws=200, seed=1)
    assert np.array_equal(first, bootstrap_auc(np.exp(signal), np.exp(background), draws=200, seed=1))
    assert not np.array_equal(first, bootstrap_auc(signal, background, draws=200, seed=2))
    stream = np.random.default_rng(9)
    alike = bootstrap_auc(*(side + stream.normal(0, 0.1, 500) for side in (signal, background)), draws=200, seed=1)
    assert (first - alike).std() < 0.3 * first.std()


def test_perfect_order_gives_a_limit_and_not_certainty():
    interval = auc_interval(np.ones(30), np.zeros(80), level=0.68)
    assert (interval.high, interval.method) == (1.0, "disjoint-pairs")
    assert interval.low**30 == pytest.approx(0.16)
    reversed_order = auc_interval(np.zeros(30), np.ones(80), level=0.68)
    assert (reversed_order.low, reversed_order.high) == pytest.approx((0.0, 1 - interval.low))


@pytest.mark.parametrize("level", [0.0, 1.0, 68])
def test_a_level_outside_zero_and_one_is_refused(level):
    with pytest.raises(DataError, match="level"):
        clopper_pearson(1, 2, level=level)


def test_impossible_counts_are_refused():
    with pytest.raises(DataError, match="3 successes in 2 trials"):
        clopper_pearson(3, 2, level=0.68)
    with pytest.raises(DataError, match="two jets a side, not 1 and 5"):
        delong_variance(np.ones(1), np.arange(5))


def test_the_digits_in_the_docstrings_are_right():
    assert doctest.testmod(intervals).failed == 0
