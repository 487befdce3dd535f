"""A network trained with weaver becomes a card: with weaver's own numbers, and no code run without consent."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from jetassay.adding import WeaverModel, add_weaver, parse_options
from jetassay.backbones.card import read_card
from jetassay.backbones.loading import load_backbone
from jetassay.backbones.trust import TRUST_VARIABLE, trusting
from jetassay.errors import ConfigError, LeakageError, TrustError, WeightsError
from jetassay.features.batch import InputBatch
from jetassay.progress import Reporter

QUIET = Reporter(quiet=True)
DATA = """
treename: tree
new_variables:
  part_mask: ak.ones_like(part_px)
  part_pt: np.hypot(part_px, part_py)
  part_pt_log: np.log(part_pt)
preprocess: {method: manual}
inputs:
  pf_points:
    length: 128
    pad_mode: wrap
    vars: [[part_deta, null], [part_dphi, null]]
  pf_features:
    length: 128
    pad_mode: wrap
    vars:
      - [part_pt_log, 1.7, 0.7]
      - [part_charge, null]
      - [part_deta, null]
      - [part_dphi, null]
  pf_vectors:
    length: 128
    pad_mode: wrap
    vars: [[part_px, null], [part_py, null], [part_pz, null], [part_energy, null]]
  pf_mask:
    length: 128
    pad_mode: constant
    vars: [[part_mask, null]]
labels:
  type: simple
  value: [label_QCD, label_Hbb, label_Hcc]
"""
SMALL = "embed_dims=[16, 16], pair_embed_dims=[8], num_heads=2, num_layers=2, num_cls_layers=1, fc_params=[(12, 0.1)]"
NETWORK = f"""
import torch
from weaver.nn.model.ParticleTransformer import ParticleTransformer

class Wrapper(torch.nn.Module):
    def __init__(self, **kwargs):
        super().__init__()
        self.mod = ParticleTransformer(**kwargs)

    def forward(self, points, features, lorentz_vectors, mask):
        return self.mod(features, v=lorentz_vectors, mask=mask)

def get_model(data_config, **kwargs):
    options = dict(
        input_dim=len(data_config.input_dicts["pf_features"]), num_classes=len(data_config.label_value),
        use_pre_activation_pair=False, {SMALL})
    options.update(kwargs)
    names = list(data_config.input_names)
    return Wrapper(**options), {{"input_names": names, "input_shapes": dict(data_config.input_shapes)}}
"""
TWO_STAGES = """
import torch

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.last = torch.nn.Linear(6, 3)
        self.first = torch.nn.Linear(4, 6)

    def forward(self, points, features, vectors, mask):
        return self.last(torch.relu(self.first((features * mask).sum(-1))))

def get_model(data_config, **kwargs):
    return Net(), {}
"""


@pytest.fixture
def write(tmp_path, moved):
    """Writes data configuration, network and a checkpoint of it with moved weights; gives them as a model."""

    def make(text=NETWORK, data=DATA, **changes):
        (tmp_path / "my_data.yaml").write_text(data)
        (tmp_path / "my_net.py").write_text(text)
        if not (tmp_path / "net.pt").exists():
            torch.save(moved(weaver_network(text)).state_dict(), tmp_path / "net.pt")
        given = {"network": str(tmp_path / "my_net.py"), **changes}
        return WeaverModel(name="mine", data_config=tmp_path / "my_data.yaml", checkpoint=tmp_path / "net.pt", **given)

    return make


@pytest.fixture
def add(tmp_path):
    """Adds a model with consent and loads the card that comes out."""

    def run(model):
        with trusting(True):
            card = read_card(add_weaver(model, output=tmp_path / "models", reporter=QUIET) / "card.toml")
            return load_backbone(card, reporter=QUIET)

    return run


class Config:
    """What weaver's data configuration says of DATA."""

    input_names = ("pf_points", "pf_features", "pf_vectors", "pf_mask")
    input_dicts = {"pf_features": ["part_pt_log", "part_charge", "part_deta", "part_dphi"]}  # noqa: RUF012
    input_shapes = {"pf_features": (-1, 4, 128)}  # noqa: RUF012
    label_value = ["label_QCD", "label_Hbb", "label_Hcc"]  # noqa: RUF012


def weaver_network(text, **options):
    space = {"__name__": "network"}
    exec(compile(text, "network", "exec"), space)
    torch.manual_seed(5)
    return space["get_model"](Config, **options)[0].eval()


def weaver_inputs(batch):
    """Zero-padded to 128 slots, channels first, as weaver feeds its networks."""
    jets = len(batch)
    mask = np.arange(128) < batch.multiplicities[:, None]

    def slots(rows):
        table = np.zeros((jets, 128, rows.shape[1]), np.float32)
        table[mask] = rows
        return torch.from_numpy(table.transpose(0, 2, 1).copy())

    ones = np.ones((len(batch.features), 1), np.float32)
    return slots(batch.features[:, 2:]), slots(batch.features), slots(batch.p4), slots(ones)


