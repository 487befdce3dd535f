import csv
import tomllib

import pytest
import torch
from safetensors.torch import load_file

from jetassay.backbones.card import read_card
from jetassay.progress import Reporter
from jetassay.training.evaluation import measure
from jetassay.training.loop import predict, train
from jetassay.training.mini import build
from jetassay.training.product import serialise, write_product
from jetassay.training.recipe import TrainingRecipe


@pytest.fixture(scope="module")
def product(recipe, sample, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / recipe.name
    checkpoint = tmp_path_factory.mktemp("state") / "state.pt"
    progress = train(
        lambda: build(recipe), sample, recipe.optimisation, checkpoint=checkpoint, reporter=Reporter(quiet=True)
    )
    module = build(recipe)
    module.load_state_dict(progress.best_weights)
    performance = measure(predict(module, sample.test), sample.test.labels, sample.names)
    return write_product(folder, recipe, sample, progress, performance), progress, performance


def test_the_card_holds_all_that_is_needed_to_make_the_weights_again(product, recipe, sample):
    path, _, _ = product
    card = read_card(path)
    assert card.training is not None
    again = TrainingRecipe.model_validate({"title": recipe.title, **card.training.recipe})
    assert again == recipe
    assert card.training.data_digest == sample.digest
    assert card.training.jets == len(sample.train)


def test_the_card_says_what_was_measured(product):
    path, progress, performance = product
    training = read_card(path).training
    assert training is not None
    assert training.measured["accuracy"] == pytest.approx(performance.accuracy, abs=1e-5)
    assert training.measured["auc_Hbb_vs_QCD"] == pytest.approx(performance.auc_vs_background["Hbb"], abs=1e-5)
    assert training.measured["best_epoch"] == progress.best.epoch
    assert {"date", "machine", "torch"} <= training.environment.keys()


def test_the_weights_are_those_of_the_best_epoch(product):
    path, progress, _ = product
    card = tomllib.loads(path.read_text(encoding="utf-8"))
    weights = load_file(path.parent / card["weights"]["file"])
    assert weights.keys() == progress.best_weights.keys()
    assert all(torch.equal(weights[name], value) for name, value in progress.best_weights.items())
    assert (path.parent / card["weights"]["file"]).stat().st_size == card["weights"]["size"]


def test_the_same_weights_are_the_same_bytes():
    weights = {"b": torch.ones(3), "a": torch.zeros(2, 2).T}
    assert serialise(weights, name="x") == serialise(dict(reversed(weights.items())), name="x")


def test_curves_have_a_row_an_epoch_and_labels_a_row_a_label(product, sample):
    path, progress, _ = product
    with (path.parent / "curves.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["epoch"]) for row in rows] == [1, 2]
    assert float(rows[1]["validation_loss"]) == pytest.approx(progress.curves[1].validation_loss, rel=1e-6)
    with (path.parent / "labels.csv").open(encoding="utf-8") as file:
        labels = list(csv.DictReader(file))
    assert [row["label"] for row in labels] == list(sample.names)
    assert sum(int(row["train"]) for row in labels) == len(sample.train)
