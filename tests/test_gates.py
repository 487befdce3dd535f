"""Whether speeds beside a peer's are what the gates ask for, on made-up numbers: nothing here takes time."""

import importlib
import re

import numpy as np
import pytest
import torch

from jetassay.backbones.card import read_card
from jetassay.backbones.protocol import Output
from jetassay.errors import ConfigError, JetAssayError
from jetassay.features.batch import InputBatch
from jetassay.gates import Gates, Judgement, enforce, judge, read_gates, render_judgement
from jetassay.measurements import Comparison, comparisons_of
from jetassay.places import project_root

GATES = Gates(fails_below=0.9, slower_below=0.8, at_least={"ParT": {"fp32 / weaver": 4.0}, "Sophon": {}})


def comparison(ours=(40.0, 41.0, 12.0), peer=(10.0, 10.0, 3.0), quantity="fp32 / weaver", network="ParT"):
    return Comparison(network=network, quantity=quantity, unit="GFLOP/s", ours=ours, peer=peer, load=(0.1, 0.3, 2.0))


def verdict_of(ratio):
    (verdict,) = judge([comparison(ours=(ratio,), peer=(1.0,))], GATES).verdicts
    return verdict


def test_the_ratio_is_that_of_the_medians_over_rounds():
    assert comparison(ours=(9.0, 40.0, 41.0), peer=(10.0, 3.0, 11.0)).ratio == 4.0


@pytest.mark.parametrize(
    ("ratio", "word"), [(5.0, "met"), (4.0, "met"), (3.99, "near"), (3.6, "near"), (3.59, "missed"), (0.1, "missed")]
)
def test_a_gate_is_missed_only_below_nine_tenths_of_it(ratio, word):
    assert verdict_of(ratio).word == word
    assert verdict_of(ratio).missed == (word == "missed")


def test_a_quantity_without_a_gate_is_never_missed():
    ungated = comparison(ours=(1e-9,), peer=(1.0,), quantity="threads")
    judgement = judge([comparison(), ungated], GATES)
    assert [each.word for each in judgement.verdicts] == ["met", "-"]
    enforce(judgement)


def test_every_missed_gate_is_named_in_the_error():
    slow = [comparison(ours=(3.0,), peer=(1.0,), network=network) for network in ("ParT", "Sophon")]
    gates = Gates(
        fails_below=0.9,
        slower_below=0.8,
        at_least={name: {"fp32 / weaver": 4.0} for name in ("ParT", "Sophon", "a third")},
    )
    with pytest.raises(
        JetAssayError,
        match=r"2 of 3 gates missed by more than 10%.*\n  ParT fp32 / weaver: 3\.00, gate 4\.00\n  Sophon",
    ):
        enforce(judge([*slow, comparison(network="a third")], gates))


def test_gates_that_are_near_do_not_fail():
    enforce(Judgement((verdict_of(3.7),)))


@pytest.mark.parametrize(
    "measured", [[], [comparison(quantity="other")], [comparison(network="Sophon")]], ids=["nothing", "other", "Sophon"]
)
def test_a_gate_of_what_was_not_measured_is_named_and_never_met(measured):
    judgement = judge(measured, GATES)
    assert len(judgement.verdicts) == len(measured)
    assert "not measured (those of two threads need two cores): ParT fp32 / weaver." in render_judgement(judgement)
    with pytest.raises(JetAssayError, match=r"^1 of 1 gates could not be measured .*\n  ParT fp32 / weaver$"):
        enforce(judgement)


def test_missed_gates_and_those_without_a_measurement_stand_in_one_error():
    gates = Gates(fails_below=0.9, slower_below=0.8, at_least={"ParT": {"fp32 / weaver": 40.0, "2 threads / 1": 1.9}})
    with pytest.raises(
        JetAssayError, match=r"(?s)^1 of 2 gates missed.*\n1 of 2 gates could not.*\n  ParT 2 threads / 1$"
    ):
        enforce(judge([comparison()], gates))


def test_the_table_has_aligned_columns_and_says_rounds_and_load():
    ungated = judge([comparison(), comparison(quantity="threads", network="Sophon")], Gates(
        fails_below=0.9, slower_below=0.8, at_least={}))  # fmt: skip
    gated, plain = judge([comparison(), comparison(quantity="threads")], GATES), render_judgement(ungated)
    lines = render_judgement(gated).splitlines()
    assert re.split(r"\s{2,}", lines[0].strip()) == [
        "quantity", "unit", "ours", "peer", "ratio", "gate", "verdict", "rounds", "load",
    ]  # fmt: skip
    assert re.split(r"\s{2,}", lines[1]) == [
        "ParT",
        "fp32 / weaver",
        "GFLOP/s",
        "40.0",
        "10.0",
        "4.00",
        "4.00",
        "met",
        "3",
        "0.3",
    ]
    assert re.split(r"\s{2,}", lines[2]) == ["ParT", "threads", "GFLOP/s", "40.0", "10.0", "4.00", "-", "-", "3", "0.3"]
    assert len({len(line) for line in lines[:3]}) == 1
    assert "Sophon  threads" in plain


@pytest.fixture
def side_by_side(monkeypatch):
    """The module that measures, nothing of which is timed here."""
    monkeypatch.syspath_prepend(str(project_root()))
    return importlib.import_module("benchmarks.side_by_side")