def weaver_logits(batch, checkpoint, network=NETWORK):
    net = weaver_network(network)
    net.load_state_dict(torch.load(checkpoint, weights_only=True))
    with torch.inference_mode():
        return net(*weaver_inputs(batch)).softmax(-1).numpy()


def test_a_network_file_gives_what_weaver_gives(write, add, make_batch):
    model = write()
    batch = make_batch([1, 2, 16, 40, 128], width=4)
    backbone = add(model)
    found = backbone.embed(batch)
    np.testing.assert_allclose(found.scores, weaver_logits(batch, model.checkpoint), atol=1e-4)
    assert backbone.labels == ("QCD", "Hbb", "Hcc")
    assert backbone.card.parameters["embedding"] == "mod.fc.1"
    assert found.embedding.shape == (5, 12)


def test_a_network_of_weaver_that_is_known_needs_no_trust_and_gives_the_same(write, make_batch, tmp_path):
    model = write()
    settings = {**parse_options(["use_pre_activation_pair=False"]), **eval(f"dict({SMALL})")}
    known = write(network="ParticleTransformer", options=settings, trained_on=("jetclass",))
    card = read_card(add_weaver(known, output=tmp_path / "models", reporter=QUIET) / "card.toml")
    backbone = load_backbone(card, reporter=QUIET)
    batch = make_batch([1, 2, 16, 40, 128], width=4)
    np.testing.assert_allclose(backbone.embed(batch).scores, weaver_logits(batch, model.checkpoint), atol=1e-4)
    assert (card.trained_on, card.permutation_invariant, card.feature_set) == (("jetclass",), True, "file:data.yaml")
    assert backbone.feature_set.width == 4
    assert not (tmp_path / "models" / "mine" / "network.py").exists()


def test_a_checkpoint_with_the_names_of_older_weaver_fits_the_network_of_today(write, add, make_batch):
    model = write()
    batch = make_batch([5, 40], width=4)
    expected = weaver_logits(batch, model.checkpoint)
    state = torch.load(model.checkpoint, weights_only=True)
    old = {name.replace("in_proj.", "in_proj_"): tensor for name, tensor in state.items()}
    assert old.keys() != state.keys()
    torch.save(old, model.checkpoint)
    np.testing.assert_allclose(add(model).embed(batch).scores, expected, atol=1e-4)


def test_a_jet_is_the_same_in_any_batch_and_at_any_time(write, add, make_batch):
    backbone = add(write())
    jets = make_batch([1, 5, 40], width=4)
    together = backbone.embed(jets).embedding
    for _ in range(7):  # weaver starts to trim after its fifth batch
        np.testing.assert_array_equal(backbone.embed(jets).embedding, together)
    alone = np.concatenate([backbone.embed(jets.take(np.array([jet]))).embedding for jet in range(3)])
    np.testing.assert_allclose(alone, together, atol=1e-5)


def test_the_embedding_is_the_input_of_the_linear_layer_that_is_used_last_or_as_chosen(write, add, make_batch):
    batch = make_batch([3, 9], width=4)
    model = write(TWO_STAGES)
    state = torch.load(model.checkpoint, weights_only=True)
    found = add(model)
    hidden = found.embed(batch).embedding
    assert found.card.parameters["embedding"] == "last"
    logits = hidden @ state["last.weight"].numpy().T + state["last.bias"].numpy()
    scores = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found.embed(batch).scores, scores, rtol=1e-4)


@pytest.mark.parametrize(("embedding", "width"), [("first", 4), ("logits", 3)])
def test_another_layer_or_the_logits_can_be_the_embedding(write, add, make_batch, embedding, width):
    assert add(write(TWO_STAGES, embedding=embedding)).embed(make_batch([3], width=4)).embedding.shape == (1, width)


def test_without_consent_the_file_is_not_run_and_nothing_is_written(write, tmp_path):
    model = write()
    marker = tmp_path / "was-here"
    (tmp_path / "my_net.py").write_text(f"open({str(marker)!r}, 'w').close()\n{NETWORK}")
    with pytest.raises(TrustError, match="--trust-code"):
        add_weaver(model, output=tmp_path / "models", reporter=QUIET)
    assert not marker.exists()
    assert list((tmp_path / "models").iterdir()) == []
    with trusting(True):
        add_weaver(model, output=tmp_path / "models", reporter=QUIET)
    assert marker.exists()


def test_a_card_with_a_network_file_needs_consent_again_in_another_process(write, tmp_path):
    with trusting(True):
        folder = add_weaver(write(), output=tmp_path / "models", reporter=QUIET)
    sha256 = read_card(folder / "card.toml").parameters["sha256"]
    code = (
        "from jetassay.backbones.card import read_card; from jetassay.backbones.loading import load_backbone; "
        "from pathlib import Path; from jetassay.errors import TrustError\n"
        f"try: load_backbone(read_card(Path({str(folder / 'card.toml')!r}))); print('loaded')\n"
        "except TrustError as error: print(error)"
    )

    def load(trust):
        env = {"PATH": "", TRUST_VARIABLE: trust}
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
        return done.stdout, done.stderr

    assert f"{TRUST_VARIABLE}={sha256}" in load("f" * 64)[0]
    said, warned = load(sha256)
    assert said == "loaded\n"
    assert "running" in warned


