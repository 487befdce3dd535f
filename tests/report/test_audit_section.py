"""The audit on the page: failures first and in full, the worst of a check's findings in the matrix."""

import pandas as pd
import pytest

from jetassay.report.content import Content, Table, Text
from jetassay.report.sections.audit import audit_line, section

ROWS = (
    ("alpha", "columns", "pass", "14 columns", "All inputs are observed."),
    ("beta", "columns", "fail", "1 of 15 columns", "label_Hbb: truth. Take it out."),
    ("alpha", "collapse", "pass", "rank 12", "Fine."),
    ("alpha", "collapse", "note", "3 dead", "Three dimensions are constant."),
    ("beta", "collapse", "pass", "rank 9", "Fine."),
    ("alpha", "taint", "not run", "", "The files are gone."),
    ("beta", "taint", "pass", "equal", "Fine."),
)


@pytest.fixture
def table():
    return pd.DataFrame(ROWS, columns=["backbone", "check", "status", "figure", "meaning"])


def content_of(table):
    tables = {} if table is None else {"audit": table}
    empty = pd.DataFrame({"backbone": []})
    return Content(frame=empty, tables=tables, counts=empty, provenance={}, protocol="")


def test_failures_come_first_and_in_full(table):
    first, second, *_ = section(content_of(table)).blocks
    assert first == Text(audit_line(table), "failure")
    assert second == Text("columns, beta: 1 of 15 columns. label_Hbb: truth. Take it out.", "failure")


def test_the_matrix_shows_the_worst_finding_of_every_check_and_backbone(table):
    matrix = next(block for block in section(content_of(table)).blocks if isinstance(block, Table)).cells
    assert matrix.index.tolist() == ["columns", "collapse", "taint"]
    assert matrix["alpha"].tolist() == ["✓ 14 columns", "! 3 dead", "–"]
    assert matrix["beta"].tolist() == ["✗ 1 of 15 columns", "✓ rank 9", "✓ equal"]


def test_the_line_counts_checks_and_names_failures(table):
    assert audit_line(table) == (
        "audit: 2 backbones, 3 checks passed, 1 worth a note, 1 not run; FAILED: beta: columns"
    )
    clean = table[table["status"] == "pass"]
    assert audit_line(clean) == "audit: 2 backbones, 4 checks passed"


def test_equal_findings_of_several_backbones_stand_once(table):
    same = table.assign(figure="", meaning="Fine.", status="pass")
    words = section(content_of(same)).blocks[-1].cells
    assert words.index.tolist() == ["columns", "collapse", "taint"]
    assert words["backbone"].tolist()[0] == "alpha, beta"


def test_there_is_no_section_without_an_audit(table):
    assert section(content_of(None)) is None
    assert section(content_of(table.iloc[:0])) is None
