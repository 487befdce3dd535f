"""ONNX files in the official layout: equal to the network they were exported from, and refused when they are not."""

import hashlib
import sys
import warnings

import numpy as np
import onnx
import pytest
import torch

from jetassay.backbones import onnx as onnx_backbone
from jetassay.backbones.card import read_card
from jetassay.backbones.catalogue import backbone_cards
from jetassay.backbones.loading import load_backbone
from jetassay.backbones.onnx import OnnxLayout
from jetassay.backbones.part import build
from jetassay.errors import ConfigError, DataError, WeightsError
from jetassay.progress import Reporter

QUIET = Reporter(quiet=True)
NAMES = ("pf_features", "pf_vectors", "pf_mask")
SHAPE = {
    "embed_dims": (16, 16), "pair_embed_dims": (8,), "num_heads": 2, "num_layers": 2, "num_cls_layers": 1,
    "fc_params": ((24, 0.1),), "use_pre_activation_pair": True,
}  # fmt: skip
CARD = """
architecture = "jetassay.backbones.onnx:load"
feature_set = "sophon"
embedding_dim = 16
labels = "jetclass2"
[weights]
file = "model.onnx"
sha256 = "{sha256}"
licence = "MIT"
[parameters]
scores = {{ output = "softmax", stop = 188 }}
embedding = {{ output = "softmax", start = 188, stop = 204 }}
{more}
[parameters.inputs]
pf_features = "features"
pf_vectors = "p4"
pf_mask = "mask"
"""


class Official(torch.nn.Module):
    """Probabilities and embedding in one output, as in the published file."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, features, vectors, mask):
        embedding, logits = self.net(features.transpose(1, 2), vectors.transpose(1, 2), mask.squeeze(1) > 0)
        return torch.cat((logits.softmax(-1), embedding), dim=1)


class OfficialOfWeaver(torch.nn.Module):
    """The same of weaver's network in the form it exports, which takes the azimuth of padded slots as well."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, features, vectors, mask):
        embedding = self.net._forward_aggregator(*self.net._forward_encoder(features, v=vectors, mask=mask))
        return torch.cat((self.net.fc(embedding).softmax(-1), embedding), dim=1)


def of_weaver():
    from weaver.nn.model.ParticleTransformer import ParticleTransformer

    return ParticleTransformer(input_dim=17, num_classes=188, for_inference=True, trim=False, **SHAPE)


def slots(batch, rows, *, filling=0.0):
    mask = np.arange(128) < batch.multiplicities[:, None]
    table = np.full((len(batch), 128, rows.shape[1]), filling, np.float32)
    table[mask] = rows
    return torch.from_numpy(table.transpose(0, 2, 1).copy())


def tensors(batch):
    ones = np.ones((len(batch.features), 1), np.float32)
    return slots(batch, batch.features), slots(batch, batch.p4), slots(batch, ones)


def stirred(module):
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn(parameter.shape), alpha=0.1)
    return module


def example():
    """Two jets, of 3 and of 128 constituents, only to trace the network with."""
    mask = torch.ones(2, 1, 128)
    mask[0, 0, 3:] = 0
    momenta = 1 + torch.rand(2, 3, 128)
    vectors = torch.cat((momenta, 1 + momenta.norm(dim=1, keepdim=True)), dim=1)
    return torch.randn(2, 17, 128) * mask, vectors * mask, mask


def export(module, path, *, fixed=False):
    axes = {} if fixed else {name: {0: "N"} for name in (*NAMES, "softmax")}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter has no other form for these networks, and warns of itself
        torch.onnx.export(
            module, example(), path, dynamo=False, opset_version=17, input_names=list(NAMES),
            output_names=["softmax"], dynamic_axes=axes,
        )  # fmt: skip


def card_of(folder, *, more="", change=lambda text: text):
    sha256 = hashlib.sha256((folder / "model.onnx").read_bytes()).hexdigest()
    text = 'name = "mine"\ntitle = "Mine"\n' + change(CARD.format(sha256=sha256, more=more))
    (folder / "card.toml").write_text(text)
    return read_card(folder / "card.toml")


@pytest.fixture(scope="module", params=["our own network", "weaver's network"])
def exported(request, tmp_path_factory):
    """A folder `mine` with the file, and the network it was made from."""
    folder = tmp_path_factory.mktemp("models") / "mine"
    folder.mkdir()
    torch.manual_seed(2)
    ours = request.param == "our own network"
    net = stirred(build(input_dim=17, num_classes=188, **SHAPE) if ours else of_weaver())
    module = (Official if ours else OfficialOfWeaver)(net).eval()
    export(module, folder / "model.onnx")
    return folder, module


@pytest.fixture
def copy(exported, tmp_path):
    """A folder of the test's own with the same file."""
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "model.onnx").write_bytes((exported[0] / "model.onnx").read_bytes())
    return folder