def test_a_network_file_that_was_changed_is_refused_even_with_consent(write, tmp_path):
    with trusting(True):
        folder = add_weaver(write(), output=tmp_path / "models", reporter=QUIET)
        with (folder / "network.py").open("a") as file:
            file.write("\n# one more line\n")
        with pytest.raises(ConfigError, match="is not the file that the card names"):
            load_backbone(read_card(folder / "card.toml"), reporter=QUIET)


def test_a_data_configuration_that_was_changed_is_refused(write, tmp_path):
    with trusting(True):
        folder = add_weaver(write(), output=tmp_path / "models", reporter=QUIET)
        with (folder / "data.yaml").open("a") as file:
            file.write("\n# one more line\n")
        with pytest.raises(ConfigError, match="was changed since the backbone was added"):
            load_backbone(read_card(folder / "card.toml"), reporter=QUIET)


class Malicious:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return open, (str(self.marker), "w")


def test_a_checkpoint_that_wants_to_run_code_is_refused(write, add, tmp_path):
    model = write()
    torch.save({"w": Malicious(tmp_path / "was-here")}, tmp_path / "net.pt")
    with pytest.raises(WeightsError, match="would run code"):
        add(model)
    assert not (tmp_path / "was-here").exists()
    assert list((tmp_path / "models").iterdir()) == []


@pytest.mark.parametrize(
    ("network", "message"),
    [
        ("x = 1 /", "SyntaxError"),
        ("raise SystemExit(3)", "does not run: SystemExit: 3"),
        ("x = 1", "defines no get_model"),
        ("def get_model(c, **k): return 1 / 0", "ZeroDivisionError"),
        ("def get_model(c, **k): return 'net', {}", "a str instead of a torch module"),
        (TWO_STAGES.replace("return self.last", "return features, self.last"), "one row of"),
    ],
)
def test_a_network_file_that_does_not_do_what_weaver_wants_is_an_error(write, add, network, message):
    write()
    with pytest.raises(ConfigError, match=message):
        add(write(network))


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"network": "ParticleTransformer"}, ConfigError, "use_pre_activation_pair"),
        ({"network": "ParT"}, ConfigError, "there is no network 'ParT'; known: ParticleTransformer"),
        ({"network": "PFN"}, WeightsError, "another architecture"),
        ({"network": "PFN", "options": {"colour": 3}}, ConfigError, "refuses the card's parameters"),
        ({"network": "PFN", "embedding": "fc"}, ConfigError, "leave --embedding out"),
        ({"labels": "jetclass3"}, ConfigError, "no label list 'jetclass3'"),
        ({"labels": ("a", "b")}, ConfigError, "gives 3 logits, but there are 2 labels"),
        ({"embedding": "mod.fc.9"}, ConfigError, "no linear layer 'mod.fc.9'"),
        ({"embedding": "mod.embed.embed.1"}, ConfigError, r"a tensor \(1, 128, 4\), not one row"),
        ({"options": {"num_layers": 3}}, WeightsError, "missing: mod.blocks.2"),
    ],
)
def test_what_does_not_fit_is_named_and_leaves_nothing_behind(write, add, tmp_path, changes, error, message):
    write()
    with pytest.raises(error, match=message):
        add(write(**changes))
    assert list((tmp_path / "models").iterdir()) == []


def test_a_data_configuration_with_truth_among_its_inputs_is_refused(write, add):
    write()
    with pytest.raises(LeakageError, match="aux_genpart_pt"):
        add(write(data=DATA.replace("[part_charge, null]", "[aux_genpart_pt, null]")))


def test_a_folder_that_is_there_is_never_overwritten(write, add):
    add(write())
    with pytest.raises(ConfigError, match="is there already"):
        add(write())


def test_without_a_folder_of_ones_own_it_says_where_to_put_it(write, monkeypatch):
    monkeypatch.delenv("JETASSAY_MODELS", raising=False)
    with pytest.raises(ConfigError, match="--output FOLDER"):
        add_weaver(write(), reporter=QUIET)


@pytest.mark.parametrize("option", ["num_layers", "a b=3", "x=__import__('os')", "x=["])
def test_an_option_that_is_no_plain_value_is_refused(option):
    with pytest.raises(ConfigError, match="KEY=VALUE"):
        parse_options([option])


def test_a_batch_of_other_inputs_is_refused(write, add):
    backbone = add(write())
    one = InputBatch(*(np.ones((1, n), np.float32) for n in (7, 4)), np.array([0, 1]), np.zeros((1, 0), np.float32))
    with pytest.raises(Exception, match="takes feature set 'data'"):
        backbone.embed(one)
