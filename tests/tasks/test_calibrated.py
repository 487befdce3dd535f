"""Calibration of probes and of a classifier's outputs."""

from dataclasses import replace

import numpy as np
import pytest
from observed_jets import probed
from scipy.special import expit, softmax
from sklearn.metrics import brier_score_loss

from jetassay.jets.classes import CLASS_NAMES
from jetassay.tasks.calibration import OUTPUTS, TOP_LABEL, calibrated
from jetassay.tasks.catalogue import TASKS
from jetassay.tasks.grouping import Grouping
from jetassay.tasks.probe import Probed
from jetassay.tasks.samples import Splits


@pytest.fixture
def jets(splits_of):
    return probed(splits_of(jets=400, separation=1.0))


def classified(jets, *, outputs=CLASS_NAMES, scale=1.0):
    """The same jets with class probabilities; their labels are drawn from those of scale 1."""
    test = jets.splits.test
    stream = np.random.default_rng(8)
    logits = stream.normal(size=(len(test), len(outputs)))
    chances = softmax(logits, axis=1)
    labels = (chances.cumsum(axis=1) < stream.random(len(test))[:, None]).sum(axis=1).clip(max=len(CLASS_NAMES) - 1)
    scores = softmax(scale * logits, axis=1).astype(np.float32)
    other = replace(test, labels=labels.astype(np.int64), scores=scores, outputs=outputs)
    splits = Splits(jets.splits.train, jets.splits.validation, other)
    result = jets.probes["Hbb"]
    rows = {name: other.rows(name) for name in ("Hbb", "QCD")}
    logit = {name: np.zeros(len(each)) for name, each in rows.items()}
    return Probed(
        splits,
        {
            "Hbb": replace(
                result,
                signal_rows=rows["Hbb"],
                background_rows=rows["QCD"],
                signal_logits=logit["Hbb"],
                background_logits=logit["QCD"],
            )
        },
    )


def of(outcome, metric, where=None):
    return next(each for each in outcome.scores if each.metric == metric and each.bin == where)


def test_the_probes_probability_is_measured_as_scikit_learn_does(jets):
    outcome = calibrated(jets, backbone="mine")
    result = jets.probes["Hbb"]
    p = expit(np.concatenate([result.signal_logits, result.background_logits]))
    y = np.repeat([1, 0], 400)
    assert of(outcome, "brier").value == pytest.approx(brier_score_loss(y, p))
    assert {each.metric for each in outcome.scores} == set(TASKS["calibration"].metrics)
    assert of(outcome, "ece_null").low < of(outcome, "ece").value < 0.1
    assert outcome.undefined == {OUTPUTS: "it has no classifier"}
    table = outcome.tables["calibration"]
    assert table["n_jets"].sum() == 800
    assert (table["fraction_low"] <= table["fraction"]).all()
    assert (table["fraction"] <= table["fraction_high"]).all()


def test_the_prior_is_that_of_the_test_jets(jets):
    result = jets.probes["Hbb"]
    fewer = replace(result, signal_rows=result.signal_rows[:100], signal_logits=result.signal_logits[:100])
    outcome = calibrated(Probed(jets.splits, {"Hbb": fewer}), backbone="mine")
    p = expit(np.concatenate([fewer.signal_logits, fewer.background_logits]) + np.log(0.25))
    assert of(outcome, "brier").value == pytest.approx(brier_score_loss(np.repeat([1, 0], [100, 400]), p))
    assert of(outcome, "brier_uncertainty").value == pytest.approx(0.2 * 0.8)
    assert of(outcome, "ece_p_value").value > 0.01


def test_a_calibrated_classifier_is_found_so_and_an_overconfident_one_not(jets):
    sound = calibrated(classified(jets), backbone="mine")
    assert of(sound, "ece_p_value", TOP_LABEL).value > 0.02
    sharp = calibrated(classified(jets, scale=4), backbone="mine")
    assert of(sharp, "ece_p_value", TOP_LABEL).value < 0.01
    assert of(sharp, "ece", TOP_LABEL).low > of(sharp, "ece_null", TOP_LABEL).high
    assert of(sharp, "ece", OUTPUTS).signal == "Hbb"
    assert set(sharp.details) == {"Hbb, probe", f"Hbb, {OUTPUTS}", TOP_LABEL}


def test_the_top_label_counts_how_often_the_largest_probability_is_right(jets):
    data = classified(jets)
    test = data.splits.test
    hits = test.scores.argmax(axis=1) == test.labels
    found = calibrated(data, backbone="mine").details[TOP_LABEL]
    assert found.numbers["brier"] == pytest.approx(np.mean((test.scores.max(axis=1) - hits) ** 2))
    assert np.sum(found.curve.fraction * found.curve.jets) == pytest.approx(hits.sum())


def test_outputs_that_stand_for_nothing_are_named(jets):
    names = tuple(f"output {k}" for k in range(10))
    outcome = calibrated(classified(jets, outputs=names), backbone="mine")
    assert outcome.undefined == {OUTPUTS: "no grouping says which outputs stand for the classes"}
    groups = {name: (f"output {k}",) for k, name in enumerate(CLASS_NAMES)}
    declared = calibrated(
        classified(jets, outputs=names),
        backbone="mine",
        groupings=(Grouping(outputs=names, classes=CLASS_NAMES, groups=groups),),
    )
    assert of(declared, "ece", OUTPUTS).value >= 0
    assert TOP_LABEL not in declared.details
    groups |= {"Hbb": ("output 0", "output 1")}
    grouping = Grouping(outputs=names, classes=CLASS_NAMES, groups=groups)
    both = calibrated(classified(jets, outputs=names), backbone="mine", groupings=(grouping,))
    assert both.undefined == {f"{OUTPUTS}, Hbb": "output 0 would stand for signal and background"}


@pytest.mark.parametrize("wrong", [np.nan, 1.5, -0.1])
def test_outputs_that_are_no_probabilities_are_a_problem_and_the_probes_stay(jets, wrong):
    data = classified(jets)
    data.splits.test.scores[7, 2] = wrong
    outcome = calibrated(data, backbone="mine")
    expected = "1 of 800 test jets have outputs that are no probabilities, the first is row 7"
    assert outcome.problems == {OUTPUTS: expected}
    assert set(outcome.details) == {"Hbb, probe"}


def test_constant_scores_are_one_bin_and_calibrated(jets):
    outcome = calibrated(classified(jets), backbone="mine")
    assert len(outcome.details["Hbb, probe"].curve.jets) == 1
    assert of(outcome, "ece").value == pytest.approx(0, abs=1e-12)


def test_no_probe_is_said(jets):
    assert "probes" in calibrated(Probed(jets.splits, {}), backbone="mine").undefined
