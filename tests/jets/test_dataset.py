import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jetassay.errors import ConfigError, DataError, StoreError, UnknownNameError
from jetassay.jets.counting import count_labels, require_jets
from jetassay.jets.dataset import (
    DataFile,
    Dataset,
    group_of,
    open_dataset,
    split_files,
)
from jetassay.jets.digests import content_facts
from jetassay.jets.schema import SCHEMAS

JETCLASS = SCHEMAS["jetclass"]


def made_up(groups, *, folder="/data"):
    """A dataset of files that do not exist: splits look at names and digests alone."""
    files = [
        DataFile(Path(folder) / f"{group}_{k:03d}.root", group, 100, f"{group}{k}")
        for group, count in groups.items()
        for k in range(count)
    ]
    return Dataset("made-up", JETCLASS, tuple(files), ())


@pytest.mark.parametrize(
    ("name", "group"),
    [
        ("HToBB_120.root", "Hbb"),
        ("ZJetsToNuNu_000.root", "QCD"),
        ("TTBarLep_124.root", "Tbl"),
        ("TTBar_124.root", "Tbqq"),
        ("HToWW2Q1L_001.root", "Hqql"),
        ("Hbb_000.root", "Hbb"),
        ("Res2P_0200.parquet", "Res2P"),
        ("QCD_0280.parquet", "QCD"),
        ("jetclass2_dev.parquet", "jetclass2_dev"),
        ("my-jets-7.root", "my-jets"),
    ],
)
def test_published_and_own_file_names_give_the_group(name, group):
    assert group_of(Path("somewhere") / name) == group


def test_a_folder_becomes_sorted_files_with_their_entries(make_sample, root_file, parquet_file, tmp_path, cache):
    root_file(make_sample(12, seed=1), "HToBB_121.root")
    (tmp_path / "more").mkdir()
    root_file(make_sample(13, seed=2), "more/HToBB_120.root")
    parquet_file(make_sample(14, seed=3), "QCD_000.parquet")
    (tmp_path / ".half_000.root.partial").write_text("being written")
    (tmp_path / ".half_000.root").write_text("being written")
    (tmp_path / "notes.txt").write_text("not jets")
    dataset = open_dataset("mine", tmp_path, schema="jetclass")
    assert [(f.name, f.group, f.entries) for f in dataset.files] == [
        ("HToBB_120.root", "Hbb", 13),
        ("HToBB_121.root", "Hbb", 12),
        ("QCD_000.parquet", "QCD", 14),
    ]
    assert dataset.entries == 39
    assert list(dataset.groups) == ["Hbb", "QCD"]
    chunk = next(dataset.read(dataset.files[0], needs=("jet_pt",)))
    assert (len(chunk.jets), chunk.origin.file) == (13, "HToBB_120.root")


def test_a_dataset_applies_the_cuts_of_its_schema_unless_told_otherwise(real, cache):
    path = real("jetclass2_vectors.root")
    cut = open_dataset("two", path, schema="jetclass2")
    whole = open_dataset("two", path, schema="jetclass2", selection=())
    assert [len(next(d.read(d.files[0])).jets) for d in (cut, whole)] == [85, 100]
    assert cut.digest != whole.digest
    assert cut.files[0].digest == whole.files[0].digest


def test_what_is_no_dataset_is_named(make_sample, root_file, tmp_path, cache):
    with pytest.raises(DataError, match="no such folder"):
        open_dataset("mine", tmp_path / "absent", schema="jetclass")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"holds no \.root, \.parquet, \.h5 or \.hdf5 files"):
        open_dataset("mine", tmp_path / "empty", schema="jetclass")
    with pytest.raises(DataError, match="at least one file"):
        open_dataset("mine", [], schema="jetclass")
    with pytest.raises(DataError, match="cannot be read: No such file"):
        open_dataset("mine", [tmp_path / "HToBB_120.root"], schema="jetclass")
    with pytest.raises(UnknownNameError, match="Did you mean 'jetclass'"):
        open_dataset("mine", tmp_path, schema="jetclas")
    (tmp_path / "more").mkdir()
    doubles = [root_file(make_sample(), "Hbb_000.root"), root_file(make_sample(), "more/Hbb_000.root")]
    with pytest.raises(DataError, match="two files of one dataset have the same name"):
        open_dataset("mine", doubles, schema="jetclass")


