"""Other people's networks under audit, through nothing but the protocol: ONNX files and files written for weaver."""

import hashlib

import numpy as np
import onnx
import pytest
import torch
from jet_files import audited_jets, subject_of, write_files
from onnx import TensorProto, helper, numpy_helper

from jetassay.adding import WeaverModel, add_weaver
from jetassay.audit.audit import run_check
from jetassay.audit.catalogue import CHECKS
from jetassay.backbones.card import read_card
from jetassay.backbones.loading import load_backbone
from jetassay.backbones.trust import trusting
from jetassay.progress import Reporter

QUIET = Reporter(quiet=True)
ONNX_CARD = """
name = "mine"
title = "Mine"
architecture = "jetassay.backbones.onnx:load"
feature_set = "part-kin"
embedding_dim = 6
trained_on = ["other-jets"]
[weights]
file = "model.onnx"
sha256 = "{sha256}"
licence = "MIT"
[parameters]
embedding = {{ output = "embedding", stop = 6 }}
[parameters.inputs]
features = "features"
mask = "mask"
"""
DATA = """
treename: tree
new_variables:
  part_mask: ak.ones_like(part_px)
  part_pt: np.hypot(part_px, part_py)
  part_pt_log: np.log(part_pt)
preprocess: {method: manual}
inputs:
  pf_features:
    length: 128
    pad_mode: wrap
    vars:
      - [part_pt_log, 1.7, 0.7]
      - [part_charge, null]
      - [part_deta, null]
      - [part_dphi, null]
  pf_mask:
    length: 128
    pad_mode: constant
    vars: [[part_mask, null]]
labels:
  type: simple
  value: [label_QCD, label_Hbb]
"""
NETWORK = """
import torch

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first = torch.nn.Linear(4, 6)
        self.last = torch.nn.Linear(6, 2)

    def forward(self, features, mask):
        rows = torch.tanh(self.first(features.transpose(1, 2))) * mask.transpose(1, 2)
        return self.last({})

def get_model(data_config, **kwargs):
    return Net(), {{}}
"""


@pytest.fixture(scope="module")
def jets(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JETASSAY_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield audited_jets(write_files(tmp_path_factory.mktemp("jets")))


def write_onnx(path, *, over_the_batch):
    """tanh(W x) of each constituent, summed where the mask is; centred over the batch if asked for."""
    matrix = np.random.default_rng(1).normal(0, 0.4, (6, 7)).astype(np.float32)
    nodes = [
        helper.make_node("MatMul", ["matrix", "features"], ["mixed"]),
        helper.make_node("Tanh", ["mixed"], ["bent"]),
        helper.make_node("Mul", ["bent", "mask"], ["used"]),
        helper.make_node("ReduceSum", ["used", "slots"], ["summed" if over_the_batch else "embedding"], keepdims=0),
    ]
    if over_the_batch:
        nodes.append(helper.make_node("ReduceMean", ["summed"], ["mean"], axes=[0], keepdims=1))
        nodes.append(helper.make_node("Sub", ["summed", "mean"], ["embedding"]))
    graph = helper.make_graph(
        nodes,
        "mine",
        [
            helper.make_tensor_value_info("features", TensorProto.FLOAT, ["J", 7, 128]),
            helper.make_tensor_value_info("mask", TensorProto.FLOAT, ["J", 1, 128]),
        ],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["J", 6])],
        [numpy_helper.from_array(matrix, "matrix"), numpy_helper.from_array(np.array([2]), "slots")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)


def onnx_backbone(folder, *, over_the_batch=False):
    folder = folder / "mine"
    folder.mkdir()
    write_onnx(folder / "model.onnx", over_the_batch=over_the_batch)
    digest = hashlib.sha256((folder / "model.onnx").read_bytes()).hexdigest()
    (folder / "card.toml").write_text(ONNX_CARD.format(sha256=digest))
    return load_backbone(read_card(folder / "card.toml"), reporter=QUIET)


def weaver_backbone(folder, *, read="rows.sum(1)", steps=20):
    """A network file for weaver with a checkpoint after a few steps; `read` makes the last layer's input."""
    (folder / "data.yaml").write_text(DATA)
    (folder / "net.py").write_text(NETWORK.format(read))
    torch.manual_seed(3)
    layers = {"first": torch.nn.Linear(4, 6), "last": torch.nn.Linear(6, 2)}
    state = {f"{name}.{key}": value for name, layer in layers.items() for key, value in layer.state_dict().items()}
    state = {name: value + 0.1 * steps * torch.randn(value.shape) for name, value in state.items()}
    torch.save(state, folder / "net.pt")
    model = WeaverModel(
        name="mine",
        network=str(folder / "net.py"),
        data_config=folder / "data.yaml",
        checkpoint=folder / "net.pt",
        trained_on=("other-jets",),
    )
    with trusting(True):
        card = read_card(add_weaver(model, output=folder / "models", reporter=QUIET) / "card.toml")
        return load_backbone(card, reporter=QUIET)


def statuses(backbone, jets, store):
    subject = subject_of(backbone, jets, store=store)
    names = [name for name, check in CHECKS.items() if check.depth == "cheap"]
    return {row.check: row for name in names for row in run_check(name, subject)}


@pytest.mark.parametrize("make", [onnx_backbone, weaver_backbone])
def test_a_clean_foreign_backbone_passes(jets, tmp_path, make):
    found = statuses(make(tmp_path), jets, tmp_path / "store")
    assert [row for row in found.values() if row.status == "fail"] == []
    for name in ("columns", "taint", "batches", "repeats", "batch-statistics", "padding", "collapse"):
        assert found[name].status == "pass"


def test_an_onnx_file_that_centres_over_its_batch_is_caught(jets, tmp_path):
    found = statuses(onnx_backbone(tmp_path, over_the_batch=True), jets, tmp_path / "store")
    assert found["batch-statistics"].status == found["batches"].status == "fail"


def test_the_weights_of_an_onnx_file_are_told_from_random_ones_by_their_hash_alone(jets, tmp_path):
    found = statuses(onnx_backbone(tmp_path), jets, tmp_path / "store")
    assert found["weights"].status == "note"
    assert "no tensors of torch" in found["weights"].meaning


def test_a_network_file_that_looks_at_the_whole_batch_is_caught(jets, tmp_path):
    backbone = weaver_backbone(tmp_path, read="rows.sum(1) - rows.sum(1).mean(0)")
    found = statuses(backbone, jets, tmp_path / "store")
    assert found["batch-statistics"].status == found["batches"].status == "fail"


def test_a_network_file_with_the_weights_that_it_was_born_with_is_caught(jets, tmp_path):
    found = statuses(weaver_backbone(tmp_path, steps=0), jets, tmp_path / "store")
    assert found["weights"].status == "fail"
    assert "were not loaded" in found["weights"].meaning
