"""Operations agree with a count by hand, and memory with tensors that are made and dropped."""

import numpy as np
import pytest
import torch

from jetassay.backbones.catalogue import backbone_cards, find_card
from jetassay.backbones.loading import load_backbone
from jetassay.backbones.part_flops import nominal_flops
from jetassay.embeddings.footprint import _Held, measure_footprint
from jetassay.features.batch import InputBatch


def batch_for(backbone, *, jets, constituents):
    stream = np.random.default_rng(2)
    n = jets * constituents
    momenta = stream.normal(0, 5, (n, 3))
    p4 = np.concatenate([momenta, np.sqrt((momenta**2).sum(axis=1, keepdims=True) + 0.02)], axis=1)
    features = stream.normal(0, 1, (n, len(backbone.feature_set.features)))
    jet_features = stream.normal(0, 1, (jets, backbone.feature_set.jet_width))
    offsets = np.arange(0, n + 1, constituents, dtype=np.int64)
    return InputBatch(*(each.astype(np.float32) for each in (features, p4)), offsets, jet_features.astype(np.float32))


def test_tensors_count_while_they_live_and_views_do_not():
    with _Held() as held:
        first = torch.ones(1000)
        second = first * 2
        del first
        third = second + 1
        view = third.view(10, 100)
        del third
    assert held.peak == 8000
    assert view.shape == (10, 100)
    with _Held() as held:
        torch.ones(1000).add_(1)
    assert held.peak == 4000


def test_a_transformer_computes_what_the_count_by_hand_says():
    card = find_card(backbone_cards(), "part-mini")
    backbone = load_backbone(card)
    by_hand = float(nominal_flops(np.array([40]), **card.parameters)[0])
    found = measure_footprint(backbone, batch_for(backbone, jets=30, constituents=40))
    assert found.flops_per_jet == pytest.approx(by_hand, rel=0.1)
    assert found.constituents_per_jet == 40
    more = measure_footprint(backbone, batch_for(backbone, jets=30, constituents=80))
    assert more.flops_per_jet > 2 * found.flops_per_jet
    assert 0 < found.peak_memory_mib < more.peak_memory_mib


def test_a_backbone_without_matrix_products_has_no_footprint():
    backbone = load_backbone(find_card(backbone_cards(), "jet-observables"))
    assert measure_footprint(backbone, batch_for(backbone, jets=3, constituents=5)) is None
