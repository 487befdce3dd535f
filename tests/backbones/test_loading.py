"""From a card to a backbone: what it is made of, in which precision, and what it refuses."""

import hashlib

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from jetassay.backbones.loading import build_module, load_backbone
from jetassay.errors import ConfigError, DataError, WeightsError

PART = """
architecture = "jetassay.backbones.part:build"
feature_set = "part-kin"
embedding_dim = 24
labels = "jetclass"

[parameters]
input_dim = 7
num_classes = 10
embed_dims = [16, 24]
pair_embed_dims = [8]
num_heads = 4
num_layers = 2
num_cls_layers = 1
"""
WEIGHTS = '\n[weights]\nfile = "w.safetensors"\nsha256 = "{}"\nlicence = "MIT"\n'
TWIN = 'untrained_twin_of = "trained"\nseed = {}\n'


@pytest.fixture
def trained(write_card, moved):
    """A card with weights beside it."""
    unfinished = write_card(PART + WEIGHTS.format("0" * 64), name="trained")
    path = unfinished.folder / "w.safetensors"
    save_file(moved(build_module(unfinished)).state_dict(), path)
    return write_card(PART + WEIGHTS.format(hashlib.sha256(path.read_bytes()).hexdigest()), name="trained")


def test_a_backbone_gives_embeddings_and_probabilities(trained, make_batch):
    found = load_backbone(trained).embed(make_batch([3, 40, 1]))
    assert found.embedding.shape == (3, 24)
    assert found.embedding.dtype == np.float32
    assert found.scores.shape == (3, 10)
    np.testing.assert_allclose(found.scores.sum(axis=1), 1, rtol=1e-6)


def test_labels_are_those_of_the_card(trained):
    assert load_backbone(trained).labels[:3] == ("QCD", "Hbb", "Hcc")


def test_the_module_is_frozen_and_in_inference_mode(trained):
    module = load_backbone(trained).module
    assert not module.training
    assert not any(parameter.requires_grad for parameter in module.parameters())


def test_weights_are_identified_by_what_is_in_memory_whatever_the_precision(trained):
    assert load_backbone(trained).weights_sha256 == load_backbone(trained, dtype="float64").weights_sha256


@pytest.mark.parametrize(("dtype", "largest"), [("float64", 0.5), ("bfloat16", 0.5)])
def test_other_precisions_agree_roughly_and_are_not_the_same(dtype, largest, trained, make_batch):
    batch = make_batch([30, 50])
    one, other = (load_backbone(trained, dtype=each).embed(batch) for each in ("float32", dtype))
    assert 0 < np.abs(one.embedding - other.embedding).max() < largest
    assert other.embedding.dtype == np.float32
    np.testing.assert_allclose(other.scores.sum(axis=1), 1, rtol=1e-5)


def test_an_untrained_twin_is_the_same_every_time(trained, write_card, make_batch):
    one, other = (load_backbone(write_card(TWIN.format(5))) for _ in range(2))
    assert one.weights_sha256 == other.weights_sha256
    batch = make_batch([10, 20])
    np.testing.assert_array_equal(one.embed(batch).embedding, other.embed(batch).embedding)


def test_twins_with_other_seeds_are_other_networks(trained, write_card):
    one, other = (load_backbone(write_card(TWIN.format(seed))) for seed in (5, 6))
    assert len({one.weights_sha256, other.weights_sha256, load_backbone(trained).weights_sha256}) == 3


def test_a_twin_has_the_architecture_of_the_original_and_no_scores(trained, write_card, make_batch):
    twin = load_backbone(write_card(TWIN.format(5)))
    shapes = [{name: p.shape for name, p in each.module.named_parameters()} for each in (twin, load_backbone(trained))]
    assert shapes[0] == shapes[1]
    assert twin.embed(make_batch([4])).scores is None
    assert twin.labels == ()


def test_loading_leaves_everybodys_random_numbers_alone(trained, write_card):
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    load_backbone(trained)
    load_backbone(write_card(TWIN.format(5)))
    assert torch.equal(torch.rand(3), expected)


def test_the_state_of_everybodys_random_numbers_does_not_change_a_twin(trained, write_card):
    card = write_card(TWIN.format(5))
    torch.manual_seed(1)
    one = load_backbone(card).weights_sha256
    torch.manual_seed(2)
    assert load_backbone(card).weights_sha256 == one


