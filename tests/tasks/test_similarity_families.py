from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from jetassay.errors import DataError
from jetassay.metrics.cka import debiased_cka
from jetassay.tasks.catalogue import SIMILARITY_FAMILIES
from jetassay.tasks.choices import Anchor
from jetassay.tasks.convergence import NOISE, convergence, ladder
from jetassay.tasks.families import FAMILIES
from jetassay.tasks.residuals import residuals, spline_basis
from jetassay.tasks.similarity_families import COPY, similarity_families

JETS = 520  # of each class; residuals need 512 for the 16 directions of three columns


def with_columns(sample):
    stream = np.random.default_rng(len(sample))
    columns = {name: stream.normal(size=len(sample)).astype(np.float32) for name in ("jet_pt", "jet_sdmass")}
    return replace(sample, columns={**columns, "multiplicity": stream.poisson(40, len(sample)).astype(np.float32)})


def views(sample_of, *names, jets=150, **options):
    """The same jets, seen by one made-up backbone for each name."""
    return {
        name: with_columns(sample_of("test", view=number, jets=jets, **options)) for number, name in enumerate(names)
    }


def by_pair(outcome, metric, bin_name="all"):
    return {(s.backbone, s.backbone_b): s for s in outcome.scores if s.metric == metric and s.bin == bin_name}


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """As tasks run in a suite; threads of small matrices wait for one another on a busy machine."""
    with threadpool_limits(1):
        yield


@cache
def outcome_of(sample_of):
    return similarity_families(views(sample_of, "a", "b", "c", jets=JETS), permutations=9)


@pytest.fixture
def outcome(sample_of):
    return outcome_of(sample_of)


def test_every_family_compares_every_pair_in_every_bin(outcome):
    pairs = {("a", "b"), ("a", "c"), ("b", "c")}
    for where in ("all", "QCD", "Hbb", "all, residual", "QCD, residual"):
        for metric in FAMILIES:
            both = {(second, first) for first, second in pairs} if metric == "cross_r2" else set()
            scores = by_pair(outcome, metric, where)
            assert set(scores) == pairs | both
            for score in scores.values():
                assert score.low <= score.value <= score.high
                assert score.n_signal + score.n_background == (2 * JETS if "all" in where else JETS)
    assert {score.metric for score in outcome.scores} == set(SIMILARITY_FAMILIES.metrics)
    assert not outcome.problems
    assert not outcome.undefined


def test_null_and_p_value_stand_beside_all_jets_and_the_background(outcome):
    for where in ("all", "QCD"):
        for metric in FAMILIES:
            for pair, null in by_pair(outcome, f"{metric}_null", where).items():
                assert abs(null.value) < 0.1
                assert null.interval == "permutation"
                assert by_pair(outcome, f"{metric}_p_value", where)[pair].value == pytest.approx(0.1)
    assert not by_pair(outcome, "linear_cka_null", "Hbb")


def test_linear_cka_is_that_of_the_metric(sample_of, outcome):
    samples = views(sample_of, "a", "b", "c", jets=JETS)
    rows = samples["a"].rows("QCD")
    expected = debiased_cka(samples["a"].embedding[rows], samples["c"].embedding[rows])
    assert by_pair(outcome, "linear_cka", "QCD")["a", "c"].value == pytest.approx(expected, abs=1e-9)


def test_a_rotated_and_scaled_copy_is_one_by_every_family(outcome):
    anchors = outcome.tables["similarity_anchors"]
    copies = anchors[anchors["kind"] == COPY]
    assert set(copies["backbone"]) == {"a", "b", "c"}
    assert set(copies["metric"]) == set(FAMILIES)
    np.testing.assert_allclose(copies["value"], 1, atol=2e-3)


def test_unrelated_embeddings_are_zero_by_every_family(sample_of):
    samples = views(sample_of, "a", jets=600)
    noise = np.random.default_rng(0).normal(size=(1200, 30)).astype(np.float32)
    outcome = similarity_families(samples | {"noise": replace(samples["a"], embedding=noise)}, permutations=3)
    for metric in FAMILIES:
        for where in ("all", "QCD", "all, residual"):
            for score in by_pair(outcome, metric, where).values():
                assert abs(score.value) < 0.06, (metric, where)


