"""What every backbone promises, over every card whose weights are at hand."""

import numpy as np
import pytest

from jetassay.backbones.catalogue import backbone_cards
from jetassay.backbones.loading import load_backbone
from jetassay.backbones.weights import weights_state
from jetassay.features.sets import FEATURE_SETS

NAMES = sorted(backbone_cards())


@pytest.fixture(scope="module", params=NAMES)
def backbone(request):
    card = backbone_cards()[request.param]
    if weights_state(card) == "weights missing":
        pytest.skip(f"the official weights of {card.name} are not on this machine")
    return load_backbone(card)


@pytest.fixture
def batch(backbone, make_batch):
    def make(multiplicities):
        return make_batch(multiplicities, feature_set=FEATURE_SETS[backbone.card.feature_set])

    return make


def test_shapes_and_types_are_those_of_the_card(backbone, batch):
    found = backbone.embed(batch([7, 41, 1]))
    assert found.embedding.shape == (3, backbone.card.embedding_dim)
    assert found.embedding.dtype == np.float32
    assert backbone.labels == backbone.card.label_names
    assert (found.scores is None) == (backbone.labels == ())
    if found.scores is not None:
        assert found.scores.shape == (3, len(backbone.labels))
        assert found.scores.dtype == np.float32
        np.testing.assert_allclose(found.scores.sum(axis=1), 1, rtol=1e-5)


def test_every_multiplicity_gives_finite_embeddings(backbone, batch):
    for first in range(1, 129, 16):
        found = backbone.embed(batch(range(first, first + 16)))
        assert np.isfinite(found.embedding).all()


def test_a_jet_is_the_same_in_any_batch(backbone, batch):
    jets = batch([1, 2, 15, 16, 17, 40, 90, 128])
    together = backbone.embed(jets).embedding
    scale = max(1.0, float(np.abs(together).max()))
    alone = np.concatenate([backbone.embed(jets.take(np.array([jet]))).embedding for jet in range(len(jets))])
    assert np.abs(together - alone).max() <= 1e-4 * scale
    order = np.array([3, 7, 0, 5])
    assert np.abs(together[order] - backbone.embed(jets.take(order)).embedding).max() <= 1e-4 * scale


def test_class_probabilities_stay_with_their_jets(backbone, batch):
    if not backbone.labels:
        pytest.skip(f"{backbone.card.name} gives no class probabilities")
    jets = batch([3, 90, 17, 40, 1, 60])
    backwards = backbone.embed(jets.take(np.arange(6)[::-1].copy())).scores[::-1]
    assert np.abs(backbone.embed(jets).scores - backwards).max() <= 1e-4


def test_the_same_batch_gives_the_same_bits(backbone, batch):
    jets = batch([5, 30, 64])
    one, other = backbone.embed(jets), backbone.embed(jets)
    np.testing.assert_array_equal(one.embedding, other.embedding)


def test_the_order_of_constituents_changes_nothing_where_the_card_says_so(backbone, batch):
    jets = batch([40])
    order = np.random.default_rng(1).permutation(40)
    shuffled = type(jets)(jets.features[order], jets.p4[order], jets.offsets, jets.jet_features)
    difference = np.abs(backbone.embed(jets).embedding - backbone.embed(shuffled).embedding).max()
    assert (difference <= 1e-4) == backbone.card.permutation_invariant


def test_inputs_are_left_as_they_were(backbone, batch):
    jets = batch([5, 30])
    before = [array.copy() for array in (jets.features, jets.p4, jets.offsets, jets.jet_features)]
    backbone.embed(jets)
    for array, copy in zip((jets.features, jets.p4, jets.offsets, jets.jet_features), before, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_different_jets_have_different_embeddings(backbone, batch):
    one, other = backbone.embed(batch([30, 31])).embedding
    assert np.abs(one - other).max() > 1e-3
