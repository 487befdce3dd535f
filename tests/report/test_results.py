"""Scores reach the disk whole, come back equal, and render in every format."""

import json
from dataclasses import replace

import pandas as pd
import pytest

from jetassay.errors import ConfigError, JetAssayError, StoreError
from jetassay.progress import Reporter
from jetassay.report import results as module
from jetassay.report import sections as every
from jetassay.report.drawing import draw_report
from jetassay.report.results import Results, load_results, render_results
from jetassay.report.sections import leaderboard
from jetassay.report.stored import read_stored


@pytest.fixture
def saved(frame, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "workspace", lambda: tmp_path)
    results = Results(
        suite="mine",
        title="Mine",
        frame=frame,
        counts=pd.DataFrame({"Hbb": [10]}, index=pd.Index(["test"], name="split")),
        provenance={"date": "today", "cores": 2},
        protocol="A probe of one signal against QCD.",
    )
    results.save()
    return results


def test_results_come_back_equal(saved):
    back = load_results("mine")
    pd.testing.assert_frame_equal(back.frame, saved.frame)
    assert (back.provenance["cores"], back.protocol) == (2, saved.protocol)


def test_csv_and_json_hold_every_score(saved, tmp_path):
    assert len(pd.read_csv(saved.folder / "scores.csv")) == len(saved.frame)
    assert len(json.loads(render_results("mine", format="json", output=None, width=80))["scores"]) == len(saved.frame)
    assert render_results("mine", format="csv", output=None, width=80).count("\n") == len(saved.frame)
    render_results("mine", format="parquet", output=tmp_path / "out.parquet", width=80)
    assert len(pd.read_parquet(tmp_path / "out.parquet")) == len(saved.frame)


def test_definitions_go_with_the_numbers(saved):
    whole = json.loads(render_results("mine", format="json", output=None, width=80))
    assert whole["definitions"] == [saved.protocol]
    assert (saved.folder / "definitions.txt").read_text() == saved.protocol + "\n"


def test_parquet_is_not_printed(saved):
    with pytest.raises(ConfigError, match="--output"):
        render_results(saved.suite, format="parquet", output=None, width=80)


def test_the_table_is_the_answer_on_one_screen(saved):
    text = render_results("mine", format="table", output=None, width=100)
    assert "0.950(3)" in text
    assert "CKA" in text
    assert len(text.splitlines()) < 40


def test_the_page_is_self_contained(saved):
    text = load_results(saved.suite).draw().path.read_text()
    assert text.count("data:image/png;base64,") == 8
    assert "http" not in text.split("</style>")[1].replace("data:image", "")


def test_the_page_names_the_dataset_first_and_provenance_wraps(saved, unrendered):
    text = replace(saved, provenance={"data": {"dataset": "jetclass"}, "created": "today"}).draw().path.read_text()
    assert "jets of jetclass, run at today" in text
    assert '<div class="scroll text"><table><thead><tr><th scope=col>what</th><th scope=col>value</th>' in text


def test_a_suite_that_was_not_run_says_how_to_run_it(saved):
    with pytest.raises(ConfigError, match="jetassay run other"):
        load_results("other")


def test_results_are_found_by_the_suite_file_too_and_others_are_named(saved):
    assert load_results("somewhere/mine.toml").suite == "mine"
    with pytest.raises(ConfigError, match="There are results of: mine"):
        load_results("other")


def test_damaged_results_are_named(saved):
    (saved.folder / "scores.parquet").write_bytes(b"not parquet")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_results("mine")


def test_files_of_something_else_are_named(saved):
    (saved.folder / "provenance.json").write_text("[]")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_results("mine")
    saved.save()
    saved.frame.drop(columns="task").to_parquet(saved.folder / "scores.parquet")
    with pytest.raises(ConfigError, match="task"):
        load_results("mine")


def test_what_is_in_the_way_of_results_is_named(saved):
    (saved.folder / "figures").touch()
    with pytest.raises(StoreError, match="figures"):
        saved.draw()


def test_the_table_begins_with_the_audit_where_there_was_one(saved):
    assert "audit" not in saved.table(width=100)
    row = {"backbone": "alpha", "check": "columns", "status": "fail", "figure": "", "meaning": "Truth."}
    audited = replace(saved, tables={"audit": pd.DataFrame([row])})
    assert audited.table(width=100).startswith("audit: 1 backbone, 0 checks passed; FAILED: alpha: columns\n\nAUC")


def test_a_report_that_is_not_whole_is_written_and_fails(saved, monkeypatch):
    def broken(content):
        raise ZeroDivisionError("no such jets")

    monkeypatch.setattr(every, "SECTIONS", (broken, leaderboard.probe))
    with pytest.raises(JetAssayError, match=r"is written, but not whole:\nsection .*broken could not be drawn: Zero"):
        draw_report(saved.suite, output=None, reference=None, reporter=Reporter(quiet=True))
    assert "linear probe</h2>" in (saved.folder / "report.html").read_text()


def changed_scores(folder, change):
    change(pd.read_parquet(folder / "scores.parquet")).to_parquet(folder / "scores.parquet", index=False)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda t: t.assign(schema=9), "scores of schema 9, this version reads 1"),
        (lambda t: t.drop(columns="signal"), "no column signal"),
        (lambda t: t.iloc[:0], "no score in it"),
        (lambda t: t.assign(value="a lot"), "a lot"),
        (lambda t: t.assign(value=float("inf")), "infinity"),
        (lambda t: pd.concat([t, t.assign(value=0.5)]), "18 scores twice"),
        (lambda t: t.assign(backbone=None), "of which backbone"),
        (lambda t: t.assign(backbone=r"a$\frac{$"), "has a character that no name has"),
        (lambda t: t.assign(signal="Hbb\n"), "has a character that no name has"),
        (lambda t: t.assign(value=t["value"].where(t["metric"] != "auc", 1.5)), r"auc of \w+ is 1.5"),
        (lambda t: t.assign(value=t["value"].where(t["metric"] == "auc", 0.0)), r"rejection\w* of \w+ is 0.0"),
    ],
)
def test_scores_that_no_run_writes_are_refused_with_the_reason_by_every_reader(change, reason, saved):
    changed_scores(saved.folder, change)
    for read in (load_results, lambda name: read_stored(str(saved.folder))):
        with pytest.raises(ConfigError, match=reason) as caught:
            read("mine")
        assert str(saved.folder) in str(caught.value)


@pytest.mark.parametrize(
    "content", ['{"title": "M", "protocol": "", "roles": 3}', "[]", "{", '{"missing": "x"}', "", "[" * 100_000]
)
def test_a_provenance_that_no_run_writes_is_refused_by_every_reader(content, saved):
    (saved.folder / "provenance.json").write_text(content)
    for read in (load_results, lambda name: read_stored(str(saved.folder))):
        with pytest.raises(ConfigError, match="cannot be read"):
            read("mine")


@pytest.mark.parametrize("name", ["provenance.json", "counts.csv"])
def test_a_file_that_is_missing_is_named_and_not_the_whole_suite(name, saved):
    (saved.folder / name).unlink()
    with pytest.raises(ConfigError, match=f"{name} is missing"):
        load_results("mine")