def test_what_two_backbones_share_of_pt_alone_is_gone_in_the_residual_bins(sample_of):
    """Both see pT, and noise of their own: alike among all jets, unrelated once pT is regressed out."""
    sample = with_columns(sample_of("test", jets=500))
    stream = np.random.default_rng(1)
    pt = 3 * sample.columns["jet_pt"][:, None]
    embeddings = [(stream.normal(size=(1000, 6)) + pt).astype(np.float32) for _ in range(2)]
    samples = {name: replace(sample, embedding=each) for name, each in zip("ab", embeddings, strict=True)}
    outcome = similarity_families(samples, permutations=3)
    for metric in FAMILIES:
        assert by_pair(outcome, metric)["a", "b"].value > (0.15 if metric != "mutual_knn" else 0.04)
        assert abs(by_pair(outcome, metric, "all, residual")["a", "b"].value) < (
            0.06 if metric != "mutual_knn" else 0.01
        )
    shares = [each.value for each in outcome.scores if each.metric == "explained" and each.bin == "all, residual"]
    assert shares == pytest.approx([54 / 60, 54 / 60], abs=0.03)


def test_columns_that_are_not_there_make_residuals_undefined_and_nothing_else(sample_of):
    samples = {name: sample_of("test", view=view, jets=80) for view, name in enumerate("ab")}
    outcome = similarity_families(samples, permutations=1)
    assert set(outcome.undefined) == {"all, residual", "QCD, residual"}
    assert "no column jet_pt, jet_sdmass, multiplicity" in outcome.undefined["all, residual"]
    assert by_pair(outcome, "svcca")
    assert not similarity_families(samples, permutations=1, regress_out=()).undefined


def test_residuals_of_too_few_jets_are_undefined_for_they_would_be_alike_by_themselves(sample_of):
    samples = views(sample_of, "a", "b", jets=100)
    for seed, name in enumerate(samples):
        noise = np.random.default_rng(seed).normal(size=(200, 60)).astype(np.float32)
        samples[name] = replace(samples[name], embedding=noise)
    reference = samples["a"]
    basis = spline_basis(reference.columns, list(reference.columns))
    left = [residuals(each.embedding, basis) for each in samples.values()]
    assert debiased_cka(*left) > 0.015  # 60 * 16 / 200^2 = 0.024, where unrelated embeddings should have 0
    outcome = similarity_families(samples, permutations=1)
    assert "takes 512 jets, 32 for each of 16 directions, and there are 200" in outcome.undefined["all, residual"]
    assert not [each for each in outcome.scores if "residual" in each.bin]
    some = similarity_families(samples, permutations=1, regress_out=("jet_pt",))
    assert by_pair(some, "linear_cka", "all, residual")


def test_an_embedding_that_is_the_columns_has_no_residual_and_costs_no_other_pair(sample_of):
    samples = views(sample_of, "a", "b", jets=JETS)
    only = np.stack([samples["a"].columns["jet_pt"], samples["a"].columns["multiplicity"]], axis=1)
    outcome = similarity_families(samples | {"columns": replace(samples["a"], embedding=only)}, permutations=1)
    assert "explain all of its embedding" in outcome.undefined["columns, all, residual"]
    assert set(by_pair(outcome, "linear_cka", "all, residual")) == {("a", "b")}


@pytest.mark.parametrize("value", [np.nan, np.inf, 3.0], ids=["nan", "infinity", "constant"])
def test_a_broken_backbone_costs_no_other_pair(sample_of, value):
    samples = views(sample_of, "a", "b", "broken", jets=70)
    samples["broken"].embedding[:] = value
    outcome = similarity_families(samples, permutations=1)
    for metric in FAMILIES:
        assert {frozenset(pair) for pair in by_pair(outcome, metric)} == {frozenset("ab")}
    assert set(outcome.problems) == {"broken"}


