"""Untrained twins: the same architecture and jets, other weights; and what can have none."""

import numpy as np
import pytest
import torch
from jet_files import audited_jets, subject_of, write_files

from jetassay.adding import WeaverModel, add_weaver
from jetassay.audit.twins import Twins, judge_twins, measure_twins, no_twin, twin_card, untrained_twins
from jetassay.backbones.card import Card, Weights, read_card
from jetassay.backbones.catalogue import backbone_cards
from jetassay.backbones.loading import TorchBackbone, build_module, load_backbone, torch_device
from jetassay.backbones.trust import trusting
from jetassay.features.inputs import compute_inputs
from jetassay.progress import Reporter

PARAMETERS = {
    "input_dim": 7,
    "num_classes": 2,
    "embed_dims": [16],
    "pair_embed_dims": [8],
    "num_heads": 2,
    "num_layers": 1,
    "num_cls_layers": 1,
}
DATA = """
new_variables:
  part_mask: ak.ones_like(part_px)
preprocess: {method: manual}
inputs:
  pf_features: {length: 128, pad_mode: constant, vars: [[part_deta, null], [part_dphi, null]]}
  pf_mask: {length: 128, pad_mode: constant, vars: [[part_mask, null]]}
labels: {type: simple, value: [label_QCD, label_Hbb]}
"""
NETWORK = """
import torch

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first = torch.nn.Linear(2, 6)
        self.last = torch.nn.Linear(6, 2)

    def forward(self, features, mask):
        return self.last(torch.relu(self.first((features * mask).sum(-1))))

def get_model(data_config, **kwargs):
    return Net(), {}
"""


def tiny_card(**fields):
    facts = {
        "name": "tiny",
        "title": "Tiny",
        "architecture": "jetassay.backbones.part:build",
        "parameters": PARAMETERS,
        "feature_set": "part-kin",
        "embedding_dim": 16,
        "labels": ("QCD", "Hbb"),
        "weights": Weights(file="weights.safetensors", sha256="0" * 64, licence="MIT"),
    }
    return Card(**facts | fields)


def backbone_of(card, *, seed):
    """The card with weights drawn from `seed`, as if they had been trained and loaded."""
    module = build_module(card.model_copy(update={"seed": seed}))
    return TorchBackbone(card, module, device=torch_device("cpu"), dtype="float32")


@pytest.fixture(scope="module")
def jets(tmp_path_factory):
    return audited_jets(write_files(tmp_path_factory.mktemp("twins"), jets=60), jets=60)


def test_a_twin_of_the_backbones_own_seed_has_its_auc_and_others_have_not(jets):
    found = measure_twins(subject_of(backbone_of(tiny_card(), seed=1), jets, twins=3, seed=0))
    assert found.signals == ("Hbb",)
    assert found.twins.shape == (3, 1)
    assert found.twins[0, 0] == found.own[0]
    assert len(set(found.twins[:, 0])) == 3


def test_a_twin_is_the_control_that_a_card_would_declare(jets):
    batch = compute_inputs(backbone_of(tiny_card(), seed=0).feature_set, jets.of(needs=None, max_constituents=128).jets)
    declared = Card(
        **tiny_card().model_dump(exclude={"weights"})
        | {"role": "control", "untrained_twin_of": "tiny", "seed": 7, "name": "tiny-untrained"}
    )
    twin = load_backbone(twin_card(tiny_card(), seed=7))
    assert twin.card.untrained_twin_of == "tiny"
    assert np.array_equal(twin.embed(batch).embedding, load_backbone(declared).embed(batch).embedding)


def test_a_twin_stays_at_the_layer_of_its_backbone():
    card = tiny_card(layers={"class-token": 16, "mean-block-1": 16}).at("mean-block-1")
    assert load_backbone(twin_card(card, seed=1)).card.inner_layer == "mean-block-1"


