"""The simulation behind the coverage in the documentation: its truths are true, and intervals cover as stated there."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from jetassay.metrics.coverage import auc_trial, coverage, paired_coverage, rejection_trial
from jetassay.metrics.roc import auc, cut_at

TABLE = Path(__file__).parents[2] / "docs" / "coverage.csv"


@pytest.mark.parametrize("efficiency", [0.5, 0.99])
def test_the_true_rejection_is_that_of_a_large_sample(efficiency):
    trial = rejection_trial(1000, signal_efficiency=efficiency, survivors=30)
    stream = np.random.default_rng(0)
    signal, background = stream.normal(trial.shift, 1, 1_000_000), stream.normal(0, 1, 1_000_000)
    assert cut_at(signal, background, signal_efficiency=efficiency).rejection == pytest.approx(trial.truth, rel=0.03)


def test_the_true_auc_is_that_of_a_large_sample():
    trial = auc_trial(1000, auc=0.95)
    stream = np.random.default_rng(1)
    assert auc(stream.normal(trial.shift, 1, 300_000), stream.normal(0, 1, 300_000)) == pytest.approx(0.95, abs=2e-3)


def test_fractions_add_up_and_wider_intervals_cover_more():
    table = coverage(rejection_trial(500, signal_efficiency=0.5, survivors=3), levels=(0.68, 0.95), repeats=60, seed=0)
    assert table[["covered", "below", "above"]].sum(axis=1).to_numpy() == pytest.approx(np.ones(len(table)))
    by_level = table.set_index(["method", "level"])["covered"]
    for method in ("Clopper-Pearson", "over cuts"):
        assert by_level[method, 0.68] < by_level[method, 0.95]


def test_at_three_survivors_rejections_are_covered_at_least_as_often_as_claimed():
    table = coverage(rejection_trial(500, signal_efficiency=0.5, survivors=3), levels=(0.68,), repeats=150, seed=1)
    assert (table["covered"] > 0.68 - 3 * np.sqrt(0.68 * 0.32 / 150)).all()


@pytest.mark.slow
@pytest.mark.parametrize("efficiency", [0.5, 0.99, 0.995])
@pytest.mark.parametrize("survivors", [3, 30])
def test_over_cuts_covers_at_least_its_level_from_a_thousand_jets_on(efficiency, survivors):
    trial = rejection_trial(1000, signal_efficiency=efficiency, survivors=survivors)
    table = coverage(trial, levels=(0.68, 0.95), repeats=400, seed=2)
    ours = table[table["method"] == "over cuts"]
    assert (ours["covered"] >= ours["level"] - 3 * np.sqrt(ours["level"] * (1 - ours["level"]) / 400)).all()


@pytest.mark.slow
@pytest.mark.parametrize(("jets", "value"), [(200, 0.7), (200, 0.95), (1000, 0.95)])
def test_both_intervals_of_the_auc_cover_what_they_claim(jets, value):
    table = coverage(auc_trial(jets, auc=value), levels=(0.68, 0.95), repeats=400, seed=3)
    error = np.sqrt(table["level"] * (1 - table["level"]) / 400)
    assert ((table["covered"] - table["level"]).abs() < 3.5 * error).all()


@pytest.mark.slow
def test_paired_differences_are_covered_as_often_as_claimed():
    table = paired_coverage(1000, signal_efficiency=0.5, shift=2.0, levels=(0.68, 0.95), repeats=300, seed=4)
    error = np.sqrt(table["level"] * (1 - table["level"]) / 300)
    assert (table["covered"] >= table["level"] - 3.5 * error).all()


def test_the_documented_table_says_what_the_documentation_does():
    table = pd.read_csv(TABLE)
    ours = table[table["method"] == "over cuts"]
    at_level = {level: ours.loc[ours["level"] == level, "covered"] for level in (0.68, 0.95)}
    assert at_level[0.68].between(0.70, 0.87).all()
    assert (at_level[0.95] > 0.96).sum() == len(at_level[0.95]) - 1
    alone = table[
        (table["method"] == "Clopper-Pearson") & (table["signal_efficiency"] > 0.5) & (table["survivors"] > 3)
    ]
    assert alone.loc[alone["level"] == 0.68, "covered"].between(0.28, 0.62).all()