def test_an_embedding_with_the_same_value_for_most_jets_has_no_kernel_and_all_else(sample_of):
    samples = views(sample_of, "a", "b", "rare", jets=100)
    samples["rare"].embedding[40:] = 0
    outcome = similarity_families(samples, permutations=1, within=())
    assert "no Gaussian kernel of 'rare'" in outcome.problems["rare, all"]
    assert set(by_pair(outcome, "rbf_cka")) == {("a", "b")}
    assert ("a", "rare") in by_pair(outcome, "linear_cka")


def test_bins_with_too_few_jets_are_named(sample_of):
    outcome = similarity_families(views(sample_of, "a", "b", jets=40), permutations=1, within=("Hbb", "Hgg"))
    assert by_pair(outcome, "linear_cka")
    assert outcome.problems["QCD"] == "at least 64 jets are needed, and the bin 'QCD' has 40"
    assert outcome.problems["Hgg"] == "at least 64 jets are needed, and the bin 'Hgg' has 0"


def test_anchors_of_the_suite_are_taken_from_its_pairs(sample_of):
    anchors = [
        Anchor(kind="untrained twin", backbone="a", other="b"),
        Anchor(kind="another seed", backbone="a", other="nowhere"),
    ]
    outcome = similarity_families(views(sample_of, "a", "b", jets=70), permutations=1, anchors=anchors)
    table = outcome.tables["similarity_anchors"]
    twin = table[(table["kind"] == "untrained twin") & (table["metric"] == "linear_cka")]
    assert twin["value"].item() == by_pair(outcome, "linear_cka")["a", "b"].value
    assert outcome.problems["anchor a, nowhere"] == "nowhere: no sound embedding in this suite"


def test_one_seed_gives_the_same_scores_to_the_bit(sample_of):
    samples = views(sample_of, "a", "b", jets=70)
    first, again, other = (similarity_families(samples, permutations=2, seed=seed) for seed in (1, 1, 2))
    assert first.scores == again.scores
    assert first.scores != other.scores
    for name, table in first.tables.items():
        assert table.equals(again.tables[name])


def test_embeddings_of_other_jets_are_never_compared(sample_of):
    with pytest.raises(DataError, match="embeddings of different jets"):
        similarity_families({"a": sample_of("test"), "b": sample_of("train")})
    with pytest.raises(DataError, match="compares pairs of backbones; got 1: a"):
        similarity_families({"a": sample_of("test")})


def test_convergence_begins_at_128_jets_and_ends_with_all():
    assert ladder(1000) == (128, 256, 512, 1000)
    assert ladder(128) == (128,)
    assert ladder(60) == (60,)


def test_convergence_shows_the_bias_of_the_usual_estimates_on_noise(sample_of):
    embeddings = {name: each.embedding for name, each in views(sample_of, "a", "b", jets=260).items()}
    table = convergence(embeddings)
    noise = table[(table["backbone"] == NOISE[0]) & (table["n_jets"] == 128)]
    mean = noise.groupby(["metric", "estimator"])["value"].mean()
    assert mean["linear_cka", "biased"] == pytest.approx(0.5, abs=0.03)
    assert mean["procrustes", "in sample"] > 0.6
    assert mean["svcca", "in sample"] > 0.6
    for metric, estimator in (("linear_cka", "debiased"), ("procrustes", "held out"), ("svcca", "held out")):
        assert abs(mean[metric, estimator]) < 0.06
    last = table[(table["backbone"] == "a") & (table["n_jets"] == 520) & (table["estimator"] == "debiased")]
    assert last["value"].item() == pytest.approx(debiased_cka(*embeddings.values()), abs=1e-9)


def test_of_many_jets_some_are_taken_of_all_and_of_each_class(sample_of, monkeypatch):
    monkeypatch.setattr("jetassay.tasks.similarity_families.MOST_JETS", 100)
    samples = {name: sample_of("test", jets=150, view=view) for view, name in enumerate(("a", "b"))}
    scores = similarity_families(samples, permutations=1).scores
    assert {(each.bin, each.n_signal + each.n_background) for each in scores if each.metric == "linear_cka"} == {
        ("all", 100),
        ("QCD", 100),
        ("Hbb", 100),
    }
