from dataclasses import replace

import numpy as np
import pytest

from jetassay.embeddings.datasets import default_store, embed_dataset
from jetassay.embeddings.perturbed import embed_perturbed
from jetassay.errors import DataError
from jetassay.jets.dataset import open_dataset
from jetassay.jets.perturbations import parse_perturbation
from jetassay.progress import Reporter

QUIET = Reporter(quiet=True)


def embed(backbone, dataset, text, *, entries=30, seed=0):
    perturbation = parse_perturbation(text, seed=seed)
    stops = None if entries is None else dict.fromkeys(dataset.files, entries)
    return embed_perturbed(backbone, dataset, perturbation=perturbation, stops=stops, reporter=QUIET)


def test_without_a_perturbation_nothing_is_new_in_the_description(units):
    known = {
        *("file", "start", "stop", "schema", "selection", "on_invalid", "labelled", "card", "weights", "feature_set"),
        *("dtype", "max_constituents", "entries_per_pool", "token_budget", "kind", "version"),
    }
    assert set(units[0].describe()) == known


def test_the_key_depends_on_every_part_of_a_perturbation(units):
    drop = parse_perturbation("drop=0.1")
    changes = ({}, {"name": "smear"}, {"value": 0.2}, {"seed": 1}, {"version": 2})
    recipes = [replace(units[0].recipe, perturbation=replace(drop, **change)) for change in changes]
    keys = [replace(units[0], recipe=recipe).key for recipe in (units[0].recipe, *recipes)]
    assert len(set(keys)) == len(changes) + 1


def test_the_first_entries_of_each_file_are_embedded_once_and_then_taken_from_the_store(backbone, dataset):
    first = embed(backbone, dataset, "drop=0.4")
    assert len(first) == backbone.jets == 60
    assert np.array_equal(first.jets.entries, np.tile(np.arange(30), 2))
    again = embed(backbone, dataset, "drop=0.4")
    assert backbone.jets == 60
    assert np.array_equal(first.embedding, again.embedding)
    embed(backbone, dataset, "drop=0.4", seed=1)
    assert backbone.jets == 120


def test_a_perturbation_of_no_strength_gives_the_same_embedding(backbone, dataset):
    nominal = embed_dataset(backbone, dataset, store=default_store())
    same = embed(backbone, dataset, "drop=0", entries=None)
    assert np.array_equal(same.embedding, nominal.embedding)
    assert np.array_equal(same.labels, nominal.labels)


def test_jets_lose_constituents_and_energy_before_they_reach_the_backbone(backbone, dataset):
    nominal = embed_dataset(backbone, dataset, store=default_store())
    fewer = embed(backbone, dataset, "drop=0.4", entries=None)
    lost = nominal.embedding[:, 0] - fewer.embedding[:, 0]  # the first is multiplicity
    assert lost.min() == 0
    assert lost.sum() / nominal.embedding[:, 0].sum() == pytest.approx(0.4, abs=0.05)
    assert (fewer.embedding[lost > 0, 1] < nominal.embedding[lost > 0, 1]).all()  # the second is energy


def test_backbones_that_see_fewer_constituents_see_the_same_perturbed_jets(make_backbone, dataset):
    wide, narrow = make_backbone(), make_backbone(max_constituents=5)
    many, few = (embed(each, dataset, "drop=0.4") for each in (wide, narrow))
    assert np.array_equal(few.embedding[:, 0], np.minimum(many.embedding[:, 0], 5))
    short = many.embedding[:, 0] <= 5
    assert short.any()
    assert np.array_equal(many.embedding[short], few.embedding[short])
    assert few.counts.truncated_jets == (~short).sum()


def test_jets_that_cannot_be_perturbed_are_refused_before_any_work(backbone, write):
    dataset = open_dataset("small", [write("QCD_000.parquet", 10)], schema="jetclass")
    columns = tuple(name for name in dataset.schema.columns if name != "jet_eta")
    lacking = replace(dataset, schema=replace(dataset.schema, columns=columns))
    with pytest.raises(DataError, match=r"feature set 'part-kin' under drop=0.1 needs jet_eta"):
        embed(backbone, lacking, "drop=0.1")
    assert not backbone.batches
