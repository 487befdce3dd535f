"""Verdicts on pairs of backbones: those that are equal tie, those that differ do not, and what is missing is said."""

from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest

from jetassay.errors import DataError
from jetassay.jets.classes import CLASS_NAMES
from jetassay.metrics.paired import holm
from jetassay.metrics.roc import auc, cut_at
from jetassay.suite import Suite
from jetassay.tasks.catalogue import COMPARISON
from jetassay.tasks.comparison import BETTER, TIED, comparison
from jetassay.tasks.probe import Probed, probe
from jetassay.tasks.samples import JetKeys, Sample, Splits


def probed_of(splits_of, *, views=3, signals=("Hbb",), **options):
    """Backbones that see the same jets, each through a random map and noise of its own."""
    found = {}
    for view in range(views):
        splits = splits_of(view=view, **options)
        found[f"b{view}"] = Probed(splits, probe(splits, backbone=f"b{view}", signals=signals).details)
    return found


def rows(outcome, metric):
    table = outcome.tables["comparison"]
    return table[table["metric"] == metric].set_index(["signal", "backbone", "backbone_b"])


@pytest.fixture
def make_probed(splits_of):
    return partial(probed_of, splits_of)


@pytest.fixture
def probed(make_probed):
    return make_probed(jets=300, classes=("QCD", "Hbb", "Hcc"), signals=("Hbb", "Hcc"))


def test_differences_are_those_of_the_probes(probed):
    outcome = comparison(probed, draws=200)
    assert not outcome.problems
    for metric, count in (("auc", 6), ("rejection", 6)):
        found = rows(outcome, metric)
        assert len(found) == count
        for (signal, first, second), row in found.iterrows():
            a, b = (probed[name].probes[signal] for name in (first, second))
            if metric == "auc":
                expected = auc(a.signal_logits, a.background_logits) - auc(b.signal_logits, b.background_logits)
            else:
                cuts = [cut_at(x.signal_logits, x.background_logits, signal_efficiency=0.5) for x in (a, b)]
                expected = np.log(cuts[0].rejection / cuts[1].rejection)
                passing = [x.background_logits >= cut.score for x, cut in zip((a, b), cuts, strict=True)]
                assert row["only_first"] == np.sum(passing[0] & ~passing[1])
                assert row["only_second"] == np.sum(passing[1] & ~passing[0])
            assert row["value"] == pytest.approx(expected, abs=1e-12)
            assert row["low"] < row["value"] < row["high"]


def test_scores_and_tables_hold_the_same_numbers(probed):
    outcome = comparison(probed, draws=200)
    by_metric = {}
    for score in outcome.scores:
        by_metric.setdefault(score.metric, []).append(score)
        assert (score.task, score.background, score.n_signal, score.n_background) == ("comparison", "QCD", 300, 300)
    table = rows(outcome, "rejection")
    for score in by_metric["jets_needed"]:
        row = table.loc[score.signal, score.backbone, score.backbone_b]
        assert score.value == row["jets_needed"] or (score.value is None and pd.isna(row["jets_needed"]))
    assert {len(by_metric[metric]) for metric in ("auc_rank", "rejection_rank")} == {6}
    assert "1 + the number of backbones that are better" in outcome.protocol


def test_one_seed_gives_the_same_comparison_to_the_bit(probed):
    assert comparison(probed, draws=100, seed=1).scores == comparison(probed, draws=100, seed=1).scores
    assert comparison(probed, draws=100, seed=1).scores != comparison(probed, draws=100, seed=2).scores


