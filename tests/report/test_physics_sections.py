"""Sections on bins, sculpting, calibration and content: drawn from scores and tables alone, absent without them."""

from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from jetassay.report.content import Content, Table
from jetassay.report.null_cells import cells_beside_null
from jetassay.report.panels import log_axis, panels, trained
from jetassay.report.sections import bins, calibration, content, sculpting
from jetassay.report.styles import MARKERS
from jetassay.tasks.score import Context, Score, result_frame

BACKBONES = ("alpha", "beta", "floor")


def score(task, metric, value, **facts):
    facts = {"backbone": "alpha", "signal": "Hbb", "background": "QCD", **facts}
    return Score(task=task, task_version=1, metric=metric, value=value, **facts)


def binned(name, signal, where):
    facts = {"backbone": name, "signal": signal, "bin": where}
    limit = name == "alpha"
    return [
        score("bins", "auc", 0.9, low=0.88, high=0.92, **facts),
        score("bins", "rejection_over_cuts", None if limit else 40.0, low=30.0, high=None if limit else 60, **facts),
        score("bins", "signal_efficiency", 0.5, low=0.4, high=0.6, **facts),
        score("bins", "background_efficiency", 0.0, low=0.0, high=0.1, **facts),
    ]


def sculpted(name, signal):
    rows = []
    for where, point in ((None, 0.5), ("background efficiency 0.1", None)):
        facts = {"backbone": name, "signal": signal, "bin": where, "working_point": point}
        facts |= {"n_background": 1000, "n_survivors": 100}
        value = 0.02 if name == "floor" else 0.2
        rows += [
            score("sculpting", "jsd", value, low=0.01, high=0.3, **facts),
            score("sculpting", "inverse_jsd", 1 / value, low=3.0, high=None, **facts),
            score("sculpting", "jsd_null", 0.03, low=0.02, high=0.04, **facts),
            score("sculpting", "jsd_p_value", 0.6 if name == "floor" else 0.005, **facts),
        ]
    return rows


def calibrated(name, signal, where):
    facts = {"backbone": name, "signal": signal, "bin": where}
    return [
        score("calibration", "ece", 0.05, low=0.04, high=0.06, **facts),
        score("calibration", "ece_null", 0.01, low=0.0, high=0.02, **facts),
        score("calibration", "ece_p_value", 0.005, **facts),
        score("calibration", "brier", 0.08, low=0.07, high=0.09, **facts),
    ]


@pytest.fixture
def made():
    """Content with all four tasks of three backbones, one of them a floor."""
    scores, tables = [], {"bins": [], "sculpting": [], "calibration": [], "content": []}
    edges = pd.DataFrame(
        {"variable": "jet_pt", "bin": ["jet_pt 500-600", "jet_pt 600-1000"], "low": [500, 600], "high": [600, 1000]}
    )
    mass = pd.DataFrame({"mass_low": [0, 50], "mass_high": [50, 100], "before": [0.7, 0.3], "after": [1.0, 0.0]})
    mass = mass.assign(n_before=[700, 300], n_after=[100, 0])
    curve = pd.DataFrame({"probability": [0.2, 0.8], "fraction": [0.3, 0.7]})
    curve = curve.assign(fraction_low=curve["fraction"] - 0.1, fraction_high=curve["fraction"] + 0.1)
    for name in BACKBONES:
        tables["bins"].append(edges.assign(backbone=name))
        for signal in ("Hbb", "Tbl"):
            scores += [each for where in edges["bin"] for each in binned(name, signal, where)]
            scores += sculpted(name, signal)
            scores += calibrated(name, signal, None)
            for cut in ("signal efficiency 0.5", "background efficiency 0.1", "background efficiency 0.01"):
                few = mass.assign(n_after=[3, 0]) if cut.endswith("0.01") else mass
                tables["sculpting"].append(few.assign(backbone=name, signal=signal, cut=cut))
            tables["calibration"].append(curve.assign(backbone=name, signal=signal, of="probe"))
        scores += calibrated(name, None, "top label")
        tables["calibration"].append(curve.assign(backbone=name, signal="", of="top label"))
        rows = [{"observable": "tau21", "jets": "all jets", "r2": 0.5, "floor": -0.01}]
        tables["content"].append(pd.DataFrame(rows).assign(backbone=name))
    context = Context(suite="mine", dataset="sim", data_digest="d", split_seed=1, weights_sha256=None, dtype="float32")
    return Content(
        frame=result_frame((context, each) for each in scores),
        tables={name: pd.concat(parts, ignore_index=True) for name, parts in tables.items()},
        counts=pd.DataFrame(),
        provenance={},
        protocol="",
        roles={"floor": "floor"},
    )


def drawn(section):
    figures = {each.name: each.draw() for each in section.figures}
    for figure in figures.values():
        figure.canvas.draw()
        plt.close(figure)
    return figures


