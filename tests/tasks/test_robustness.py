from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from jetassay.errors import DataError
from jetassay.tasks.catalogue import TASKS
from jetassay.tasks.probe import Probed, probe
from jetassay.tasks.robustness import Perturbed, Variation, Variations, robustness


def moved(sample, width, seed=0):
    """The same jets with noise in their embedding, in units of its spread."""
    noise = np.random.default_rng(seed).normal(size=sample.embedding.shape) * sample.embedding.std(axis=0)
    return replace(sample, embedding=(sample.embedding + width * noise).astype(np.float32))


@pytest.fixture
def probed(splits_of):
    splits = splits_of(jets=200, separation=1.2)
    return Probed(splits, probe(splits, backbone="a", signals=["Hbb"]).details)


@pytest.fixture
def score(probed):
    """Scores of variations, which are functions of the test sample, as one dictionary: (bin, metric) -> score."""

    def run(rows=None, **changes):
        test = probed.splits.test
        rows = np.arange(len(test)) if rows is None else rows
        by_name = {name: Variation(change(test.take(rows)), rows) for name, change in changes.items()}
        outcome = robustness(Perturbed(probed, Variations(by_name)), backbone="a", jets=200)
        return {(each.bin, each.metric): each for each in outcome.scores}, outcome

    return run


def test_jets_that_did_not_change_change_nothing(score):
    scores, outcome = score(same=lambda jets: jets)
    assert not outcome.problems
    for metric in ("auc_change", "background_efficiency_change", "embedding_shift"):
        each = scores["same", metric]
        assert (each.value, each.low, each.high) == (0, 0, 0)
    for metric in ("signal_flips", "background_flips"):
        assert scores["same", metric].value == 0 < scores["same", metric].high
    assert scores["same", "auc"].value == scores["nominal", "auc"].value
    assert scores["same", "rejection"].value == scores["nominal", "rejection"].value
    assert scores["same", "embedding_cosine"].value == pytest.approx(1)


def test_more_noise_means_lower_auc_more_flips_and_farther_embeddings(score):
    scores, _ = score(
        little=lambda jets: moved(jets, 0.1), some=lambda jets: moved(jets, 1), much=lambda j: moved(j, 9)
    )
    for metric, sign in (("auc", -1), ("auc_change", -1), ("signal_flips", 1), ("embedding_shift", 1)):
        values = [sign * scores[name, metric].value for name in ("little", "some", "much")]
        assert values == sorted(values)
        assert values[0] < values[2]
    assert scores["much", "auc_change"].high < 0


def test_every_metric_of_the_catalogue_comes_with_interval_and_counts(score):
    scores, outcome = score(some=lambda jets: moved(jets, 1))
    assert {each.metric for each in outcome.scores} == set(TASKS["robustness"].metrics)
    for (name, metric), each in scores.items():
        assert each.interval
        assert each.low <= each.value <= each.high, (name, metric)
        assert each.n_signal
    assert "first 200 test jets of each class" in outcome.protocol


def test_values_are_those_of_brute_force(score, probed):
    scores, _ = score(some=lambda jets: moved(jets, 1))
    test, result = probed.splits.test, probed.probes["Hbb"]
    is_signal = test.labels == test.names.index("Hbb")
    logits = [result.probe.logits(each.embedding) for each in (test, moved(test, 1))]
    aucs = [roc_auc_score(is_signal, each) for each in logits]
    assert scores["some", "auc"].value == pytest.approx(aucs[1])
    assert scores["some", "auc_change"].value == pytest.approx(aucs[1] - aucs[0])
    cut = np.sort(logits[0][is_signal])[100]  # of 200 signal jets, 100 at or above it
    flipped = (logits[0] >= cut) != (logits[1] >= cut)
    assert scores["some", "signal_flips"].value == flipped[is_signal].mean()
    assert scores["some", "background_flips"].value == flipped[~is_signal].mean()
    cuts = [np.sort(each[is_signal])[100] for each in logits]
    passing = [(each[~is_signal] >= at).mean() for each, at in zip(logits, cuts, strict=True)]
    assert scores["some", "background_efficiency_change"].value == pytest.approx(passing[1] - passing[0])
    assert scores["some", "rejection"].value == pytest.approx(1 / passing[1])


def test_the_interval_of_a_change_is_that_of_a_paired_bootstrap(score, probed):
    scores, _ = score(some=lambda jets: moved(jets, 0.5))
    test, result = probed.splits.test, probed.probes["Hbb"]
    rows = [np.flatnonzero(test.labels == test.names.index(name)) for name in ("Hbb", "QCD")]
    logits = [result.probe.logits(each.embedding) for each in (test, moved(test, 0.5))]
    rng, drawn = np.random.default_rng(5), []
    for _ in range(400):
        chosen = np.concatenate([rng.choice(side, len(side)) for side in rows])
        truth = np.repeat([1, 0], [len(side) for side in rows])
        drawn.append(roc_auc_score(truth, logits[1][chosen]) - roc_auc_score(truth, logits[0][chosen]))
    change = scores["some", "auc_change"]
    assert change.high - change.low == pytest.approx(np.quantile(drawn, 0.84) - np.quantile(drawn, 0.16), rel=0.2)
    apart = scores["some", "auc"]
    assert change.high - change.low < apart.high - apart.low  # pairing is what makes it sharp


