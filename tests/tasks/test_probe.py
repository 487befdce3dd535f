import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from jetassay.errors import DataError
from jetassay.metrics.roc import auc
from jetassay.tasks.probe import PENALTIES, fit_probe, probe, probe_signal
from jetassay.tasks.samples import Splits
from jetassay.tasks.score import LEVEL
from jetassay.tasks.standardisation import Standardisation


def by_metric(scores):
    return {(each.metric, each.working_point): each for each in scores}


def with_embeddings(splits, change):
    """The splits with `change(embedding, labels)` in place of each embedding."""
    return Splits(
        *(
            replace(sample, embedding=np.float32(change(sample.embedding, sample.labels)))
            for sample in splits.by_name().values()
        )
    )


def test_a_probe_finds_the_separation_that_is_there(splits_of):
    """One latent variable of unit width shifted by 2 and one by 0.1, seen through noise: at most AUC 0.922."""
    result = probe_signal(splits_of(jets=2000), signal="Hbb", backbone="made-up")
    score = by_metric(result.scores)["auc", None]
    assert 0.88 < score.value < 0.93
    assert score.low < score.value < score.high
    assert score.high - score.low < 0.02


def test_a_probe_agrees_with_a_pipeline_of_scikit_learn(splits_of):
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import log_loss
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    splits = splits_of(jets=500, width=20)
    result = probe_signal(splits, signal="Hbb", backbone="made-up")
    losses, pipelines = {}, {}
    for penalty in PENALTIES:
        model = LogisticRegression(C=1 / (1000 * penalty), solver="newton-cholesky", tol=1e-10, max_iter=1000)
        pipelines[penalty] = make_pipeline(StandardScaler(), model)
        pipelines[penalty].fit(splits.train.embedding.astype(np.float64), splits.train.labels)
        probabilities = pipelines[penalty].predict_proba(splits.validation.embedding.astype(np.float64))
        losses[penalty] = log_loss(splits.validation.labels, probabilities)
    assert dict(result.probe.validation_loss) == pytest.approx(losses, abs=1e-6)
    assert result.probe.penalty == min(losses, key=losses.get)
    expected = pipelines[result.probe.penalty].decision_function(splits.test.embedding.astype(np.float64))
    assert result.signal_logits == pytest.approx(expected[result.signal_rows], abs=1e-4)
    assert result.background_logits == pytest.approx(expected[result.background_rows], abs=1e-4)


def test_every_score_carries_counts_interval_seed_and_version(splits_of):
    result = probe_signal(splits_of(jets=200), signal="Hbb", backbone="made-up", seed=7)
    expected = {("auc", None)} | {(m, p) for m in ("rejection", "rejection_over_cuts") for p in (0.3, 0.5)}
    assert by_metric(result.scores).keys() == expected
    for score in result.scores:
        assert (score.task, score.task_version, score.backbone) == ("probe", 2, "made-up")
        assert (score.signal, score.background, score.level, score.seed) == ("Hbb", "QCD", LEVEL, 7)
        assert (score.n_signal, score.n_background, score.n_train) == (200, 200, 400)
    rejection = by_metric(result.scores)["rejection", 0.5]
    assert rejection.value == 200 / rejection.n_survivors
    assert rejection.low < rejection.value < rejection.high
    assert (rejection.interval, by_metric(result.scores)["auc", None].interval) == ("clopper-pearson", "delong-logit")


def test_the_logits_that_are_handed_back_give_the_scores_again(splits_of):
    splits = splits_of()
    result = probe_signal(splits, signal="Hbb", backbone="made-up")
    assert by_metric(result.scores)["auc", None].value == auc(result.signal_logits, result.background_logits)
    assert (splits.test.labels[result.signal_rows] == 1).all()
    assert (splits.test.labels[result.background_rows] == 0).all()
    again = result.probe.logits(splits.test.embedding[result.signal_rows])
    assert np.array_equal(again, result.signal_logits)
    assert [cut.requested for cut in result.cuts] == [0.3, 0.5]


