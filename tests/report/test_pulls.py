"""Ours beside the published: pulls by hand, and every reason why there is none."""

import math
from statistics import NormalDist

import numpy as np
import pandas as pd
import pytest

from jetassay.metrics.intervals import clopper_pearson
from jetassay.report.content import Content, Table, Text
from jetassay.report.published import of_card
from jetassay.report.pulls import pairs, pull
from jetassay.report.sections.published import section
from jetassay.tasks.score import Context, Score, result_frame

TEST_FILES = {"data": {"dataset": "jetclass", "schema": "jetclass", "file_names": ["HToBB_100.root", "TTBar_119.root"]}}
FACTS = {"backbone": "part-full", "task": "zero-shot", "task_version": 1, "n_signal": 90_000, "n_background": 10_000}


def tbqq(**changes):
    facts = {"metric": "rejection_over_cuts", "signal": "Tbqq", "background": "QCD", "working_point": 0.5}
    return Score(**{**FACTS, **facts, "value": 30000.0, "low": 25000.0, "high": 36000.0, "n_survivors": 3, **changes})


def accuracy(**changes):
    return Score(**{**FACTS, "metric": "accuracy", "value": 0.86, "low": 0.859, "high": 0.861, **changes})


def content_of(*scores, provenance=TEST_FILES, **options):
    context = Context(
        suite="s", dataset="jetclass", data_digest="d", split_seed=1, weights_sha256=None, dtype="float32"
    )
    frame = result_frame((context, score) for score in scores)
    return Content(
        frame=frame, tables={}, counts=pd.DataFrame(), provenance=provenance, protocol="", roles={}, **options
    )


def pair_of(metric, *scores, signal=None, backbone="part-full", **options):
    found = pairs(content_of(*scores, **options), backbone)
    return next(each for each in found if (each.number.metric, each.number.signal) == (metric, signal))


def test_the_pull_of_a_rejection_is_that_of_logarithms_with_the_sides_that_face_each_other():
    found = pair_of("rejection", tbqq(), signal="Tbqq")
    published_low = 1 / clopper_pearson(61, 2_000_000, level=0.68).high  # below 32787, on the side of ours
    error = math.hypot(math.log(36000 / 30000), math.log(32787 / published_low), 1 / math.sqrt(12) / 32787)
    assert found.pull == pytest.approx(math.log(30000 / 32787) / error, rel=1e-9)
    assert found.why == ""


def test_the_pull_of_an_accuracy_counts_the_published_sample_and_its_rounding():
    found = pair_of("accuracy", accuracy())
    error = math.hypot(0.001, 0.001 * math.sqrt(100_000 / 20_000_000), 0.001 / math.sqrt(12))
    assert found.pull == pytest.approx((0.86 - 0.861) / error)


def test_pulls_of_the_same_network_on_other_jets_are_within_one_as_often_as_they_claim():
    number = next(n for n in of_card("part-full") if (n.metric, n.signal) == ("rejection", "Hcc"))
    survivors = np.random.default_rng(3).binomial(200_000, 482 / 2_000_000, size=2000)
    pulls = []
    for k in survivors:
        efficiency = clopper_pearson(int(k), 200_000, level=0.68)
        row = {"value": 200_000 / k, "low": 1 / efficiency.high, "high": 1 / efficiency.low}
        pulls.append(pull(number, pd.Series({**row, "n_signal": 1, "n_background": 200_000})))
    inside = np.mean(np.abs(pulls) < 1)
    assert 0.66 < inside < 0.80  # exact intervals cover 68 % at least; here the published number itself is the truth
    assert abs(np.mean(pulls)) < 0.1
    assert np.quantile(np.abs(pulls), 0.95) < NormalDist().inv_cdf(0.975) * 1.05


