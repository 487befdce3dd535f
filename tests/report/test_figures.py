"""Figures show the numbers of the frame, the right way round."""

import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.colors import to_hex
from matplotlib.transforms import Bbox

from jetassay.report.figures import auc_figure, styles
from jetassay.report.pictures import picture


def test_the_bars_of_one_minus_auc_span_the_interval(frame):
    figure = auc_figure(frame, style=styles(frame))
    shown = {each.get_label(): each for each in figure.axes[0].containers}
    low, high = shown["alpha"].lines[2][0].get_segments()[0][:, 1]  # Hbb stands first
    plt.close(figure)
    assert (low, high) == (pytest.approx(1 - 0.953), pytest.approx(1 - 0.947))


def colour_of(figure, backbone):
    bars = {each.get_label(): each.lines[2][0] for each in figure.axes[0].containers}
    plt.close(figure)
    return to_hex(bars[backbone].get_color()[0])


def test_a_backbone_has_one_colour_where_others_have_no_score_too(frame):
    beta_first = frame.sort_values("backbone", ascending=False, kind="stable")  # alpha alone has zero-shot scores
    colours = {
        colour_of(auc_figure(beta_first, style=styles(beta_first), task=task), "alpha")
        for task in ("probe", "zero-shot")
    }
    assert len(colours) == 1
    assert colour_of(auc_figure(beta_first, style=styles(beta_first)), "beta-long-name") not in colours


def test_an_auc_of_one_is_shown_as_a_limit_where_a_log_scale_ends(frame):
    tbl = (frame["signal"] == "Tbl") & (frame["metric"] == "auc") & (frame["backbone"] == "alpha")
    frame.loc[tbl, ["value", "low", "high"]] = 1.0, 0.992, 1.0
    figure = auc_figure(frame, style=styles(frame))
    markers = [line for line in figure.axes[0].lines if line.get_markerfacecolor() == "none"]
    heights = [y for line in markers for y in line.get_ydata()]
    plt.close(figure)
    assert heights == [pytest.approx(1 - 0.992)]


def inked(path):
    """What of a picture is not white, and all within."""
    pixels = plt.imread(path)[:, :, :3]
    rows, columns = (np.flatnonzero((pixels < 1).any(axis=(axis, 2))) for axis in (1, 0))
    return pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def test_what_reaches_far_out_of_a_figure_is_on_its_picture_whole(tmp_path):
    figure, axes = plt.subplots(figsize=(2, 2))
    axes.text(0.5, 0.5, "a long text that goes on and on and on and on", transform=axes.transAxes, fontsize=12)
    figure.savefig(tmp_path / "full.png", dpi=150, bbox_inches=Bbox.from_extents(-1, -1, 9, 9))
    (tmp_path / "small.png").write_bytes(picture(figure).png)
    assert inked(tmp_path / "small.png").shape == inked(tmp_path / "full.png").shape
    assert inked(tmp_path / "full.png").shape[1] > 150 * (2 + 2)


def test_an_empty_figure_is_a_white_picture_of_its_size(tmp_path):
    (tmp_path / "small.png").write_bytes(picture(plt.figure(figsize=(3, 2))).png)
    pixels = plt.imread(tmp_path / "small.png")
    assert pixels.shape[:2] == (2 * 150 + 2 * 15, 3 * 150 + 2 * 15)
    assert (pixels[:, :, :3] == 1).all()


def test_a_saved_figure_is_small_keeps_its_colours_and_is_forgotten(tmp_path):
    before = plt.get_fignums()
    figure, axes = plt.subplots(figsize=(6, 4))
    axes.imshow([[k / 400 for k in range(400)]], cmap="cividis", aspect="auto")
    axes.axhline(0, color="#3f90da", linewidth=9)
    figure.savefig(tmp_path / "full.png", dpi=150, bbox_inches=Bbox.from_extents(-1, -1, 7, 7))
    path = tmp_path / "small.png"
    path.write_bytes(picture(figure).png)
    assert plt.get_fignums() == before
    assert path.stat().st_size < (tmp_path / "full.png").stat().st_size
    wanted, got = (inked(tmp_path / f"{name}.png") for name in ("full", "small"))
    assert wanted.shape == got.shape
    assert np.quantile(abs(wanted - got), 0.99) < 0.02
    assert abs(wanted - got).mean() < 0.005


def test_cells_of_a_heat_map_keep_their_colours_beside_much_text(tmp_path):
    figure, axes = plt.subplots(figsize=(6, 6))
    values = np.linspace(0, 1, 196).reshape(14, 14)
    axes.imshow(values, cmap="cividis")
    for row, column in np.ndindex(14, 14):
        colour = "white" if row < 8 else "black"
        axes.text(column, row, f"{row}.{column}", size=7, ha="center", va="center", color=colour)
    figure.savefig(tmp_path / "full.png", dpi=150, bbox_inches=Bbox.from_extents(-1, -1, 7, 7))
    (tmp_path / "small.png").write_bytes(picture(figure).png)
    wanted, got = (inked(tmp_path / f"{name}.png") for name in ("full", "small"))
    _, place = np.unique(wanted.reshape(-1, 3), axis=0, return_inverse=True)
    cells = np.flatnonzero(np.bincount(place) > 500)  # but for text, a cell is of one colour
    assert len(cells) >= 100
    assert abs(wanted - got).max(axis=2).ravel()[np.isin(place, cells)].max() < 0.02
