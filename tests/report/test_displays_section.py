"""Displays draw every constituent where it is, and the logits of all trained backbones beside."""

import pandas as pd
import pytest
from matplotlib import pyplot as plt

from jetassay.report.content import Content, Fold
from jetassay.report.sections.displays import section
from jetassay.tasks.displays import WHY


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
    return Content(frame=frame, tables=tables, counts=pd.DataFrame(), provenance={}, protocol="", roles=roles)


def test_each_trained_backbone_has_its_figure_and_controls_have_none(frame, tables):
    made = section(content(frame, tables))
    assert [each.name for each in made.figures] == ["jets_alpha", "jets_beta-long-name"]
    assert isinstance(made.blocks[2], Fold)
    only = section(content(frame, tables, alpha="control"))
    assert [each.name for each in only.figures] == ["jets_beta-long-name"]
    assert section(content(frame, {**tables, "shown_jets": tables["shown_jets"][:0]})) is None


def test_a_panel_holds_the_constituents_and_the_logits_of_all(frame, tables):
    figure = section(content(frame, tables)).figures[0].draw()
    first = figure.axes[0]
    places = sorted(tuple(point) for each in first.collections for point in each.get_offsets().tolist())
    words = [text.get_text() for text in first.texts]
    bold = [text.get_text() for text in first.texts if text.get_weight() == "bold"]
    areas = {len(each.get_facecolor()) > 0: each.get_sizes()[0] for each in first.collections}  # hollow ones have none
    title = first.get_title()
    plt.close(figure)
    assert places == [(-0.2, 0.3), (0.1, 0.0)]
    assert words == ["alpha +2.5", "beta-long-name -1.5"]
    assert bold == ["alpha +2.5"]
    assert areas[True] == pytest.approx(3 * areas[False])
    assert "500 GeV" in title
