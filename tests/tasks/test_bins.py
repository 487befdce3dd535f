"""Separation in bins: equal to a direct computation, adding up to all jets, and honest about bins with few."""

from dataclasses import replace

import numpy as np
import pytest
from observed_jets import probed, without
from sklearn.metrics import roc_auc_score

from jetassay.errors import ConfigError
from jetassay.metrics.intervals import auc_interval
from jetassay.tasks.bins import bins, delong_interval
from jetassay.tasks.catalogue import TASKS
from jetassay.tasks.probe import Probed


@pytest.fixture
def jets(splits_of):
    return probed(splits_of(jets=240, separation=1.5))


def found(outcome, metric, *, bin_name=None):
    return [each for each in outcome.scores if each.metric == metric and bin_name in {None, each.bin}]


def test_one_bin_that_holds_all_gives_the_probes_own_numbers(jets):
    outcome = bins(jets, backbone="mine", variables=("jet_pt",), n_bins=1)
    own = {(each.metric, each.working_point): each for each in jets.probes["Hbb"].scores}
    (auc,) = found(outcome, "auc")
    assert auc.value == own["auc", None].value
    assert (auc.low, auc.high) == pytest.approx((own["auc", None].low, own["auc", None].high), abs=0.004)
    for metric in ("rejection", "rejection_over_cuts"):
        (score,) = found(outcome, metric)
        same = own[metric, 0.5]
        assert (score.value, score.low, score.high, score.n_survivors) == (
            same.value, same.low, same.high, same.n_survivors,
        )  # fmt: skip
    (background,) = found(outcome, "background_efficiency")
    assert 1 / background.value == pytest.approx(own["rejection", 0.5].value)


def test_every_metric_of_the_catalogue_is_given_in_every_bin(jets):
    outcome = bins(jets, backbone="mine", n_bins=2)
    assert {each.metric for each in outcome.scores} == set(TASKS["bins"].metrics)
    assert not outcome.problems
    assert not outcome.undefined
    assert {each.bin for each in outcome.scores} == set(outcome.tables["bins"]["bin"])
    assert len(outcome.scores) == 4 * 2 * 5


def test_bins_add_up_to_all_jets(jets):
    outcome = bins(jets, backbone="mine", n_bins=3)
    cut = next(each for each in jets.probes["Hbb"].cuts if each.requested == 0.5)
    for variable, binning in outcome.details.items():
        for metric, count, passing in (
            ("signal_efficiency", "n_signal", cut.n_signal_passing),
            ("background_efficiency", "n_background", cut.n_survivors),
        ):
            rows = [each for each in found(outcome, metric) if each.bin in binning.names]
            assert sum(getattr(each, count) for each in rows) == 240
            kept = sum(round(each.value * getattr(each, count)) for each in rows)
            assert kept == passing, variable


def test_a_bin_is_measured_on_its_jets_alone(jets):
    outcome = bins(jets, backbone="mine", variables=("abs_eta",), edges={"abs_eta": (0, 0.5, 2)})
    test, result = jets.splits.test, jets.probes["Hbb"]
    eta = np.abs(test.columns["jet_eta"])
    signal = result.signal_logits[eta[result.signal_rows] < 0.5]
    background = result.background_logits[eta[result.background_rows] < 0.5]
    (score,) = found(outcome, "auc", bin_name="abs_eta 0-0.5")
    truth = np.repeat([1, 0], [len(signal), len(background)])
    assert score.value == pytest.approx(roc_auc_score(truth, np.concatenate([signal, background])))
    assert (score.n_signal, score.n_background) == (len(signal), len(background))
    (rejection,) = found(outcome, "rejection", bin_name="abs_eta 0-0.5")
    cut = np.sort(signal)[::-1][int(np.ceil(len(signal) / 2)) - 1]
    assert rejection.n_survivors == (background >= cut).sum()


def test_no_survivor_in_a_bin_gives_a_limit(splits_of):
    outcome = bins(probed(splits_of(jets=60, separation=9)), backbone="mine", variables=("jet_pt",), n_bins=2)
    for score in found(outcome, "rejection"):
        assert score.value is None
        assert score.interval == "clopper-pearson-limit"
        assert score.low > 1
    for score in found(outcome, "auc"):
        assert score.interval == "disjoint-pairs"


