"""What the steps hand from stage to stage: the right jets to each task, and the right digest to each score."""

import os
import shutil

import numpy as np
import pytest

from jetassay import scoring, steps
from jetassay.embeddings import aside
from jetassay.errors import DataError
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


@pytest.fixture
def data(tmp_path, jets_folder):
    """Files of the test's own to damage."""
    shutil.copytree(jets_folder, tmp_path / "data")
    return tmp_path / "data"


def unscored(suite, folder):
    """The suite on other files, with nothing that needs jets of every class in every split."""
    choice = suite.dataset.model_copy(update={"folder": folder})
    return suite.model_copy(update={"probe": None, "backbones": ("jet-observables",), "dataset": choice})


def usable_of(suite, jets, splits):
    backbones = steps.load_backbones(suite, device="cpu", reporter=QUIET)
    return steps.embed_usable(suite, backbones, jets, splits, reporter=QUIET)


def test_a_file_that_is_set_aside_is_named_with_its_entries_and_no_other_jets_are_lost(home, suite, data):
    suite = unscored(suite, data)
    jets = steps.find_jets(suite.dataset, reporter=QUIET)
    splits = steps.split_jets(suite, jets)
    victim = splits["train"][0]
    os.utime(victim.path, ns=(0, 0))
    usable = usable_of(suite, jets, splits)
    (problem,) = usable.problems
    assert problem.startswith(f"set aside with its {victim.entries} entries: {victim.path}: changed")
    embedded = usable.embedded["jet-observables"]
    assert embedded.counts.entries + victim.entries == jets.entries
    assert embedded.counts.entries == len(embedded) + sum(embedded.counts.dropped.values())
    assert {file.path for files in usable.splits.values() for file in files} == {f.path for f in usable.dataset.files}
    assert victim not in usable.dataset.files


def damage(path, size=2000):
    path.write_bytes(path.read_bytes()[:size])
    return path


def test_a_file_that_was_never_whole_is_set_aside_like_one_that_changes_later(home, suite, data, dataset):
    suite = unscored(suite, data)
    cut, foreign = damage(data / "Hbb_001.root"), data / "notes.root"
    foreign.write_text("not jets")
    jets = steps.find_jets(suite.dataset, set_aside=True, reporter=QUIET)
    splits = steps.split_jets(suite, jets)
    os.utime(jets.files[0].path, ns=(0, 0))
    usable = usable_of(suite, jets, splits)
    cut_problem, foreign_problem, changed_problem = usable.problems
    assert cut_problem.startswith(f"set aside with all its entries: {cut}: truncated or damaged ROOT file")
    assert foreign_problem.startswith(f"set aside with all its entries: {foreign}: neither a ROOT nor")
    assert changed_problem.startswith(f"set aside with its 24 entries: {jets.files[0].path}: changed")
    assert usable.embedded["jet-observables"].counts.entries == dataset.entries - 2 * 24
    whole = steps.split_jets(suite, dataset)
    left_out = {cut.name, jets.files[0].name}
    for split, files in usable.splits.items():
        assert [f.name for f in files] == [f.name for f in whole[split] if f.name not in left_out]


def test_few_files_in_all_may_be_set_aside(home, suite, data, monkeypatch):
    suite = unscored(suite, data)
    monkeypatch.setattr(aside, "MOST_SET_ASIDE", 1)
    damage(data / "Hbb_001.root")
    jets = steps.find_jets(suite.dataset, set_aside=True, reporter=QUIET)
    os.utime(jets.files[0].path, ns=(0, 0))
    with pytest.raises(DataError, match=r"more than 1 files cannot be used(.|\n)*changed"):
        usable_of(suite, jets, steps.split_jets(suite, jets))
    damage(data / "QCD_001.root")
    with pytest.raises(DataError, match=r"more than 1 files cannot be used(.|\n)*QCD_001"):
        steps.find_jets(suite.dataset, set_aside=True, reporter=QUIET)


def test_where_a_split_or_a_class_cannot_do_without_a_file_it_is_said_with_the_reason(home, suite, data, dataset):
    tested = steps.split_jets(suite, dataset)["test"]
    (signal,) = [file.name for file in tested if file.group == "Hbb"]
    damage(data / signal)
    suite = suite.model_copy(update={"dataset": suite.dataset.model_copy(update={"folder": data})})
    jets = steps.find_jets(suite.dataset, set_aside=True, reporter=QUIET)
    with pytest.raises(DataError, match=rf"1 file set aside:\n.*{signal}.*\nThe suite cannot do .* Hbb has 0"):
        steps.split_jets(suite, jets)
    for file in tested:
        damage(data / file.name)
    suite = unscored(suite, data)
    jets = steps.find_jets(suite.dataset, set_aside=True, reporter=QUIET)
    with pytest.raises(DataError, match=r"2 files set aside(.|\n)*no file of the test split is left"):
        steps.split_jets(suite, jets)
    with pytest.raises(DataError, match="truncated or damaged"):
        steps.find_jets(suite.dataset, reporter=QUIET)
