"""Figures for a paper in the styles of the experiments: theirs in fonts, ticks and frame, ours in sizes and colours."""

import sys
from io import BytesIO

import matplotlib as mpl
import mplhep
import pytest
from matplotlib import pyplot as plt

from jetassay.errors import ConfigError, UnknownNameError
from jetassay.progress import Reporter
from jetassay.report import paper
from jetassay.report.content import Figure
from jetassay.report.drawing import draw_report
from jetassay.report.panels import label
from jetassay.report.paper_styles import PLAIN, STYLES, finish, in_proportion, paper_style
from jetassay.report.pictures import own_style

EXPERIMENTS = [name for name in STYLES if name != PLAIN]


@pytest.fixture
def cms():
    with own_style(), mpl.rc_context(paper_style("CMS")):
        yield
    plt.close("all")


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_lengths_are_scaled_alike_and_sizes_and_colours_are_not_taken(name):
    ours, theirs = paper_style(name), getattr(mplhep.style, name)
    lengths = [f"{axis}tick.{which}.size" for axis in "xy" for which in ("major", "minor")]
    ratios = [ours[key] / theirs[key] for key in (*lengths, *({"axes.linewidth"} & theirs.keys()))]
    assert ratios == pytest.approx([ratios[0]] * len(ratios))
    assert 0.2 < ratios[0] < 0.8
    assert (ours["xtick.direction"], ours["ytick.right"]) == ("in", True)
    assert not ours.keys() & {"axes.prop_cycle", "font.size", "figure.figsize", "lines.linewidth", "lines.markersize"}
    assert not [key for key in ours if key.endswith(("labelsize", "fontsize", "titlesize"))]


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_sign_is_drawn_in_fonts_that_are_there(name, caplog):
    with own_style(), mpl.rc_context(paper_style(name)):
        figure = plt.figure(figsize=(3, 2))
        figure.text(0.1, 0.5, r"1 − AUC – R² ≥ 3 Δη ε $\varepsilon_B$ $q\bar{q}'$ $H\to\ell\nu qq'$ $\Delta\eta$")
        figure.savefig(BytesIO(), format="png")
        fonts = {part.get_fontname() for part in figure.texts}
        plt.close(figure)
    assert [each for each in caplog.records if each.levelname != "DEBUG" and "font" in each.getMessage()] == []
    assert fonts <= {"TeX Gyre Heros", "TeX Gyre Termes"}


def test_a_font_that_is_not_there_is_not_asked_for():
    nowhere = {"font.serif": ["Nowhere"], "mathtext.rm": "Nowhere"}
    style = in_proportion({"font.family": "serif", "font.size": 20, **nowhere})
    assert style["font.family"] == ["DejaVu Serif"]
    assert not any(key.startswith("mathtext") for key in style)


def test_cells_with_names_have_no_ticks_and_numbers_keep_theirs(cms):
    figure, (cells, numbers) = plt.subplots(1, 2)
    cells.imshow([[0, 1], [1, 0]])
    cells.set_xticks([0, 1], ["one", "two"])
    cells.set_yticks([0, 1], ["one", "two"])
    numbers.bar(["one", "two"], [1, 2])
    finish(figure)
    figure.canvas.draw()
    assert {tick.get_markersize() for tick in cells.xaxis.get_ticklines() + cells.yaxis.get_ticklines()} == {0}
    assert [len(axis.get_minorticklocs()) for axis in (cells.xaxis, cells.yaxis, numbers.xaxis)] == [0, 0, 0]
    assert len(numbers.yaxis.get_minorticklocs()) > 3
    lengths = {tick.get_markersize() for tick in numbers.yaxis.get_majorticklines()}
    assert lengths == {paper_style("CMS")["ytick.major.size"]}


def test_labels_of_all_panels_stand_where_the_style_has_those_of_one(cms):
    styled, plain = plt.figure(), plt.figure()
    label(styled, "x", "y")
    with own_style():
        label(plain, "x", "y")
    places = [[each.get_position() for each in figure.texts] for figure in (styled, plain)]
    assert places[0][0][0] > 0.99
    assert places[0][1][1] > 0.9
    assert (places[1][0][0], places[1][1][1]) == (0.5, 0.5)


def test_fonts_are_written_as_what_they_are():
    def line():
        figure, axes = plt.subplots(figsize=(3, 2))
        axes.plot([1, 2], color="#3f90da")
        return figure

    plain, styled = (paper._drawn(Figure("line", line), paper_style(name))["pdf"] for name in (PLAIN, "CMS"))
    assert b"/FontFile2" in plain
    assert b"/FontFile2" not in styled  # OpenType with PostScript outlines is no TrueType
    assert b"/Type3" in styled


@pytest.mark.parametrize(("name", "meant"), [("cms", "CMS"), ("Atlas", "ATLAS"), ("LHC-b", "LHCb"), ("plane", "plain")])
def test_an_unknown_style_is_an_error_with_the_nearest(name, meant):
    with pytest.raises(UnknownNameError, match=rf"no style '{name}'\. Did you mean '{meant}'\? Known: plain, CMS"):
        paper_style(name)


def test_a_style_without_figures_for_a_paper_is_an_error_before_anything_is_drawn(tmp_path):
    options = {"output": None, "reference": None, "reporter": Reporter(quiet=True)}
    with pytest.raises(ConfigError, match="--style CMS is for the figures of --paper"):
        draw_report(str(tmp_path), style="CMS", **options)
    with pytest.raises(UnknownNameError, match="no style 'CSM'"):
        draw_report(str(tmp_path), style="CSM", paper=True, **options)


def test_without_mplhep_the_error_names_the_extra_and_our_own_style_is_there(monkeypatch):
    monkeypatch.setitem(sys.modules, "mplhep", None)
    monkeypatch.setitem(sys.modules, "mplhep.styles", None)
    with pytest.raises(ConfigError, match=r"--style ATLAS: .*not installed: pip install 'jetassay\[paper\]'"):
        paper_style("ATLAS")
    assert paper_style(PLAIN) == {}
