"""The plain MLP and the floor without a network."""

import numpy as np
import pytest
import torch

from jetassay.backbones import mlp, observables
from jetassay.backbones.padding import pad
from jetassay.errors import ConfigError

PARAMETERS = {"input_dim": 7, "num_classes": 3, "constituents": 5, "hidden": [16, 8]}


def run(module, batch):
    jets = pad(batch)
    with torch.inference_mode():
        return module(jets.features, jets.p4, jets.mask)


@pytest.fixture
def network(moved):
    return moved(mlp.build(**PARAMETERS))


def test_the_embedding_is_the_last_hidden_layer(network, make_batch):
    embedding, logits = run(network, make_batch([3, 9]))
    assert embedding.shape == (2, 8)
    with torch.inference_mode():
        assert torch.equal(network.fc(embedding), logits)
    assert (embedding >= 0).all()


def test_only_the_leading_constituents_count(network, make_batch):
    batch = make_batch([9, 9])
    before = run(network, batch)[0]
    batch.features[5:9] = 4
    assert torch.equal(run(network, batch)[0], before)
    batch.features[4] = 4
    assert not torch.equal(run(network, batch)[0], before)


def test_a_jet_with_fewer_constituents_is_filled_with_zeros(network, make_batch):
    batch = make_batch([2])
    whole = make_batch([5])
    whole.features[:2], whole.features[2:] = batch.features, 0
    assert torch.equal(run(network, batch)[0], run(network, whole)[0])


def test_padding_is_never_read(network, make_batch):
    jets = pad(make_batch([2, 9]))
    with torch.inference_mode():
        clean = network(jets.features, jets.p4, jets.mask)[0]
        jets.features[~jets.mask] = float("nan")
        assert torch.equal(network(jets.features, jets.p4, jets.mask)[0], clean)


def test_a_jet_alone_and_among_longer_ones_is_the_same(network, make_batch):
    batch = make_batch([2, 9])
    torch.testing.assert_close(run(network, batch)[0][:1], run(network, batch.take(np.array([0])))[0])


@pytest.mark.parametrize("wrong", [{"hidden": []}, {"constituents": 0}])
def test_an_mlp_without_layers_or_constituents_is_refused(wrong):
    with pytest.raises(ConfigError, match="at least one"):
        mlp.build(**{**PARAMETERS, **wrong})


def test_observables_pass_through_unchanged(make_batch):
    jets = pad(make_batch([1, 4], width=0, jet_width=8))
    embedding, logits = observables.build()(jets.features, jets.p4, jets.mask, jets.jet_features)
    assert torch.equal(embedding, jets.jet_features)
    assert logits is None
