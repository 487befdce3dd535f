"""The statistical checks as the audit runs them: on files, from reading to the row."""

import numpy as np
import pytest
from constructed_backbones import Clean
from jet_files import audited_jets, subject_of, write_file, write_files

from jetassay.audit.audit import run_check
from jetassay.audit.once import once_for_all_backbones

CHECKS = ("shuffled-labels", "entry-order", "too-good", "single-columns", "class-dependent-drops")


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("JETASSAY_CACHE", str(tmp_path / "cache"))


def rows_of(subject, *checks):
    return [row for name in checks for row in run_check(name, subject)]


def test_clean_files_and_a_clean_backbone_pass(tmp_path):
    jets = audited_jets(write_files(tmp_path / "jets", jets=150))
    rows = rows_of(subject_of(Clean(), jets, store=tmp_path / "store"), *CHECKS)
    assert [row.check for row in rows if row.status == "not run"] == ["too-good"]
    assert {row.check for row in rows if row.status in {"pass", "note"}} == set(CHECKS) - {"too-good"}
    (untold,) = (row for row in rows if row.check == "too-good")
    assert "Zqq: 0 jets of Zqq or QCD in a sample" in untold.meaning


def test_the_label_as_a_jet_column_is_caught(tmp_path):
    def edit(lists, counts, numbers):
        numbers["jet_sdmass"] = numbers["label_Hbb"] * 125
        numbers["jet_pt"] = np.random.default_rng(len(counts) + counts[0]).uniform(500, 1000, len(counts))
        numbers["jet_pt"] = numbers["jet_pt"].astype(np.float32)

    jets = audited_jets(write_files(tmp_path / "jets", jets=600, edit=edit))
    rows = rows_of(subject_of(Clean(), jets, store=tmp_path / "store"), "single-columns")
    assert [row.meaning for row in rows if row.status == "fail"] == [
        "jet_sdmass (Hbb): near-perfect alone. No detector measures that: look for truth."
    ]


def test_a_rule_that_drops_more_of_one_class_is_caught(tmp_path):
    def edit(lists, counts, numbers):
        lost = np.arange(len(counts)) % 4 == 0
        numbers["jet_pt"] = np.where(lost & (numbers["label_Hbb"] > 0), np.nan, numbers["jet_pt"]).astype(np.float32)

    jets = audited_jets(write_files(tmp_path / "jets", jets=100, edit=edit), on_invalid="drop")
    (row,) = rows_of(subject_of(Clean(), jets, store=tmp_path / "store"), "class-dependent-drops")
    assert row.status == "fail"
    assert "'non_finite' removes jets by class" in row.meaning
    assert (row.numbers["fraction"], row.numbers["elsewhere"]) in [(0.25, 0.0), (0.0, 0.25)]


def test_what_depends_on_jets_alone_is_found_once_for_all_backbones(tmp_path):
    calls = []

    @once_for_all_backbones
    def counted(subject):
        calls.append(subject.name)
        return ()

    some, others = (audited_jets(write_files(tmp_path / name, jets=60)) for name in ("some", "others"))
    for jets in (some, some, others):
        counted(subject_of(Clean(), jets))
    assert len(calls) == 2


def test_too_few_jets_are_not_run_and_say_so(tmp_path):
    jets = audited_jets(write_files(tmp_path / "jets", jets=9))
    rows = rows_of(subject_of(Clean(), jets, store=tmp_path / "store"), "shuffled-labels", "entry-order")
    assert {row.status for row in rows} == {"not run"}
    assert "18 different jets in the train sample; at least 50 are needed" in rows[1].meaning


@pytest.mark.parametrize(("names", "wrong"), [(("Hbb", "Tbqq"), []), (("Hbb",), ["shuffled-labels", "single-columns"])])
def test_files_without_qcd_are_compared_among_their_own_classes(tmp_path, monkeypatch, names, wrong):
    monkeypatch.setattr("jet_files.CLASSES", names)
    (tmp_path / "jets").mkdir()
    paths = [
        write_file(tmp_path / f"jets/{name}_{number:03d}.parquet", name, 100, seed=number)
        for name in names
        for number in range(3)
    ]
    subject = subject_of(Clean(), audited_jets(paths), store=tmp_path / "store")
    rows = rows_of(subject, "shuffled-labels", "single-columns")
    untold = {row.check: row.meaning for row in rows if row.status == "not run"}
    assert sorted(untold) == wrong
    if wrong:
        assert "no observed" not in untold["single-columns"]


@pytest.mark.parametrize("check", CHECKS)
def test_an_embedding_that_never_varies_raises_no_alarm_here(tmp_path, check):
    class Constant(Clean):
        def of_jets(self, batch):
            return np.full_like(super().of_jets(batch), 0.0)

    jets = audited_jets(write_files(tmp_path / "jets", jets=60))
    rows = rows_of(subject_of(Constant(), jets, store=tmp_path / "store"), check)
    assert {row.status for row in rows} <= {"pass", "note", "not run"}
