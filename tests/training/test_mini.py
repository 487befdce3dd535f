import numpy as np
import pytest
import torch

from jetassay.backbones.card import read_card
from jetassay.backbones.loading import load_backbone
from jetassay.errors import ConfigError, InterruptedRunError
from jetassay.progress import Reporter
from jetassay.training import mini
from jetassay.training.toml import to_toml


@pytest.fixture
def models(recipe, sample, tmp_path, monkeypatch):
    """A models folder with one recipe in it, whose jets need no simulation."""
    monkeypatch.setenv("JETASSAY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("jetassay.training.recipe.models_folder", lambda: tmp_path / "models")
    monkeypatch.setattr(mini, "models_folder", lambda: tmp_path / "models")
    monkeypatch.setattr(mini, "load_sample", lambda *_, **__: sample)
    folder = tmp_path / "models" / recipe.name
    folder.mkdir(parents=True)
    (folder / "training.toml").write_text(to_toml(recipe.model_dump(mode="json")), encoding="utf-8")
    return tmp_path / "models"


def train_mini(names=None):
    return mini.train_mini(names, reporter=Reporter(quiet=True))


def test_what_was_trained_loads_as_a_backbone_that_scores_as_measured(models, sample):
    (path,) = train_mini()
    card = read_card(path)
    output = load_backbone(card).embed(sample.test.inputs)
    accuracy = (output.scores.argmax(axis=1) == sample.test.labels).mean()
    assert accuracy == pytest.approx(card.training.measured["accuracy"], abs=1e-5)
    assert output.embedding.shape == (len(sample.test), card.embedding_dim)


def test_training_again_from_nothing_gives_the_same_weights(models, tmp_path):
    (path,) = train_mini()
    first = path.with_name("weights.safetensors").read_bytes()
    for state in (tmp_path / "cache" / "training").iterdir():
        state.unlink()
    train_mini(["tiny"])
    assert path.with_name("weights.safetensors").read_bytes() == first


def test_a_training_that_was_stopped_says_where_it_goes_on(models, monkeypatch):
    def stopped(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(mini, "train", stopped)
    with pytest.raises(InterruptedRunError, match="goes on from there"):
        train_mini()
    assert not (models / "tiny" / "card.toml").exists()


def test_nothing_is_trained_where_one_name_is_unknown(models):
    with pytest.raises(ConfigError, match="small"):
        train_mini(["tiny", "small"])
    assert not (models / "tiny" / "card.toml").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"embedding_dim": 9}, "the network gives {'embedding_dim': 8, 'labels': 10}"),
        ({"architecture": "jetassay.backbones.mlp:make"}, "is no architecture of jetassay"),
        ({"parameters": {"input_dim": 7, "classes": 10}}, "refuses the card's parameters"),
        ({"parameters": {"input_dim": 6, "num_classes": 10, "hidden": [8]}}, "does not take inputs"),
    ],
)
def test_a_network_that_does_not_fit_is_found_before_training(recipe, sample, changes, message):
    with pytest.raises(ConfigError, match=message):
        mini.require_fit(recipe.model_copy(update=changes), sample)


def test_the_checkpoint_depends_on_recipe_and_jets(recipe):
    paths = {
        mini.checkpoint_path(recipe, data_digest="a" * 64),
        mini.checkpoint_path(recipe, data_digest="b" * 64),
        mini.checkpoint_path(recipe.model_copy(update={"embedding_dim": 9}), data_digest="a" * 64),
    }
    assert len(paths) == 3


def test_untrained_weights_follow_from_the_random_state(recipe):
    found = []
    for seed in (1, 1, 2):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            found.append(mini.build(recipe).fc.weight.detach().numpy())
    assert np.array_equal(found[0], found[1])
    assert not np.array_equal(found[0], found[2])
