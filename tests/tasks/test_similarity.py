from dataclasses import replace

import numpy as np
import pytest

from jetassay.errors import DataError
from jetassay.metrics.cka import debiased_cka
from jetassay.tasks import similarity as module
from jetassay.tasks.similarity import protocol, similarity


def views(sample_of, *names, **options):
    """The same jets, seen by one made-up backbone for each name."""
    return {name: sample_of("test", view=number, **options) for number, name in enumerate(names)}


def by_pair(outcome, metric, bin_name):
    return {(s.backbone, s.backbone_b): s for s in outcome.scores if s.metric == metric and s.bin == bin_name}


def test_every_pair_is_compared_overall_and_within_qcd(sample_of):
    samples = views(sample_of, "a", "b", "c", jets=150)
    outcome = similarity(samples)
    qcd = samples["a"].rows("QCD")
    for bin_name, rows in (("all", np.arange(300)), ("QCD", qcd)):
        scores = by_pair(outcome, "cka", bin_name)
        assert set(scores) == {("a", "b"), ("a", "c"), ("b", "c")}
        for (first, second), score in scores.items():
            expected = debiased_cka(samples[first].embedding[rows], samples[second].embedding[rows])
            assert score.value == pytest.approx(expected, abs=1e-12)
            assert score.n_signal + score.n_background == len(rows)
            assert score.low < score.value < score.high
    assert not outcome.problems


def test_the_protocol_says_how_many_permutations_were_made():
    assert "over 19 permutations" in protocol(19)


def test_the_matrix_for_heat_maps_holds_the_same_numbers(sample_of):
    outcome = similarity(views(sample_of, "a", "b", "c", jets=60))
    pairs = outcome.details["QCD"]
    assert (pairs.backbones, pairs.n_jets) == (("a", "b", "c"), 60)
    assert np.array_equal(pairs.cka, pairs.cka.T)
    assert np.array_equal(np.diag(pairs.cka), np.ones(3))
    assert pairs.cka[0, 2] == by_pair(outcome, "cka", "QCD")["a", "c"].value


def test_related_backbones_beat_their_null_and_random_ones_do_not(sample_of):
    samples = views(sample_of, "a", "b", jets=100, separation=0.0)
    noise = np.random.default_rng(0).normal(size=samples["a"].embedding.shape).astype(np.float32)
    outcome = similarity(samples | {"noise": replace(samples["a"], embedding=noise)})
    p_values = by_pair(outcome, "cka_p_value", "all")
    assert p_values["a", "b"].value == 0.01
    assert p_values["a", "noise"].value > 0.02
    null = by_pair(outcome, "cka_null", "all")["a", "b"]
    assert null.low < null.value < null.high
    assert abs(null.value) < 0.02
    assert null.interval == "permutation"


def test_a_rotated_copy_is_the_same_backbone(sample_of):
    sample = sample_of("test")
    copy = replace(sample, embedding=-2 * sample.embedding[:, ::-1] + 7)
    outcome = similarity({"a": sample, "copy": copy})
    for bin_name in ("all", "QCD"):
        assert by_pair(outcome, "cka", bin_name)["a", "copy"].value == pytest.approx(1, abs=1e-9)


def test_the_null_takes_a_subset_and_says_how_many(sample_of, monkeypatch):
    monkeypatch.setattr(module, "MOST_NULL_JETS", 100)
    outcome = similarity(views(sample_of, "a", "b", jets=150))
    null, full = (by_pair(outcome, metric, "all")["a", "b"] for metric in ("cka_null", "cka"))
    assert (null.n_signal + null.n_background, full.n_signal + full.n_background) == (100, 300)


def test_one_seed_gives_the_same_scores_to_the_bit(sample_of):
    samples = views(sample_of, "a", "b", jets=50)
    assert similarity(samples, seed=1).scores == similarity(samples, seed=1).scores
    assert similarity(samples, seed=1).scores != similarity(samples, seed=2).scores


def test_embeddings_of_other_jets_are_never_compared(sample_of):
    with pytest.raises(DataError, match="embeddings of different jets"):
        similarity({"a": sample_of("test"), "b": sample_of("train")})


@pytest.mark.parametrize("value", [np.nan, np.inf, 3.0], ids=["nan", "infinity", "constant"])
def test_a_broken_backbone_costs_no_other_pair(sample_of, value):
    samples = views(sample_of, "a", "b", "broken", jets=50)
    samples["broken"].embedding[:] = value
    outcome = similarity(samples)
    assert set(by_pair(outcome, "cka", "all")) == set(by_pair(outcome, "cka", "QCD")) == {("a", "b")}
    assert set(outcome.problems) == {"broken"}
    assert outcome.details["all"].backbones == ("a", "b")


def test_a_backbone_that_is_constant_in_qcd_alone_is_compared_overall(sample_of):
    samples = views(sample_of, "a", "b", jets=50)
    samples["b"].embedding[samples["b"].rows("QCD")] = 0
    outcome = similarity(samples)
    assert by_pair(outcome, "cka", "all")
    assert not by_pair(outcome, "cka", "QCD")
    assert outcome.problems["b"] == "similarity of 'b', bin 'QCD': the embedding is the same for all 50 jets"


def test_a_sample_without_qcd_is_compared_overall_and_says_so(sample_of):
    outcome = similarity(views(sample_of, "a", "b", classes=("Hbb", "Hcc")))
    assert by_pair(outcome, "cka", "all")
    assert outcome.problems == {"QCD": "CKA needs at least 4 jets, and the bin 'QCD' has 0"}


def test_one_backbone_alone_is_refused(sample_of):
    with pytest.raises(DataError, match="compares pairs of backbones; got 1: a"):
        similarity(views(sample_of, "a"))