def test_a_network_of_weaver_has_twins_as_its_own_file_draws_them(tmp_path, jets):
    (tmp_path / "data.yaml").write_text(DATA)
    (tmp_path / "net.py").write_text(NETWORK)
    shapes = {"first.weight": (6, 2), "first.bias": (6,), "last.weight": (2, 6), "last.bias": (2,)}
    torch.save({name: torch.full(shape, 0.5) for name, shape in shapes.items()}, tmp_path / "net.pt")
    model = WeaverModel(
        name="mine",
        data_config=tmp_path / "data.yaml",
        checkpoint=tmp_path / "net.pt",
        network=str(tmp_path / "net.py"),
    )
    with trusting(True):
        folder = add_weaver(model, output=tmp_path / "models", reporter=Reporter(quiet=True))
        backbone = load_backbone(read_card(folder / "card.toml"), reporter=Reporter(quiet=True))
        found = measure_twins(subject_of(backbone, jets, twins=2))
    assert found.twins.shape == (2, 1)
    assert found.twins[0, 0] != found.twins[1, 0]


def test_weights_that_are_no_better_than_random_fail_by_name(jets):
    (row,) = untrained_twins(subject_of(backbone_of(tiny_card(), seed=1), jets, twins=2, seed=0))
    assert (row.check, row.status) == ("untrained-twins", "fail")
    assert "whether its weights were loaded" in row.meaning


def test_the_share_is_what_twins_reach_of_what_exceeds_chance():
    found = Twins(
        signals=("Hbb", "Zqq"), own=np.array([0.9, 0.8]), twins=np.array([[0.72, 0.53], [0.68, 0.57], [0.70, 0.55]])
    )
    assert found.share == pytest.approx((0.625 - 0.5) / (0.85 - 0.5))
    assert found.shares == pytest.approx([0.5, 1 / 6])
    row = judge_twins(found, trained=True)
    assert (row.status, row.figure) == ("note", "AUC 0.850, twins 0.625 ± 0.000")
    assert "from 17% (Zqq) to 50% (Hbb)" in row.meaning
    assert row.meaning.endswith("Backbone, twins: Hbb 0.900, 0.700 ± 0.020; Zqq 0.800, 0.550 ± 0.020.")
    assert row.numbers["spread, Hbb"] == pytest.approx(0.02)
    assert row.numbers["twins, Zqq"] == pytest.approx(0.55)


def test_a_control_or_a_floor_may_be_as_good_as_its_twins():
    found = Twins(signals=("Hbb",), own=np.array([0.7]), twins=np.array([[0.7], [0.71]]))
    assert judge_twins(found, trained=False).status == "note"
    assert judge_twins(found, trained=True).status == "fail"


def test_an_auc_below_chance_has_no_share():
    found = Twins(signals=("Hbb",), own=np.array([0.4]), twins=np.array([[0.5]]))
    assert np.isnan(found.share)
    assert judge_twins(found, trained=True).status == "fail"
    assert "nan" not in judge_twins(found, trained=False).meaning


def test_too_few_jets_are_told(tmp_path):
    few = audited_jets(write_files(tmp_path / "few", jets=12), jets=50)
    (row,) = untrained_twins(subject_of(backbone_of(tiny_card(), seed=1), few, twins=1))
    assert (row.status, "12 of QCD, 12 of Hbb in training and test jets" in row.meaning) == ("not run", True)


def test_every_shipped_card_has_twins_or_a_reason():
    cards = backbone_cards()
    reasons = {name: no_twin(cards[name]) for name in cards}
    assert reasons["part-mini"] is None
    assert reasons["sophon"] is None
    assert reasons["particlenet-full"] is None
    assert reasons["jet-observables"] == "it has no weights that could be random"
    assert reasons["part-mini-untrained"] == "it is itself part-mini with random weights"
    assert "no network with other weights" in reasons["sophon-onnx"]
    assert no_twin(tiny_card(architecture="jetassay.backbones.foreign:load")) is None
