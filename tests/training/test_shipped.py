"""The weights that ship: those that their cards say, made as their recipes say, and as good as measured."""

import csv
import hashlib

import pytest
import torch

from jetassay.backbones.card import read_card
from jetassay.backbones.loading import load_backbone
from jetassay.places import models_folder
from jetassay.progress import Reporter
from jetassay.training.evaluation import measure
from jetassay.training.loop import predict
from jetassay.training.recipe import read_training_recipe, trained_names
from jetassay.training.sample import load_sample

NAMES = trained_names()
MEGABYTE = 1_000_000


@pytest.fixture(params=NAMES)
def card(request):
    return read_card(models_folder() / request.param / "card.toml")


def test_all_weights_together_stay_small():
    assert NAMES
    assert sum((models_folder() / name / "weights.safetensors").stat().st_size for name in NAMES) <= 10 * MEGABYTE


def test_the_file_is_the_one_that_the_card_names(card):
    content = (models_folder() / card.name / card.weights.file).read_bytes()
    assert hashlib.sha256(content).hexdigest() == card.weights.sha256
    assert len(content) == card.weights.size


def test_weights_load_strictly_and_are_float32(card):
    backbone = load_backbone(card)
    assert {value.dtype for value in backbone.module.state_dict().values() if value.is_floating_point()} == {
        torch.float32
    }


def test_the_card_holds_the_recipe_that_lies_beside_it(card):
    recipe = read_training_recipe(card.name)
    assert card.training.recipe == recipe.content()
    assert (card.parameters, card.feature_set) == (recipe.parameters, recipe.feature_set)


def test_curves_end_where_the_recipe_says_and_fell(card):
    with (models_folder() / card.name / card.training.curves).open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == card.training.recipe["optimisation"]["epochs"]
    assert float(rows[-1]["train_loss"]) < float(rows[0]["train_loss"])


def test_labels_without_training_jets_are_listed(card):
    with (models_folder() / card.name / "labels.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert tuple(row["label"] for row in rows) == card.label_names
    assert sum(int(row["train"]) for row in rows) == card.training.jets
    assert sum(int(row["train"]) > 0 for row in rows) == card.training.measured["labels_trained"]


@pytest.mark.slow
def test_the_measured_performance_is_found_again(card):
    """Simulates the training sample where the cache does not have it: half an hour on two cores."""
    recipe = read_training_recipe(card.name)
    sample = load_sample(recipe, workers=None, reporter=Reporter(quiet=True))
    assert sample.digest == card.training.data_digest
    found = measure(predict(load_backbone(card).module, sample.test), sample.test.labels, sample.names)
    measured = card.training.measured
    assert found.accuracy == pytest.approx(measured["accuracy"], abs=1e-3)
    assert found.macro_ovo_auc == pytest.approx(measured["macro_ovo_auc"], abs=1e-4)