def test_a_backbone_and_its_rotated_copy_are_not_distinguishable_and_a_worse_one_is(splits_of):
    def seen(change):
        samples = splits_of(jets=600).by_name()
        return Splits(**{name: replace(each, embedding=change(each.embedding)) for name, each in samples.items()})

    noise = np.random.default_rng(0)
    views = {
        "good": seen(lambda x: x),
        "copy": seen(lambda x: x[:, ::-1].copy()),
        "noisy": seen(lambda x: (x + 6 * noise.normal(size=x.shape)).astype(np.float32)),
    }
    outcome = comparison({k: Probed(v, probe(v, backbone=k, signals=["Hbb"]).details) for k, v in views.items()})
    for metric in ("auc", "rejection"):
        found = rows(outcome, metric)["verdict"].to_dict()
        assert found == {
            ("Hbb", "good", "copy"): TIED,
            ("Hbb", "good", "noisy"): BETTER,
            ("Hbb", "copy", "noisy"): BETTER,
        }
    ranks = outcome.tables["ranks"].set_index(["metric", "backbone"])[["first", "last"]]
    assert ranks.loc["auc", "good"].tolist() == ranks.loc["auc", "copy"].tolist() == [1, 2]
    assert ranks.loc["auc", "noisy"].tolist() == [3, 3]


def test_more_comparisons_ask_for_clearer_differences(make_probed):
    probed = make_probed(views=4, jets=200, classes=("QCD", "Hbb"))
    few = rows(comparison({name: probed[name] for name in ("b0", "b1")}, draws=100), "auc")
    many = rows(comparison(probed, draws=100), "auc")
    pair = ("Hbb", "b0", "b1")
    assert few.loc[pair, "p"] == many.loc[pair, "p"] == few.loc[pair, "p_holm"]
    assert many.loc[pair, "p_holm"] >= few.loc[pair, "p_holm"]


def test_verdicts_follow_p_values_corrected_over_all_pairs_and_signals_of_a_metric(make_probed):
    signals = ("Hbb", "Hcc")
    views = make_probed(views=5, jets=150, classes=("QCD", *signals), signals=signals)
    outcome = comparison(views, draws=100)
    for metric in ("auc", "rejection"):
        found = rows(outcome, metric)
        assert len(found) == 20
        assert found["p_holm"].to_numpy(float) == pytest.approx(holm(found["p"].to_numpy(float)), rel=1e-12)
        assert ((found["verdict"] != TIED) == (found["p_holm"] <= 0.05)).all()
    uncorrected = rows(outcome, "auc")
    assert ((uncorrected["p"] <= 0.05) & (uncorrected["verdict"] == TIED)).any()


def scored(scores, labels):
    """A probed backbone whose embedding is the score, so that the probe ranks by it."""
    samples = []
    for name, (score, label) in {k: (scores[k], labels[k]) for k in ("train", "validation", "test")}.items():
        keys = JetKeys((name,), np.zeros(len(label), np.int64), np.arange(len(label)))
        samples.append(Sample(score[:, None].astype(np.float32), label, CLASS_NAMES, keys))
    splits = Splits(*samples)
    return Probed(splits, probe(splits, backbone="x", signals=["Hbb"]).details)


def test_without_survivors_a_difference_is_a_limit_and_never_infinite():
    label = np.repeat([0, 1], 100)
    labels = dict.fromkeys(("train", "validation", "test"), label)
    stream = np.random.default_rng(0)
    clean = {name: 10.0 * label + stream.normal(size=200) for name in labels}
    worse = {name: 1.0 * label + stream.normal(size=200) for name in labels}
    outcome = comparison(
        {"a": scored(clean, labels), "b": scored(worse, labels), "c": scored(clean, labels)}, draws=100
    )
    found = rows(outcome, "rejection")
    limit, reverse, nothing = (found.loc[("Hbb", *pair)] for pair in (("a", "b"), ("b", "c"), ("a", "c")))
    survivors = limit["only_second"]
    assert limit["low"] == pytest.approx(np.log(0.16 ** (1 / survivors) / (1 - 0.16 ** (1 / survivors))))
    assert reverse["high"] == -limit["low"]
    assert pd.isna([limit["value"], limit["high"], reverse["low"], nothing["low"], nothing["high"]]).all()
    assert (limit["verdict"], nothing["verdict"], nothing["p"]) == (BETTER, TIED, 1.0)
    assert limit["jets_needed"] < 200
    assert pd.isna(nothing["jets_needed"])
    assert outcome.undefined == {
        "Hbb, ln of the ratio of rejections of a and c": "no background jet survives the cut of either",
        "Hbb, jets needed of a and c": "as many background jets pass the cut of the one alone as of the other alone",
    }


