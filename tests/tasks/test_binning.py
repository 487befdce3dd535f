"""Bins: what is in which, edges that can be read, edges that are refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jetassay.errors import ConfigError, DataError
from jetassay.tasks.binning import Binning, equal_counts, equal_widths

values = st.lists(st.floats(-1e4, 1e4, width=32), min_size=1, max_size=80).map(lambda each: np.array(each, np.float32))


@given(values, st.integers(1, 12))
def test_quantile_bins_hold_every_jet_once(jets, bins):
    binning = equal_counts("x", jets, within=jets, bins=bins)
    assert binning.count(jets).sum() == len(jets)
    assert (binning.find(jets) >= 0).all()
    assert len(binning) <= bins
    assert len(set(binning.names)) == len(binning)


@given(values, st.lists(st.floats(-100, 100), min_size=2, max_size=6, unique=True).map(sorted))
def test_a_jet_is_in_the_bin_whose_edges_surround_it(jets, edges):
    binning = Binning("x", np.array(edges))
    for value, where in zip(jets.tolist(), binning.find(jets), strict=True):
        inside = [k for k in range(len(binning)) if edges[k] <= value < edges[k + 1]]
        expected = inside[0] if inside else (len(binning) - 1 if value == edges[-1] else -1)
        assert where == expected


def test_bins_of_many_jets_hold_about_equally_many():
    jets = np.random.default_rng(1).exponential(100, 4000)
    counts = equal_counts("jet_sdmass", jets, within=jets, bins=5).count(jets)
    assert counts == pytest.approx([800] * 5, rel=0.05)


def test_names_state_the_edges():
    assert Binning("jet_pt", np.array([500.0, 600, 1000])).names == ("jet_pt 500-600", "jet_pt 600-1000")
    assert Binning("jet_sdmass", np.array([-1.0, 7])).names == ("jet_sdmass -1 to 7",)


def test_edges_are_rounded_but_the_outermost_hold_all():
    jets = np.array([503.123, 611.987, 702.4, 998.77])
    assert equal_counts("jet_pt", jets, within=jets, bins=2).edges.tolist() == [503, 657, 999]


def test_jets_without_a_value_are_in_no_bin_and_others_fold_in_where_asked():
    binning = Binning("x", np.array([0.0, 1, 2]))
    assert binning.find(np.array([np.nan, -1, 0, 1, 2, 3])).tolist() == [-1, -1, 0, 1, 1, -1]
    assert binning.count(np.array([np.nan, -1, 0, 1, 2, 3]), fold=True).tolist() == [2, 3]


def test_one_value_for_all_jets_is_one_bin():
    assert len(equal_counts("x", np.zeros(9), within=np.zeros(9), bins=4)) == 1


@pytest.mark.parametrize("edges", [[1.0], [1.0, 1.0], [2.0, 1.0], [0.0, np.inf], []])
def test_edges_that_do_not_rise_are_refused(edges):
    with pytest.raises(ConfigError, match="bins of x"):
        Binning("x", np.array(edges))


def test_no_finite_value_is_refused():
    with pytest.raises(DataError, match="no jet has a finite value"):
        equal_counts("x", np.array([np.nan]), within=np.array([np.nan]), bins=2)


@given(values.filter(lambda jets: np.quantile(jets, 0.99) > 1e-3), st.integers(2, 40))
def test_equal_widths_are_round_few_enough_and_reach_far_enough(jets, bins):
    edges = equal_widths("jet_sdmass", jets, bins=bins).edges
    width = edges[1] - edges[0]
    assert edges[0] == 0
    assert len(edges) <= bins + 1
    assert edges[-1] >= np.quantile(jets.astype(float), 0.99) * (1 - 1e-9)
    assert np.diff(edges) == pytest.approx(width)
    assert f"{width:.0e}"[0] in "125"


def test_masses_of_qcd_have_bins_of_ten_gev():
    jets = np.append(np.random.default_rng(1).exponential(50, 5000), -1)
    assert np.diff(equal_widths("jet_sdmass", jets, bins=30).edges).tolist() == pytest.approx([10] * 24, abs=1e-9)


@pytest.mark.parametrize("jets", [[], [0.0, 0.0], [-1.0], [np.nan]])
def test_values_that_are_not_above_zero_have_no_equal_widths(jets):
    with pytest.raises(DataError, match="not above 0; give the edges"):
        equal_widths("jet_sdmass", np.array(jets), bins=30)
