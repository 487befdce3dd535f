"""The paired bootstrap against resamples that are written out jet by jet."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jetassay.errors import DataError
from jetassay.metrics.intervals import bootstrap_auc
from jetassay.metrics.paired import delong_covariance, placements
from jetassay.metrics.resampling import PairedScores, _counts, paired_bootstrap
from jetassay.metrics.roc import auc, cut_at


def views(seed, *, backbones=3, n_signal=300, n_background=400, shift=2.0, efficiency=0.5, noise=0.5):
    stream = np.random.default_rng(seed)
    signal = stream.normal(shift, 1, n_signal) + noise * stream.normal(size=(backbones, n_signal))
    background = stream.normal(0, 1, n_background) + noise * stream.normal(size=(backbones, n_background))
    return PairedScores(signal, background, efficiency)


def written_out(scores, *, draws, seed):
    """The resampled jets themselves, for each draw and backbone."""
    sides = (scores.signal, scores.background)
    streams = [np.random.default_rng([seed, side, array.shape[1]]) for side, array in enumerate(sides)]
    counts = [_counts(stream, array.shape[1], draws).astype(int) for stream, array in zip(streams, sides, strict=True)]
    for draw in range(draws):
        for row in range(len(scores.signal)):
            yield draw, row, *(np.repeat(array[row], count[draw]) for array, count in zip(sides, counts, strict=True))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.02, 0.3, 0.5, 0.99]), st.booleans())
def test_survivors_are_those_of_the_resampled_jets_exactly(seed, efficiency, tied):
    scores = views(seed, efficiency=efficiency)
    if tied:
        scores = PairedScores(scores.signal.round(), scores.background.round(), efficiency)
    survivors = paired_bootstrap({"x": scores}, draws=8, seed=seed)["x"].survivors
    for draw, row, signal, background in written_out(scores, draws=8, seed=seed):
        assert survivors[draw, row] == cut_at(signal, background, signal_efficiency=efficiency).n_survivors


def test_the_linear_part_of_the_auc_is_nearly_all_of_it():
    scores = views(1)
    linear = paired_bootstrap({"x": scores}, draws=200, seed=5)["x"].auc
    exact = np.empty_like(linear)
    for draw, row, signal, background in written_out(scores, draws=200, seed=5):
        exact[draw, row] = auc(signal, background)
    assert np.corrcoef(linear[:, 0], exact[:, 0])[0, 1] > 0.995
    assert linear.std(axis=0) == pytest.approx(exact.std(axis=0), rel=0.03)
    assert linear.mean(axis=0) == pytest.approx(exact.mean(axis=0), abs=1e-3)


def test_differences_scatter_as_delong_says_and_as_the_exact_bootstrap_does():
    scores = views(2, noise=1.0)
    drawn = paired_bootstrap({"x": scores}, draws=4000, seed=0)["x"].auc
    expected = delong_covariance(*placements(scores.signal, scores.background))
    assert np.cov(drawn.T) == pytest.approx(expected, rel=0.08)
    exact = [bootstrap_auc(scores.signal[row], scores.background[row], draws=2000, seed=3) for row in (0, 1)]
    assert (drawn[:, 0] - drawn[:, 1]).std() == pytest.approx((exact[0] - exact[1]).std(), rel=0.06)


def test_all_backbones_and_signals_share_their_resamples():
    scores = views(3)
    copies = PairedScores(np.exp(scores.signal), np.exp(scores.background), 0.5)
    drawn = paired_bootstrap({"x": scores, "y": copies}, draws=50, seed=1)
    assert np.array_equal(drawn["x"].auc, drawn["y"].auc)
    assert np.array_equal(drawn["x"].survivors, drawn["y"].survivors)
    alone = paired_bootstrap({"y": copies}, draws=50, seed=1)["y"]
    assert np.array_equal(alone.survivors, drawn["y"].survivors)


def test_blocks_change_nothing(monkeypatch):
    from jetassay.metrics import resampling

    scores = views(4)
    whole = paired_bootstrap({"x": scores}, draws=50, seed=1)["x"]
    monkeypatch.setattr(resampling, "_BLOCK", 1000)
    blocks = paired_bootstrap({"x": scores}, draws=50, seed=1)["x"]
    assert np.array_equal(whole.survivors, blocks.survivors)
    assert whole.auc == pytest.approx(blocks.auc, abs=1e-7)  # float32 sums in another order


def test_without_a_working_point_there_are_no_survivors():
    scores = views(5, efficiency=None)
    assert paired_bootstrap({"x": scores}, draws=10, seed=1)["x"].survivors is None


def test_perfect_scores_never_vary():
    scores = PairedScores(np.ones((2, 20)), np.zeros((2, 30)), 0.5)
    drawn = paired_bootstrap({"x": scores}, draws=10, seed=1)["x"]
    assert (drawn.auc == 1).all()
    assert (drawn.survivors == 0).all()


@pytest.mark.parametrize(
    ("signal", "background", "message"),
    [((2, 5), (3, 5), "paired scores: expected"), ((2,), (2,), "expected"), ((2, 0), (2, 5), "there are no jets")],
)
def test_scores_that_are_no_pairs_are_refused(signal, background, message):
    with pytest.raises(DataError, match=message):
        PairedScores(np.ones(signal), np.ones(background), 0.5)
