"""A classifier's own outputs, summed by name, ranked without saturation."""

import numpy as np
import pytest

from jetassay.errors import ConfigError, DataError
from jetassay.jets.classes import CLASS_NAMES
from jetassay.jets.labels import LABEL_LISTS
from jetassay.metrics.roc import auc
from jetassay.tasks.catalogue import TASKS
from jetassay.tasks.grouping import Grouping
from jetassay.tasks.probe import probe
from jetassay.tasks.samples import JetKeys, Sample, Splits
from jetassay.tasks.zero_shot import MULTICLASS, log_odds, zero_shot

SOPHON = LABEL_LISTS["jetclass2"]


def softmax(logits):
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (shifted / shifted.sum(axis=1, keepdims=True)).astype(np.float32)


def classified(outputs=CLASS_NAMES, *, jets=60, file="test", seed=0, scores=None):
    """`jets` of each class; outputs that bear the name of a jet's class, or stand for it, are higher by 2."""
    random = np.random.default_rng([seed, *file.encode()])
    labels = np.repeat(np.arange(len(CLASS_NAMES)), jets).astype(np.int64)
    if scores is None:
        logits = random.normal(size=(len(labels), len(outputs)))
        for k, name in enumerate(CLASS_NAMES):
            if name in outputs:
                logits[labels == k, outputs.index(name)] += 2
        if outputs == SOPHON:
            logits[labels == CLASS_NAMES.index("Hbb"), outputs.index("X_bb")] += 5
        scores = softmax(logits)
    keys = JetKeys((file,), np.zeros(len(labels), np.int64), np.arange(len(labels)))
    return Sample(random.normal(size=(len(labels), 3)).astype(np.float32), labels, CLASS_NAMES, keys, scores, outputs)


def splits_with(test):
    return Splits(*(classified(file=file, jets=2) for file in ("train", "validation")), test)


def test_the_auc_of_a_ten_class_network_is_that_of_p_s_over_p_s_plus_p_qcd():
    sample = classified()
    found = zero_shot(splits_with(sample), backbone="mine", signals=("Hbb", "Tbl"))
    p = sample.scores.astype(np.float64)
    for signal in ("Hbb", "Tbl"):
        ratio = p[:, CLASS_NAMES.index(signal)] / (p[:, CLASS_NAMES.index(signal)] + p[:, 0])
        score = next(each for each in found.scores if each.metric == "auc" and each.signal == signal)
        assert score.value == pytest.approx(auc(ratio[sample.rows(signal)], ratio[sample.rows("QCD")]), abs=1e-12)
        assert (score.n_signal, score.n_background, score.backbone) == (60, 60, "mine")
        assert score.low <= score.value <= score.high


def test_every_metric_of_the_catalogue_is_given_for_a_ten_class_network():
    found = zero_shot(splits_with(classified(jets=210)), backbone="mine")
    assert {score.metric for score in found.scores} == set(TASKS["zero-shot"].metrics)
    assert {score.task for score in found.scores} == {"zero-shot"}
    assert set(found.details) == set(CLASS_NAMES) - {"QCD"}
    assert not found.problems
    assert not found.undefined
    assert found.notes == ()


def test_jets_gone_over_in_blocks_have_the_same_scores(monkeypatch):
    splits = splits_with(classified())
    whole = zero_shot(splits, backbone="mine")
    monkeypatch.setattr("jetassay.tasks.zero_shot.CHUNK", 7)
    monkeypatch.setattr("jetassay.embeddings.scratch.SMALL", 0)
    assert zero_shot(splits, backbone="mine").scores == whole.scores


def test_scores_have_the_metrics_and_working_points_of_the_probe():
    splits = Splits(*(classified(file=file) for file in ("train", "validation", "test")))
    probed, found = (
        {(each.signal, each.metric, each.working_point) for each in outcome.scores if each.signal}
        for outcome in (
            probe(splits, backbone="mine", signals=("Hbb", "Tbqq")),
            zero_shot(splits, backbone="mine", signals=("Hbb", "Tbqq")),
        )
    )
    assert probed == found


def test_grouped_outputs_are_summed_over_both_groups():
    sample = classified(SOPHON)
    found = zero_shot(splits_with(sample), backbone="sophon-like", signals=("Hbb", "Zqq", "Tbl"))
    result = found.details["Zqq"]
    p = sample.scores.astype(np.float64)
    expected = np.log(p[:, [0, 1, 2, 3]].sum(axis=1)) - np.log(p[:, 161:].sum(axis=1))
    np.testing.assert_allclose(result.signal_log_odds, expected[result.signal_rows], rtol=1e-12)
    np.testing.assert_allclose(result.background_log_odds, expected[result.background_rows], rtol=1e-12)
    assert found.details["Hbb"].scores[0].value > 0.95