def test_weights_for_a_card_that_takes_none_are_refused(trained, write_card, tmp_path):
    with pytest.raises(WeightsError, match="takes no weights"):
        load_backbone(write_card(TWIN.format(5)), weights=tmp_path / "w.pt")


def test_a_network_without_weights_is_no_floor(write_card):
    with pytest.raises(WeightsError, match="the architecture has weights, but the card names none"):
        load_backbone(write_card('role = "floor"\n' + PART))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("backbones.part:build", "backbones.nothing:build", "cannot be imported: No module named"),
        (
            "backbones.part:build",
            "backbones.part:make",
            "is no architecture of jetassay; those are",
        ),
        ("backbones.part:build", "backbones.onnx:build", "cannot be imported: module .* has no attribute 'build'"),
        ("num_heads = 4", "number_of_heads = 4", "refuses the card's parameters: .*number_of_heads"),
        ("num_classes = 10", "", "refuses the card's parameters: .*num_classes"),
        ("embed_dims = [16, 24]", 'embed_dims = ["a", "b"]', "refuses the card's parameters"),
        ("num_heads = 4", "num_heads = 5", "num_heads = 5 does not divide"),
        ("embed_dims = [16, 24]", "embed_dims = []", "refuses the card's parameters"),
    ],
)
def test_a_card_whose_architecture_cannot_be_built_is_an_error(old, new, message, trained, write_card):
    text = (trained.folder / "card.toml").read_text().split("\n", 2)[2].replace(old, new)
    with pytest.raises(ConfigError, match=message):
        load_backbone(write_card(text, name="trained"))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("embedding_dim = 24", "embedding_dim = 25", "'embedding_dim': 25.*'embedding_dim': 24"),
        ('labels = "jetclass"', 'labels = ["one", "two"]', "'labels': 2.*'labels': 10"),
        ('"part-kin"', '"part-full"', "does not take inputs of feature set 'part-full'"),
        ('"part-kin"', '"jet-observables"', "does not take inputs of feature set 'jet-observables'"),
    ],
)
def test_a_card_that_does_not_describe_its_network_is_an_error(old, new, message, trained, write_card):
    text = (trained.folder / "card.toml").read_text().split("\n", 2)[2].replace(old, new)
    with pytest.raises(ConfigError, match=message):
        load_backbone(write_card(text, name="trained"))


def test_an_architecture_that_gives_something_else_is_an_error(write_card, monkeypatch):
    monkeypatch.setattr("jetassay.backbones.observables.Observables.forward", lambda *inputs: inputs[-1])
    text = (
        'role = "floor"\narchitecture = "jetassay.backbones.observables:build"\nfeature_set = "jet-observables"\n'
        "embedding_dim = 8\n"
    )
    with pytest.raises(ConfigError, match="not enough values"):
        load_backbone(write_card(text))


def test_labels_without_a_classifier_are_an_error(write_card):
    text = (
        'role = "floor"\narchitecture = "jetassay.backbones.observables:build"\nfeature_set = "jet-observables"\n'
        'embedding_dim = 8\nlabels = ["one"]\n'
    )
    with pytest.raises(ConfigError, match=r"'labels': 1.*'labels': 0"):
        load_backbone(write_card(text))


def test_an_unknown_precision_or_device_is_an_error(trained):
    with pytest.raises(ConfigError, match="no dtype 'float16'; known: float32, float64, bfloat16"):
        load_backbone(trained, dtype="float16")
    with pytest.raises(ConfigError, match="device 'abacus' cannot be used"):
        load_backbone(trained, device="abacus")


def test_a_batch_of_another_feature_set_is_refused(trained, make_batch):
    with pytest.raises(DataError, match=r"takes feature set 'part-kin'.*the batch has 17 and 0"):
        load_backbone(trained).embed(make_batch([3], width=17))


def test_a_batch_without_jets_is_refused(trained, make_batch):
    with pytest.raises(DataError, match="at least one jet"):
        load_backbone(trained).embed(make_batch([3]).take(np.array([], np.int64)))


def test_a_jet_with_too_many_constituents_is_refused(trained, make_batch):
    with pytest.raises(DataError, match="at most 128 constituents, but a jet has 129"):
        load_backbone(trained).embed(make_batch([3, 129]))


def test_an_embedding_that_is_not_finite_is_an_error_with_the_jet(trained, make_batch):
    batch = make_batch([3, 5])
    batch.features[4, 2] = np.nan
    with pytest.raises(DataError, match="the embedding of jet 1 of the batch is not finite"):
        load_backbone(trained).embed(batch)
