"""The audit in a suite and on the command line: once per backbone, kept; a leak stops a suite that has its results."""

import csv
import io
import shutil

import numpy as np
import pandas as pd
import pytest
from jet_files import CLASSES, write_file
from typer.testing import CliRunner

from jetassay import auditing
from jetassay.audit.catalogue import CHECKS
from jetassay.cli import app
from jetassay.errors import ConfigError, LeakageError
from jetassay.progress import Reporter
from jetassay.run import run_suite
from jetassay.suite import Suite, audit_suite, suites


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Five files of 60 jets of each of two classes."""
    root = tmp_path_factory.mktemp("jets")
    for name in CLASSES:
        for number in range(5):
            write_file(root / f"{name}_{number:03d}.parquet", name, 60, seed=number)
    return root


def suite_on(folder, **changes):
    table = {
        "name": "mine",
        "title": "Mine",
        "backbones": ["tiny-1", "jet-observables"],
        "dataset": {"card": "jetclass", "folder": str(folder)},
        "split": {"train": 2, "validation": 1, "test": 2},
        "probe": {"signals": ["Hbb"]},
        "audit": {"jets": 60},
    }
    return Suite.model_validate(table | changes)


def call(*words):
    return CliRunner().invoke(app, list(words), catch_exceptions=False)


@pytest.mark.slow
def test_every_backbone_of_a_suite_is_audited_once_and_the_findings_are_kept(home, folder, monkeypatch):
    suite = suite_on(folder)
    outcome = run_suite(suite, reporter=Reporter(quiet=True))
    table = pd.read_parquet(home / "workspace/reports/mine/tables/audit.parquet")
    assert set(table.columns) == {"backbone", "check", "status", "figure", "meaning"}
    assert set(table["check"]) <= {name for name, check in CHECKS.items() if check.depth == "cheap"}
    assert dict(table.groupby("backbone")["check"].nunique()) == dict.fromkeys(suite.backbones, len(suite.audit.checks))
    assert not (table["status"] == "fail").any(), table[table["status"] == "fail"].to_string()
    assert outcome.problems == ()
    assert "audit: every backbone embeds a subsample" in outcome.results.protocol
    monkeypatch.setattr("jetassay.audit.audit.run_check", lambda *_: pytest.fail("audited again"))
    run_suite(suite, reporter=Reporter(quiet=True))


def test_a_leak_stops_the_suite_when_its_results_are_on_disk(home, folder, tmp_path):
    jets = shutil.copytree(folder, tmp_path / "jets")

    def other_mass(lists, counts, numbers):
        numbers["jet_sdmass"] = numbers["jet_sdmass"] + np.float32(1)

    for number in range(4):  # 0 and 1, 2 and 3 hold the same jets; their digests differ
        write_file(jets / f"QCD_{number:03d}.parquet", "QCD", 60, seed=number // 2)
    for number in (1, 3):
        write_file(jets / f"QCD_{number:03d}.parquet", "QCD", 60, seed=number // 2, edit=other_mass)
    with pytest.raises(LeakageError, match=r"tiny-1, splits: The same jets are in two splits: .*QCD_00") as error:
        run_suite(suite_on(jets), reporter=Reporter(quiet=True))
    assert "jet-observables, splits" in str(error.value)
    scores = pd.read_parquet(home / "workspace/reports/mine/scores.parquet")
    assert set(scores["backbone"]) == {"tiny-1", "jet-observables"}
    assert scores["run_id"].isna().all()
    assert "splits" in (home / "workspace/reports/mine/report.html").read_text()


def test_a_suite_may_do_without_an_audit_and_has_one_otherwise(home, folder):
    suite = suite_on(folder, audit=False)
    assert suite.audit is None
    assert auditing.audit_all(suite, {"tiny-1": None}, dataset=None, splits={}, reporter=Reporter(quiet=True)) == {}
    with pytest.raises(ConfigError, match=r"suite 'mine' has no \[audit\]"):
        auditing.audit_one(suite.model_copy(update={"backbones": ("tiny-1",)}), device="cpu", reporter=Reporter())
    assert all(each.audit is not None for each in suites().values())


def test_the_command_prints_one_aligned_table_or_csv_and_its_exit_code_is_the_verdict(home, folder, monkeypatch):
    words = "audit", "tiny-1", "--dataset", "jetclass", "--data", str(folder), "--jets", "60", "--quiet"
    monkeypatch.setenv("COLUMNS", "80")
    found = call(*words)
    assert found.exit_code == 0, found.output
    assert max(map(len, found.output.splitlines())) <= 80
    assert found.output.splitlines()[0].split() == ["check", "result", "figure", "what", "it", "means"]
    rows = list(csv.DictReader(io.StringIO(call(*words, "--format", "csv").output)))
    assert {row["check"] for row in rows} == {name for name, check in CHECKS.items() if check.depth == "cheap"}


def test_the_command_fails_where_a_check_fails(home, folder, monkeypatch):
    monkeypatch.setattr("jetassay.audit.audit.recall", lambda _: None)
    monkeypatch.setattr("jetassay.audit.deviation.TOLERANCE", -1.0)
    found = call("audit", "tiny-1", "--dataset", "jetclass", "--data", str(folder), "--jets", "60", "--quiet")
    assert found.exit_code == 1
    assert "padding" in found.output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("no-such-card",), "There is no backbone 'no-such-card'"),
        (("tiny-1", "--dataset", "nothing"), "There is no dataset 'nothing'"),
        (("tiny-1", "--dataset", "jetclass", "--data", "/nowhere"), "there is no such folder"),
        (("tiny-1@mean-block-9", "--dataset", "jetclass"), "tiny-1 has no layer 'mean-block-9'"),
    ],
)
def test_wrong_words_are_explained_without_a_traceback(home, words, message):
    found = call("audit", *words)
    assert found.exit_code == 1
    assert message in found.output


def test_too_few_files_to_be_split_are_named(home, tmp_path):
    write_file(tmp_path / "QCD_000.parquet", "QCD", 10)
    found = call("audit", "tiny-1", "--dataset", "jetclass", "--data", str(tmp_path))
    assert found.exit_code == 1
    assert "1 files are too few for 2 train + 1 validation + 2 test" in found.output


def test_the_command_takes_jets_and_split_of_the_default_suite():
    suite = audit_suite("mlp", depth="full", jets=500)
    assert suite.backbones == ("mlp",)
    assert suite.dataset.card == "jetclass-sim"
    assert suite.audit.checks == tuple(CHECKS)
    assert not suite.chosen


def test_failures_of_one_check_are_told_together():
    from jetassay.audit.finding import Finding, Findings

    rows = [Finding(check="taint", status="fail", figure="", meaning=text) for text in ("One.", "Two.")]
    outcome = auditing.outcome_of(Findings(tuple(rows)))
    assert outcome.problems == {"taint": "One. Two."}
    with pytest.raises(LeakageError, match="a, taint: One"):
        auditing.require_no_leak({"a": Findings(tuple(rows))})
    stopped = Finding(check="splits", status="fail", figure="stopped", meaning="no such file")
    with pytest.raises(LeakageError, match=r"not exclude leaks(.|\n)*b, splits \(could not be made\): no such"):
        auditing.require_no_leak({"b": Findings((stopped,))})
    auditing.require_no_leak({"a": Findings((Finding(check="padding", status="fail", figure="", meaning="x"),))})
