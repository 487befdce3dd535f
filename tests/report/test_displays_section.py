"""Displays draw every constituent where it is, and the logits of all trained backbones beside."""

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.collections import PathCollection, PolyCollection

from jetassay.report.content import Content, Fold
from jetassay.report.jet_rows import JET_TABLES, JetRows
from jetassay.report.sections.displays import displays_figure, section
from jetassay.tasks.displays import WHY

TABLES = {"constituents": "shown_constituents", "jets": "test_jets", "logits": "probe_logits"}


@pytest.fixture
def tables():
    parts = pd.DataFrame({"jet": [0, 0, 1], "deta": [0.1, -0.2, 0.0], "dphi": [0.0, 0.3, 0.0], "pt": [30.0, 10.0, 5.0]})
    parts = parts.assign(kind=[1, 3, 0], charge=[1, 0, 0], significance=[4.0, None, None])
    names = ("alpha", "beta-long-name")
    jets = pd.DataFrame({"jet": [0, 1], "label": ["Hbb", "QCD"], "jet_pt": [500.0, 600.0], "jet_sdmass": [120.0, 9.0]})
    shown = [(name, "Hbb", why, k % 2) for name in names for k, why in enumerate(WHY)]
    logits = [(name, jet, value) for name, value in zip(names, (2.5, -1.5), strict=True) for jet in (0, 1)]
    return {
        "shown_constituents": parts,
        "test_jets": jets,
        "shown_jets": pd.DataFrame(shown, columns=["backbone", "signal", "why", "jet"]),
        "probe_logits": pd.DataFrame(logits, columns=["backbone", "jet", "Hbb"]),
    }


def content(frame, tables, **roles):
    held = {name: table for name, table in tables.items() if name not in JET_TABLES}
    rows = {name: JetRows.of([table]) for name, table in tables.items() if name in JET_TABLES}
    about = {"counts": pd.DataFrame(), "provenance": {}, "protocol": "", "roles": roles}
    return Content(frame=frame, tables=held, jet_tables=rows, **about)


def test_each_trained_backbone_has_its_figure_and_controls_have_none(frame, tables):
    made = section(content(frame, tables))
    assert [each.name for each in made.figures] == ["jets_alpha", "jets_beta-long-name"]
    assert isinstance(made.blocks[2], Fold)
    only = section(content(frame, tables, alpha="control"))
    assert [each.name for each in only.figures] == ["jets_beta-long-name"]
    assert section(content(frame, {**tables, "shown_jets": tables["shown_jets"][:0]})) is None


def test_a_panel_holds_the_constituents_and_the_logits_of_all(frame, tables):
    surest = tables["shown_jets"].query("backbone == 'alpha' and why == @WHY[0]")
    (axes,) = displays_figure(surest, **{name: tables[table] for name, table in TABLES.items()}).axes
    frames = next(each for each in axes.collections if isinstance(each, PolyCollection))
    (panel,) = (path.get_extents() for path in frames.get_paths())
    jets = [each for each in axes.collections if isinstance(each, PathCollection)]
    inside = np.concatenate([each.get_offsets() for each in jets]) - (panel.x0, panel.y0)
    words = [text.get_text() for text in axes.texts]
    logits = [text for text in axes.texts if text.get_text().startswith(("alpha", "beta"))]
    areas = {len(each.get_facecolor()) > 0: each.get_sizes()[0] for each in jets}  # hollow ones have none
    plt.close(axes.figure)
    places = 2 * 0.85 * inside / panel.size - 0.85
    assert sorted(map(tuple, places)) == [pytest.approx((-0.2, 0.3)), pytest.approx((0.1, 0.0))]
    assert [text.get_text() for text in logits] == ["alpha +2.5", "beta-long-name -1.5"]
    assert [text.get_weight() for text in logits] == ["bold", "normal"]
    assert all(panel.contains(*text.get_position()) for text in logits)
    assert areas[True] == pytest.approx(3 * areas[False])
    assert sum("500 GeV" in each for each in words) == 1


def test_constituents_beyond_a_panel_are_not_drawn_over_its_neighbour(tables):
    far = tables["shown_constituents"].assign(deta=[0.1, 0.9, 0.0])
    own = tables["shown_jets"].query("backbone == 'alpha'")
    (axes,) = displays_figure(
        own, **{**{name: tables[each] for name, each in TABLES.items()}, "constituents": far}
    ).axes
    drawn = sum(len(each.get_offsets()) for each in axes.collections if isinstance(each, PathCollection))
    plt.close(axes.figure)
    assert drawn == 3 * 1 + 2 * 1  # jet 0 stands in three panels of five, and one of its two constituents is far out