def test_each_class_has_its_own_working_point(splits_of):
    outcome = probe(splits_of(jets=250, classes=("QCD", "Hqql", "Tbl")), backbone="x", signals=["Hqql", "Tbl"])
    points = {(each.signal, each.working_point) for each in outcome.scores if each.metric == "rejection"}
    assert points == {(s, p) for s, own in (("Hqql", 0.99), ("Tbl", 0.995)) for p in (0.3, 0.5, own)}
    assert not outcome.problems


def test_a_working_point_beyond_the_sample_is_a_problem_that_costs_no_other_score(splits_of):
    outcome = probe(splits_of(jets=150, classes=("QCD", "Tbl")), backbone="x", signals=["Tbl"])
    scores = by_metric(outcome.scores)
    assert scores["rejection", 0.995].value is None
    assert scores["rejection", 0.995].interval == "undefined"
    assert scores["rejection", 0.5].value is not None
    assert "a working point of 0.995 needs at least 200 signal jets" in outcome.problems["Tbl"]


def test_a_class_without_jets_is_a_problem_that_costs_no_other_class(splits_of):
    outcome = probe(splits_of(classes=("QCD", "Hbb", "Hcc")), backbone="x")
    assert set(outcome.details) == {"Hbb", "Hcc"}
    assert set(outcome.problems) == {"Hgg", "H4q", "Hqql", "Zqq", "Wqq", "Tbqq", "Tbl"}
    assert outcome.problems["Hgg"] == (
        "probe of 'x', Hgg against QCD, train sample: 0 jets of Hgg; at least 2 are needed"
    )


def test_two_runs_give_the_same_scores_to_the_bit(splits_of):
    first, again = (probe(splits_of(), backbone="x", signals=["Hbb"]).scores for _ in range(2))
    assert first == again


def test_the_seed_is_carried_and_moves_nothing(splits_of):
    first, other = (probe_signal(splits_of(), signal="Hbb", backbone="x", seed=seed) for seed in (0, 1))
    assert first.scores == tuple(replace(each, seed=0) for each in other.scores)
    assert {each.seed for each in other.scores} == {1}


def test_the_same_jet_has_the_same_score_whatever_stands_beside_it(splits_of):
    splits = splits_of()
    fitted = probe_signal(splits, signal="Hbb", backbone="x").probe
    together = fitted.logits(splits.test.embedding)
    alone = np.concatenate([fitted.logits(row[None]) for row in splits.test.embedding])
    assert np.array_equal(alone, together)


def test_shifting_and_stretching_dimensions_changes_no_ranking(splits_of):
    splits = splits_of(jets=300)
    stretch = np.logspace(-6, 6, 12)
    stretched = with_embeddings(splits, lambda embedding, _: embedding * stretch - 3 * stretch)
    values = [
        by_metric(probe_signal(each, signal="Hbb", backbone="x").scores)["auc", None].value
        for each in (splits, stretched)
    ]
    assert values[1] == pytest.approx(values[0], abs=1e-4)


def test_a_constant_dimension_is_left_out_even_where_float32_rounds_it(splits_of):
    splits = splits_of(width=12)
    wobble = np.random.default_rng(0)

    def add_constant(embedding, _):
        return np.column_stack([embedding, 1e4 + 1e-3 * wobble.integers(0, 2, len(embedding))])

    result = probe_signal(with_embeddings(splits, add_constant), signal="Hbb", backbone="x")
    assert np.isinf(result.probe.standardisation.scale[-1])
    assert result.probe.coefficients[-1] == 0
    plain = probe_signal(splits, signal="Hbb", backbone="x")
    assert result.signal_logits == pytest.approx(plain.signal_logits, abs=1e-9)


def test_shuffled_labels_give_auc_one_half_within_the_interval_two_times_in_three(splits_of):
    inside = 0
    for seed in range(80):
        shuffle = np.random.default_rng(seed).permutation
        splits = splits_of(jets=60, width=5, seed=seed)
        shuffled = Splits(*(replace(each, labels=shuffle(each.labels)) for each in splits.by_name().values()))
        score = probe_signal(shuffled, signal="Hbb", backbone="x").scores[0]
        inside += score.low <= 0.5 <= score.high
    assert 0.52 <= inside / 80 <= 0.84


