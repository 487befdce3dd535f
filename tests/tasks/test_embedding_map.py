"""A map is of the same jets for every backbone, the same each time, and no better than it says."""

import sys

import numpy as np
import pytest

from jetassay.errors import DataError
from jetassay.tasks.embedding_map import chosen_jets, embedding_map
from jetassay.tasks.samples import JetKeys, Sample


def sample(embedding, labels, names=("QCD", "Hbb", "Hcc")):
    keys = JetKeys(("f",), np.zeros(len(labels), np.int64), np.arange(len(labels)))
    return Sample(np.asarray(embedding, np.float32), np.asarray(labels, np.int64), names, keys)


@pytest.fixture(scope="module")
def grouped():
    stream = np.random.default_rng(5)
    labels = np.repeat([0, 1, 2], 80)
    return sample(stream.normal(0, 1, (240, 6)) + 12 * np.eye(6)[labels], labels)


def test_as_many_jets_of_every_class_and_the_same_for_every_backbone(grouped):
    rows = chosen_jets(grouped, jets=90, seed=1)
    assert np.bincount(grouped.labels[rows]).tolist() == [30, 30, 30]
    assert (np.diff(rows) > 0).all()
    other = sample(np.zeros((240, 2)), grouped.labels)
    assert np.array_equal(chosen_jets(other, jets=90, seed=1), rows)
    assert not np.array_equal(chosen_jets(other, jets=90, seed=2), rows)


def test_all_jets_of_a_class_that_has_few_are_taken():
    labels = np.repeat([0, 1], [50, 3])
    assert len(chosen_jets(sample(np.zeros((53, 1)), labels), jets=20, seed=0)) == 13


def test_far_groups_stay_apart_and_the_map_comes_again(grouped):
    pytest.importorskip("umap")
    first, again = (embedding_map(grouped, backbone="x", jets=120, neighbours=10) for _ in range(2))
    assert first.tables["map"].equals(again.tables["map"])
    table = first.tables["map"]
    labels = grouped.labels[table["jet"]]
    places = table[["x", "y"]].to_numpy()
    centres = np.stack([places[labels == number].mean(axis=0) for number in range(3)])
    nearest = np.argmin(((places[:, None] - centres) ** 2).sum(axis=2), axis=1)
    assert (nearest == labels).mean() > 0.95
    values = {each.metric: each.value for each in first.scores}
    assert 0.7 < values["trustworthiness"] <= 1
    assert {each.n_background for each in first.scores} == {40}


def test_without_umap_that_is_named_and_nothing_is_drawn(grouped, monkeypatch):
    monkeypatch.setitem(sys.modules, "umap", None)
    outcome = embedding_map(grouped, backbone="x", jets=120, neighbours=10)
    assert "pip install 'jetassay[maps]'" in outcome.problems["umap-learn"]
    assert not outcome.scores
    assert not outcome.tables


@pytest.mark.parametrize(
    ("embedding", "jets", "words"),
    [(np.ones((240, 4)), 240, "the same for all"), (np.zeros((240, 4)), 20, "need more than 30")],
)
def test_embeddings_that_make_no_map_are_named(grouped, embedding, jets, words):
    with pytest.raises(DataError, match=words):
        embedding_map(sample(embedding, grouped.labels), backbone="x", jets=jets)
