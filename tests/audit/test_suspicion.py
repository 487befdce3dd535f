"""What is too good to be true, and that chance never looks so."""

import math

import numpy as np
import pytest
from made_up_jets import make_splits
from scipy import stats

from jetassay.audit.suspicion import (
    BEST,
    CEILING,
    CHANCE,
    chance_of,
    is_suspicious,
    probe_auc,
    require_plausible,
    suspicious_scores,
)
from jetassay.errors import DataError, LeakageError
from jetassay.tasks.probe import probe_signal
from jetassay.tasks.score import Score

SHIFT = math.sqrt(2) * stats.norm.ppf(BEST)
ON_ZQQ = {"signal": "Zqq", "background": "QCD"}


def aucs(signal, background):
    """AUC of each row of continuous scores."""
    ranks = stats.rankdata(np.concatenate([signal, background], axis=1), axis=1)
    jets = signal.shape[1]
    return (ranks[:, :jets].sum(axis=1) - jets * (jets + 1) / 2) / (jets * background.shape[1])


def binormal(stream, shape):
    return stream.normal(SHIFT, 1, shape), stream.normal(0, 1, shape)


def exponential(stream, shape):
    """AUC 1 / (1 + rate ratio)."""
    return stream.exponential(BEST / (1 - BEST), shape), stream.exponential(1, shape)


def lost_signal(stream, shape):
    """The shape of largest variance: 2 % of the signal lies below all background, the rest above it."""
    lost = stream.random(shape) < 1 - BEST
    return np.where(lost, -3, 3) + stream.random(shape), stream.random(shape)


def score(value, *, signal="Zqq", jets=1000, metric="auc"):
    facts = {"signal": signal, "background": "QCD", "n_signal": jets, "n_background": jets}
    return Score(task="probe", task_version=1, metric=metric, value=value, backbone="x", **facts)


@pytest.mark.parametrize("shape", [binormal, exponential, lost_signal])
@pytest.mark.parametrize("jets", [2, 20, 200, 600, 1500])
def test_a_tagger_at_the_published_level_never_trips_the_alarm(shape, jets):
    stream = np.random.default_rng([jets, *shape.__name__.encode()])
    found = aucs(*shape(stream, (400, jets)))
    assert found.mean() == pytest.approx(BEST, abs=0.03 if jets < 200 else 0.004)
    tripped = [is_suspicious(value, **ON_ZQQ, n_signal=jets, n_background=jets) for value in found]
    assert not any(tripped)


@pytest.mark.slow
@pytest.mark.parametrize("shape", [binormal, exponential, lost_signal])
def test_ten_thousand_taggers_at_the_published_level_never_trip_the_alarm(shape):
    stream = np.random.default_rng(7)
    for jets in (600, 1000):
        for _ in range(50):
            found = aucs(*shape(stream, (100, jets)))
            assert not any(is_suspicious(value, **ON_ZQQ, n_signal=jets, n_background=jets) for value in found)


@pytest.mark.parametrize("jets", [50, 300])
def test_the_bound_holds_for_the_shape_of_largest_variance(jets):
    """There the missing pairs are binomial, and the bound is Chernoff's of the binomial."""
    for missing in range(jets // 50 + 1):
        exact = stats.binom.cdf(missing, jets, 1 - BEST)
        assert exact <= chance_of(1 - missing / jets, jets=jets) * (1 + 1e-9)


def test_fewest_jets_are_as_documented():
    assert chance_of(1.0, jets=570) < CHANCE * 1.001 < chance_of(1.0, jets=568)
    assert chance_of(CEILING, jets=1408) < CHANCE < chance_of(CEILING, jets=1400)
    assert chance_of(0.97, jets=10**6) == 1.0


@pytest.mark.parametrize("signal", ["Hgg", "Zqq", "Wqq"])
def test_a_perfect_score_on_enough_jets_is_a_leak(signal):
    require_plausible([score(0.994), score(1.0, jets=2), score(1.0, signal="Tbl"), score(1.0, signal="Hqql")])
    require_plausible([score(None), score(5.0, metric="rejection")])
    with pytest.raises(LeakageError, match=rf"AUC 1.00000 of {signal} against QCD with 1000 and 1000 jets"):
        require_plausible([score(0.97), score(1.0, signal=signal)])


def test_the_smaller_side_decides():
    assert not is_suspicious(1.0, **ON_ZQQ, n_signal=10**6, n_background=100)
    assert is_suspicious(1.0, **ON_ZQQ, n_signal=10**6, n_background=1000)


def test_the_probe_of_the_suite_on_a_leak_is_suspicious():
    splits = make_splits(jets=700, classes=("QCD", "Zqq"), separation=12.0)
    scores = probe_signal(splits, signal="Zqq", backbone="x").scores
    assert [each.metric for each in suspicious_scores(scores)] == ["auc"]


def test_the_audits_own_probe_agrees_with_that_of_the_suite():
    splits = make_splits(jets=700, classes=("QCD", "Zqq"))
    found, jets = probe_auc(splits, signal="Zqq", background="QCD")
    expected = next(each for each in probe_signal(splits, signal="Zqq", backbone="x").scores if each.metric == "auc")
    assert found == pytest.approx(expected.value, abs=0.003)
    assert jets == 700
    with pytest.raises(DataError, match="0 jets of Wqq or QCD"):
        probe_auc(splits, signal="Wqq", background="QCD")