@pytest.fixture
def backbone(exported):
    return load_backbone(card_of(exported[0]), reporter=QUIET)


def test_every_multiplicity_gives_what_the_network_gives_and_no_nan(exported, backbone, make_batch):
    for first in range(1, 129, 32):
        batch = make_batch(range(first, first + 32), width=17)
        with torch.inference_mode():
            expected = exported[1](*tensors(batch)).numpy()
        found = backbone.embed(batch)
        np.testing.assert_allclose(found.embedding, expected[:, 188:], atol=1e-4)
        np.testing.assert_allclose(found.scores, expected[:, :188], atol=1e-4)
        np.testing.assert_allclose(found.scores.sum(axis=1), 1, atol=1e-5)


def test_a_jet_is_the_same_in_any_batch_and_the_same_batch_gives_the_same_bits(backbone, make_batch):
    jets = make_batch([1, 16, 128], width=17)
    together = backbone.embed(jets).embedding
    alone = [backbone.embed(jets.take(np.array([jet]))).embedding for jet in range(3)]
    np.testing.assert_allclose(np.concatenate(alone), together, atol=1e-6)
    np.testing.assert_array_equal(backbone.embed(jets).embedding, together)


def test_facts_are_those_of_card_and_file(exported, backbone):
    assert backbone.weights_sha256 == hashlib.sha256((exported[0] / "model.onnx").read_bytes()).hexdigest()
    assert (backbone.dtype, len(backbone.labels), backbone.feature_set.name) == ("float32", 188, "sophon")


def test_a_file_with_a_fixed_number_of_jets_takes_any_number(make_batch, moved, tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    torch.manual_seed(3)
    module = Official(moved(build(input_dim=17, num_classes=188, **SHAPE))).eval()
    export(module, folder / "model.onnx", fixed=True)
    batch = make_batch([4, 60, 7, 128, 2], width=17)
    with torch.inference_mode():
        expected = module(*tensors(batch))[:, 188:].numpy()
    found = load_backbone(card_of(folder), reporter=QUIET).embed(batch).embedding
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("exported", ["weaver's network"], indirect=True)
def test_a_vanishing_four_vector_in_empty_slots_would_be_nan_and_is_named(copy):
    with pytest.raises(DataError, match="jet 0 of the batch is not finite"):
        load_backbone(card_of(copy, more="p4_padding = [0, 0, 0, 0]"), reporter=QUIET)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (
            lambda text: text.replace("pf_mask", "mask"),
            WeightsError,
            "the file wants 'pf_mask', of which the card says",
        ),
        (lambda text: text.replace('pf_mask = "mask"\n', ""), WeightsError, "takes pf_features, pf_vectors, pf_mask"),
        (
            lambda text: text.replace('"p4"', '"features"'),
            WeightsError,
            r"'pf_vectors' is .* instead of float \(J, 17, 128",
        ),
        (lambda text: text.replace('"sophon"', '"part-kin"'), WeightsError, r"instead of float \(J, 7, 128\)"),
        (
            lambda text: text.replace('output = "softmax"', 'output = "logits"'),
            WeightsError,
            "there is no output 'logits'",
        ),
        (lambda text: text.replace("stop = 204", "stop = 316"), ConfigError, "has no columns 188:316"),
        (lambda text: text.replace("stop = 188", "stop = 187"), DataError, "do not sum to 1"),
        (lambda text: text.replace("embedding_dim = 16", "embedding_dim = 12"), ConfigError, "the card says"),
        (lambda text: text.replace('"mask"', '"charge"'), ConfigError, "Input should be 'features'"),
        (lambda text: text.replace("[parameters]", "[parameters]\nslots = 64"), ConfigError, "do not fit 64 slots"),
        (lambda text: text.replace("[parameters]", '[parameters]\nlayout = "channels-last"'), WeightsError, "128, 17"),
        (lambda text: text.replace("[parameters]", '[parameters]\nprovider = "TPU"'), ConfigError, "no provider 'TPU'"),
    ],
)
def test_a_card_that_does_not_fit_the_file_is_an_error_that_says_where(copy, change, error, message):
    with pytest.raises(error, match=message):
        load_backbone(card_of(copy, change=change), reporter=QUIET)


