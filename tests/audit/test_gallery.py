"""The gallery: one fault at a time, each caught by the check that is meant for it; a clean backbone passes them all."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from constructed_backbones import (
    BatchMean,
    ByOrderInBatch,
    Carrying,
    Clean,
    Constant,
    Counting,
    Crashing,
    Dead,
    NotFinite,
    OneDirection,
    Ordered,
    Random,
    Rounded,
    SeesPadding,
    made_card,
)
from jet_files import audited_jets, changed, subject_of, write_file, write_files

from jetassay.audit import subsample
from jetassay.audit.audit import run_check
from jetassay.audit.catalogue import CHECKS
from jetassay.audit.static import is_known_truth, schema
from jetassay.backbones.loading import TorchBackbone, build_module, load_backbone
from jetassay.backbones.trust import trusting
from jetassay.errors import LeakageError
from jetassay.features.recipe import Feature, FeatureSet
from jetassay.features.sets import FEATURE_SETS
from jetassay.jets.catalogue import dataset_cards
from jetassay.jets.schema import SCHEMAS

OURS = (
    "columns",
    "schema",
    "label-columns",
    "taint",
    "batches",
    "repeats",
    "batch-statistics",
    "padding",
    "constituent-order",
    "splits",
    "training-overlap",
    "weights",
    "finite",
    "collapse",
    "dead-dimensions",
    "duplicates",
)
MASS_ALONE = FeatureSet(
    name="mass", title="Soft-drop mass", jet_features=(Feature("jet_sdmass"), Feature("jet_pt"), Feature("jet_eta"))
)


def failed(subject, checks=OURS):
    return {row.check for name in checks for row in run_check(name, subject) if row.status == "fail"}


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("JETASSAY_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def jets(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JETASSAY_CACHE", str(tmp_path_factory.mktemp("cache")))
        return audited_jets(write_files(tmp_path_factory.mktemp("jets")))


def test_the_gallery_knows_every_check_of_its_kind():
    assert set(OURS) <= set(CHECKS)


def test_a_clean_backbone_passes_everything(jets, tmp_path):
    subject = subject_of(Clean(), jets, store=tmp_path / "store")
    rows = [row for name in CHECKS for row in run_check(name, subject) if CHECKS[name].depth == "cheap"]
    assert [row for row in rows if row.status == "fail"] == []
    assert {row.check for row in rows if row.status == "pass"} >= set(OURS)


@pytest.mark.parametrize(
    ("backbone", "checks"),
    [
        (Counting, {"batches", "repeats", "taint"}),
        (Carrying, {"batches", "repeats"}),
        (Random, {"repeats"}),
        (ByOrderInBatch, {"batches"}),
        (BatchMean, {"batch-statistics", "batches"}),
        (SeesPadding, {"padding", "batches"}),
        (Ordered, {"constituent-order"}),
        (Constant, {"collapse", "dead-dimensions", "duplicates"}),
        (OneDirection, {"collapse"}),
        (NotFinite, {"finite"}),
        (Dead, {"dead-dimensions"}),
        (Rounded, {"duplicates"}),
        (Crashing, {"padding"}),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_a_broken_backbone_is_caught_by_name(jets, backbone, checks):
    assert checks <= failed(subject_of(backbone(), jets))


@pytest.mark.parametrize("backbone", [Ordered, OneDirection, Dead, Rounded])
def test_a_fault_of_one_kind_is_not_taken_for_another(jets, backbone):
    meant = {Ordered: "constituent-order", OneDirection: "collapse", Dead: "dead-dimensions", Rounded: "duplicates"}
    assert failed(subject_of(backbone(), jets)) == {meant[backbone]}


def test_order_dependence_is_no_fault_where_the_card_does_not_deny_it(jets):
    (row,) = run_check("constituent-order", subject_of(Ordered(permutation_invariant=False), jets))
    assert row.status == "note"


def test_a_label_column_among_the_features_is_caught(jets):
    with pytest.raises(LeakageError, match="label_Hbb"):
        FeatureSet(name="leaky", title="Leaky", jet_features=(Feature("label_Hbb"),))

    class Leaky:
        """A feature set of somebody else's, which nobody has checked."""

        needs = ("label_Hbb", *FEATURE_SETS["part-kin"].needs)

        def __getattr__(self, name):
            return getattr(FEATURE_SETS["part-kin"], name)

    leaky = Leaky()
    assert failed(subject_of(Clean(feature_set=leaky), jets), ["columns", "taint"]) == {"columns", "taint"}


def test_truth_of_another_dataset_in_the_allow_list_is_caught(jets):
    jetclass = SCHEMAS["jetclass"]
    listed = replace(jetclass, name="mine", columns=(*jetclass.columns, "is_signal_new"))
    assert failed(subject_of(Clean(), changed(jets, schema=listed)), ["schema"]) == {"schema"}


@pytest.mark.parametrize(
    "name", ["is_signal_new", "IS_SIGNAL_NEW", "jets[j_t]", "tables[j_t]", "genjet_pt", "jet_label"]
)
def test_names_of_labels_and_generator_level_columns_are_known_wherever_they_stand(name):
    assert is_known_truth(name)


