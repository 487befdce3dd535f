"""Jensen-Shannon divergence against scipy, its bounds, and the null of random parts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon

from jetassay.errors import DataError
from jetassay.metrics.divergence import jensen_shannon, sculpting

counts = st.lists(st.integers(0, 1000), min_size=5, max_size=5).filter(any).map(lambda each: np.array(each, np.int64))


@given(counts, counts)
def test_it_is_the_square_of_scipys_distance(first, second):
    expected = jensenshannon(first, second, base=2) ** 2
    assert jensen_shannon(first, second) == pytest.approx(np.nan_to_num(expected), abs=1e-12)


@given(counts, counts, st.integers(1, 50))
def test_it_is_symmetric_bounded_and_free_of_normalisation(first, second, scale):
    value = jensen_shannon(first, second)
    assert 0 <= value <= 1
    assert jensen_shannon(second, first) == pytest.approx(value, abs=1e-12)
    assert jensen_shannon(scale * first, second) == pytest.approx(value, abs=1e-12)
    assert jensen_shannon(first, first) == pytest.approx(0, abs=1e-12)


def test_histograms_that_share_no_bin_are_one_bit_apart():
    assert jensen_shannon(np.array([3, 1, 0, 0]), np.array([0, 0, 5, 2])) == pytest.approx(1)


def test_many_histograms_are_compared_at_once():
    many, one = np.random.default_rng(1).integers(1, 50, (4, 6)), np.arange(1, 7)
    assert jensen_shannon(many, one).tolist() == pytest.approx([float(jensen_shannon(each, one)) for each in many])


@pytest.mark.parametrize("bad", [[0, 0, 0], [1, -1, 2], [1, np.nan, 2]])
def test_what_is_no_histogram_is_refused(bad):
    with pytest.raises(DataError, match="finite counts"):
        jensen_shannon(np.array(bad), np.array([1, 1, 1]))


def test_random_parts_have_the_divergence_that_theory_gives_them():
    bins, n, part = 20, 4000, 400
    found = sculpting(np.full(bins, part // bins), np.full(bins, n // bins), level=0.68, draws=400)
    assert found.null.mean() == pytest.approx((bins - 1) / (8 * np.log(2)) * (1 / part - 1 / n), rel=0.1)


def test_a_random_part_is_called_sculpted_as_often_as_chance_says():
    stream, every = np.random.default_rng(3), np.full(20, 50)
    p_values = [
        sculpting(stream.multivariate_hypergeometric(every, 30), every, level=0.68, draws=100, seed=seed).p_value
        for seed in range(300)
    ]
    assert np.mean(np.array(p_values) <= 0.1) == pytest.approx(0.1, abs=0.05)
    assert np.mean(p_values) == pytest.approx(0.5, abs=0.06)


def test_a_cut_on_the_mass_itself_is_sculpting():
    every = np.full(20, 50)
    passing = np.where(np.arange(20) == 7, 50, 0)
    found = sculpting(passing, every, level=0.68)
    assert found.p_value == pytest.approx(1 / 201)
    assert found.value == pytest.approx(jensenshannon(passing, every, base=2) ** 2)
    assert found.interval.low <= found.value <= found.interval.high


def test_everything_passing_changes_nothing():
    found = sculpting(np.full(5, 9), np.full(5, 9), level=0.68)
    assert (found.value, found.interval.low, found.interval.high, found.p_value) == (0, 0, 0, 1)


def test_the_interval_is_as_wide_as_the_scatter_of_repetitions():
    stream = np.random.default_rng(5)
    shape = np.linspace(1, 3, 10) / np.linspace(1, 3, 10).sum()
    found = []
    for seed in range(200):
        passing, failing = stream.multinomial(200, shape), stream.multinomial(800, np.full(10, 0.1))
        found.append(sculpting(passing, passing + failing, level=0.68, seed=seed))
    scatter = np.std([each.value for each in found])
    widths = np.mean([(each.interval.high - each.interval.low) / 2 for each in found])
    assert widths == pytest.approx(scatter, rel=0.2)


def test_the_interval_lies_around_the_value_though_resamples_lie_above_it():
    stream, every = np.random.default_rng(7), np.full(20, 50)
    found = [sculpting(stream.multivariate_hypergeometric(every, 100), every, level=0.68, seed=k) for k in range(30)]
    middle = np.mean([(each.interval.low + each.interval.high) / 2 - each.value for each in found])
    assert abs(middle) < 0.15 * np.mean([each.interval.high - each.interval.low for each in found])


def test_no_passing_jet_and_parts_that_are_none_are_refused():
    with pytest.raises(DataError, match="no jet passes"):
        sculpting(np.zeros(3, np.int64), np.ones(3, np.int64), level=0.68)
    with pytest.raises(DataError, match="part of all jets"):
        sculpting(np.array([2, 0]), np.array([1, 1]), level=0.68)
