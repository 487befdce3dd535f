"""The flaw of a published set of scripts: label columns, tiled onto every constituent, among the inputs of a network
whose weights were never loaded. Its authors report an AUC of 1.000 for every class. Three checks catch it."""

from dataclasses import replace

import jet_files
import numpy as np
import pytest
from jet_files import audited_jets, subject_of, write_files

from jetassay.audit import subsample
from jetassay.audit.audit import run_check
from jetassay.audit.suspicion import suspicious_scores
from jetassay.backbones.card import Card
from jetassay.backbones.loading import load_backbone
from jetassay.embeddings import units
from jetassay.errors import LeakageError
from jetassay.features.recipe import Feature, FeatureSet
from jetassay.features.sets import FEATURE_SETS
from jetassay.jets import reading
from jetassay.tasks.probe import probe_signal

JETS = 600
PARAMETERS = {"embed_dims": [16], "pair_embed_dims": [8], "num_heads": 2, "num_layers": 1, "num_cls_layers": 1}


def untrained_network():
    card = Card(
        name="never-loaded",
        title="Random weights",
        role="control",
        untrained_twin_of="sophon",
        seed=3,
        architecture="jetassay.backbones.part:build",
        parameters={"input_dim": 7, "num_classes": 2, **PARAMETERS},
        feature_set="part-kin",
        embedding_dim=16,
        labels=("QCD", "Zqq"),
    )
    return load_backbone(card)


def tile_labels(path, **options):
    """A reader that adds the one-hot label to a feature of every constituent, as if it were a column of the jet."""
    for chunk in reading.read_chunks(path, **options):
        labels = np.repeat(chunk.truth.labels > 0, chunk.jets.multiplicities).astype(np.float32)
        constituents = dict(chunk.jets.constituents)
        if "part_deta" in constituents:
            constituents["part_deta"] = constituents["part_deta"] + labels
        yield replace(chunk, jets=replace(chunk.jets, constituents=constituents))


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jet_files, "CLASSES", ("QCD", "Zqq"))
        return write_files(tmp_path_factory.mktemp("flaw"), jets=JETS)


def audit_of(paths, store, checks):
    subject = subject_of(untrained_network(), audited_jets(paths, jets=200), store=store)
    rows = [row for name in checks for row in run_check(name, subject)]
    (auc,) = (each for each in probe_signal(subject.splits, signal="Zqq", backbone="x").scores if each.metric == "auc")
    return {row.check for row in rows if row.status == "fail"}, auc


def test_an_untrained_network_without_labels_passes(paths, tmp_path):
    failed, auc = audit_of(paths, tmp_path, ["columns", "taint", "shuffled-labels", "entry-order", "too-good"])
    assert failed == set()
    assert auc.value < 0.9
    assert not suspicious_scores([auc])


def test_label_columns_among_the_inputs_are_caught_as_taint_and_as_too_good(paths, tmp_path, monkeypatch):
    for module in (subsample, units):
        monkeypatch.setattr(module, "read_chunks", tile_labels)
    failed, auc = audit_of(paths, tmp_path, ["columns", "taint", "shuffled-labels", "entry-order", "too-good"])
    assert auc.value > 0.999
    assert failed == {"taint", "too-good"}
    assert suspicious_scores([auc]) == (auc,)


def test_label_columns_cannot_be_written_into_a_feature_set_and_are_caught_where_one_was_made_otherwise(paths):
    with pytest.raises(LeakageError, match="label_Zqq"):
        FeatureSet(name="leaky", title="Leaky", jet_features=(Feature("label_Zqq"),))

    class Tiled:
        needs = (*FEATURE_SETS["part-kin"].needs, *(f"label_{name}" for name in ("QCD", "Zqq")), "aux_genpart_pt")

        def __getattr__(self, name):
            return getattr(FEATURE_SETS["part-kin"], name)

    network = untrained_network()
    network.feature_set = Tiled()
    (row,) = (row for row in run_check("columns", subject_of(network, audited_jets(paths))) if row.status == "fail")
    assert "label_Zqq" in row.meaning
