"""Operations of the Particle Transformer: by hand, and as torch counts those of the readable network."""

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from jetassay.backbones.padding import pad
from jetassay.backbones.part import build
from jetassay.backbones.part_flops import nominal_flops

TINY = {
    "input_dim": 3,
    "num_classes": 5,
    "embed_dims": (6, 4),
    "pair_embed_dims": (7,),
    "num_heads": 2,
    "num_layers": 2,
    "num_cls_layers": 1,
    "ffn_ratio": 3,
    "fc_params": ((8, 0.1),),
}


def test_a_jet_of_two_constituents_costs_what_a_hand_count_says():
    embedding = 2 * (2 * 3 * 6 + 2 * 6 * 4)
    pairs = 3 * (2 * 4 * 7 + 2 * 7 * 2)
    one_layer = 2 * (2 * 4 * 12 + 2 * 4 * 4 + 2 * 4 * 12 + 2 * 12 * 4) + (2 * 2 * 2 * 4) + (2 * 2 * 2 * 4)
    class_layer = (2 * 4 * 4 + 2 * 4 * 4 + 2 * 4 * 12 + 2 * 12 * 4) + 3 * (2 * 4 * 4 + 2 * 4 * 4) + 2 * (2 * 3 * 4)
    classifier = 2 * 4 * 8 + 2 * 8 * 5
    assert nominal_flops(np.array([2]), **TINY) == [embedding + pairs + 2 * one_layer + class_layer + classifier]


@pytest.mark.parametrize("n", [1, 2, 41, 128])
@pytest.mark.parametrize(
    "parameters",
    [
        {"input_dim": 17, "num_classes": 10},
        {"input_dim": 17, "num_classes": 188, "fc_params": ((512, 0.1),), "use_pre_activation_pair": True},
        {**TINY, "use_pre_activation_pair": True},
    ],
    ids=["ParT", "Sophon", "tiny"],
)
def test_one_jet_costs_what_torch_counts_for_the_readable_network(parameters, n, make_batch):
    jets = pad(make_batch([n], width=parameters["input_dim"]))
    module = build(**parameters).eval().requires_grad_(requires_grad=False)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        module(jets.features, jets.p4, jets.mask)
    counted = counter.get_total_flops()
    names = {str(operator) for counts in counter.get_flop_counts().values() for operator in counts}
    attention = 0
    if not any("attention" in name for name in names):  # torch counts no attention on processors
        width, layers = module.cls_token.shape[-1], len(module.blocks)
        attention = layers * 4 * n * n * width + len(module.cls_blocks) * 4 * (n + 1) * width
    assert nominal_flops(np.array([n]), **parameters) == [counted + attention]


def test_each_jet_is_counted_alone():
    alone = [nominal_flops(np.array([n]), input_dim=17, num_classes=10)[0] for n in (3, 128)]
    np.testing.assert_array_equal(nominal_flops(np.array([3, 128]), input_dim=17, num_classes=10), alone)