@pytest.fixture
def networks(monkeypatch):
    """The module with both sides' networks."""
    monkeypatch.syspath_prepend(str(project_root()))
    return importlib.import_module("benchmarks.networks")


def test_every_gate_of_the_project_is_of_a_quantity_that_is_measured(side_by_side):
    ways = ("packed", "packed-bf16", "weaver-padded-256", "weaver-one-by-one", "weaver-sorted-16",
            "packed-2-threads", "weaver-2-threads", "weaver-2-batches", *side_by_side.PEAKS)  # fmt: skip
    speeds = {"cpu": [1.0], "wall": [1.0], "process": [1.0], "load": [1.0]}
    found = {(network, way): speeds for network in ("ParT", "Sophon") for way in ways}
    found |= {("reading", way): speeds for way in ("ours", "weaver-loader", "weaver-loader-lean")}
    tables = [each for network in side_by_side.NETWORKS for each in side_by_side.quantities_of(network, found)]
    tables += side_by_side.quantities_of_reading(found)
    steps = {(whose, dtype): speeds for whose in ("ours", "weaver") for dtype in ("float32", "bfloat16")}
    tables += side_by_side.quantities_of_training(steps)
    comparisons = comparisons_of({"quantities": tables})
    judgement = judge(comparisons, read_gates(project_root() / "benchmarks" / "gates.toml"))
    assert sum(each.gate is not None for each in judgement.verdicts) == 17
    assert judgement.unmeasured == ()
    assert len({(each.network, each.quantity) for each in comparisons}) == len(comparisons)


def test_the_peak_is_the_faster_of_the_two_products(side_by_side):
    found = {
        ("ParT", way): {"cpu": [speed], "wall": [speed], "load": []}
        for way, speed in {
            "packed": 6.0, "packed-bf16": 8.0, "weaver-padded-256": 1.0, "weaver-one-by-one": 2.0,
            "weaver-sorted-16": 3.0, "product": 10.0, "linear": 12.0,
        }.items()
    }  # fmt: skip
    ratios = {each["quantity"]: each["ours"][0] / each["peer"][0] for each in side_by_side.quantities_of("ParT", found)}
    assert ratios["fp32 / peak"] == 0.5
    assert ratios["fp32 / weaver-sorted-16"] == 2.0
    assert ratios["bf16 / weaver-padded-256"] == 8.0


@pytest.mark.parametrize("change", [0.0, 1e-4, float("nan")])
def test_nothing_is_timed_where_embeddings_differ(networks, change, make_jets):
    card = read_card(project_root() / "models" / "part-full" / "card.toml")
    batch = make_jets([3, 2])
    expected = np.ones((2, 4), np.float32)

    class Ours:
        def embed(self, jets):
            return Output(np.float32(expected[: len(jets)] + change), None)

    class Weaver:
        def ready(self, jets):
            return jets

        def embed(self, batches):
            return expected[: sum(len(each) for each in batches)]

    if change == 0.0:
        networks.check_equal(card, Ours(), Weaver(), [batch])
        return
    with pytest.raises(JetAssayError, match=r"part-full: an embedding differs from weaver's by .*nothing was timed"):
        networks.check_equal(card, Ours(), Weaver(), [batch])


def test_the_real_network_equals_weavers_with_the_same_weights(networks, make_jets):
    """As before the clock starts, with every part of the measurement but the clock."""
    card = read_card(project_root() / "models" / "sophon" / "card.toml")
    state = networks.moved(networks.build_module(card)).state_dict()
    module = networks.copy_of(card, state)
    ours = networks.TorchBackbone(card, module, device=torch.device("cpu"), dtype="float32")
    batches = [make_jets([5, 4, 1], width=17), make_jets([30], width=17)]
    networks.check_equal(card, ours, networks.Weaver(card.parameters, state), batches)


@pytest.fixture
def make_jets():
    """Massive jets of order one, whose pair masses are no rounding noise."""

    def make(multiplicities, width=2):
        random = np.random.default_rng(5)
        offsets = np.concatenate([[0], np.cumsum(multiplicities)]).astype(np.int64)
        features = random.normal(size=(offsets[-1], width)).astype(np.float32)
        momenta = random.normal(scale=20, size=(offsets[-1], 3))
        energy = np.sqrt((momenta**2).sum(axis=1, keepdims=True) + 1)
        p4 = np.concatenate([momenta, energy], axis=1).astype(np.float32)
        return InputBatch(features, p4, offsets, np.zeros((len(multiplicities), 0), np.float32))

    return make


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("fails_below = 0.9\nslower_below = 0.8\n", "at_least: Field required"),
        ("fails_below = 0.9\n[at_least]\n", "slower_below: Field required"),
        ("slower_below = 0.8\nfails_below = 1.5\n[at_least]\n", "fails_below: Input should be less than or equal to 1"),
        ("fails_below = 0.9\nslower_below = 0.8\nfaster = 1\n[at_least]\n", "faster: Extra inputs are not permitted"),
        (
            'fails_below = 0.9\nslower_below = 0.8\n[at_least.ParT]\n"a / b" = -1.0\n"c / d" = nan\n',
            "positive number, which ParT a / b, ParT c / d is not",
        ),
        ("fails_below = ", "not valid TOML"),
    ],
)
def test_wrong_gates_are_refused_by_file_and_key(tmp_path, text, said):
    path = tmp_path / "gates.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=rf"gates\.toml: .*{re.escape(said)}"):
        read_gates(path)
