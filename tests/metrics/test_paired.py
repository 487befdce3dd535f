"""Paired comparisons against closed forms, brute force and scipy."""

import doctest
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from jetassay.errors import DataError
from jetassay.metrics import paired
from jetassay.metrics.intervals import delong_variance
from jetassay.metrics.paired import (
    delong_covariance,
    difference_p_value,
    holm,
    jets_needed,
    jets_needed_interval,
    mcnemar_p_value,
    placements,
    rank_ranges,
)
from jetassay.metrics.roc import auc


def tied_scores(seed, *, backbones=3, n_signal=12, n_background=9):
    stream = np.random.default_rng(seed)
    draw = lambda jets: stream.integers(0, 6, (backbones, jets)).astype(float)  # noqa: E731
    return draw(n_signal), draw(n_background)


@given(st.integers(0, 10_000))
def test_the_mean_placement_of_either_side_is_the_auc(seed):
    signal, background = tied_scores(seed)
    expected = [auc(some, others) for some, others in zip(signal, background, strict=True)]
    for side in placements(signal, background):
        assert side.mean(axis=1) == pytest.approx(expected, abs=1e-12)


def test_the_covariance_of_aucs_is_that_of_the_jackknife_over_jets():
    """DeLong's estimate equals the two-sample delete-one jackknife, here with each AUC computed again."""
    signal, background = tied_scores(1)

    def jackknife(leave_out, jets):
        values = np.array([[auc(*leave_out(row, jet)) for row in range(3)] for jet in range(jets)])
        centred = values - values.mean(axis=0)
        return (jets - 1) / jets * centred.T @ centred

    expected = jackknife(lambda row, jet: (np.delete(signal[row], jet), background[row]), 12)
    expected = expected + jackknife(lambda row, jet: (signal[row], np.delete(background[row], jet)), 9)
    assert delong_covariance(*placements(signal, background)) == pytest.approx(expected, rel=1e-9)


def test_the_diagonal_is_the_variance_of_one_auc():
    signal, background = tied_scores(2)
    variances = [delong_variance(some, others) for some, others in zip(signal, background, strict=True)]
    assert np.diag(delong_covariance(*placements(signal, background))) == pytest.approx(variances, rel=1e-12)


def test_the_covariance_is_that_of_many_samples():
    """Two noisy views of the same jets: the estimate against the scatter of AUCs over 3000 new samples."""
    stream = np.random.default_rng(3)

    def draw():
        latent = stream.normal(size=(2, 200))
        return latent[0] + 1 + 0.7 * stream.normal(size=(2, 200)), latent[1] + 0.7 * stream.normal(size=(2, 200))

    estimated, values = np.zeros((2, 2)), []
    for repeat in range(3000):
        sides = draw()
        values.append([auc(some, others) for some, others in zip(*sides, strict=True)])
        if repeat < 300:
            estimated += delong_covariance(*placements(*sides)) / 300
    assert estimated == pytest.approx(np.cov(np.array(values).T), rel=0.12)


def test_a_covariance_needs_two_jets_a_side():
    with pytest.raises(DataError, match="two jets a side, not 1"):
        delong_covariance(np.ones((2, 1)), np.ones((2, 5)))


def test_a_difference_has_the_p_value_of_the_normal_distribution():
    assert difference_p_value(1.96, 1.0, fewest_jets=1000) == pytest.approx(0.05, abs=1e-4)
    assert difference_p_value(-1.96, 1.0, fewest_jets=1000) == difference_p_value(1.96, 1.0, fewest_jets=1000)
    assert difference_p_value(0.0, 0.0, fewest_jets=10) == 1.0


@pytest.mark.parametrize(("jets", "smallest"), [(1, 1.0), (2, 0.5), (11, 2**-10)])
def test_a_few_jets_prove_nothing_however_clear_they_are(jets, smallest):
    assert difference_p_value(1.0, 0.0, fewest_jets=jets) == smallest


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_is_the_exact_binomial_test_of_scipy(only_first, only_second):
    ours = mcnemar_p_value(only_first, only_second)
    discordant = only_first + only_second
    assert ours == pytest.approx(stats.binomtest(only_first, discordant).pvalue if discordant else 1.0, rel=1e-9)
    assert ours == mcnemar_p_value(only_second, only_first)


def test_negative_counts_are_refused():
    with pytest.raises(DataError, match="cannot be negative: -1 and 3"):
        mcnemar_p_value(-1, 3)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_holm_is_the_closed_test_of_bonferroni(p_values):
    """The largest, over all sets of hypotheses that hold this one, of the set's size times its smallest p-value."""
    p_values = np.array(p_values)
    every = [set_ for size in range(1, len(p_values) + 1) for set_ in combinations(range(len(p_values)), size)]
    for index, corrected in enumerate(holm(p_values)):
        worst = max(len(set_) * p_values[list(set_)].min() for set_ in every if index in set_)
        assert corrected == pytest.approx(min(worst, 1.0), rel=1e-12)


def test_holm_gives_the_known_values_of_an_example():
    """`statsmodels.stats.multitest.multipletests` of these, method "holm"."""
    assert holm(np.array([0.01, 0.02, 0.03, 0.04, 0.05])) == pytest.approx([0.05, 0.08, 0.09, 0.09, 0.09])
    assert len(holm(np.empty(0))) == 0


@pytest.mark.parametrize("wrong", [[0.1, 1.2], [-0.1], [np.nan, 0.5], [[0.1, 0.2]]])
def test_what_is_no_list_of_p_values_is_refused(wrong):
    with pytest.raises(DataError, match="between 0 and 1"):
        holm(np.array(wrong))


@pytest.mark.parametrize(("only_first", "only_second"), [(30, 10), (8, 1), (60, 45)])
def test_the_jets_that_are_needed_tell_four_times_in_five(only_first, only_second):
    """McNemar's exact test at level 0.05 on samples of the size that is asked for; being exact, it is cautious."""
    needed = round(jets_needed(only_first, only_second, n_background=1000))
    rates = [only_first / 1000, only_second / 1000, 1 - (only_first + only_second) / 1000]
    counts = np.random.default_rng(4).multinomial(needed, rates, size=4000)
    found = np.mean([mcnemar_p_value(first, second) <= 0.05 for first, second, _ in counts])
    assert 0.70 < found < 0.84


def test_jets_needed_grow_as_the_inverse_square_of_the_difference():
    near, far = (jets_needed(500 + d, 500 - d, n_background=10**6) for d in (5, 50))
    assert near / far == pytest.approx(100, rel=0.01)
    assert jets_needed(5, 5, n_background=100) is None


def test_the_range_of_jets_needed_is_open_where_both_may_be_equal():
    clear, unclear = (jets_needed_interval(*only, n_background=1000, level=0.68) for only in ((40, 10), (6, 5)))
    assert clear.low < jets_needed(40, 10, n_background=1000) < clear.high
    assert unclear.low < jets_needed(6, 5, n_background=1000)
    assert unclear.high is None
    with pytest.raises(DataError, match="0 successes in 0 trials"):
        jets_needed_interval(0, 0, n_background=1000, level=0.68)


def test_ranks_count_who_is_better_and_who_is_not_worse():
    better = np.zeros((4, 4), bool)
    better[0, 1:] = better[1, 3] = True
    assert rank_ranges(better).tolist() == [[1, 1], [2, 3], [2, 4], [3, 4]]
    assert rank_ranges(np.zeros((3, 3), bool)).tolist() == [[1, 3]] * 3


def test_the_digits_in_the_docstrings_of_paired_are_right():
    assert doctest.testmod(paired).failed == 0
