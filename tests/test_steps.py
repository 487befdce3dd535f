"""What the steps hand from stage to stage: the right jets to each task, and the right digest to each score."""

import os
import shutil

import numpy as np
import pytest

from jetassay import scoring, steps
from jetassay.jets.dataset import open_dataset
from jetassay.progress import Reporter
from jetassay.suite import Suite
from jetassay.tasks.score import Outcome, Score

QUIET = Reporter(quiet=True)


@pytest.fixture
def suite(jets_folder):
    table = {
        "name": "mine",
        "title": "Mine",
        "backbones": ["jet-observables", "mlp-untrained"],
        "dataset": {"card": "jetclass", "folder": str(jets_folder)},
        "split": {"train": 1, "validation": 1, "test": 1},
        "probe": {"signals": ["Hbb"]},
        "similarity": {"permutations": 9},
    }
    return Suite.model_validate(table)


@pytest.fixture
def dataset(suite):
    return steps.find_jets(suite.dataset, reporter=QUIET)


def files_of(sample):
    return {sample.keys.files[index] for index in np.unique(sample.keys.file)}


def test_each_task_gets_the_jets_of_its_split(home, suite, dataset, monkeypatch):
    seen = {}
    monkeypatch.setattr("jetassay.tasks.probe.probe", lambda jets, **_: seen.update(jets.by_name()) or Outcome(()))
    monkeypatch.setattr("jetassay.tasks.similarity.similarity", lambda jets, **_: seen.update(jets) or Outcome(()))
    splits = steps.split_jets(suite, dataset)
    backbones = steps.load_backbones(suite, device="cpu", reporter=QUIET)
    embedded = steps.embed_all(suite, backbones, dataset, splits, reporter=QUIET)
    scoring.score_all(suite, embedded, splits, reporter=QUIET)
    expected = {split: {file.digest for file in files} for split, files in splits.items()}
    assert {name: files_of(seen[name]) for name in expected} == expected
    assert all(files_of(seen[name]) == expected["test"] for name in suite.backbones)
    assert not set.intersection(*expected.values())


def test_a_score_carries_the_digest_of_its_jets_and_weights(home, suite, dataset, jets_folder):
    backbones = steps.load_backbones(suite, device="cpu", reporter=QUIET)
    score = Score(task="probe", task_version=1, metric="auc", value=0.5, backbone="mlp-untrained")
    row = scoring.Scored([score]).frame(suite, dataset, backbones).iloc[0]
    assert row["data_digest"] == open_dataset("other", jets_folder, schema="jetclass").digest
    assert row["weights_sha256"] == backbones["mlp-untrained"].weights_sha256


def test_a_file_that_is_set_aside_is_named_with_its_entries_and_no_other_jets_are_lost(
    home, suite, tmp_path, jets_folder
):
    folder = tmp_path / "data"
    shutil.copytree(jets_folder, folder)
    choice = suite.dataset.model_copy(update={"folder": folder})
    suite = suite.model_copy(update={"probe": None, "backbones": ("jet-observables",), "dataset": choice})
    jets = steps.find_jets(suite.dataset, reporter=QUIET)
    splits = steps.split_jets(suite, jets)
    victim = splits["train"][0]
    os.utime(victim.path, ns=(0, 0))
    backbones = steps.load_backbones(suite, device="cpu", reporter=QUIET)
    usable = steps.embed_usable(suite, backbones, jets, splits, reporter=QUIET)
    (problem,) = usable.problems
    assert problem.startswith(f"set aside with its {victim.entries} entries: {victim.path}: changed")
    embedded = usable.embedded["jet-observables"]
    assert embedded.counts.entries + victim.entries == jets.entries
    assert embedded.counts.entries == len(embedded) + sum(embedded.counts.dropped.values())
    assert {file.path for files in usable.splits.values() for file in files} == {f.path for f in usable.dataset.files}
    assert victim not in usable.dataset.files