def test_channels_last_logits_and_a_file_without_scores_are_read(tmp_path, make_batch):
    """y = sum over slots of the features, z = the first two of it."""
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    nodes = [
        helper.make_node("ReduceSum", ["x", "axis"], ["y"], keepdims=0),
        helper.make_node("Gather", ["y", "two"], ["z"], axis=1),
    ]
    shape = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "sums",
        [shape("x", kind, ["N", 128, 7])],
        [shape("y", kind, ["N", 7]), shape("z", kind, ["N", 2])],
        [
            helper.make_tensor("axis", onnx.TensorProto.INT64, [1], [1]),
            helper.make_tensor("two", onnx.TensorProto.INT64, [2], [0, 1]),
        ],
    )
    folder = tmp_path / "mine"
    folder.mkdir()
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), folder / "model.onnx"
    )
    sha256 = hashlib.sha256((folder / "model.onnx").read_bytes()).hexdigest()
    facts = f"""
name = "mine"
title = "Sums"
architecture = "jetassay.backbones.onnx:load"
feature_set = "part-kin"
embedding_dim = 7
weights = {{ file = "model.onnx", sha256 = "{sha256}", licence = "MIT" }}
"""
    head = (
        '[parameters]\nlayout = "channels-last"\ninputs = { x = "features" }\nembedding = { output = "y", stop = 7 }\n'
    )
    batch = make_batch([2, 5], width=7)
    sums = np.add.reduceat(batch.features, batch.offsets[:-1])
    (folder / "card.toml").write_text(facts + head)
    found = load_backbone(read_card(folder / "card.toml"), reporter=QUIET).embed(batch)
    np.testing.assert_allclose(found.embedding, sums, rtol=1e-5)
    assert found.scores is None
    scores = 'scores_are = "logits"\nscores = { output = "z", stop = 2 }\n'
    (folder / "card.toml").write_text(facts + 'labels = ["a", "b"]\n' + head + scores)
    found = load_backbone(read_card(folder / "card.toml"), reporter=QUIET).embed(batch)
    expected = torch.from_numpy(sums[:, :2]).softmax(-1).numpy()
    np.testing.assert_allclose(found.scores, expected, rtol=1e-4)


def custom_operator(content):
    model = onnx.load_from_string(content)
    model.graph.node[0].domain = "somebody.else"
    model.opset_import.append(onnx.helper.make_opsetid("somebody.else", 1))
    return model.SerializeToString()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content[: len(content) // 2], "damaged, cut short or not an ONNX file"),
        (lambda content: b"not a graph" * 9, "damaged, cut short or not an ONNX file"),
        (lambda content: b"", "damaged, cut short or not an ONNX file"),
        (custom_operator, "operator that ONNX Runtime does not have.*somebody.else"),
    ],
)
def test_a_file_that_cannot_be_run_is_an_error_that_says_why(copy, change, message):
    (copy / "model.onnx").write_bytes(change((copy / "model.onnx").read_bytes()))
    with pytest.raises(WeightsError, match=message):
        load_backbone(card_of(copy), reporter=QUIET)


def test_weights_in_another_file_are_refused_since_no_hash_covers_them(copy):
    model = onnx.load(copy / "model.onnx")
    onnx.save_model(model, copy / "model.onnx", save_as_external_data=True, location="more.bin", size_threshold=0)
    with pytest.raises(WeightsError, match="keeps weights in another file"):
        load_backbone(card_of(copy), reporter=QUIET)


def test_another_file_than_the_cards_is_refused(copy):
    card = card_of(copy)
    (copy / "model.onnx").write_bytes(b"another")
    with pytest.raises(WeightsError, match="is not the file that the card names"):
        load_backbone(card, reporter=QUIET)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"device": "cuda:1"}, "no provider 'CUDAExecutionProvider' here"), ({"dtype": "float64"}, "not in float64")],
)
def test_what_the_runtime_cannot_do_is_named(copy, arguments, message):
    with pytest.raises(ConfigError, match=message):
        load_backbone(card_of(copy), reporter=QUIET, **arguments)


def test_cuda_computes_in_float32_and_not_in_tf32(copy, monkeypatch):
    """What the session would be asked for; there is no such device here."""
    asked, make = [], onnx_backbone._session

    def session(content, *, source, providers):
        asked.append(providers)
        return make(content, source=source, providers=["CPUExecutionProvider"])

    monkeypatch.setattr(onnx_backbone, "_session", session)
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: ["CUDAExecutionProvider"])
    load_backbone(card_of(copy), device="cuda:1", reporter=QUIET)
    assert asked == [[("CUDAExecutionProvider", {"device_id": "1", "use_tf32": "0"})]]


def test_without_the_runtime_the_error_names_the_extra(copy, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ConfigError, match=r"pip install 'jetassay\[onnx\]'"):
        load_backbone(card_of(copy), reporter=QUIET)


def test_the_official_file_of_sophon_is_such_a_card():
    card = backbone_cards()["sophon-onnx"]
    layout = OnnxLayout.model_validate(card.parameters)
    assert layout.inputs == {"pf_features": "features", "pf_vectors": "p4", "pf_mask": "mask"}
    assert (layout.scores.width, layout.embedding.width, layout.embedding.stop) == (188, 128, 316)
    assert card.feature_set == backbone_cards()["sophon"].feature_set
    assert card.weights.size == 9328171
