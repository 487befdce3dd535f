"""Points that stand for jets are where they were drawn, and jets keep their constituents through the bytes."""

import base64
import json

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from jetassay.report.content import Content, Pointed
from jetassay.report.jet_rows import JetRows
from jetassay.report.pictures import picture
from jetassay.report.pointing import REACH, SCALE, link, pointed_jets
from jetassay.report.sections.maps import section


def test_a_point_is_found_where_the_picture_has_its_colour(tmp_path):
    figure, axes = plt.subplots(figsize=(5, 3))
    axes.set_xlim(0, 10)
    axes.set_ylim(0, 10)
    axes.set_xlabel("so that margins are unequal\nand tall")
    axes.scatter([2, 7], [3, 8], s=60, color="#ff0000").set_urls(link(pd.Series([4, 11])))
    drawn = picture(figure)
    (tmp_path / "a.png").write_bytes(drawn.png)
    pixels = plt.imread(tmp_path / "a.png")
    places = np.array(drawn.points.split(), int).reshape(-1, 3)
    assert places[:, 2].tolist() == [4, 11]
    for x, y, _ in places:
        here = pixels[round(y / SCALE * pixels.shape[0]), round(x / SCALE * pixels.shape[1]), :3]
        assert here.tolist() == pytest.approx([1, 0, 0], abs=0.05)


def test_a_figure_without_links_has_no_points():
    figure, axes = plt.subplots(figsize=(2, 2))
    axes.scatter([1], [1])
    assert picture(figure).points == ""


@pytest.fixture
def tables():
    parts = pd.DataFrame(
        {"jet": [4, 4, 11], "deta": [0.3, -0.45, 5.0], "dphi": [0.0, 0.9, 0.0], "pt": [25.0, 75.0, 9.0]}
    )
    parts = parts.assign(kind=[3, 1, 5], charge=[0, -1, 1], significance=[None, 5.0, 99.0]).astype(
        {"significance": float}
    )
    jets = pd.DataFrame({"jet": [4, 11], "label": ["Hbb", "QCD"], "jet_pt": [512.3, 700.0], "jet_sdmass": [120.0, 9.0]})
    return {"test_jets": jets, "shown_constituents": parts}


def test_constituents_come_back_from_their_bytes(tables):
    found = json.loads(pointed_jets(tables["test_jets"], tables["shown_constituents"]))
    assert found["4"][0] == "Hbb, pT 512 GeV, soft-drop mass 120 GeV"
    rows = np.frombuffer(base64.b64decode(found["4"][1]), np.uint8).reshape(-1, 4)
    assert (rows[:, 0] / 255 * 2 - 1) * REACH == pytest.approx([-0.45, 0.3], abs=0.005)
    assert (rows[:, 1] / 255 * 2 - 1) * REACH == pytest.approx([0.9, 0.0], abs=0.005)
    assert (rows[:, 2] / 255) ** 2 == pytest.approx([0.75, 0.25], abs=0.01)
    assert (rows[:, 3] & 7).tolist() == [1, 3]
    assert (rows[:, 3] >> 3 & 1).tolist() == [1, 0]
    assert (rows[:, 3] >> 4).tolist() == [8, 0]
    last = np.frombuffer(base64.b64decode(found["11"][1]), np.uint8)
    assert last.tolist() == [255, 128, 255, 5 + 8 + 240]  # beyond the picture: at its edge


def test_each_backbone_has_its_map_and_the_jets_stand_once_on_the_page(frame, tables):
    names = ("alpha", "beta-long-name")
    rows = [(name, jet, 1.0 * jet, 2.0) for name in names for jet in (4, 11)]
    tables = {**tables, "map": pd.DataFrame(rows, columns=["backbone", "jet", "x", "y"])}
    rows = {"test_jets": JetRows.of([tables.pop("test_jets")])}
    content = Content(frame=frame, tables=tables, jet_tables=rows, counts=pd.DataFrame(), provenance={}, protocol="")
    made = section(content)
    assert [each.name for each in made.figures] == ["map_alpha", "map_beta-long-name"]
    assert sum(isinstance(each, Pointed) for each in made.blocks) == 1
    drawn = picture(made.figures[0].draw())
    assert sorted(drawn.points.split()[2::3]) == ["11", "11", "4", "4"]  # by class, and by mass