def named(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_each_variable_has_auc_rejection_and_turn_on(made):
    section = bins.section(made)
    figures = drawn(section)
    assert list(figures) == ["bins_jet_pt_auc", "bins_jet_pt_rejection_over_cuts", "bins_jet_pt_turn_on"]
    assert named(figures["bins_jet_pt_auc"]) == list(BACKBONES)
    assert named(figures["bins_jet_pt_turn_on"]) == ["alpha", "beta"], "trained ones alone"
    axes = figures["bins_jet_pt_auc"].axes[0]
    assert [text.get_text() for text in axes.get_xticklabels()] == ["500", "600", "1000"]
    drawn_values = np.concatenate([line.get_ydata() for line in axes.lines if line.get_marker() in MARKERS])
    assert drawn_values == pytest.approx(0.1)
    assert section.definitions == ("Bins",)


def test_a_limit_is_an_open_marker(made):
    axes = drawn(bins.section(made))["bins_jet_pt_rejection_over_cuts"].axes[0]
    (limits,) = [line for line in axes.lines if line.get_markerfacecolor() == "none"]
    assert limits.get_ydata() == pytest.approx([30, 30])


def test_an_auc_of_one_is_an_open_marker_at_the_end_of_its_interval():
    style = {"alpha": ("#3f90da", "o")}
    edges = pd.DataFrame({"variable": "jet_pt", "bin": ["one", "two"], "low": [0, 1], "high": [1, 2]})
    rows = pd.DataFrame({"signal": "Hbb", "backbone": "alpha", "bin": ["one", "two"], "value": [1.0, 0.9]})
    figure = bins.binned_figure(rows.assign(low=[0.98, 0.88], high=[1.0, 0.92]), edges, metric="auc", style=style)
    axes = figure.axes[0]
    (limit,) = [line for line in axes.lines if line.get_markerfacecolor() == "none"]
    assert limit.get_ydata() == pytest.approx([0.02])
    points = [y for line in axes.lines if line is not limit for y in line.get_ydata() if np.isfinite(y)]
    assert min(points) > 0.009, "nothing is drawn at 0, which a log axis has not"
    plt.close(figure)


def test_sculpting_shows_cuts_that_enough_jets_pass(made):
    section = sculpting.section(made)
    figures = drawn(section)
    assert list(figures) == ["sculpting_0.1", "sculpting_plane"]
    assert named(figures["sculpting_0.1"]) == ["alpha", "beta"]
    (table,) = [block for block in section.blocks if isinstance(block, Table)]
    assert table.cells.loc["alpha", "Hbb"] == "0.200 (0.030)"
    assert table.cells.loc["floor", "Hbb"] == "0.020 (0.030) ns"


def test_calibration_has_a_table_and_a_figure_for_each_kind(made):
    section = calibration.section(made)
    assert list(drawn(section)) == ["calibration_probe", "calibration_top_label"]
    probe, brier, top, _ = [block.cells for block in section.blocks if isinstance(block, Table)]
    assert list(probe.columns) == ["Hbb", "Tbl"]
    assert brier.loc["alpha"].to_dict() == {"Hbb": "0.080(10)", "Tbl": "0.080(10)"}
    assert list(top.columns) == ["all classes"]
    assert set(top["all classes"]) == {"0.050 (0.010)"}


def test_content_is_a_heat_map_with_values(made):
    figure = drawn(content.section(made))["content"]
    assert [text.get_text() for text in figure.axes[0].texts] == ["0.50"] * 3
    assert "-0.01" in content.section(made).figures[0].caption


@pytest.mark.parametrize("module", [bins, sculpting, calibration, content])
def test_a_suite_without_the_task_has_no_section(module, made):
    empty = Content(frame=made.frame[:0], tables={}, counts=made.counts, provenance={}, protocol="")
    assert module.section(empty) is None


def test_a_backbone_without_a_number_has_a_dash(made):
    rows = made.scores("calibration")
    rows = rows[rows["bin"].isna() & ~((rows["backbone"] == "beta") & (rows["signal"] == "Tbl"))]
    assert cells_beside_null(rows, "ece", backbones=BACKBONES).loc["beta", "Tbl"] == "-"


def test_where_nothing_is_trained_everything_is_drawn(made):
    table = made.tables["content"]
    assert set(trained(table, made)["backbone"]) == {"alpha", "beta"}
    controls = table[table["backbone"] == "floor"]
    assert len(trained(controls, made)) == len(controls)


@pytest.mark.parametrize(("low", "high", "expected"), [(3, 60, {"5", "10", "20", "50"}), (1, 1e5, {"100", "10000"})])
def test_log_axes_say_readable_numbers(low, high, expected):
    figure, (axes,) = panels(["Hbb"])
    axes.plot([low, high], [1, 2])
    log_axis(axes.xaxis)
    figure.canvas.draw()
    shown = {text.get_text() for text in axes.get_xticklabels()}
    plt.close(figure)
    assert expected <= shown
    assert not any("^" in each for each in shown)


@pytest.mark.parametrize("high", [1e3, 1e4, 2e5, 1e6, 1e9])
def test_numbers_of_a_log_axis_stand_apart(high):
    figure, grid = panels(["Hbb", "Hcc", "Hgg"])
    grid[0].plot([1, high], [1, 2])
    log_axis(grid[0].xaxis)
    figure.canvas.draw()
    inside = [each for each in grid[0].get_xticklabels() if 1 <= each.get_position()[0] <= high]
    ends = [(box.x0, box.x1) for box in (each.get_window_extent() for each in inside)]
    plt.close(figure)
    assert len(ends) >= 2
    assert all(left[1] < right[0] for left, right in pairwise(ends))
