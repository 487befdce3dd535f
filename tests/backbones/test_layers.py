"""Every layer that a card names can be taken, and is as sound an embedding as the one that the card gives."""

from functools import cache

import numpy as np
import pytest
import torch

from jetassay.backbones.card import Card
from jetassay.backbones.catalogue import backbone_cards, find_card
from jetassay.backbones.loading import TorchBackbone, build_module, load_backbone
from jetassay.backbones.padding import pad
from jetassay.errors import ConfigError, UnknownNameError

PFN = Card(
    name="pfn",
    title="A Particle Flow Network without weights",
    role="control",
    untrained_twin_of="none",
    seed=3,
    architecture="jetassay.backbones.pfn:build",
    parameters={"input_dim": 7, "num_classes": 10, "phi_sizes": (16, 24), "f_sizes": (32, 20)},
    feature_set="part-kin",
    embedding_dim=20,
    layers={"hidden-2": 20, "hidden-1": 32, "sum": 24},
)
CARDS = {name: card for name, card in backbone_cards().items() if card.layers} | {"pfn": PFN}
REFERENCES = [f"{name}@{layer}" for name, card in CARDS.items() for layer in card.layers]

INNER = [each for each in REFERENCES if find_card(CARDS, each).inner_layer]


@cache
def module_of(name):
    """Random weights serve: what is asked here does not depend on them, and official ones may not be at hand."""
    return build_module(CARDS[name])


def backbone_at(reference):
    card = find_card(CARDS, reference)
    return TorchBackbone(card, module_of(card.name), device=torch.device("cpu"), dtype="float32")


@pytest.mark.parametrize("reference", REFERENCES)
def test_every_layer_of_every_card_is_finite_of_its_width_and_the_same_in_any_batch(reference, make_batch):
    backbone = backbone_at(reference)
    jets = make_batch([1, 2, 17, 40, 128], feature_set=backbone.feature_set)
    together = backbone.embed(jets)
    name, _, layer = reference.partition("@")
    assert together.embedding.shape == (5, CARDS[name].layers[layer])
    assert np.isfinite(together.embedding).all()
    assert (together.scores is None) == (backbone.labels == ())
    scale = max(1.0, float(np.abs(together.embedding).max()))
    order = np.array([3, 0, 2])
    apart = backbone.embed(jets.take(order)).embedding
    assert np.abs(together.embedding[order] - apart).max() <= 1e-4 * scale
    alone = backbone.embed(jets.take(np.array([1]))).embedding  # two slots instead of 128
    assert np.abs(together.embedding[1] - alone).max() <= 1e-4 * scale


@pytest.mark.parametrize("reference", INNER)
def test_what_stands_in_padded_slots_is_never_read(reference, make_batch):
    backbone = backbone_at(reference)
    jets = pad(make_batch([3, 20], feature_set=backbone.feature_set))
    clean = backbone.module.embed_at(backbone.card.inner_layer, jets.features, jets.p4, jets.mask)
    for table in (jets.features, jets.p4):
        table[~jets.mask] = 7.5
    assert torch.equal(clean, backbone.module.embed_at(backbone.card.inner_layer, jets.features, jets.p4, jets.mask))


@pytest.mark.parametrize("name", ["part-mini", "mlp", "pfn", "particlenet-kin"])
def test_layers_of_one_backbone_differ(name, make_batch):
    card = CARDS[name]
    backbones = [backbone_at(f"{name}@{layer}") for layer in card.layers]
    jets = make_batch([20, 30], feature_set=backbones[0].feature_set)
    found = [each.embed(jets).embedding for each in backbones]
    for k, one in enumerate(found):
        assert not any(one.shape == other.shape and np.allclose(one, other) for other in found[:k])


def test_the_mean_of_the_last_block_is_that_of_the_tokens_that_the_class_token_reads(make_batch):
    backbone = backbone_at("part-mini@mean-block-3")
    jets = make_batch([5, 12], feature_set=backbone.feature_set)
    padded = pad(jets)
    with torch.inference_mode():
        tokens = module_of("part-mini").encode(padded.features, padded.p4, padded.mask).numpy()
    expected = np.stack([tokens[0, :5].mean(axis=0), tokens[1, :12].mean(axis=0)])
    np.testing.assert_allclose(backbone.embed(jets).embedding, expected, atol=2e-5)


