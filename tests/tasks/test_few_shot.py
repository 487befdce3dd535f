"""Learning curves grow as theory says, from the same draws for every backbone."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm
from test_probe import with_embeddings

from jetassay.embeddings.threads import one_thread_per_operator
from jetassay.errors import ConfigError, DataError
from jetassay.jets.classes import CLASS_NAMES
from jetassay.tasks.catalogue import TASKS
from jetassay.tasks.few_shot import TABLE, draws_of, few_shot, jets_per_class
from jetassay.tasks.heads import HEADS, MOST_JETS
from jetassay.tasks.probe import probe_signal
from jetassay.tasks.samples import JetKeys, Sample, Splits
from jetassay.tasks.trial import Trial

DISTANCE = 1.5


@pytest.fixture(autouse=True)
def one_thread():
    """As suites score: many small operations wait for each other on several."""
    with one_thread_per_operator():
        yield


def gaussians(file, *, jets, width):
    """QCD and Hbb of unit width, `DISTANCE` apart: no head can pass an AUC of Phi(DISTANCE / sqrt 2)."""
    stream = np.random.default_rng(list(file.encode()))
    labels = stream.permutation(np.arange(2 * jets) % 2)
    embedding = stream.normal(size=(2 * jets, width))
    embedding[:, 0] += DISTANCE * labels
    keys = JetKeys((file,), np.zeros(2 * jets, np.int64), np.arange(2 * jets))
    return Sample(embedding.astype(np.float32), labels, CLASS_NAMES, keys)


def known(*, jets=1500, width=10):
    return Splits(*(gaussians(file, jets=jets, width=width) for file in ("train", "validation", "test")))


def means(outcome, metric="auc", backbone="x"):
    """n_train -> score without a draw."""
    chosen = (each for each in outcome.scores if each.metric == metric and each.draw is None)
    return {each.n_train: each for each in chosen if each.backbone == backbone and each.backbone_b is None}


def trial_of(splits):
    return Trial.of(splits, signal="Hbb", background="QCD", where="made-up")


def test_the_curve_rises_to_the_best_that_two_gaussians_allow():
    found = means(few_shot({"x": known()}, signals=["Hbb"], draws=8))
    values = [score.value for score in found.values()]
    assert list(found) == [20, 40, 100, 200, 400, 1000, 2000, 3000]
    assert all(later > earlier - 0.004 for earlier, later in itertools.pairwise(values))
    best = norm.cdf(DISTANCE / np.sqrt(2))
    assert values[0] < best - 0.05
    assert values[-1] == pytest.approx(best, abs=0.015)
    assert found[20].high - found[20].low > 3 * (found[1000].high - found[1000].low)


def test_with_all_jets_the_curve_ends_at_the_probe(splits_of):
    splits = splits_of(jets=150)
    outcome = few_shot({"x": splits}, signals=["Hbb"], draws=3)
    score = probe_signal(splits, signal="Hbb", backbone="x").scores[0]
    last = means(outcome)[300]
    assert (last.value, last.low, last.n_train) == (pytest.approx(score.value, abs=1e-9), None, score.n_train)
    part = means(outcome, "auc_over_test_jets")[300]
    assert part.high - part.low == pytest.approx(score.high - score.low, rel=0.15)


def test_two_runs_give_the_same_scores_to_the_bit_and_another_seed_others(splits_of):
    samples = {"x": splits_of(jets=60), "y": splits_of(jets=60, view=1)}
    first, again, other = (few_shot(samples, signals=["Hbb"], draws=3, seed=seed) for seed in (0, 0, 1))
    assert first.scores == again.scores
    assert first.tables[TABLE].equals(again.tables[TABLE])
    assert means(first)[20].value != means(other)[20].value
    assert means(first)[120].value == means(other)[120].value  # all jets


def test_every_backbone_learns_from_the_same_jets(splits_of):
    """A backbone whose dimensions are shifted and stretched has the same AUC in every single draw."""
    splits = splits_of(jets=80)
    like = with_embeddings(splits, lambda embedding, _: 8 * embedding - 4)
    table = few_shot({"x": splits, "like": like}, signals=["Hbb"], draws=4).tables[TABLE]
    pairs = table.pivot(index=["n_per_class", "draw"], columns="backbone", values="auc")
    assert pairs["x"].to_numpy() == pytest.approx(pairs["like"].to_numpy(), abs=2e-4)
    assert pairs["x"].nunique() > 5


def test_draws_are_nested_balanced_and_never_validate_on_more_than_they_train_on(splits_of):
    trial = trial_of(splits_of(jets=90))
    drawn = {jets: draws_of(trial, jets, draws=3, seed=5) for jets in (10, 20, 50)}
    for jets, draws in drawn.items():
        for draw in draws:
            assert len(set(draw.train)) == len(set(draw.validation)) == 2 * jets
            assert trial.train.is_signal[draw.train].sum() == trial.validation.is_signal[draw.validation].sum() == jets
    for small, large in zip(drawn[10], drawn[50], strict=True):
        assert set(small.train) < set(large.train)
        assert set(small.validation) < set(large.validation)
    assert set(drawn[10][0].train) != set(drawn[10][1].train)
    (everything,) = draws_of(trial, 90, draws=3, seed=5)
    assert len(everything.train) == len(everything.validation) == 180


def test_a_bounded_head_takes_so_many_jets_of_each_class_the_same_for_every_backbone(splits_of, monkeypatch):
    monkeypatch.setitem(MOST_JETS, "knn", 25)
    one, other = (trial_of(splits_of(jets=40, view=view)) for view in (0, 1))
    fewer = one.at_most(25, seed=3)
    for split in ("train", "validation", "test"):
        part = getattr(fewer, split)
        assert np.bincount(part.is_signal).tolist() == [25, 25]
        assert np.array_equal(part.rows, getattr(other.at_most(25, seed=3), split).rows)
        assert not np.array_equal(part.rows, getattr(one.at_most(25, seed=4), split).rows)
    outcome = few_shot({"x": splits_of(jets=40)}, signals=["Hbb"], heads=["linear", "knn"], draws=2)
    linear, knn = ([each for each in outcome.scores if each.bin == name] for name in (None, "knn"))
    assert {(each.n_signal, each.n_background) for each in linear} == {(40, 40)}
    assert {(each.n_signal, each.n_background) for each in knn} == {(25, 25)}
    assert set(outcome.tables[TABLE].query("head == 'knn'")["n_per_class"]) == {10, 20, 25}


def test_a_trial_of_few_jets_is_left_as_it_is(splits_of):
    trial = trial_of(splits_of(jets=30))
    assert trial.at_most(30, seed=0).train is trial.train


def test_signals_share_their_background_jets(splits_of):
    splits = splits_of(jets=40, classes=("QCD", "Hbb", "Hcc"))
    rows = []
    for signal in ("Hbb", "Hcc"):
        trial = Trial.of(splits, signal=signal, background="QCD", where="made-up")
        draw = draws_of(trial, 10, draws=1, seed=0)[0]
        taken = trial.train.take(draw.train)
        rows.append(set(taken.rows[~taken.is_signal]))
    assert rows[0] == rows[1]


@pytest.mark.parametrize(
    ("jets", "points"),
    [(10, (10,)), (11, (10, 11)), (250, (10, 20, 50, 100, 200, 250)), (1000, (10, 20, 50, 100, 200, 500, 1000))],
)
def test_points_lie_evenly_on_a_logarithmic_axis(splits_of, jets, points):
    assert jets_per_class(trial_of(splits_of(jets=jets)).train, smallest=10) == points


def test_a_backbone_that_is_better_with_few_jets_crosses_one_that_is_better_with_many():
    """Three dimensions with part of the separation against forty that hold all of it."""
    splits = known(jets=1000, width=40)
    three = with_embeddings(splits, lambda x, _: np.column_stack([x[:, 0] + 0.7 * x[:, 1], x[:, 2:4]]))
    outcome = few_shot({"three": three, "forty": splits}, signals=["Hbb"], draws=6)
    few, lots = (means(outcome, backbone=name) for name in ("three", "forty"))
    assert few[20].value > lots[20].value
    assert few[2000].value < lots[2000].value
    (crossing,) = (each for each in outcome.scores if each.metric == "crossing")
    assert (crossing.backbone, crossing.backbone_b, crossing.signal) == ("three", "forty", "Hbb")
    assert 20 < crossing.low < crossing.value < crossing.high < 1000
    (share,) = (each.value for each in outcome.scores if each.metric == "crossing_share")
    assert share > 0.99
    for name, curve in (("three", few), ("forty", lots)):
        area = means(outcome, "area_under_curve", name)[None]
        assert curve[20].value < area.low < area.value < area.high < curve[2000].value


def test_curves_that_do_not_cross_say_which_is_above(splits_of):
    good, bad = known(jets=60, width=3), with_embeddings(known(jets=60, width=3), lambda x, _: x[:, 1:])
    outcome = few_shot({"bad": bad, "good": good}, signals=["Hbb"], draws=3)
    (crossing,) = (each for each in outcome.scores if each.metric == "crossing")
    assert (crossing.value, crossing.interval) == (None, "none: good stays above bad")


def test_a_backbone_does_not_stay_above_its_own_copy(splits_of):
    outcome = few_shot({"one": splits_of(jets=30), "copy": splits_of(jets=30)}, signals=["Hbb"], draws=2)
    (crossing,) = (each for each in outcome.scores if each.metric == "crossing")
    assert (crossing.value, crossing.interval) == (None, "none: the curves are equal")


@pytest.mark.parametrize("head", sorted(HEADS))
def test_every_head_draws_a_curve(splits_of, head):
    outcome = few_shot({"x": splits_of(jets=40)}, signals=["Hbb"], heads=[head], draws=2)
    assert not outcome.problems
    assert set(outcome.tables[TABLE]["head"]) == {head}
    assert {score.bin for score in outcome.scores} == {None if head == "linear" else head}
    assert means(outcome)[80].value > 0.8


def test_the_table_holds_every_draw_and_the_scores_their_mean(splits_of):
    outcome = few_shot({"x": splits_of(jets=50)}, signals=["Hbb"], draws=4)
    table = outcome.tables[TABLE]
    assert list(table.columns) == ["backbone", "head", "signal", "n_per_class", "draw", "auc"]
    assert table.groupby("n_per_class")["draw"].count().to_dict() == {10: 4, 20: 4, 50: 1}
    ten = table.loc[table["n_per_class"] == 10, "auc"]
    score = means(outcome)[20]
    assert (score.value, score.high - score.value) == (pytest.approx(ten.mean()), pytest.approx(ten.std()))


def test_a_class_with_too_few_jets_costs_no_other_curve(splits_of):
    splits = splits_of(jets=30, classes=("QCD", "Hbb", "Hcc"))
    kept = np.setdiff1d(np.arange(90), splits.train.rows("Hcc")[5:])
    outcome = few_shot({"x": replace(splits, train=splits.train.take(kept))}, draws=2)
    assert "5 training jets of a class; learning curves begin at 10" in outcome.problems["x, Hcc, linear"]
    assert "0 jets of Tbl" in outcome.problems["x, Tbl, linear"]
    assert set(outcome.tables[TABLE]["signal"]) == {"Hbb"}


def test_a_backbone_without_a_curve_costs_no_other(splits_of):
    flat = with_embeddings(splits_of(jets=30), lambda embedding, _: np.ones_like(embedding))
    broken = splits_of(jets=30, view=2)
    broken.train.embedding[0, 0] = np.nan
    samples = {"flat": flat, "x": splits_of(jets=30), "broken": broken}
    outcome = few_shot(samples, signals=["Hbb"], draws=2)
    assert "the same for all 20 training jets of a draw" in outcome.problems["flat, Hbb, linear"]
    assert "hold NaN" in outcome.problems["broken, Hbb, linear"]
    assert set(outcome.tables[TABLE]["backbone"]) == {"x"}


def test_test_jets_that_all_look_alike_have_no_curve(splits_of):
    splits = splits_of(jets=30)
    flat = replace(splits, test=replace(splits.test, embedding=np.ones_like(splits.test.embedding)))
    outcome = few_shot({"flat": flat}, signals=["Hbb"], heads=sorted(HEADS), draws=2)
    assert set(outcome.problems) == {f"flat, Hbb, {head}" for head in HEADS}
    assert all("every test jet has the same score" in each for each in outcome.problems.values())
    assert not outcome.scores


def test_perfect_order_at_every_point_is_a_limit_and_not_certainty(splits_of):
    apart = with_embeddings(splits_of(jets=20), lambda x, labels: x + 1000 * labels[:, None])
    outcome = few_shot({"x": apart}, signals=["Hbb"], draws=2)
    scores = [each for each in outcome.scores if each.metric.endswith("over_test_jets")]
    assert {each.interval for each in scores} == {"disjoint-pairs"}
    for each in scores:
        assert (each.value, each.low, each.high) == (pytest.approx(1), pytest.approx(0.16 ** (1 / 20)), 1)


def test_a_single_point_has_no_area_and_says_so(splits_of):
    outcome = few_shot({"x": splits_of(jets=10)}, signals=["Hbb"])
    assert outcome.undefined == {"Hbb, area under the curve": "20 training jets make one point"}
    assert {score.metric for score in outcome.scores} == {"auc", "auc_over_test_jets"}


@pytest.mark.parametrize("name", ["knn", "mlp-probe", "multiclass", "few-shot"])
def test_tasks_on_frozen_embeddings_give_the_metrics_that_the_catalogue_names(splits_of, name):
    task, splits = TASKS[name], splits_of(jets=20)
    if task.scope == "suite":
        outcome = task.load()({"x": splits, "y": splits_of(jets=20, view=1)}, signals=["Hbb"], draws=2)
    else:
        outcome = task.load()(splits, backbone="x")
    assert {score.metric for score in outcome.scores} == set(task.metrics)
    assert {(score.task, score.task_version) for score in outcome.scores} == {(name, task.version)}
    assert f"version {task.version}." in outcome.protocol


def test_other_jets_and_unknown_heads_are_errors(splits_of):
    with pytest.raises(DataError, match="are embeddings of different jets"):
        few_shot({"x": splits_of(jets=30), "y": splits_of(jets=31)})
    with pytest.raises(ConfigError, match="unknown heads tree; known: linear, knn, mlp"):
        few_shot({"x": splits_of(jets=30)}, heads=["tree"])