def test_the_digest_is_of_the_jets_and_not_of_the_bytes(make_sample, root_file, parquet_file):
    sample = make_sample()
    files = [
        root_file(sample, "a.root"),
        root_file(sample, "b.root"),  # another identifier and time of writing inside
        root_file(sample, "c.root", one_counter=True, basket=9),
        parquet_file(sample, row_group=13),
    ]
    assert files[0].read_bytes() != files[1].read_bytes()
    assert len({content_facts(path, JETCLASS).digest for path in files}) == 1


@pytest.mark.parametrize("name", ["part_d0val", "part_charge", "jet_tau4", "label_QCD", "aux_genpart_pt"])
def test_any_changed_value_changes_the_digest(make_sample, root_file, name):
    sample = make_sample()
    before = content_facts(root_file(sample), JETCLASS).digest
    values = sample.lists if name in sample.lists else sample.numbers
    values[name] = values[name].copy()
    values[name][20] = values[name][20] + 1 if values[name].dtype != bool else ~values[name][20]
    assert content_facts(root_file(sample), JETCLASS).digest != before


def test_moving_a_constituent_to_the_next_jet_changes_the_digest(make_sample, root_file):
    sample = make_sample()
    before = content_facts(root_file(sample), JETCLASS).digest
    jet = int(np.argmax(sample.counts > 1))
    sample.counts[jet] -= 1
    sample.counts[jet + 1] += 1
    assert content_facts(root_file(sample), JETCLASS).digest != before


def age(path, seconds=60):
    """As if the file had been written some time ago: only settled files are kept in the cache."""
    stamp = path.stat().st_mtime_ns - int(seconds * 1e9)
    os.utime(path, ns=(stamp, stamp))


def test_a_digest_is_computed_once_and_again_when_the_file_changes(make_sample, root_file, cache, monkeypatch):
    path = root_file(make_sample(seed=1), "Hbb_000.root")
    age(path)
    first = open_dataset("mine", path, schema="jetclass")
    with monkeypatch.context() as patch:
        patch.setattr("jetassay.jets.digests.content_facts", lambda *_: pytest.fail("computed again"))
        assert open_dataset("mine", path, schema="jetclass").digest == first.digest
    root_file(make_sample(seed=2), "Hbb_000.root")
    age(path, seconds=30)
    assert open_dataset("mine", path, schema="jetclass").digest != first.digest


def test_digests_of_the_files_before_one_that_cannot_be_read_are_kept(make_sample, root_file, cache, tmp_path):
    sound = root_file(make_sample(seed=1), "Hbb_000.root")
    age(sound)
    broken = sound.with_name("QCD_000.root")
    broken.write_bytes(sound.read_bytes()[:2000])
    with pytest.raises(DataError, match="QCD_000"):
        open_dataset("mine", [sound, broken], schema="jetclass")
    assert list(json.loads((cache / "digests.json").read_text())) == [str(sound)]


def test_a_file_that_was_just_written_is_not_kept_because_it_may_still_change(make_sample, root_file, cache):
    open_dataset("mine", root_file(make_sample()), schema="jetclass")
    assert not (cache / "digests.json").exists()


@pytest.mark.parametrize("content", ["{half", "[1, 2]", '{"PATH": 3}', '{"PATH": {"digest": "x"}}'])
def test_a_damaged_cache_of_digests_is_not_used(make_sample, root_file, cache, content):
    path = root_file(make_sample())
    age(path)
    cache.mkdir()
    (cache / "digests.json").write_text(content.replace("PATH", str(path)))
    assert open_dataset("mine", path, schema="jetclass").files[0].digest == content_facts(path, JETCLASS).digest
    assert str(path) in json.loads((cache / "digests.json").read_text())


