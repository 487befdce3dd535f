"""Verdicts are wrong as seldom as they say: equal backbones, and the families of many comparisons."""

import numpy as np
import pytest

from jetassay.metrics.paired import holm, jets_needed
from jetassay.metrics.resampling import PairedScores, paired_bootstrap
from jetassay.metrics.roc import cut_at
from jetassay.tasks.pairs import auc_pairs, rejection_pairs

SEEN_APART = [(0, 1), (2, 3), (4, 5), (6, 7)]
"""Pairs of eight views that share no view."""


def equal_views(seed, *, jets, shift, efficiency, views=8):
    """Backbones of equal quality: the same latent score of each jet, with noise of their own."""
    stream = np.random.default_rng(seed)
    sides = [stream.normal(mean, 1, jets) + 0.6 * stream.normal(size=(views, jets)) for mean in (shift, 0)]
    return PairedScores(*sides, efficiency)


def compared(scores, seed):
    resampled = paired_bootstrap({"x": scores}, draws=300, seed=seed)["x"]
    cuts = [
        cut_at(some, others, signal_efficiency=scores.signal_efficiency)
        for some, others in zip(scores.signal, scores.background, strict=True)
    ]
    return list(auc_pairs(scores, resampled)), list(rejection_pairs(scores, resampled, cuts))


def p_values(repeats, **options):
    """Of the AUC, of the rejection, and of McNemar's test alone; each (repeats, pairs)."""
    found = {"auc": [], "rejection": [], "mcnemar": []}
    for seed in range(repeats):
        aucs, rejections = compared(equal_views(seed, **options), seed)
        apart = [pair for pair in rejections if (pair.first, pair.second) in SEEN_APART]
        found["auc"].append([pair.p_value for pair in aucs if (pair.first, pair.second) in SEEN_APART])
        found["rejection"].append([pair.p_value for pair in apart])
        found["mcnemar"].append([pair.survivors.mcnemar_p for pair in apart])
    return {name: np.array(values) for name, values in found.items()}


def test_p_values_of_equal_backbones_are_uniform_for_the_auc_and_not_too_small_for_the_rejection():
    found = p_values(50, jets=300, shift=1.5, efficiency=0.5)
    for level in (0.05, 0.2, 0.5, 0.8):
        assert np.mean(found["auc"] <= level) == pytest.approx(level, abs=4 * np.sqrt(level * (1 - level) / 200))
        assert np.mean(found["rejection"] <= level) <= level + 3 * np.sqrt(level * (1 - level) / 200)


def test_at_a_high_working_point_mcnemar_alone_calls_equal_backbones_different():
    found = p_values(25, jets=500, shift=4, efficiency=0.99)
    assert np.mean(found["mcnemar"] <= 0.05) > 0.2
    assert np.mean(found["rejection"] <= 0.05) < 0.12


def test_where_the_cut_decides_more_jets_are_needed_than_mcnemar_alone_says():
    scores = equal_views(3, jets=500, shift=4, efficiency=0.99)
    clear = [pair for pair in compared(scores, 3)[1] if pair.survivors.mcnemar_p < 1e-4]
    assert clear
    for pair in clear:
        alone = jets_needed(pair.survivors.only_first, pair.survivors.only_second, n_background=500)
        assert pair.survivors.needed.low <= pair.survivors.needed.value
        assert pair.survivors.needed.value > 1.5 * alone


def test_a_difference_that_is_there_is_found():
    scores = equal_views(0, jets=2000, shift=2, efficiency=0.5, views=2)
    blurred = PairedScores(
        np.stack([scores.signal[0], scores.signal[1] + 2 * np.random.default_rng(1).normal(size=2000)]),
        np.stack([scores.background[0], scores.background[1] + 2 * np.random.default_rng(2).normal(size=2000)]),
        0.5,
    )
    for (pair,) in compared(blurred, 0):
        assert pair.p_value < 1e-6
        assert pair.lead > 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("jets", "shift", "efficiency"),
    [(1000, 1.5, 0.5), (1000, 3, 0.5), (1000, 5, 0.99), (1000, 4, 0.995), (1000, 6, 0.995), (250, 4, 0.99)],
)
def test_equal_backbones_are_told_apart_no_more_often_than_the_level(jets, shift, efficiency):
    found = p_values(200, jets=jets, shift=shift, efficiency=efficiency)
    for name in ("auc", "rejection"):
        for level in (0.05, 0.01):
            assert np.mean(found[name] <= level) <= level + 4 * np.sqrt(level * (1 - level) / 800)


@pytest.mark.slow
def test_one_family_of_equal_backbones_has_a_false_verdict_no_more_often_than_the_level():
    """All 28 pairs of eight equal backbones, corrected together: dependent, since they share backbones and jets."""
    false = {"auc": 0, "rejection": 0}
    for seed in range(400):
        for name, pairs in zip(
            false, compared(equal_views(seed, jets=500, shift=2, efficiency=0.5), seed), strict=True
        ):
            false[name] += holm(np.array([pair.p_value for pair in pairs])).min() <= 0.05
    assert false["auc"] / 400 < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 400)
    assert false["rejection"] / 400 < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 400)


@pytest.mark.slow
@pytest.mark.parametrize(("efficiency", "shift"), [(0.5, 2.0), (0.99, 5.0)])
def test_as_many_jets_as_are_said_to_be_needed_tell_the_two_apart(efficiency, shift):
    """The needs stated by samples of 1000 jets, against how often samples of that size find the difference."""

    def draw(seed, jets):
        stream = np.random.default_rng(seed)
        latent = stream.normal(shift, 1, jets), stream.normal(0, 1, jets)
        noises = (0.3, 0.55)
        sides = [np.stack([side + noise * stream.normal(size=jets) for noise in noises]) for side in latent]
        return PairedScores(*sides, efficiency)

    def pair_of(seed, jets):
        return compared(draw(seed, jets), seed)[1][0]

    stated = [pair_of(seed, 4000).survivors.needed.value for seed in range(100)]
    needed = int(np.median([each for each in stated if each is not None]))
    found = np.mean([(pair := pair_of(1000 + seed, needed)).p_value <= 0.05 and pair.lead > 0 for seed in range(200)])
    assert 0.65 < found < 0.95
