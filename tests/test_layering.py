"""All layers of the backbones of a suite, from one pass over the first test jets, to scores and a table."""

from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError

from jetassay import steps
from jetassay.backbones.catalogue import backbone_cards, find_card
from jetassay.backbones.loading import load_backbone
from jetassay.embeddings.datasets import default_store, embed_dataset
from jetassay.errors import ConfigError, DataError
from jetassay.layering import embed_layers
from jetassay.progress import Reporter
from jetassay.run import run_suite
from jetassay.scoring import score_all
from jetassay.suite import Suite
from jetassay.tasks.catalogue import LAYERS, TASKS

QUIET = Reporter(quiet=True)


def suite_on(folder, **changes):
    table = {
        "name": "mine",
        "title": "Mine",
        "backbones": ["tiny-1", "tiny-2", "jet-observables"],
        "dataset": {"card": "jetclass", "folder": str(folder)},
        "split": {"train": 1, "validation": 1, "test": 1},
        "layers": {"jets": 20},
    }
    return Suite.model_validate(table | changes)


def embedded_by(suite):
    backbones = steps.load_backbones(suite, device="cpu", reporter=QUIET)
    dataset = steps.find_jets(suite.dataset, reporter=QUIET)
    splits = steps.split_jets(suite, dataset)
    found, problems = embed_layers(suite, backbones, dataset, splits, reporter=QUIET)
    assert not problems
    return backbones, dataset, splits, found


def test_layers_are_those_of_each_layer_on_the_first_jets_of_each_test_file(home, jets_folder):
    _, dataset, splits, found = embedded_by(suite_on(jets_folder))
    assert set(found) == {"tiny-1", "tiny-2"}
    sample = found["tiny-1"].sample
    assert len(sample) == 40
    assert sample.keys.entries.max() == 19
    card = find_card(backbone_cards(), "tiny-1@mean-block-1")
    alone = embed_dataset(load_backbone(card), dataset.limited(20), store=default_store())
    rows = np.flatnonzero(alone.jets.in_files(splits["test"]))
    assert np.array_equal(found["tiny-1"].by_depth()["mean-block-1"], alone.embedding[rows])
    assert list(found["tiny-1"].by_depth()) == ["mean-block-1", "class-token"]


def test_a_second_time_everything_comes_from_the_store(home, jets_folder, monkeypatch):
    suite = suite_on(jets_folder)
    first = embedded_by(suite)[-1]
    monkeypatch.setattr("jetassay.embeddings.datasets.embed_together", None)
    again = embedded_by(suite)[-1]
    assert np.array_equal(first["tiny-2"].sample.embedding, again["tiny-2"].sample.embedding)


def test_the_suite_scores_layers_of_the_backbones_that_have_them(home, jets_folder):
    suite = suite_on(jets_folder, layers={"jets": 24, "backbones": ["tiny-2"]})
    *_, splits, found = embedded_by(suite)
    scored = score_all(suite, {}, splits, layers=found, reporter=QUIET)
    assert {"at least 64 jets" in problem for problem in scored.problems} == {True}  # 48 jets here
    assert "first 24 of each test file" in scored.protocol


def test_nan_in_an_inner_layer_costs_no_other_score(home, jets_folder, monkeypatch):
    def broken(backbone, *args, **options):
        if backbone.card.reference == "tiny-2@all-layers":
            raise DataError("backbone 'tiny-2' gives NaN")
        return embed_dataset(backbone, *args, **options)

    monkeypatch.setattr("jetassay.embeddings.datasets.embed_dataset", broken)
    layers = {"jets": 40, "backbones": ["tiny-1", "tiny-2"]}
    suite = suite_on(jets_folder, layers=layers, probe={"signals": ["Hbb"]}, audit=False)
    outcome = run_suite(suite, reporter=QUIET)
    assert "layers, tiny-2: backbone 'tiny-2' gives NaN" in outcome.problems
    assert any(each.startswith("layers, all: at least 64 jets") for each in outcome.problems), "tiny-1 went on"
    frame = outcome.results.frame
    assert set(frame.loc[frame["task"] == "probe", "backbone"]) == {"tiny-1", "tiny-2", "jet-observables"}


def test_without_the_table_there_are_no_layers(home, jets_folder):
    assert embedded_by(suite_on(jets_folder, layers=None))[-1] == {}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"layers": {"backbones": ["jet-observables"]}},
            "card of jet-observables names no layers; those of tiny-1, ti",
        ),
        ({"backbones": ["jet-observables"]}, "every backbone of the suite names no layers"),
        ({"backbones": ["tiny-1@mean-block-1"]}, "every backbone of the suite names no layers"),
    ],
)
def test_backbones_without_layers_are_refused_by_name(home, jets_folder, changes, message):
    with pytest.raises(ConfigError, match=message):
        embedded_by(suite_on(jets_folder, **changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layers": {"backbones": ["mlp"]}}, "not among the suite's backbones: mlp"),
        ({"layers": {"jets": 0}}, "greater than 0"),
        (
            {"similarity_families": {"anchors": [{"kind": "another seed", "backbone": "tiny-1", "other": "mlp"}]}},
            "not among the suite's backbones: mlp",
        ),
        (
            {"similarity_families": {"anchors": [{"kind": "twin", "backbone": "tiny-1", "other": "tiny-2"}]}},
            "'untrained twin' or 'another seed'",
        ),
        ({"similarity_families": {"bandwidth": 0}}, "greater than 0"),
        ({"similarity_families": {}, "backbones": ["tiny-1"]}, "compares pairs of backbones"),
    ],
)
def test_a_suite_that_asks_for_what_cannot_be_is_refused(jets_folder, changes, message):
    with pytest.raises(ValidationError, match=message):
        suite_on(jets_folder, **changes)


def test_a_plug_in_that_takes_layers_needs_the_table(jets_folder, monkeypatch):
    other = replace(LAYERS, name="other")
    monkeypatch.setattr("jetassay.suite.TASKS", {"other": other, **TASKS})
    with pytest.raises(ValidationError, match=r"other: made from all layers of backbones; add a table \[layers\]"):
        suite_on(jets_folder, layers=None, tasks={"other": {}})
    assert suite_on(jets_folder, tasks={"other": {}}).chosen["other"] == {}
