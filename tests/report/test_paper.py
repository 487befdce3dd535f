"""What goes into a paper: every figure and table once, with the numbers of the page."""

import csv

import pandas as pd
import pytest
from matplotlib import pyplot as plt

from jetassay.report import paper as module
from jetassay.report.content import CONTROLS, TRAINED, Content, Figure, Fold, Section, Table
from jetassay.report.paper import csv_text, latex_cell, latex_rows, write_paper
from jetassay.tasks.score import COLUMNS

CELLS = pd.DataFrame({"rejection": ["12 +3-2", ">546"], "note": ["a, b", "c_10%"]}, index=["one", "floor"])
TABLE = Table(CELLS, "backbone", title="Made up", groups={"one": TRAINED, "floor": CONTROLS})


def line():
    figure, axes = plt.subplots(figsize=(3, 2))
    axes.plot([1, 2])
    return figure


def broken():
    raise ValueError("no such jets")


@pytest.fixture
def written(tmp_path, monkeypatch):
    folder = tmp_path / "paper"
    folder.mkdir()
    (folder / "old.pdf").touch()
    (folder / "notes.txt").touch()
    blocks = (TABLE, Figure("line", line), Figure("bad", broken), Fold("More", (TABLE,)))
    monkeypatch.setattr(module, "sections", lambda content: (Section("A section", blocks),))
    frame = pd.DataFrame(columns=list(COLUMNS))
    content = Content(frame=frame, tables={}, counts=pd.DataFrame(), provenance={}, protocol="")
    return folder, write_paper(content, folder)


def test_every_figure_and_table_is_there_and_what_failed_is_named(written):
    folder, gaps = written
    tables = [f"a-section-made-up{k}.{ending}" for k in ("", "-2") for ending in ("csv", "tex")]
    assert {path.name for path in folder.iterdir()} == {"line.pdf", "line.png", "notes.txt", *tables}
    assert (folder / "line.pdf").read_bytes().startswith(b"%PDF")
    assert plt.imread(folder / "line.png").shape[1] > 800
    assert [gap.startswith("figure bad could not be drawn: ValueError: no such jets") for gap in gaps] == [True]


def test_no_figure_stays_open(written):
    before = plt.get_fignums()
    module._drawn(Figure("line", line), {})
    assert plt.get_fignums() == before


def test_csv_has_the_cells_and_the_group():
    rows = list(csv.reader(csv_text(TABLE).splitlines()))
    assert rows[0] == ["backbone", "rejection", "note", "group"]
    assert rows[1:] == [["one", "12 +3-2", "a, b", TRAINED], ["floor", ">546", "c_10%", CONTROLS]]


def test_latex_rows_stand_under_their_group():
    assert latex_rows(TABLE).splitlines() == [
        r"backbone & rejection & note \\",
        r"\midrule",
        r"\multicolumn{3}{l}{\emph{trained backbones}} \\",
        r"one & $12^{+3}_{-2}$ & a, b \\",
        r"\multicolumn{3}{l}{\emph{controls and floors}} \\",
        r"floor & $>$546 & c\_10\% \\",
    ]
    assert latex_cell("-") == "--"
    assert latex_cell(r"x\y^2") == r"x\textbackslash{}y\textasciicircum{}2"
