"""Mass sculpting: a tagger of the mass sculpts, one that knows nothing of it does not."""

from dataclasses import replace

import numpy as np
import pytest
from observed_jets import probed, without
from scipy.spatial.distance import jensenshannon

from jetassay.errors import ConfigError, DataError
from jetassay.tasks.catalogue import TASKS
from jetassay.tasks.probe import Probed
from jetassay.tasks.sculpting import mass_sculpting


@pytest.fixture
def jets(splits_of):
    return probed(splits_of(jets=400, separation=1.0))


def scored_by(jets, of_background):
    """The same jets with other scores of the background."""
    result = jets.probes["Hbb"]
    logits = of_background(jets.splits.test.columns["jet_sdmass"][result.background_rows]).astype(np.float64)
    cuts = tuple(replace(each, score=float(np.quantile(logits, 0.8))) for each in result.cuts)
    return Probed(jets.splits, {"Hbb": replace(result, background_logits=logits, cuts=cuts)})


def by_cut(outcome, metric):
    found = [each for each in outcome.scores if each.metric == metric]
    return {each.bin or f"signal efficiency {each.working_point:g}": each for each in found}


def test_every_metric_is_given_for_every_cut(jets):
    outcome = mass_sculpting(jets, backbone="mine")
    assert {each.metric for each in outcome.scores} == set(TASKS["sculpting"].metrics)
    assert len(outcome.scores) == 4 * 4
    assert not outcome.problems
    assert not outcome.undefined
    assert list(by_cut(outcome, "jsd")) == [
        "signal efficiency 0.5", "background efficiency 0.5", "background efficiency 0.1", "background efficiency 0.01",
    ]  # fmt: skip
    passing = {name: each.n_survivors for name, each in by_cut(outcome, "jsd").items()}
    assert list(passing.values())[1:] == [200, 40, 4]


def test_the_divergence_is_scipys_between_the_histograms_of_the_table(jets):
    outcome = mass_sculpting(jets, backbone="mine")
    for name, rows in outcome.tables["sculpting"].groupby("cut"):
        value = by_cut(outcome, "jsd")[name].value
        assert value == pytest.approx(jensenshannon(rows["after"], rows["before"], base=2) ** 2, abs=1e-12)
        assert by_cut(outcome, "inverse_jsd")[name].value == pytest.approx(1 / value)
        assert (rows["before"].sum(), rows["after"].sum()) == (pytest.approx(1), pytest.approx(1))
        assert rows["n_before"].sum() == 400
        assert rows["n_after"].sum() == by_cut(outcome, "jsd")[name].n_survivors


def test_a_tagger_of_the_mass_sculpts_and_a_random_one_does_not(jets):
    of_mass = mass_sculpting(scored_by(jets, lambda mass: -np.abs(mass - 80)), backbone="mine")
    stream = np.random.default_rng(5)
    at_random = mass_sculpting(scored_by(jets, lambda mass: stream.normal(size=len(mass))), backbone="mine")
    for name in ("background efficiency 0.5", "background efficiency 0.1"):
        assert by_cut(of_mass, "jsd_p_value")[name].value < 0.01
        assert by_cut(of_mass, "jsd")[name].low > by_cut(of_mass, "jsd_null")[name].high
        assert by_cut(at_random, "jsd_p_value")[name].value > 0.02
        assert by_cut(at_random, "jsd")[name].value < 2 * by_cut(at_random, "jsd_null")[name].value


def test_few_passing_jets_are_not_called_sculpting(jets):
    stream = np.random.default_rng(6)
    found = mass_sculpting(scored_by(jets, lambda mass: stream.normal(size=len(mass))), backbone="mine")
    few = by_cut(found, "jsd")["background efficiency 0.01"]
    assert few.n_survivors == 4
    assert few.value > 0.3
    assert by_cut(found, "jsd_p_value")["background efficiency 0.01"].value > 0.05


def test_equal_scores_and_cuts_that_nothing_passes_are_named(jets):
    equal = mass_sculpting(scored_by(jets, lambda mass: np.zeros(len(mass))), backbone="mine")
    assert equal.undefined == {
        f"Hbb, background efficiency {each}": "so many scores are equal that 1 passes"
        for each in ("0.5", "0.1", "0.01")
    } | {"Hbb, signal efficiency 0.5, inverse": "the divergence is 0"}
    result = jets.probes["Hbb"]
    strict = replace(result, cuts=tuple(replace(each, score=1e9) for each in result.cuts))
    nothing = mass_sculpting(Probed(jets.splits, {"Hbb": strict}), backbone="mine")
    assert nothing.undefined == {"Hbb, signal efficiency 0.5": "none of 400 QCD jets passes"}
    assert len(nothing.scores) == 12


def test_masses_beyond_given_edges_count_in_the_outermost_bins(jets):
    outcome = mass_sculpting(jets, backbone="mine", edges=(75, 80, 85))
    rows = outcome.tables["sculpting"]
    assert set(rows["mass_low"]) == {75, 80}
    assert rows.groupby("cut")["n_before"].sum().tolist() == [400] * 4
    assert "2 bins from 75 to 85 GeV" in outcome.protocol


def test_everything_passing_has_no_inverse(jets):
    outcome = mass_sculpting(jets, backbone="mine", edges=(-1e6, 1e6))
    assert {each.value for each in outcome.scores if each.metric == "jsd"} == {0}
    assert {(each.value, each.interval) for each in outcome.scores if each.metric == "inverse_jsd"} == {
        (None, "undefined")
    }
    assert set(outcome.undefined.values()) == {"the divergence is 0"}
    assert "Hbb, background efficiency 0.1, inverse" in outcome.undefined


def test_a_dataset_without_the_mass_says_so(jets):
    outcome = mass_sculpting(without(jets, "jet_sdmass"), backbone="mine")
    assert (outcome.scores, outcome.undefined) == ((), {"soft-drop mass": "the dataset has no column jet_sdmass"})
    outcome = mass_sculpting(Probed(jets.splits, {}), backbone="mine")
    assert outcome.undefined == {"soft-drop mass": "there are no probes to cut on"}


def test_masses_that_are_all_zero_and_edges_that_fall_are_refused(jets, splits_of):
    with pytest.raises(DataError, match="not above 0; give the edges"):
        mass_sculpting(probed(splits_of(jets=60), scale=0), backbone="mine")
    with pytest.raises(ConfigError, match="edges must rise"):
        mass_sculpting(jets, backbone="mine", edges=(100, 50))
