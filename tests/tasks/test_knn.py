"""Nearest neighbours: exact, as scikit-learn counts them, ties broken by distance, and no hyperplane needed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from jetassay.errors import DataError
from jetassay.tasks import knn as module
from jetassay.tasks.knn import NEIGHBOURS, knn, nearest, neighbour_scores, neighbours
from jetassay.tasks.probe import probe
from jetassay.tasks.trial import Labelled


def labelled(seed, *, jets=120, width=6, separation=1.0):
    stream = np.random.default_rng(seed)
    is_signal = np.arange(jets) % 2 == 0
    embedding = stream.normal(size=(jets, width)) + separation * is_signal[:, None]
    return Labelled(embedding.astype(np.float32), is_signal, np.arange(jets))


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.integers(1, 30), st.integers(1, 20), st.data())
def test_the_nearest_are_those_of_brute_force(seed, jets, queries, width, data):
    k = data.draw(st.integers(1, jets))
    stream = np.random.default_rng(seed)
    here, there = (stream.normal(size=(many, width)).astype(np.float32) for many in (queries, jets))
    expected = np.sort(cdist(here, there, "sqeuclidean"), axis=1)[:, :k]
    rounding = 1e-6 * float((here**2).sum(axis=1).max() + (there**2).sum(axis=1).max())
    assert nearest(here, there, k=k) ** 2 == pytest.approx(expected, rel=1e-6, abs=rounding)


def test_jets_beyond_one_block_are_searched_alike(monkeypatch):
    stream = np.random.default_rng(0)
    here, there = (stream.normal(size=(many, 4)).astype(np.float32) for many in (50, 30))
    whole = nearest(here, there, k=5)
    monkeypatch.setattr(module, "_BLOCK", 64)
    assert nearest(here, there, k=5) == pytest.approx(whole, abs=1e-6)


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_the_fraction_of_signal_among_the_nearest_is_that_of_scikit_learn(metric, monkeypatch):
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.preprocessing import StandardScaler

    train, validation, test = (labelled(seed) for seed in range(3))
    scaler = StandardScaler().fit(train.embedding.astype(np.float64))
    for k in (1, 5, 20):
        monkeypatch.setattr(module, "NEIGHBOURS", (k,))
        found = neighbours(train, validation, test.embedding, metric=metric)
        reference = KNeighborsClassifier(k, metric=metric, algorithm="brute")
        reference.fit(scaler.transform(train.embedding.astype(np.float64)), train.is_signal)
        expected = reference.predict_proba(scaler.transform(test.embedding.astype(np.float64)))[:, 1]
        assert np.floor(found.scores * (k + 1) * (1 - 1e-12)) / k == pytest.approx(expected)


@given(st.integers(0, 2**32 - 1), st.integers(1, 12))
def test_the_signal_among_the_nearest_is_that_of_a_merged_list_and_goes_first_among_equals(seed, k):
    signal, background = np.sort(np.random.default_rng(seed).integers(1, 9, size=(2, 20, 12)), axis=2).astype(
        np.float32
    )
    merged = np.argsort(np.concatenate([signal, background], axis=1), axis=1, kind="stable")[:, :k]
    (scores,) = neighbour_scores(signal, background, ks=[k])
    tie = background[:, k - 1] / (signal[:, k - 1] + background[:, k - 1])
    assert scores * (k + 1) == pytest.approx((merged < 12).sum(axis=1) + tie)


def test_jets_of_equal_fraction_are_ordered_by_their_distances():
    to_signal, to_background = np.array([[1.0, 2.0], [1.0, 3.0]]), np.array([[5.0, 6.0], [5.0, 6.0]])
    ((near, far),) = neighbour_scores(to_signal, to_background, ks=[2])
    assert 2 / 3 < far < near < 1
    ((tie,),) = neighbour_scores(np.zeros((1, 1)), np.zeros((1, 1)), ks=[1])
    assert tie == pytest.approx((1 + 0.5) / 2)


@given(st.integers(0, 2**32 - 1))
def test_scores_lie_between_0_and_1_and_the_fraction_decides_first(seed):
    stream = np.random.default_rng(seed)
    distances = np.sort(stream.exponential(size=(2, 30, 8)), axis=2)
    for k, scores in zip((1, 3, 8), neighbour_scores(*distances, ks=(1, 3, 8)), strict=True):
        merged = np.argsort(np.concatenate(distances, axis=1), axis=1)[:, :k]
        count = (merged < 8).sum(axis=1)
        assert ((count <= scores * (k + 1)) & (scores * (k + 1) <= count + 1)).all()


def test_a_ring_is_seen_by_its_neighbours_and_by_no_hyperplane(splits_of):
    from test_probe import with_embeddings

    def ring(embedding, labels):
        stream = np.random.default_rng(len(embedding) + int(abs(embedding[0, 0]) * 1e3))
        angle, radius = (
            stream.uniform(0, 2 * np.pi, len(labels)),
            1 + (labels > 0) + 0.2 * stream.normal(size=len(labels)),
        )
        return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)

    splits = with_embeddings(splits_of(jets=300), ring)
    seen, linear = (task(splits, backbone="x", signals=["Hbb"]).scores[0].value for task in (knn, probe))
    assert seen > 0.97
    assert 0.4 < linear < 0.6


def test_k_is_one_that_the_training_jets_allow(splits_of):
    outcome = knn(splits_of(jets=30), backbone="x", signals=["Hbb"])
    (chosen,) = (score.value for score in outcome.scores if score.metric == "neighbours")
    assert chosen in [k for k in NEIGHBOURS if k <= 30]
    assert outcome.scores[0].n_train == 60


@pytest.mark.parametrize("seed", range(4))
def test_k_is_the_one_of_the_largest_auc_on_the_validation_jets(seed):
    found = neighbours(*(labelled(3 * seed + part, separation=0.4) for part in range(2)), labelled(99).embedding)
    assert found.k > 1
    assert found.validation_auc[found.k] == max(found.validation_auc.values())


def test_what_cannot_be_scored_is_a_problem_that_costs_nothing_else(splits_of):
    splits = splits_of(classes=("QCD", "Hbb", "Hcc"))
    splits.test.embedding[splits.test.rows("Hcc")[0], 0] = np.nan
    outcome = knn(splits, backbone="x", signals=["Hbb", "Hcc", "Hgg"])
    assert set(outcome.details) == {"Hbb"}
    assert "hold NaN" in outcome.problems["Hcc"]
    assert "0 jets of Hgg" in outcome.problems["Hgg"]


def test_a_constant_embedding_is_an_error():
    flat = Labelled(np.ones((20, 3), np.float32), np.arange(20) < 10, np.arange(20))
    with pytest.raises(DataError, match="the same for all 20 training jets"):
        neighbours(flat, flat, flat.embedding)


def test_of_many_training_jets_some_are_taken_and_every_test_jet_is_scored(splits_of, monkeypatch):
    splits = splits_of(jets=60)
    monkeypatch.setattr(module, "MOST_JETS", 25)
    runs = [knn(splits, backbone="x", signals=["Hbb"], seed=seed) for seed in (1, 1, 2)]
    for outcome in runs:
        assert {(each.n_train, each.n_signal, each.n_background) for each in outcome.scores} == {(50, 60, 60)}
    scores = [outcome.details["Hbb"].signal_scores for outcome in runs]
    assert np.array_equal(scores[0], scores[1])
    assert not np.array_equal(scores[0], scores[2])


def test_queries_block_by_block_have_the_same_neighbours(monkeypatch):
    train, validation, test = (labelled(seed) for seed in range(3))
    whole = neighbours(train, validation, test.embedding)
    monkeypatch.setattr(module, "_QUERIES", 7)
    parts = neighbours(train, validation, test.embedding)
    assert parts.k == whole.k
    assert parts.scores == pytest.approx(whole.scores, abs=1e-5)
