"""The probe of all classes together, against scikit-learn and against the best that there can be."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import softmax
from test_probe import with_embeddings

from jetassay.errors import DataError
from jetassay.tasks.multiclass import CONFUSION, multiclass
from jetassay.tasks.probe import PENALTIES
from jetassay.tasks.samples import JetKeys, Sample, Splits

NAMES = ("QCD", "Hbb", "Hcc", "Tbl")
CENTRES = np.random.default_rng(0).normal(size=(4, 5))


def gaussians(file, *, jets=400, seed=0):
    """Classes of unit width around `CENTRES`: the true ln p is linear in the embedding."""
    stream = np.random.default_rng([seed, *file.encode()])
    labels = stream.permutation(np.arange(jets * 4) % 4)
    embedding = CENTRES[labels] + stream.normal(size=(len(labels), 5))
    keys = JetKeys((file,), np.zeros(len(labels), np.int64), np.arange(len(labels)))
    return Sample(embedding.astype(np.float32), labels, NAMES, keys)


@pytest.fixture
def splits():
    return Splits(*(gaussians(file) for file in ("train", "validation", "test")))


def by_metric(outcome):
    return {score.metric: score for score in outcome.scores}


def test_it_comes_as_close_as_its_jets_allow_to_the_best_there_is(splits):
    scores = by_metric(multiclass(splits, backbone="x"))
    x, labels = splits.test.embedding.astype(np.float64), splits.test.labels
    truth = softmax(-((x[:, None, :] - CENTRES) ** 2).sum(axis=2) / 2, axis=1)
    assert scores["accuracy"].value == pytest.approx((truth.argmax(axis=1) == labels).mean(), abs=0.015)
    own = -np.log(truth[np.arange(len(labels)), labels]).mean()
    assert own - 0.005 < scores["log_loss"].value < own + 0.02


def test_it_agrees_with_a_pipeline_of_scikit_learn(splits):
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import log_loss, roc_auc_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    outcome = multiclass(splits, backbone="x")
    found = outcome.details["all classes"]
    losses, models = {}, {}
    for penalty in PENALTIES:
        fit = LogisticRegression(C=1 / (len(splits.train) * penalty), tol=1e-9, max_iter=2000)
        models[penalty] = make_pipeline(StandardScaler(), fit)
        models[penalty].fit(splits.train.embedding.astype(np.float64), splits.train.labels)
        probabilities = models[penalty].predict_proba(splits.validation.embedding.astype(np.float64))
        losses[penalty] = log_loss(splits.validation.labels, probabilities)
    assert dict(found.validation_loss) == pytest.approx(losses, abs=1e-6)
    expected = models[found.penalty].predict_proba(splits.test.embedding.astype(np.float64))
    assert found.probabilities == pytest.approx(expected, abs=1e-4)
    auc = roc_auc_score(splits.test.labels, expected, multi_class="ovo")
    assert by_metric(outcome)["macro_ovo_auc"].value == pytest.approx(auc, abs=1e-5)


def test_every_score_has_its_interval_and_counts(splits):
    for score in multiclass(splits, backbone="x", seed=4).scores:
        assert score.low < score.value < score.high
        assert (score.n_signal, score.n_background, score.n_train, score.seed) == (1200, 400, 1600, 4)
        assert (score.task, score.backbone, score.signal) == ("multiclass", "x", None)


def test_the_confusion_table_counts_every_test_jet_once_and_holds_the_accuracy(splits):
    outcome = multiclass(splits, backbone="x")
    table = outcome.tables[CONFUSION]
    assert list(table.columns) == ["true", "predicted", "n", "backbone"]
    assert len(table) == 16
    assert table.groupby("true")["n"].sum().to_dict() == dict.fromkeys(NAMES, 400)
    right = table.loc[table["true"] == table["predicted"], "n"].sum() / 1600
    assert by_metric(outcome)["accuracy"].value == pytest.approx(right)


def test_a_class_without_jets_is_left_out_and_named(splits):
    few = replace(splits, test=splits.test.take(np.flatnonzero(splits.test.labels != 2)))
    outcome = multiclass(few, backbone="x")
    assert outcome.problems == {"Hcc": "0 jets in the test sample; at least 2 are needed; left out"}
    assert outcome.details["all classes"].classes == ("QCD", "Hbb", "Tbl")
    assert set(outcome.tables[CONFUSION]["true"]) == {"QCD", "Hbb", "Tbl"}


def test_one_class_alone_is_an_error(splits):
    only = Splits(*(each.take(each.rows("QCD")) for each in splits.by_name().values()))
    with pytest.raises(DataError, match="1 classes have 2 jets in each sample; two are needed"):
        multiclass(only, backbone="x")


def test_nan_and_constant_embeddings_are_errors(splits):
    flat = with_embeddings(splits, lambda embedding, _: np.ones_like(embedding))
    with pytest.raises(DataError, match="the same for all 1600 training jets"):
        multiclass(flat, backbone="x")
    splits.validation.embedding[3, 1] = np.inf
    with pytest.raises(DataError, match="validation sample: the embeddings of 1 of 1600 jets hold NaN"):
        multiclass(splits, backbone="x")


def test_many_jets_are_gone_over_in_blocks_with_the_same_scores(splits, monkeypatch, tmp_path):
    expected = by_metric(multiclass(splits, backbone="x"))
    monkeypatch.setenv("JETASSAY_CACHE", str(tmp_path))
    for module in ("multiclass", "multinomial"):
        monkeypatch.setattr(f"jetassay.tasks.{module}._BLOCK", 100)
    monkeypatch.setattr("jetassay.embeddings.scratch.SMALL", 1000)
    outcome = multiclass(splits, backbone="x")
    assert not outcome.details["all classes"].probabilities.flags.writeable
    for name, score in by_metric(outcome).items():
        assert (score.value, score.low, score.high) == pytest.approx(
            (expected[name].value, expected[name].low, expected[name].high), rel=1e-7
        )
