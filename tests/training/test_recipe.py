import pytest

from jetassay.errors import ConfigError
from jetassay.suite import suites
from jetassay.training.recipe import read_training_recipe, trained_names

NAMES = ("mlp", "part-mini", "sophon-mini")
TEXT = """
name = "tiny"
title = "Tiny"
architecture = "jetassay.backbones.mlp:build"
feature_set = "part-kin"
embedding_dim = 8
parameters = {}
optimisation = {epochs = 1, batch = 8, micro_batch = 8, learning_rate = 1e-3, seed = 1}

[sample]
name = "some-jets"
kind = "jetclass"
seed = 1
train = 1
validation = 1
test = 1
simulated = [{classes = ["QCD"], jets = 30, files = 3}]
"""


@pytest.fixture
def models(tmp_path, monkeypatch):
    monkeypatch.setattr("jetassay.training.recipe.models_folder", lambda: tmp_path)
    return tmp_path


def write(models, text, *, folder="tiny"):
    (models / folder).mkdir()
    (models / folder / "training.toml").write_text(text, encoding="utf-8")


def test_the_recipes_that_ship_are_found():
    assert trained_names() == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_shipped_recipes_share_no_seed_with_a_suite(name):
    """The same seed, kind and number of jets would be the same jets."""
    seed = read_training_recipe(name).sample.seed
    assert all(suite.dataset.seed != seed for suite in suites().values())


def test_a_recipe_is_read_and_its_digest_ignores_words(models):
    write(models, TEXT)
    recipe = read_training_recipe("tiny")
    assert recipe.sample.simulated[0].classes == ("QCD",)
    assert recipe.digest() == recipe.model_copy(update={"title": "Other", "notes": "words"}).digest()
    assert recipe.digest() != recipe.model_copy(update={"embedding_dim": 9}).digest()


def test_an_unknown_recipe_is_named_with_the_known_ones(models):
    write(models, TEXT)
    with pytest.raises(ConfigError, match=r"no training recipe 'small'\. Known: tiny"):
        read_training_recipe("small")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('title = "Tiny"', 'titel = "Tiny"', "titel"),
        ("epochs = 1", "epochs = 0", "epochs"),
        ("files = 3", "files = 2", "files"),
        ('kind = "jetclass"', 'kind = "jetclass3"', "kind"),
        ('name = "tiny"', 'name = "other"', "make them equal"),
    ],
)
def test_a_wrong_key_or_value_is_named(models, old, new, message):
    write(models, TEXT.replace(old, new))
    with pytest.raises(ConfigError, match=message):
        read_training_recipe("tiny")