def test_bins_with_too_few_jets_are_named_and_keep_their_rows(jets):
    edges = {"jet_pt": (500, 900, 999.9, 5000, 6000)}
    outcome = bins(jets, backbone="mine", variables=("jet_pt",), edges=edges)
    assert not outcome.problems
    ((where, reason),) = outcome.undefined.items()
    assert "jet_pt 5000-6000" in where
    assert where.startswith("Hbb in ")
    assert reason == "fewer than 2 jets of a class"
    for metric in ("auc", "rejection"):
        (score,) = found(outcome, metric, bin_name="jet_pt 5000-6000")
        assert (score.value, score.interval, score.n_signal) == (None, "undefined", 0)
    (sound,) = found(outcome, "auc", bin_name="jet_pt 500-900")
    assert sound.value is not None


def test_a_working_point_beyond_the_bin_keeps_the_auc(splits_of):
    jets = probed(splits_of(jets=220, classes=("QCD", "Tbl")))
    outcome = bins(jets, backbone="mine", variables=("jet_pt",), n_bins=2)
    assert all(each.value is not None for each in found(outcome, "auc"))
    assert {each.interval for each in found(outcome, "rejection")} == {"undefined"}
    assert list(outcome.undefined.values()) == ["a working point of 0.995 needs 200 signal jets in the bin"]
    assert all(each.working_point == 0.995 for each in found(outcome, "signal_efficiency"))


def test_a_missing_column_is_named_and_costs_nothing_else(jets):
    outcome = bins(without(jets, "jet_sdmass", "jet_eta"), backbone="mine")
    assert set(outcome.undefined) == {"jet_sdmass", "abs_eta"}
    assert set(outcome.details) == {"jet_pt", "multiplicity"}
    everything = bins(without(jets, *jets.splits.test.columns), backbone="mine")
    assert everything.scores == ()
    assert everything.tables == {}


def test_a_column_without_a_number_is_a_problem_and_costs_nothing_else(jets):
    test = jets.splits.test
    nothing = np.full(len(test), np.nan, np.float32)
    broken = replace(test, columns={**test.columns, "jet_sdmass": nothing})
    outcome = bins(Probed(replace(jets.splits, test=broken), jets.probes), backbone="mine")
    assert outcome.problems == {"jet_sdmass": "bins of jet_sdmass: no jet has a finite value"}
    assert set(outcome.details) == {"jet_pt", "abs_eta", "multiplicity"}


def test_jets_outside_of_given_edges_are_counted(jets):
    outcome = bins(jets, backbone="mine", variables=("jet_pt",), edges={"jet_pt": (600, 700)})
    outside = np.count_nonzero(
        ~((jets.splits.test.columns["jet_pt"] >= 600) & (jets.splits.test.columns["jet_pt"] <= 700))
    )
    assert outcome.notes == (f"Bins of jet_pt: {outside} of 480 test jets are outside of 600-700, in no bin.",)


def test_no_probe_is_said(jets):
    outcome = bins(Probed(jets.splits, {}), backbone="mine")
    assert outcome.undefined == {"all bins": "there are no probes to look at"}


def test_equal_scores_in_a_bin_are_an_auc_of_one_half(jets):
    result = jets.probes["Hbb"]
    equal = replace(result, signal_logits=np.zeros(240), background_logits=np.zeros(240))
    outcome = bins(Probed(jets.splits, {"Hbb": equal}), backbone="mine", variables=("jet_pt",), n_bins=2)
    assert {each.value for each in found(outcome, "auc")} == {0.5}
    assert {each.value for each in found(outcome, "rejection")} == {1.0}


def test_edges_that_do_not_rise_stop_the_suite(jets):
    with pytest.raises(ConfigError, match="edges must rise"):
        bins(jets, backbone="mine", edges={"jet_pt": (2, 1)})


def test_delongs_interval_is_about_that_of_the_bootstrap_and_covers():
    stream, hits = np.random.default_rng(2), 0
    for _ in range(200):
        interval = delong_interval(stream.normal(1, size=60), stream.normal(size=60), level=0.68)
        hits += interval.low <= 0.76025 <= interval.high  # Phi(1 / sqrt 2)
    assert 0.60 < hits / 200 < 0.76
    signal, background = stream.normal(1, size=300), stream.normal(size=300)
    one, other = (each(signal, background, level=0.68) for each in (delong_interval, auc_interval))
    assert (one.low, one.high) == pytest.approx((other.low, other.high), abs=0.004)
