"""The table of findings, what is kept of it, and how a check that cannot be made appears."""

import csv
import io

import pytest
from constructed_backbones import Clean
from hypothesis import given
from hypothesis import strategies as st
from jet_files import audited_jets, subject_of, write_files
from pydantic import ValidationError

from jetassay.audit import archive
from jetassay.audit.audit import audit, run_check
from jetassay.audit.catalogue import CHECKS, Check
from jetassay.audit.choices import AuditChoice
from jetassay.audit.finding import Finding, Findings
from jetassay.errors import ConfigError, DataError

SOME = ("columns", "batches", "finite")


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("JETASSAY_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def jets(tmp_path):
    return audited_jets(write_files(tmp_path / "jets", jets=20))


WORDS = st.text("abcdefg ,.", max_size=200)


@given(st.lists(st.tuples(WORDS, WORDS), max_size=6), st.integers(60, 160))
def test_the_table_fits_its_width_and_loses_no_word(cells, width):
    rows = tuple(Finding(check="taint", status="pass", figure=one, meaning=other) for one, other in cells)
    table = Findings(rows).table(width=width)
    assert max(map(len, table.splitlines())) <= width
    shown = table.replace("\n", "").replace(" ", "")
    for one, other in cells:
        for word in (*one.split(), *other.split()):
            assert word in shown or len(word) > 10


@pytest.mark.parametrize("width", [40, 60, 79, 80, 120])
def test_the_table_fits_terminals_of_any_width(width):
    rows = [Finding(check=name, status="not run", figure="0.5 of 0.7 jets", meaning="word " * 30) for name in CHECKS]
    lines = Findings(tuple(rows)).table(width=width).splitlines()
    assert max(map(len, lines)) <= width
    assert sum(line.count("word") for line in lines) == 30 * len(CHECKS)


def test_the_csv_holds_every_row(jets):
    findings = audit(subject_of(Clean(), jets, depth=SOME))
    rows = list(csv.DictReader(io.StringIO(findings.csv())))
    assert [row["check"] for row in rows] == list(SOME)
    assert set(rows[0]) == {"check", "status", "figure", "meaning"}


def test_every_check_can_be_imported_and_says_what_it_proves():
    for name, check in CHECKS.items():
        assert callable(check.load())
        assert check.proves
        assert name == check.name
    with pytest.raises(ConfigError, match="cannot import"):
        Check(name="x", proves="nothing", function="jetassay.audit.static:nothing").load()


def test_the_depth_says_which_checks_run():
    cheap, full = AuditChoice().checks, AuditChoice(depth="full").checks
    assert set(cheap) < set(full)
    assert full == tuple(CHECKS)
    assert AuditChoice(depth=("taint", "columns")).checks == ("columns", "taint")
    with pytest.raises(ValidationError, match="there is no check taints; known: columns"):
        AuditChoice(depth=("taints",))


def test_a_check_that_stops_is_a_failure_and_stops_no_other(jets, monkeypatch):
    backbone = Clean()

    def refuse(batch):
        raise DataError("no jets today")

    monkeypatch.setattr(backbone, "embed", refuse)
    findings = audit(subject_of(backbone, jets, depth=SOME))
    assert [row.status for row in findings.rows] == ["pass", "fail", "not run"]
    assert [row.meaning for row in findings.rows[1:]] == ["no jets today", "Stopped by the same as batches."]
    assert archive.recall(subject_of(backbone, jets, depth=SOME)) is None


def test_a_second_audit_computes_nothing_and_anything_that_matters_makes_a_new_one(jets, monkeypatch, tmp_path):
    first = audit(subject_of(Clean(), jets, depth=SOME))
    monkeypatch.setattr(Clean, "embed", lambda *_: pytest.fail("embedded again"))
    assert audit(subject_of(Clean(), jets, depth=SOME)) == first
    assert archive.recall(subject_of(Clean(), jets, depth=SOME, seed=1)) is None
    assert archive.recall(subject_of(Clean(), jets, depth=SOME[:2])) is None
    assert archive.recall(subject_of(Clean(trained_on=("other",)), jets, depth=SOME)) is None
    other = audited_jets(write_files(tmp_path / "others", jets=21))
    assert archive.recall(subject_of(Clean(), other, depth=SOME)) is None


@pytest.mark.parametrize("content", ["", "{", '{"of": 1, "rows": []}', "[]"])
def test_a_damaged_record_is_made_again(jets, content, tmp_path):
    first = audit(subject_of(Clean(), jets, depth=SOME))
    (path,) = (tmp_path / "cache" / "audits").iterdir()
    path.write_text(content)
    assert audit(subject_of(Clean(), jets, depth=SOME)) == first
    assert len(path.read_text()) > len(content)


def test_a_failed_forward_pass_of_foreign_code_is_named(jets, monkeypatch):
    def broken(batch):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    backbone = Clean()
    monkeypatch.setattr(backbone, "embed", broken)
    (row,) = run_check("finite", subject_of(backbone, jets))
    assert row.status == "fail"
    assert "constructed: the forward pass on" in row.meaning
    assert "RuntimeError: mat1" in row.meaning


def test_every_number_behind_the_figures_is_a_row():
    findings = Findings(
        (
            Finding(check="a", status="pass", figure="", meaning="", numbers={"x": 1, "y": 0.5}),
            Finding(check="b", status="note", figure="", meaning=""),
        )
    )
    assert findings.numbers().to_dict("list") == {"check": ["a", "a"], "name": ["x", "y"], "value": [1.0, 0.5]}
    assert Findings(()).numbers().empty