@pytest.mark.parametrize("name", ["pt", "PT", "pid", "y", "X[1]", "jets[j_mass_mmdt]", "jets", "jet_sdmass", "btag"])
def test_names_of_what_is_observed_are_no_truth(name):
    assert not is_known_truth(name)


@pytest.mark.parametrize("name", sorted(dataset_cards()))
def test_no_dataset_that_ships_lists_truth(name):
    listed = dataset_cards()[name].make_schema()
    subject = SimpleNamespace(dataset=SimpleNamespace(schema=listed))
    assert [row.status for row in schema(subject)] == ["pass"]


@pytest.mark.parametrize(
    "give_away",
    [
        lambda labels: labels,
        lambda labels: np.where(labels == 1, 125.25, 0.0),  # generator-level mass of the resonance
    ],
    ids=["label", "truth-level mass"],
)
def test_the_label_under_the_name_of_an_observed_column_is_caught(tmp_path, give_away):
    def edit(lists, counts, numbers):
        numbers["jet_sdmass"] = give_away(numbers["label_Hbb"]).astype(np.float32)

    jets = audited_jets(write_files(tmp_path / "jets", edit=edit))
    assert "label-columns" in failed(subject_of(Clean(feature_set=MASS_ALONE), jets))


def test_the_label_in_a_slot_that_should_be_empty_is_caught(tmp_path):
    def edit(lists, counts, numbers):
        last = np.cumsum(counts) - 1
        for name in ("part_px", "part_py", "part_pz", "part_energy"):
            lists[name][last] = 1e-6 if name == "part_energy" else 0
        lists["part_px"][last] = 1e-7
        lists["part_deta"][last] = numbers["label_Hbb"]

    jets = audited_jets(write_files(tmp_path / "jets", edit=edit))
    assert "label-columns" in failed(subject_of(Clean(), jets), ["label-columns"])


@pytest.mark.parametrize("what", ["file name", "label"])
def test_a_reader_that_lets_truth_into_an_observed_column_is_caught(jets, monkeypatch, what):
    ordinary = subsample.read_chunks

    def leaky(path, **options):
        for chunk in ordinary(path, **options):
            extra = len(path.name) * np.ones(len(chunk.jets)) if what == "file name" else chunk.truth.labels
            spread = np.repeat(extra, chunk.jets.multiplicities).astype(np.float32)
            constituents = {**chunk.jets.constituents, "part_deta": chunk.jets.constituents["part_deta"] + spread}
            yield replace(chunk, jets=replace(chunk.jets, constituents=constituents))

    monkeypatch.setattr(subsample, "read_chunks", leaky)
    fresh = changed(jets)
    assert "taint" in failed(subject_of(Clean(), fresh), ["taint"])


def test_jets_that_are_in_two_splits_under_another_file_name_and_in_another_order_are_caught(tmp_path):
    paths = write_files(tmp_path / "jets")

    def reverse(lists, counts, numbers):
        order = np.repeat(np.arange(len(counts)), counts).argsort()[::-1]
        for name in lists:
            lists[name] = lists[name][order].copy()
        counts[:] = counts[::-1]
        for name in numbers:
            numbers[name] = numbers[name][::-1].copy()

    write_file(paths[2], "QCD", 45, seed=0)
    assert failed(subject_of(Clean(), audited_jets(paths)), ["splits"]) == set()  # other jets of the same seed
    write_file(paths[2], "QCD", 60, seed=0, edit=reverse)
    (row,) = run_check("splits", subject_of(Clean(), audited_jets(paths)))
    assert row.status == "fail"
    assert row.numbers["shared"] == 60
    assert "QCD_000.parquet" in row.meaning


def test_weights_that_were_not_loaded_are_caught(jets, tmp_path):
    weights = {"sha256": "0" * 64, "file": "weights.safetensors", "licence": "MIT"}
    options = {"input_dim": 7, "num_classes": 10, "constituents": 10, "hidden": [32, 16], "dropout": 0.1}
    card = made_card(
        role="backbone", architecture="jetassay.backbones.mlp:build", parameters=options, embedding_dim=16,
        weights=weights, permutation_invariant=False, seed=5,
    )  # fmt: skip
    forgotten = TorchBackbone(card, build_module(card), device=torch.device("cpu"), dtype="float32")
    assert failed(subject_of(forgotten, jets)) == {"weights"}
    partly = build_module(card)
    next(partly.parameters()).data += 1
    (row,) = run_check(
        "weights", subject_of(TorchBackbone(card, partly, device=torch.device("cpu"), dtype="float32"), jets)
    )
    assert (row.status, row.numbers["moved"]) == ("note", 1)
    trained = build_module(card)
    for parameter in trained.parameters():
        parameter.data += 0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1))
    assert failed(subject_of(TorchBackbone(card, trained, device=torch.device("cpu"), dtype="float32"), jets)) == set()


@pytest.mark.parametrize("training", [True, False])
def test_batch_norm_in_training_mode_is_caught(jets, training):
    card = made_card(
        role="control", architecture="constructed_backbones:build_batch_normed", untrained_twin_of="other", seed=1
    )
    with trusting(True):
        backbone = load_backbone(card)
    backbone.module.train(training)
    found = failed(subject_of(backbone, jets))
    assert ("batch-statistics" in found) == training
    if training:
        (row,) = run_check("batch-statistics", subject_of(backbone, jets))
        assert row.figure == "norm: BatchNorm1d"