@pytest.mark.parametrize("name", CARDS)
def test_all_layers_from_one_pass_are_those_from_a_pass_each(name, make_batch):
    card = CARDS[name]
    together = backbone_at(f"{name}@all-layers")
    jets = make_batch([1, 3, 20, 60], feature_set=together.feature_set)
    found = together.embed(jets)
    assert (found.scores, together.labels) == (None, ())
    start = 0
    for layer, width in card.layers.items():
        alone = backbone_at(f"{name}@{layer}").embed(jets).embedding
        assert np.array_equal(found.embedding[:, start : start + width], alone), layer
        start += width
    assert start == found.embedding.shape[1] == together.card.embedding_dim


def test_class_blocks_are_what_the_class_token_is_before_its_normalisation(make_batch):
    backbone = backbone_at("sophon@all-layers")
    jets = make_batch([5, 30], feature_set=backbone.feature_set)
    padded = pad(jets)
    module = module_of("sophon")
    with torch.inference_mode():
        found = module.embed_layers(padded.features, padded.p4, padded.mask)
        assert torch.equal(module.norm(found["class-block-2"]), found["class-token"])
        assert not torch.allclose(found["class-block-1"], found["class-block-2"])
    assert list(found) == [*(f"mean-block-{k}" for k in range(1, 9)), "class-block-1", "class-block-2", "class-token"]


def test_all_layers_have_a_key_that_says_which_they_are():
    every = PFN.at("all-layers")
    fewer = PFN.model_copy(update={"layers": {"hidden-2": 20, "sum": 24}}).at("all-layers")
    assert len({every.digest(), fewer.digest(), PFN.digest(), PFN.at("sum").digest()}) == 4
    assert (every.reference, every.embedding_dim) == ("pfn@all-layers", 76)


def test_the_first_layer_is_the_card_itself_and_an_inner_one_has_a_key_of_its_own():
    card = CARDS["part-mini"]
    assert find_card(CARDS, "part-mini@class-token") is card
    inner = find_card(CARDS, "part-mini@mean-block-2")
    assert (card.reference, card.layer) == ("part-mini", "class-token")
    assert (inner.reference, inner.layer) == ("part-mini@mean-block-2", "mean-block-2")
    assert len({card.digest(), inner.digest(), card.at("mean-block-1").digest()}) == 3


def test_naming_layers_does_not_move_the_key_of_the_embedding():
    """The keys of embeddings that were stored before cards named layers."""
    assert CARDS["pfn"].digest() == Card(**PFN.model_dump(exclude={"layers"})).digest()


def test_a_twin_has_the_layers_of_its_original():
    assert CARDS["part-mini-untrained"].layers == CARDS["part-mini"].layers


def test_an_unknown_layer_is_an_error_that_names_the_known_ones():
    with pytest.raises(ConfigError, match=r"part-mini has no layer 'mean-block-9'.*class-token, mean-block-1"):
        find_card(CARDS, "part-mini@mean-block-9")
    with pytest.raises(ConfigError, match="none but the embedding itself"):
        find_card(backbone_cards(), "jet-observables@class-token")
    with pytest.raises(UnknownNameError, match="Did you mean 'part-mini'"):
        find_card(backbone_cards(), "part-mni@class-token")


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ('{"sum" = 64}', "wide as `embedding_dim`"),
        ('{"Hidden 1" = 32}', "kebab-case"),
        ('{"hidden-1" = 32, "all-layers" = 32}', "call the layer otherwise"),
    ],
)
def test_layers_that_cannot_be_are_refused_with_the_card(write_card, layers, message):
    text = f'role = "floor"\narchitecture = "a:b"\nfeature_set = "part-kin"\nembedding_dim = 32\nlayers = {layers}\n'
    with pytest.raises(ConfigError, match=message):
        write_card(text)


@pytest.mark.parametrize("layers", [{"sum": 20}, {"hidden-2": 20, "hidden-1": 31}, {"hidden-2": 20, "mean-block-1": 8}])
def test_layers_that_the_architecture_does_not_have_are_refused_when_loading(layers):
    card = Card(**PFN.model_dump(exclude={"layers"}), layers=layers)
    with pytest.raises(ConfigError, match="it has hidden-2 = 20, hidden-1 = 32, sum = 24, in this order"):
        load_backbone(card)


def test_an_architecture_that_loads_itself_offers_no_layers():
    card = Card(**PFN.model_dump(exclude={"architecture"}), architecture="jetassay.backbones.nowhere:load")
    with pytest.raises(ConfigError, match="gives one embedding; take `layers` out"):
        load_backbone(card)