def test_where_no_draw_can_vary_the_interval_is_not_a_point(splits_of):
    splits = splits_of(jets=60, separation=60.0)
    probed = Probed(splits, probe(splits, backbone="a", signals=["Hbb"]).details)
    rows = np.arange(len(splits.test))
    variations = Variations({"some": Variation(moved(splits.test, 0.01), rows)})
    scores = {
        each.metric: each
        for each in robustness(Perturbed(probed, variations), backbone="a").scores
        if each.bin == "some"
    }
    assert scores["auc"].value == 1
    for metric in ("auc_change", "background_efficiency_change"):
        assert scores[metric].value == 0
        assert scores[metric].low < 0 < scores[metric].high


def test_variations_of_other_jets_have_a_nominal_of_their_own(probed):
    test = probed.splits.test
    all_rows, some_rows = np.arange(len(test)), np.arange(0, len(test), 2)
    variations = {
        "drop=0.1": Variation(moved(test, 0.2), all_rows),
        "mode=ideal": Variation(moved(test.take(some_rows), 0.2), some_rows),
    }
    outcome = robustness(Perturbed(probed, Variations(variations)), backbone="a")
    counts = {each.bin: each.n_signal + each.n_background for each in outcome.scores if each.metric == "auc"}
    half = len(some_rows)
    assert counts == {"nominal": 400, "drop=0.1": 400, "nominal for mode=ideal": half, "mode=ideal": half}


def test_what_could_not_be_made_is_named_and_the_others_go_on(probed):
    test, rows = probed.splits.test, np.arange(len(probed.splits.test))
    broken = test.embedding.copy()
    broken[3] = np.nan
    variations = Variations(
        {
            "a": Variation(moved(test, 1), rows),
            "b": Variation(replace(test.take(rows[:90]), embedding=broken[:90]), rows[:90]),
        },
        {"c": "no such column"},
        {"d": "nothing is simulated"},
        ("a note",),
    )
    outcome = robustness(Perturbed(probed, variations), backbone="a")
    assert set(outcome.problems) == {"b", "c"}
    assert "robustness of 'a', b: the embeddings of 1 of 90 jets hold NaN" in outcome.problems["b"]
    assert outcome.undefined == {"d": "nothing is simulated"}
    assert outcome.notes == ("a note",)
    assert {each.bin for each in outcome.scores} == {"nominal", "a"}


def test_one_broken_variation_costs_no_other_of_the_same_jets(probed):
    test, rows = probed.splits.test, np.arange(len(probed.splits.test))
    broken = replace(test, embedding=np.full_like(test.embedding, np.inf))
    variations = {"a": Variation(moved(test, 1), rows), "b": Variation(broken, rows)}
    outcome = robustness(Perturbed(probed, Variations(variations)), backbone="a")
    assert set(outcome.problems) == {"b"}
    assert "robustness of 'a', b: the embeddings of 400 of 400 jets" in outcome.problems["b"]
    assert {each.bin for each in outcome.scores} == {"nominal", "a"}
    nowhere = Probed(replace(probed.splits, test=broken), probed.probes)
    outcome = robustness(Perturbed(nowhere, Variations(variations)), backbone="a")
    assert set(outcome.problems) == {"a", "b"}
    assert not outcome.scores


def test_every_change_lies_in_its_interval(score):
    """Small noise moves a few jets right at the cut, which bootstrap draws move too."""
    scores, _ = score(**{f"noise {k}": lambda jets, k=k: moved(jets, 0.02, seed=k) for k in range(40)})
    changes = [each for (_, metric), each in scores.items() if metric.endswith("_change")]
    assert len(changes) == 80
    assert all(each.low <= each.value <= each.high for each in changes)


def test_a_working_point_beyond_the_jets_is_named_and_the_auc_is_kept(score, probed):
    labels = probed.splits.test.labels
    one_signal = np.sort(np.append(np.flatnonzero(labels == 0), np.flatnonzero(labels == 1)[0]))
    scores, outcome = score(rows=one_signal, some=lambda jets: moved(jets, 1))
    assert outcome.problems == {
        "Hbb, some": "a working point of 0.5 needs 2 signal jets, and there are 1; take more jets"
    }
    metrics = {metric for name, metric in scores if name == "some"}
    assert metrics == {"auc", "auc_change", "embedding_shift", "embedding_cosine"}


def test_a_class_without_jets_is_named(score, probed):
    background = np.flatnonzero(probed.splits.test.labels == 0)
    scores, outcome = score(rows=background, some=lambda jets: moved(jets, 1))
    assert outcome.problems == {"Hbb, some": "no jets of Hbb or of QCD among them"}
    assert ("some", "embedding_shift") in scores


def test_a_variation_has_one_nominal_jet_for_each_of_its_own(probed):
    with pytest.raises(DataError, match="400 jets, but rows of"):
        Variation(probed.splits.test, np.arange(3))


def test_an_embedding_that_is_the_same_for_all_jets_has_no_shift(probed):
    test, rows = probed.splits.test, np.arange(len(probed.splits.test))
    flat = replace(test, embedding=np.ones_like(test.embedding))
    without_probes = Probed(replace(probed.splits, test=flat), {})
    outcome = robustness(Perturbed(without_probes, Variations({"some": Variation(test, rows)})), backbone="a")
    assert outcome.scores == ()
    assert "the same for all 400 jets" in outcome.problems["some"]


def test_counts_of_a_shift_add_up_to_the_jets(score):
    scores, _ = score(some=lambda jets: moved(jets, 1))
    assert (scores["some", "embedding_shift"].n_signal, scores["some", "embedding_shift"].n_background) == (200, 200)
