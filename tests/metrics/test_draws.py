"""Resamples as multiplicities: of the same size as the sample, every jet alike, in blocks of a bounded size."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jetassay.metrics.draws import blocks, multiplicities


@given(st.integers(0, 2000), st.integers(1, 500), st.integers(1, 5000))
def test_blocks_hold_all_draws_and_no_more_than_is_allowed(draws, jets, most):
    found = list(blocks(draws, jets=jets, most=most))
    assert sum(found) == draws
    assert all(0 < each <= max(1, most // jets) for each in found)


def test_a_resample_holds_as_many_jets_as_there_are_each_as_likely():
    counts = multiplicities(np.random.default_rng(0), jets=20, draws=4000)
    assert counts.shape == (4000, 20)
    assert (counts.sum(axis=1) == 20).all()
    assert counts.mean(axis=0) == pytest.approx(np.ones(20), abs=5 * np.sqrt(0.95 / 4000))
    assert counts.var() == pytest.approx(0.95, rel=0.02)  # binomial, n = 20 and p = 1/20


def test_a_resample_is_the_jets_that_the_stream_draws():
    counts = multiplicities(np.random.default_rng(5), jets=7, draws=3)
    for row, drawn in zip(counts, np.random.default_rng(5).integers(7, size=(3, 7)), strict=True):
        assert row.tolist() == [np.count_nonzero(drawn == jet) for jet in range(7)]