@pytest.mark.parametrize("sign", [1, -1])
def test_two_perfect_orders_may_still_differ_by_what_the_sample_cannot_show(sign):
    label = np.repeat([0, 1], 50)
    labels = dict.fromkeys(("train", "validation", "test"), label)
    stream, signs = np.random.default_rng(0), {"train": 1, "validation": 1, "test": sign}
    views = {
        each: scored({name: 20.0 * signs[name] * label + stream.normal(size=100) for name in labels}, labels)
        for each in "ab"
    }
    row = rows(comparison(views, draws=100), "auc").loc[("Hbb", "a", "b")]
    assert (row["value"], row["verdict"], row["interval"]) == (0, TIED, "disjoint-pairs")
    assert (row["low"], row["high"]) == (pytest.approx(0.16 ** (1 / 50) - 1), pytest.approx(1 - 0.16 ** (1 / 50)))


def test_a_backbone_without_a_probe_costs_only_its_own_pairs(probed):
    lacking = {"b0": Probed(probed["b0"].splits, {"Hcc": probed["b0"].probes["Hcc"]})} | {
        name: probed[name] for name in ("b1", "b2")
    }
    outcome = comparison(lacking, draws=100)
    assert outcome.problems == {"Hbb": "not compared for want of a probe: b0"}
    assert set(rows(outcome, "auc").index) == {("Hbb", "b1", "b2")} | {
        ("Hcc", *pair) for pair in (("b0", "b1"), ("b0", "b2"), ("b1", "b2"))
    }


def test_a_working_point_beyond_the_sample_costs_only_the_rejections(make_probed):
    outcome = comparison(make_probed(jets=100, classes=("QCD", "Tbl"), signals=("Tbl",)), draws=100)
    assert outcome.problems == {
        "Tbl": "rejections are not compared: the sample does not resolve the working point 0.995"
    }
    assert (len(rows(outcome, "auc")), len(rows(outcome, "rejection"))) == (3, 0)


def test_different_jets_are_never_compared(make_probed):
    one, other = (make_probed(views=1, jets=50, seed=seed)["b0"] for seed in (0, 1))
    shifted = Probed(replace(other.splits, test=other.splits.test.take(np.arange(1, 100))), other.probes)
    with pytest.raises(DataError, match="embeddings of different jets"):
        comparison({"a": one, "b": shifted})


def test_a_comparison_needs_two_backbones_and_something_to_compare(probed):
    with pytest.raises(DataError, match="needs two backbones; got 1: b0"):
        comparison({"b0": probed["b0"]})
    with pytest.raises(DataError, match="no signal has the probes of two backbones"):
        comparison({name: Probed(each.splits, {}) for name, each in probed.items()})
    with pytest.raises(DataError, match="level of the verdicts lies between 0 and 1, not 2"):
        comparison(probed, level=2)


def test_a_suite_with_one_backbone_cannot_ask_for_comparisons():
    table = {"name": "mine", "title": "Mine", "backbones": ["mlp"], "dataset": {"card": "jetclass"}}
    table |= {"split": {"train": 1, "validation": 1, "test": 1}, "comparison": {}}
    with pytest.raises(ValueError, match="compares pairs of backbones"):
        Suite.model_validate(table | {"probe": {}})
    with pytest.raises(ValueError, match="made from the probes"):
        Suite.model_validate(table | {"backbones": ["mlp", "jet-observables"]})


def test_a_comparison_gives_the_metrics_that_the_catalogue_names(probed):
    outcome = comparison(probed, draws=100)
    assert {score.metric for score in outcome.scores} == set(COMPARISON.metrics)
    assert {score.task_version for score in outcome.scores} == {COMPARISON.version}