@pytest.mark.parametrize(
    ("score", "provenance", "why"),
    [
        (tbqq(), {"data": {"dataset": "jetclass-sim", "file_names": ["TTBar_000.root"]}}, "other jets: jetclass-sim"),
        (tbqq(), {"data": {"dataset": "jetclass", "file_names": ["TTBar_099.root"]}}, "1 of 1 files may have been"),
        (tbqq(), {"data": {"dataset": "jetclass"}}, "not known"),
        (tbqq(), {}, "other jets"),
        (tbqq(value=None, high=None, n_survivors=0), TEST_FILES, "only a lower limit"),
        (tbqq(value=20000.0, low=9000.0, high=None), TEST_FILES, "open on the side"),
        (tbqq(task="probe"), TEST_FILES, "a probe of one signal"),
        (tbqq(working_point=0.3), TEST_FILES, "not measured here"),
        (tbqq(signal="Hbb"), TEST_FILES, "not measured here"),
    ],
)
def test_what_may_not_be_compared_has_no_pull_and_a_reason(score, provenance, why):
    found = pair_of("rejection", score, signal="Tbqq", provenance=provenance)
    assert found.pull is None
    assert why in found.why


def linear(n_train, **changes):
    return accuracy(backbone="sophon", task="multiclass", n_train=n_train, value=0.74, low=0.738, high=0.742, **changes)


def test_a_linear_probe_is_held_against_the_nearest_training_sample_and_only_an_equal_one_gives_a_pull():
    found = pair_of("accuracy", linear(95_000), backbone="sophon")
    assert (found.number.n_train, str(found.number.value)) == (100_000, "0.742")
    assert found.pull is not None
    other = pair_of("accuracy", linear(12_500), backbone="sophon")
    assert other.number.n_train == 10_000
    assert other.why == "other training samples: theirs 10,000 jets, ours 12,500"


def test_an_average_over_pairs_is_not_one_against_the_rest():
    score = linear(100_000).__class__(
        **{**FACTS, "backbone": "sophon", "task": "multiclass", "metric": "macro_ovo_auc", "value": 0.96, "low": 0.95,
           "high": 0.97, "n_train": 100_000}
    )  # fmt: skip
    assert "one against the rest" in pair_of("macro_ovr_auc", score, backbone="sophon").why


def test_a_marked_name_and_a_layer_still_name_the_card():
    marked = "part-full (seen in training)"
    score = tbqq(backbone=marked)
    assert pair_of("rejection", score, signal="Tbqq", backbone=marked, names={marked: "part-full"}).pull is not None
    layer = linear(100_000)
    options = {"backbone": "sophon", "names": {"sophon": "sophon@block_3"}}
    assert "another layer" in pair_of("accuracy", layer, **options).why


def test_the_section_shows_pulls_with_their_formula_and_the_published_networks():
    blocks = section(content_of(tbqq(), accuracy())).blocks
    beside, context = (block for block in blocks if isinstance(block, Table))
    row = beside.cells.loc["rejection Tbqq 50% (own outputs)"]
    assert row["published"] == "32787"
    assert row["ours"].startswith("30000 +6000-5000")
    assert row["our survivors"] == "3 of 10,000"
    assert row["pull"] == "-0.4"
    assert any(isinstance(block, Text) and block.text.startswith("pull =") for block in blocks)
    assert context.cells.loc["L-GATr", "Tbqq 50%"] == "47619"
    assert context.cells.loc["part-full", "accuracy"] == "0.860(1)"


def test_one_reason_for_all_is_said_once():
    provenance = {"data": {"dataset": "jetclass-sim", "schema": "jetclass", "file_names": ["TTBar_000.root"]}}
    blocks = section(content_of(tbqq(value=None, high=None), accuracy(), provenance=provenance)).blocks
    assert blocks[0].text == (
        "part-full: no published number may be held against ours: other jets: jetclass-sim, not jetclass."
    )
    assert "pull" not in blocks[1].cells
    assert not any(isinstance(block, Text) and block.text.startswith("pull =") for block in blocks)


def test_a_suite_of_unknown_backbones_on_other_data_has_no_such_section():
    assert section(content_of(tbqq(backbone="mine"), provenance={"data": {"dataset": "mine"}})) is None
