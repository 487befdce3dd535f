"""What a sample cannot give: every task says what is missing, keeps its other numbers, and never says infinity."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from jetassay.errors import DataError
from jetassay.jets.classes import CLASS_NAMES
from jetassay.tasks.comparison import comparison
from jetassay.tasks.further import attempt
from jetassay.tasks.probe import Probed, probe
from jetassay.tasks.samples import Sample, Splits
from jetassay.tasks.similarity import similarity
from jetassay.tasks.stability import stability
from jetassay.tasks.zero_shot import zero_shot

CLASSES = ("QCD", "Hbb", "Hcc", "Tbl")


def with_outputs(sample, *, seed=0):
    """The sample with class probabilities that know a little of the class."""
    logits = np.random.default_rng(seed).normal(size=(len(sample), len(CLASS_NAMES)))
    logits[np.arange(len(sample)), sample.labels] += 2
    scores = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return replace(sample, scores=scores.astype(np.float32), outputs=CLASS_NAMES)


@pytest.fixture
def views(splits_of):
    """Two backbones on the same jets, 300 of each of four classes."""
    made = {f"b{view}": splits_of(jets=300, classes=CLASSES, view=view) for view in (0, 1)}
    return {name: changed(splits, with_outputs) for name, splits in made.items()}


def changed(splits, change):
    return Splits(**{name: change(sample) for name, sample in splits.by_name().items()})


def fewer(sample, *, name, jets):
    """Only the first `jets` of one class."""
    dropped = sample.rows(name)[jets:]
    return sample.take(np.setdiff1d(np.arange(len(sample)), dropped))


def run(views):
    """Every task of this folder that measures signals or pairs, as a suite would run them."""
    outcomes, probed = {}, {}
    for name, splits in views.items():
        outcomes["probe", name] = probe(splits, backbone=name, signals=CLASSES[1:])
        outcomes["zero-shot", name] = attempt("zero-shot", {"signals": CLASSES[1:]}, splits, backbone=name)
        probed[name] = Probed(splits, outcomes["probe", name].details)
        outcomes["stability", name] = stability(probed[name], backbone=name, halves=2, resplits=2)
    outcomes["comparison", ""] = attempt("comparison", {"draws": 100}, probed)
    tests = {name: splits.test for name, splits in views.items()}
    outcomes["similarity", ""] = attempt("similarity", {"permutations": 9}, tests)
    return outcomes


def signals_with_auc(outcome):
    return {score.signal for score in outcome.scores if score.metric in ("auc", "auc_difference", "auc_sd_test")}


def test_nothing_is_missing_where_nothing_is_wrong(views):
    for outcome in run(views).values():
        assert not outcome.problems
        assert outcome.scores


@pytest.mark.parametrize("jets", [0, 1])
def test_a_class_without_enough_jets_costs_that_class_alone(views, jets):
    outcomes = run({name: changed(each, partial(fewer, name="Hcc", jets=jets)) for name, each in views.items()})
    for task, backbone in (("probe", "b0"), ("zero-shot", "b1")):
        assert f"{jets} " in outcomes[task, backbone].problems["Hcc"]
        assert "at least 2 are needed" in outcomes[task, backbone].problems["Hcc"]
        assert signals_with_auc(outcomes[task, backbone]) == {"Hbb", "Tbl"}
    for key in (("stability", "b0"), ("comparison", "")):
        assert signals_with_auc(outcomes[key]) == {"Hbb", "Tbl"}
    assert outcomes["similarity", ""].scores


def test_two_jets_of_a_class_are_measured_and_their_interval_says_how_little_they_are(views):
    outcome = run({name: changed(each, partial(fewer, name="Hbb", jets=2)) for name, each in views.items()})
    (score,) = (s for s in outcome["probe", "b0"].scores if s.metric == "auc" and s.signal == "Hbb")
    assert (score.n_signal, score.n_train) == (2, 302)
    assert score.high - score.low > 0.02


def test_a_working_point_beyond_the_sample_is_named_everywhere_and_costs_only_itself(views):
    outcomes = run({name: changed(each, partial(fewer, name="Tbl", jets=150)) for name, each in views.items()})
    for task, backbone in (("probe", "b0"), ("zero-shot", "b0")):
        outcome = outcomes[task, backbone]
        assert "a working point of 0.995 needs at least 200 signal jets" in outcome.problems["Tbl"]
        lost = [s for s in outcome.scores if s.interval == "undefined"]
        assert {(s.signal, s.metric, s.working_point, s.value) for s in lost} == {("Tbl", "rejection", 0.995, None)}
    assert "does not resolve the working point" in outcomes["stability", "b0"].problems["Tbl"]
    assert "does not resolve the working point 0.995" in outcomes["comparison", ""].problems["Tbl"]
    assert signals_with_auc(outcomes["comparison", ""]) == {"Hbb", "Hcc", "Tbl"}


def test_one_class_only_gives_no_separation_and_says_so_for_each_signal(views):
    def only_background(sample):
        return sample.take(sample.rows("QCD"))

    outcomes = run({name: changed(each, only_background) for name, each in views.items()})
    for task in ("probe", "zero-shot"):
        assert set(outcomes[task, "b0"].problems) >= {"Hbb", "Hcc", "Tbl"}
        assert not signals_with_auc(outcomes[task, "b0"])
    assert not outcomes["stability", "b0"].scores
    assert "nothing to compare" in outcomes["comparison", ""].problems["failed"]
    assert {score.bin for score in outcomes["similarity", ""].scores} == {"all", "QCD"}


def test_signal_without_background_says_that_background_is_missing(views):
    def no_background(sample):
        return sample.take(np.flatnonzero(sample.labels != 0))

    outcomes = run({name: changed(each, no_background) for name, each in views.items()})
    assert "0 jets of QCD" in outcomes["probe", "b0"].problems["Hbb"]
    assert "0 test jets of QCD" in outcomes["zero-shot", "b0"].problems["Hbb"]


@pytest.mark.parametrize("value", [0.0, 7.0])
def test_an_embedding_that_is_the_same_for_all_jets_costs_that_backbone_alone(views, value):
    flat = changed(views["b1"], lambda sample: replace(sample, embedding=np.full_like(sample.embedding, value)))
    outcomes = run({"b0": views["b0"], "b1": flat})
    assert "the embedding is the same for all" in outcomes["probe", "b1"].problems["Hbb"]
    assert signals_with_auc(outcomes["probe", "b0"]) == {"Hbb", "Hcc", "Tbl"}
    assert "the embedding is the same for all" in outcomes["similarity", ""].problems["b1"]
    assert "nothing to compare" in outcomes["comparison", ""].problems["failed"]


def test_outputs_that_are_the_same_for_all_jets_rank_nothing(views):
    even = replace(views["b0"].test, scores=np.full((1200, 10), 0.1, np.float32))
    outcome = zero_shot(Splits(views["b0"].train, views["b0"].validation, even), backbone="b0", signals=["Hbb"])
    assert "every test jet has the same score" in outcome.problems["Hbb"]
    assert not signals_with_auc(outcome)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_an_embedding_that_is_not_finite_costs_its_class_and_names_the_jet(views, value):
    broken = views["b1"].test.embedding.copy()
    broken[views["b1"].test.rows("Hbb")[3], 2] = value
    splits = replace(views["b1"], test=replace(views["b1"].test, embedding=broken))
    outcomes = run({"b0": views["b0"], "b1": splits})
    assert "the embeddings of 1 of 600 jets hold NaN or infinity" in outcomes["probe", "b1"].problems["Hbb"]
    assert signals_with_auc(outcomes["probe", "b1"]) == {"Hcc", "Tbl"}
    assert signals_with_auc(outcomes["comparison", ""]) == {"Hcc", "Tbl"}
    assert outcomes["comparison", ""].problems["Hbb"] == "not compared for want of a probe: b1"
    assert "hold NaN or infinity" in outcomes["similarity", ""].problems["b1"]


def test_class_probabilities_that_are_nan_are_named(views):
    broken = views["b0"].test.scores.copy()
    broken[views["b0"].test.rows("Hcc")[0]] = np.nan
    splits = replace(views["b0"], test=replace(views["b0"].test, scores=broken))
    outcome = zero_shot(splits, backbone="b0", signals=CLASSES[1:])
    assert "not between 0 and 1" in outcome.problems["Hcc"]
    assert signals_with_auc(outcome) == {"Hbb", "Tbl"}


@pytest.mark.parametrize(
    "disturb",
    [
        lambda sample: sample.take(np.arange(1, len(sample))),
        lambda sample: sample.take(np.arange(len(sample))[::-1].copy()),
        lambda sample: replace(sample, keys=replace(sample.keys, files=("another file",))),
    ],
    ids=["one jet less", "another order", "another file"],
)
def test_embeddings_of_different_jets_are_never_compared_and_each_keeps_its_own_scores(views, disturb):
    other = Splits(views["b1"].train, views["b1"].validation, disturb(views["b1"].test))
    outcomes = run({"b0": views["b0"], "b1": other})
    for task in ("comparison", "similarity"):
        assert "are embeddings of different jets" in outcomes[task, ""].problems["failed"]
        assert not outcomes[task, ""].scores
    for name in ("b0", "b1"):
        assert signals_with_auc(outcomes["probe", name]) == {"Hbb", "Hcc", "Tbl"}


def test_the_same_jets_with_other_labels_are_never_compared(views):
    test = views["b1"].test
    other = replace(views["b1"], test=Sample(test.embedding, test.labels[::-1].copy(), test.names, test.keys))
    with pytest.raises(DataError, match="the same jets with different labels"):
        similarity({"a": views["b0"].test, "b": other.test})
    with pytest.raises(DataError, match="the same jets with different labels"):
        comparison({"a": Probed(views["b0"], {}), "b": Probed(other, {})})


def test_perfect_separation_is_a_limit_everywhere_and_nothing_is_infinite(views):
    def apart(sample):
        return replace(sample, embedding=np.float32(sample.embedding + 1000 * (sample.labels > 0)[:, None]))

    outcomes = run({name: changed(each, apart) for name, each in views.items()})
    rejections = [s for s in outcomes["probe", "b0"].scores if s.metric.startswith("rejection")]
    assert rejections
    assert all(s.value is None and s.high is None and s.low > 1 and s.n_survivors == 0 for s in rejections)
    aucs = [s for s in outcomes["probe", "b0"].scores if s.metric == "auc"]
    assert all(s.value == 1 and 0.98 < s.low < 1 for s in aucs)
    verdicts = outcomes["comparison", ""].tables["comparison"]["verdict"]
    assert set(verdicts) == {"not distinguishable"}
