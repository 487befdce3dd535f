"""Files of a dataset that cannot be read: left out and named where that is asked for, and no other file moves."""

from dataclasses import replace

import pytest

from jetassay.errors import DataError
from jetassay.jets.counting import count_labels, require_jets
from jetassay.jets.dataset import open_dataset, split_files


@pytest.fixture
def folder(make_sample, parquet_file, tmp_path, cache):
    """Four sound files of each of two classes."""
    (tmp_path / "jets").mkdir()
    for seed, name in enumerate(f"jets/{group}_{k:03d}.parquet" for group in ("Hbb", "QCD") for k in range(4)):
        parquet_file(make_sample(20, seed=seed), name)
    return tmp_path / "jets"


def opened(folder):
    heard = []
    dataset = open_dataset("mine", folder, schema="jetclass", set_aside=lambda *each: heard.append(each))
    return dataset, heard


def damage(path):
    path.write_bytes(path.read_bytes()[:1000])


def names(files):
    return [file.name for file in files]


def test_whatever_is_no_file_of_jets_is_heard_of_and_the_rest_is_a_dataset(folder, parquet_file, make_sample):
    foreign = make_sample(5)
    foreign.numbers, foreign.lists = {"x": foreign.numbers["jet_pt"]}, {}
    parquet_file(foreign, "jets/other_000.parquet")
    (folder / "empty_000.root").touch()
    (folder / "notes_000.root").write_text("not jets")
    (folder / "gone_000.root").symlink_to(folder / "nowhere")
    damage(folder / "Hbb_002.parquet")
    dataset, heard = opened(folder)
    reasons = {file.name: reason for file, reason in heard}
    assert dataset.aside == dict(heard)
    assert list(reasons) == sorted(reasons)
    for name, reason in {
        "Hbb_002.parquet": "truncated or damaged",
        "empty_000.root": "is empty",
        "gone_000.root": "No such file",
        "notes_000.root": "neither a ROOT nor",
        "other_000.parquet": "has no branch of the schema 'jetclass'; it begins with x",
    }.items():
        assert reason in reasons.pop(name)
    assert not reasons
    sound = [path for path in folder.glob("*.parquet") if path.name not in ("Hbb_002.parquet", "other_000.parquet")]
    assert len(sound) == len(dataset.files) == 7
    assert dataset.digest == open_dataset("mine", sound, schema="jetclass").digest


def test_where_no_file_is_left_it_is_an_error_with_every_reason(folder):
    for path in folder.iterdir():
        damage(path)
    with pytest.raises(DataError, match=r"not one of its 8 files can be used:\n(.*truncated or damaged.*\n?){8}"):
        opened(folder)


def test_a_damaged_file_puts_no_other_into_another_split(folder):
    fractions = {"seed": 3, "train": 0.5, "validation": 0.25, "test": 0.25}
    before = split_files(opened(folder)[0], **fractions)
    for victim in (before["test"][0].path, before["train"][0].path):
        damage(victim)
    (folder / "stray_000.root").write_text("of no group that has a sound file")
    dataset, _ = opened(folder)
    left = split_files(dataset, **fractions)
    assert {split: names(files) for split, files in left.items()} == {
        "train": names(before["train"][1:]),
        "validation": names(before["validation"]),
        "test": names(before["test"][1:]),
    }
    published = replace(dataset, splits={split: tuple(names(files)) for split, files in before.items()})
    assert split_files(published, seed=0, train=1, validation=1, test=1) == left


def test_a_file_without_labels_counts_for_nothing_and_is_named_where_jets_are_too_few(
    folder, parquet_file, make_sample
):
    sample = make_sample(20, seed=9)
    sample.numbers = {name: values for name, values in sample.numbers.items() if not name.startswith("label_")}
    parquet_file(sample, "jets/QCD_000.parquet")
    dataset, heard = opened(folder)
    assert not heard
    sound = [file for file in dataset.files if file.name != "QCD_000.parquet"]
    assert require_jets(dataset, classes=("QCD",), minimum=2) == count_labels(sound, dataset.schema)
    with pytest.raises(DataError, match=r"QCD has 14(.|\n)*Not counted, .*\n.*QCD_000\.parquet.*label_QCD"):
        require_jets(dataset, classes=("QCD",), minimum=15)
