from dataclasses import replace

import numpy as np
import pytest

from jetassay.errors import DataError
from jetassay.metrics.roc import auc
from jetassay.suite import Suite
from jetassay.tasks.least_squares import PENALTY, column_aucs, least_squares_scores
from jetassay.tasks.samples import Splits
from jetassay.tasks.score import LEVEL
from jetassay.tasks.shuffled import FEWEST_JETS, MOST_JETS, random_halves, shuffled


def test_column_aucs_are_those_of_one_column_after_the_other_ties_included():
    stream = np.random.default_rng(1)
    scores = stream.integers(0, 30, (200, 7)).astype(float)
    labels = stream.random((200, 7)) < 0.4
    expected = [auc(s[y], s[~y]) for s, y in zip(scores.T, labels.T, strict=True)]
    assert column_aucs(scores, labels) == pytest.approx(expected, abs=1e-12)
    assert column_aucs(scores, labels[:, 0])[3] == pytest.approx(auc(scores[labels[:, 0], 3], scores[~labels[:, 0], 3]))


def test_least_squares_is_ridge_regression_of_scikit_learn():
    from sklearn.linear_model import Ridge
    from sklearn.preprocessing import StandardScaler

    stream = np.random.default_rng(2)
    train, test = (stream.normal(3, 2, (jets, 9)).astype(np.float32) for jets in (300, 50))
    targets = stream.choice([-1.0, 1.0], (300, 4))
    scaler = StandardScaler().fit(train.astype(np.float64))
    model = Ridge(alpha=300 * PENALTY).fit(scaler.transform(train.astype(np.float64)), targets)
    expected = model.predict(scaler.transform(test.astype(np.float64))) - model.intercept_
    assert least_squares_scores(train, targets, test) == pytest.approx(expected, abs=1e-5)


def test_least_squares_ranks_as_fishers_discriminant(splits_of):
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    splits = splits_of(jets=1000)
    targets = (splits.train.labels == 1).astype(float)[:, None]
    found = column_aucs(
        least_squares_scores(splits.train.embedding, targets, splits.test.embedding), splits.test.labels == 1
    )
    fisher = LinearDiscriminantAnalysis().fit(splits.train.embedding, splits.train.labels)
    scores = fisher.decision_function(splits.test.embedding)
    expected = auc(scores[splits.test.labels == 1], scores[splits.test.labels == 0])
    assert found[0] == pytest.approx(expected, abs=0.003)


def test_half_of_the_jets_are_called_signal_in_every_draw():
    halves = random_halves(31, draws=40, stream=np.random.default_rng(0))
    assert set(np.unique(halves)) == {-1, 1}
    assert ((halves == 1).sum(axis=0) == 15).all()
    assert len(np.unique(halves, axis=1).T) == 40


def test_shuffled_labels_score_one_half_whatever_the_embedding_separates(splits_of):
    outcome = shuffled(splits_of(jets=400, separation=3.0), backbone="x", signals=["Hbb"], permutations=400)
    (score,) = outcome.scores
    draws = outcome.details["Hbb"]
    assert abs(score.value - 0.5) < 4 * draws.std() / np.sqrt(len(draws))
    assert score.low < 0.5 < score.high
    assert draws.std() > 0.1  # one direction separates the classes: a random one often does, either way round
    assert (score.metric, score.task, score.interval, score.level) == (
        "auc",
        "shuffled-labels",
        "400 permutations",
        LEVEL,
    )
    assert (score.n_signal, score.n_background, score.n_train) == (400, 400, 800)


def test_where_nothing_separates_the_classes_the_draws_spread_as_pure_chance(splits_of):
    splits = splits_of(jets=500, separation=0.0, width=4)
    blind = Splits(*(replace(each, labels=each.labels[::-1].copy()) for each in splits.by_name().values()))
    draws = shuffled(blind, backbone="x", signals=["Hbb"], permutations=300).details["Hbb"]
    assert draws.std() < 0.05


def test_large_samples_are_thinned_and_counted(splits_of):
    (score,) = shuffled(splits_of(jets=1500), backbone="x", signals=["Hbb"], permutations=5).scores
    assert score.n_train == MOST_JETS
    assert score.n_signal == score.n_background == MOST_JETS // 2


def test_the_seed_decides_the_draws(splits_of):
    splits = splits_of()
    values = [
        shuffled(splits, backbone="x", signals=["Hbb"], permutations=9, seed=seed).scores[0].value for seed in (3, 3, 4)
    ]
    assert values[0] == values[1] != values[2]


def test_a_signal_that_cannot_be_scored_is_named_and_costs_no_other(splits_of):
    splits = splits_of(classes=("QCD", "Hbb"))
    outcome = shuffled(splits, backbone="x", signals=["Hbb", "Tbl"], permutations=4)
    assert [each.signal for each in outcome.scores] == ["Hbb"]
    assert f"0 of Tbl jets; at least {FEWEST_JETS} of each" in outcome.problems["Tbl"].replace(", 200 of QCD", "")


def test_an_embedding_that_never_varies_or_is_not_a_number_is_named(splits_of):
    splits = splits_of()
    constant = Splits(*(replace(s, embedding=np.ones_like(s.embedding)) for s in splits.by_name().values()))
    assert "the same for all" in shuffled(constant, backbone="x", signals=["Hbb"]).problems["Hbb"]
    broken = replace(splits.train, embedding=np.full_like(splits.train.embedding, np.nan))
    problems = shuffled(replace(splits, train=broken), backbone="x", signals=["Hbb"]).problems
    assert "NaN" in problems["Hbb"]
    with pytest.raises(DataError, match="at least 2"):
        shuffled(splits, backbone="x", permutations=1)


def test_a_suite_asks_for_the_floor_by_its_table():
    table = {"card": "jetclass-sim"}
    suite = Suite(
        name="x",
        title="x",
        backbones=("mlp",),
        dataset=table,
        split={"train": 1, "validation": 1, "test": 1},
        shuffled_labels={"permutations": 60},
    )
    assert suite.chosen["shuffled-labels"]["permutations"] == 60