def test_a_file_that_changes_while_it_is_read_is_an_error(make_sample, root_file, cache, monkeypatch):
    path = root_file(make_sample())

    def slow(file, schema):
        facts = content_facts(file, schema)
        age(file)
        return facts

    monkeypatch.setattr("jetassay.jets.digests.content_facts", slow)
    with pytest.raises(DataError, match="changed while it was being read"):
        open_dataset("mine", path, schema="jetclass")


def test_a_file_that_was_replaced_since_its_digest_was_taken_gives_no_more_jets(make_sample, root_file, cache):
    path = root_file(make_sample(20, seed=1))
    dataset = open_dataset("mine", path, schema="jetclass")
    chunks = dataset.read(dataset.files[0], entries_per_chunk=10)
    next(chunks)
    root_file(make_sample(20, seed=2), path.name)
    age(path, seconds=30)
    with pytest.raises(DataError, match="changed or was replaced during the run"):
        next(chunks)


def test_a_cache_that_cannot_be_written_is_named(make_sample, root_file, tmp_path, monkeypatch):
    path = root_file(make_sample())
    age(path)
    (tmp_path / "file").touch()
    monkeypatch.setenv("JETASSAY_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(StoreError, match="is a file and no folder"):
        open_dataset("mine", path, schema="jetclass")


def test_the_digest_of_a_dataset_does_not_depend_on_folders_but_on_names_and_cuts():
    dataset = made_up({"Hbb": 3})
    assert made_up({"Hbb": 3}, folder="/elsewhere").digest == dataset.digest
    assert replace(dataset, files=dataset.files[1:]).digest != dataset.digest
    assert replace(dataset, selection=SCHEMAS["jetclass2"].selection).digest != dataset.digest
    renamed = replace(dataset.files[0], path=Path("/data/Hbb_900.root"))
    assert replace(dataset, files=(renamed, *dataset.files[1:])).digest != dataset.digest


groups = st.dictionaries(st.sampled_from(["QCD", "Hbb", "Tbl", "Res2P"]), st.integers(5, 30), min_size=1)
seeds = st.integers(0, 2**31)


@given(groups, seeds)
def test_no_file_is_in_two_splits_and_every_group_is_in_all(counts, seed):
    splits = split_files(made_up(counts), seed=seed, train=2, validation=1, test=2)
    names = [file.name for files in splits.values() for file in files]
    assert len(names) == len(set(names)) == 5 * len(counts)
    for split, wanted in (("train", 2), ("validation", 1), ("test", 2)):
        assert [sum(f.group == group for f in splits[split]) for group in counts] == [wanted] * len(counts)


@given(groups, seeds)
def test_a_split_depends_on_names_and_seed_alone(counts, seed):
    dataset = made_up(counts)
    shuffled = replace(dataset, files=tuple(reversed(dataset.files)))
    elsewhere = made_up(counts, folder="/elsewhere")
    splits = [
        {
            split: [file.name for file in files]
            for split, files in split_files(each, seed=seed, train=2, validation=1, test=2).items()
        }
        for each in (dataset, dataset, elsewhere)
    ]
    assert splits[0] == splits[1] == splits[2]
    again = split_files(shuffled, seed=seed, train=2, validation=1, test=2)
    assert {split: [file.name for file in files] for split, files in again.items()} == splits[0]


@given(seeds)
def test_a_group_is_split_the_same_whatever_other_groups_there_are(seed):
    def test_files(dataset):
        return [
            f.name for f in split_files(dataset, seed=seed, train=1, validation=1, test=3)["test"] if f.group == "Hbb"
        ]

    assert test_files(made_up({"Hbb": 9})) == test_files(made_up({"Hbb": 9, "QCD": 6}))


@given(seeds, st.integers(1, 5))
def test_more_training_files_leave_validation_and_test_as_they_were(seed, more):
    dataset = made_up({"Hbb": 10})
    small = split_files(dataset, seed=seed, train=1, validation=2, test=2)
    large = split_files(dataset, seed=seed, train=1 + more, validation=2, test=2)
    assert small["test"] == large["test"]
    assert small["validation"] == large["validation"]
    assert set(small["train"]) <= set(large["train"])


def test_other_seeds_give_other_splits():
    dataset = made_up({"Hbb": 10, "QCD": 10})
    tests = {
        tuple(f.name for f in split_files(dataset, seed=seed, train=3, validation=2, test=5)["test"])
        for seed in range(20)
    }
    assert len(tests) == 20


def test_the_split_of_a_seed_never_changes():
    splits = split_files(made_up({"Hbb": 5}), seed=1, train=2, validation=1, test=2)
    assert {split: [f.name[4:7] for f in files] for split, files in splits.items()} == {
        "train": ["000", "001"],
        "validation": ["004"],
        "test": ["002", "003"],
    }


@given(st.integers(3, 200))
def test_fractions_use_every_file_when_they_add_up_to_one(count):
    splits = split_files(made_up({"Hbb": count}), seed=0, train=0.6, validation=0.2, test=0.2)
    sizes = {split: len(files) for split, files in splits.items()}
    assert sum(sizes.values()) == count
    assert all(abs(sizes[split] - count * part) <= 1.5 for split, part in zip(sizes, (0.6, 0.2, 0.2), strict=True))


@pytest.mark.parametrize(
    "counts", [{"train": 1, "validation": 1, "test": 1}, {"train": 0.6, "validation": 0.2, "test": 0.2}]
)
def test_a_group_with_too_few_files_is_named(counts):
    with pytest.raises(DataError, match="made-up: QCD: 2 files are too few"):
        split_files(made_up({"Hbb": 5, "QCD": 2}), seed=0, **counts)


def test_a_split_without_a_file_and_fractions_over_one_are_errors():
    with pytest.raises(DataError, match="at least one file"):
        split_files(made_up({"Hbb": 5}), seed=0, train=2, validation=0, test=2)
    with pytest.raises(ConfigError, match=r"add up to 1\.2"):
        split_files(made_up({"Hbb": 5}), seed=0, train=0.8, validation=0.2, test=0.2)
    with pytest.raises(ConfigError, match="or all as fractions"):
        split_files(made_up({"Hbb": 5}), seed=0, train=2, validation=0.2, test=0.2)


def test_the_same_jets_in_two_splits_are_an_error():
    dataset = made_up({"Hbb": 3})
    copies = tuple(replace(file, digest="the same") for file in dataset.files)
    with pytest.raises(DataError, match="hold the same jets"):
        split_files(replace(dataset, files=copies), seed=0, train=1, validation=1, test=1)


def test_labels_are_counted_from_the_label_branches(make_sample, root_file, parquet_file, cache):
    for suffix, file in (("root", root_file), ("parquet", parquet_file)):
        dataset = open_dataset("mine", file(make_sample(25), f"mixed_000.{suffix}"), schema="jetclass")
        counts = count_labels(dataset.files, dataset.schema)
        assert list(counts) == list(JETCLASS.label_names)
        assert list(counts.values()) == [3] * 5 + [2] * 5


def test_integer_labels_are_counted_too_and_unsound_ones_are_not(make_sample, root_file, cache):
    sample = make_sample(188, schema="jetclass2")
    sample.numbers["jet_label"][7] = 500
    dataset = open_dataset("mine", root_file(sample, "mixed_000.root"), schema="jetclass2")
    counts = count_labels(dataset.files, dataset.schema)
    assert sum(counts.values()) == 187
    assert counts["X_cq"] == 0


def test_a_class_with_too_few_jets_is_named(make_sample, root_file, cache):
    dataset = open_dataset("mine", root_file(make_sample(25), "mixed_000.root"), schema="jetclass")
    assert require_jets(dataset, classes=("QCD", "Hbb"), minimum=3)["QCD"] == 3
    with pytest.raises(DataError, match="too few jets of a class: Tbl has 2, but at least 3"):
        require_jets(dataset, classes=("QCD", "Tbl"), minimum=3)
    with pytest.raises(DataError, match="QCD has 0"):
        require_jets(dataset, classes=("QCD",), minimum=1, files=())
    with pytest.raises(ConfigError, match="no label X_bb"):
        require_jets(dataset, classes=("X_bb",), minimum=1)