def test_a_class_that_no_output_stands_for_is_undefined_and_no_problem():
    found = zero_shot(splits_with(classified(SOPHON)), backbone="sophon-like", signals=("Hbb", "Tbl"))
    assert list(found.undefined) == ["Tbl"]
    assert "Tbl" not in {score.signal for score in found.scores}
    assert not found.problems
    (note,) = found.notes
    assert "is a choice, not a fact" in note
    assert "QCD = QCD_*" in note
    assert "Left out: Tbl" in note


def test_all_classes_together_are_scored_only_where_outputs_are_the_classes():
    grouped = zero_shot(splits_with(classified(SOPHON)), backbone="a", signals=("Hbb",))
    assert {score.metric for score in grouped.scores} == {"auc", "rejection", "rejection_over_cuts"}
    shuffled = classified(CLASS_NAMES[::-1])
    straight = classified(scores=shuffled.scores[:, ::-1].copy())
    one, other = (
        [(s.metric, s.value, s.low, s.high) for s in zero_shot(splits_with(each), backbone="a", signals=()).scores]
        for each in (shuffled, straight)
    )
    assert one == other
    assert next(value for metric, value, *_ in one if metric == "accuracy") > 0.4


def test_a_backbone_without_classifier_or_grouping_has_nothing_to_score_and_no_problem():
    bare = classified()
    bare = Sample(bare.embedding, bare.labels, bare.names, bare.keys)
    pets = classified(("cat", "dog"), scores=np.full((600, 2), 0.5, np.float32))
    for sample, reason in ((bare, "no classifier"), (pets, "declare one in [[zero_shot.groupings]]")):
        found = zero_shot(splits_with(sample), backbone="mine")
        assert (found.scores, found.problems) == ((), {})
        assert list(found.undefined) == [MULTICLASS]
        assert reason in found.undefined[MULTICLASS]


def test_what_the_sample_cannot_resolve_is_a_problem():
    found = zero_shot(splits_with(classified(jets=20)), backbone="mine", signals=("Hbb", "Tbl"))
    assert list(found.problems) == ["Tbl"]
    assert "needs at least 200 signal jets" in found.problems["Tbl"]


def test_scores_that_are_no_probabilities_are_a_problem():
    wrong = classified().scores.copy()
    wrong[0, 0] = 1.5
    found = zero_shot(splits_with(classified(scores=wrong)), backbone="mine", signals=("Hbb",))
    assert all("not between 0 and 1" in reason for reason in found.problems.values())
    assert set(found.problems) == {"Hbb", MULTICLASS}


def test_a_group_on_both_sides_is_an_error():
    names = ("a", "b")
    grouping = Grouping(
        outputs=names,
        classes=CLASS_NAMES,
        choice="wrong",
        groups={"QCD": ("a", "b"), "Hbb": ("b",)},
        undefined=dict.fromkeys(CLASS_NAMES[2:], "not asked"),
    )
    sample = classified(names, scores=np.full((600, 2), 0.5, np.float32))
    with pytest.raises(ConfigError, match="on both sides of Hbb against QCD: b"):
        zero_shot(splits_with(sample), backbone="mine", signals=("Hbb",), groupings=[grouping])


def test_log_odds_go_on_where_the_ratio_has_become_one():
    logits = np.array([[gap, 0.0, -3.0] for gap in np.linspace(15, 80, 200)])
    p = softmax(logits)
    ratio = p[:, 0] / (p[:, 0] + p[:, 1])
    odds = log_odds(p, ("S", "B", "other"), signal=("S",), background=("B",))
    assert len(np.unique(ratio)) < 10
    assert (np.diff(odds) > 0).all()
    np.testing.assert_allclose(odds, logits[:, 0], rtol=1e-6)


def test_probabilities_of_zero_are_finite_and_tie():
    p = np.array([[1, 0, 0], [0, 0, 1], [0, 1, 0]], np.float32)
    odds = log_odds(p, ("S", "B", "other"), signal=("S",), background=("B",))
    assert odds == pytest.approx([103.28, 0, -103.28], abs=0.01)


def test_an_unknown_output_is_named():
    with pytest.raises(ConfigError, match="no such output: X"):
        log_odds(np.ones((1, 1), np.float32), ("S",), signal=("S",), background=("X",))


def test_a_sample_whose_scores_do_not_fit_its_outputs_is_refused():
    with pytest.raises(DataError, match=r"\(600, 10\) for 600 jets and 2 classes"):
        classified(("a", "b"), scores=np.ones((600, 10), np.float32))