def test_perfect_separation_is_a_limit_and_no_rejection_is_infinite(splits_of):
    splits = with_embeddings(splits_of(jets=50), lambda embedding, labels: embedding + 1000 * labels[:, None])
    scores = by_metric(probe_signal(splits, signal="Hbb", backbone="x").scores)
    assert (scores["auc", None].value, scores["auc", None].interval) == (1.0, "disjoint-pairs")
    assert scores["auc", None].low == pytest.approx(0.16 ** (1 / 50))
    rejection = scores["rejection", 0.5]
    assert (rejection.value, rejection.high, rejection.n_survivors) == (None, None, 0)
    assert (1 - 1 / rejection.low) ** 50 == pytest.approx(0.16)


def test_nan_embeddings_are_named(splits_of):
    splits = splits_of()
    splits.test.embedding[splits.test.rows("Hbb")[0]] = np.nan
    with pytest.raises(DataError, match="Hbb against QCD, test sample: the embeddings of 1 of 400 jets hold NaN"):
        probe_signal(splits, signal="Hbb", backbone="x")


def test_nan_in_another_class_stops_only_that_class(splits_of):
    splits = splits_of(classes=("QCD", "Hbb", "Hcc"))
    splits.train.embedding[splits.train.rows("Hcc")[0], 0] = np.inf
    outcome = probe(splits, backbone="x", signals=["Hbb", "Hcc"])
    assert (set(outcome.details), set(outcome.problems)) == ({"Hbb"}, {"Hcc"})


def test_a_constant_embedding_is_an_error(splits_of):
    constant = with_embeddings(splits_of(), lambda embedding, _: np.full_like(embedding, 0.1))
    with pytest.raises(DataError, match="the embedding is the same for all 400 training jets"):
        probe_signal(constant, signal="Hbb", backbone="x")


def test_identical_test_scores_are_an_error(splits_of):
    splits = splits_of()
    flat = replace(splits.test, embedding=np.ones_like(splits.test.embedding))
    with pytest.raises(DataError, match="every test jet has the same score"):
        probe_signal(replace(splits, test=flat), signal="Hbb", backbone="x")


def test_standardised_training_jets_have_mean_0_and_width_1(sample_of):
    embedding = sample_of("train", jets=5000).embedding
    features = Standardisation.of(embedding).apply(embedding)
    assert features.mean(axis=0, dtype=np.float64) == pytest.approx(np.zeros(12), abs=1e-6)
    assert features.std(axis=0, dtype=np.float64) == pytest.approx(np.ones(12), abs=1e-6)


def test_fitting_needs_no_names_beyond_the_signal(sample_of):
    fitted = fit_probe(sample_of("train"), sample_of("validation"), signal="Hbb")
    assert fitted.n_train == 400
    assert fitted.penalty in PENALTIES
    assert fitted.gradient_norm <= 1e-8


def test_a_probe_imports_no_torch(run_fresh):
    assert "torch" not in run_fresh("import jetassay.tasks.probe, jetassay.tasks.similarity, sys; print(*sys.modules)")


@pytest.fixture
def run_fresh():
    import subprocess

    def run(code):
        done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
        return set(done.stdout.split())

    return run


def test_logits_in_files_are_those_in_memory(splits_of, monkeypatch):
    splits = splits_of(jets=300)
    small = probe(splits, backbone="made-up")
    monkeypatch.setattr("jetassay.tasks.probe.SMALL", 0)
    monkeypatch.setattr("jetassay.embeddings.scratch._CHUNK", 800)
    monkeypatch.setattr("jetassay.tasks.probe._HELD", 0)
    monkeypatch.setattr("jetassay.tasks.probe.CHUNK", 70)
    large = probe(splits, backbone="made-up")
    assert large.scores == small.scores
    for signal, result in large.details.items():
        assert not result.signal_logits.flags.writeable
        assert np.array_equal(result.signal_logits, small.details[signal].signal_logits)
        assert np.array_equal(result.background_logits, small.details[signal].background_logits)
    tables = [pd.concat(each.jet_tables["probe_logits"], ignore_index=True) for each in (small, large)]
    pd.testing.assert_frame_equal(*tables)
