"""Doubles of jets with shuffled truth: in every format that is written, in nothing but truth, and not elsewhere."""

from types import SimpleNamespace

import numpy as np
import pytest
import uproot
from constructed_backbones import Clean
from jet_files import CLASSES, audited_jets, in_format, subject_of, write_file, write_files

from jetassay.audit.audit import run_check
from jetassay.audit.tainting import NotWritableError, write_shuffled
from jetassay.jets.catalogue import read_dataset_card
from jetassay.jets.mapped import open_jets
from jetassay.jets.schema import SCHEMAS

NEEDS = Clean().feature_set.needs


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("JETASSAY_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def paths(tmp_path):
    return write_files(tmp_path / "jets", jets=30)


@pytest.mark.parametrize("form", ["parquet", "root", "hdf5"])
def test_a_double_has_the_same_jets_to_the_bit_and_other_labels_in_every_format(paths, tmp_path, form):
    jets = audited_jets(paths if form == "parquet" else in_format(paths, tmp_path / form, form))
    one = jets.of(needs=None, max_constituents=128)
    double, copy = jets.double(needs=None, max_constituents=128)
    for name, values in {**one.jets.constituents, **one.jets.columns}.items():
        np.testing.assert_array_equal({**double.jets.constituents, **double.jets.columns}[name], values)
    assert {"label_QCD", "label_Hbb", "aux_genpart_pt"} <= set(copy.columns)
    assert 0.3 < (one.truth.labels != double.truth.labels).mean() < 0.7
    assert sorted(one.truth.labels) == sorted(double.truth.labels)
    assert copy.path.suffix == jets.files[0].path.suffix
    assert copy.path.name not in {file.name for file in jets.files}
    assert not copy.path.exists()
    (row,) = run_check("taint", subject_of(Clean(), jets))
    assert row.status == "pass"


def test_columns_that_no_schema_knows_are_shuffled_too(paths, tmp_path):
    jets = audited_jets(paths)
    kept = jets.of(needs=NEEDS, max_constituents=128).kept
    copy = write_shuffled(tmp_path, jets.files, kept, schema=jets.dataset.schema, seed=3)
    assert {"secret", "part_origin"} <= set(copy.columns)
    before = [open_jets(file.path, jets.dataset.schema) for file in jets.files]
    after = open_jets(copy.path, jets.dataset.schema)

    def read(source, name, stop):
        (chunk,) = source.chunks([name], start=0, stop=stop, step=stop)
        return chunk.lists[name].content if name in chunk.lists else chunk.numbers[name]

    for name in ("secret", "part_origin"):
        old = np.concatenate([read(source, name, len(rows)) for source, rows in zip(before, kept, strict=True)])
        new = read(after, name, sum(map(len, kept)))
        assert (old != new).mean() > 0.9
        np.testing.assert_array_equal(np.sort(old), np.sort(new))


def test_dropped_jets_are_in_neither(tmp_path):
    def edit(lists, counts, numbers):
        numbers["jet_pt"][3] = np.nan

    jets = audited_jets(write_files(tmp_path / "jets", jets=30, edit=edit), jets=50, on_invalid="drop")
    one = jets.of(needs=NEEDS, max_constituents=128)
    double, _ = jets.double(needs=NEEDS, max_constituents=128)
    assert len(one) == len(double) == 2 * (25 - 1)
    (row,) = run_check("taint", subject_of(Clean(), jets))
    assert row.status == "pass"


def test_one_file_of_each_group_of_the_test_split_is_read_and_no_more_entries_than_asked_for(paths):
    jets = audited_jets(paths, jets=20)
    assert [file.name for file in jets.files] == [f"{name}_002.parquet" for name in sorted(CLASSES)]
    assert jets.entries == (10, 10)
    one = jets.of(needs=NEEDS, max_constituents=5)
    assert len(one) == 20
    assert one.jets.multiplicities.max() == 5
    assert jets.of(needs=NEEDS, max_constituents=5) is one


CARD = """
name = "mine"
title = "Mine"
labels = ["QCD", "Hbb"]
mixed_files = true
[[layouts]]
title = "as I write it"
formats = ["{form}"]
[layouts.columns]
part_px = "part_px"
part_py = "part_py"
part_pz = "part_pz"
part_energy = "part_energy"
[layouts.labels]
columns = {{ QCD = "label_QCD", Hbb = "label_Hbb" }}
"""


def mapped(tmp_path, form):
    (tmp_path / "mine.toml").write_text(CARD.format(form=form))
    return read_dataset_card(tmp_path / "mine.toml").make_schema()


@pytest.mark.parametrize("form", ["parquet", "root", "hdf5"])
def test_files_in_another_layout_are_written_in_that_layout(paths, tmp_path, form):
    found = paths if form == "parquet" else in_format(paths, tmp_path / form, form)
    jets = audited_jets(found, schema=mapped(tmp_path, form))
    _, copy = jets.double(needs=NEEDS, max_constituents=128)
    assert {"label_QCD", "jet_sdmass", "part_d0val", "part_deta"} <= set(copy.columns)  # the layout names none of them
    (row,) = run_check("taint", subject_of(Clean(), jets))
    assert row.status == "pass"


def test_what_cannot_be_written_is_not_run_and_says_why(paths, tmp_path, monkeypatch):
    with uproot.recreate(tmp_path / "other.root") as file:
        file.mktree("events", {"part_px": "f4"}).extend({"part_px": np.ones(3, np.float32)})
    one = SimpleNamespace(path=tmp_path / "other.root")
    with pytest.raises(NotWritableError, match="only ROOT files with a tree 'tree'"):
        write_shuffled(tmp_path, [one], [np.arange(2)], schema=SimpleNamespace(tree="events", layouts=()), seed=0)
    with pytest.raises(NotWritableError, match="Delphes events are read, but not written") as error:
        write_shuffled(tmp_path, [one], [np.arange(2)], schema=SCHEMAS["delphes-ak8"], seed=0)
    jets = audited_jets(paths)

    def refuse(**_):
        raise error.value

    monkeypatch.setattr(jets, "double", refuse)
    (row,) = run_check("taint", subject_of(Clean(), jets))
    assert row.status == "not run"
    assert "Delphes events" in row.meaning


def test_a_double_that_loses_a_jet_fails(paths, monkeypatch):
    jets = audited_jets(paths)
    subject = subject_of(Clean(), jets)
    double, copy = jets.double(needs=NEEDS, max_constituents=128)
    monkeypatch.setattr(jets, "double", lambda **_: (SimpleNamespace(jets=double.jets.take(np.arange(10))), copy))
    (row,) = run_check("taint", subject)
    assert row.status == "fail"


def test_a_single_class_is_no_reason_to_stop(tmp_path):
    paths = [write_file(tmp_path / f"QCD_{k:03d}.parquet", "QCD", 60, seed=k) for k in range(3)]
    subject = subject_of(Clean(), audited_jets(paths))
    (row,) = run_check("taint", subject)
    assert row.status == "pass"
    (row,) = run_check("label-columns", subject)
    assert row.status == "not run"
