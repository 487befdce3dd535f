"""Mass sculpting: the background's soft-drop mass before and after cuts, and what that costs in rejection."""

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from jetassay.jets.classes import in_order, jet_class
from jetassay.report.content import Block, Content, Figure, Section, Text
from jetassay.report.figures import styles
from jetassay.report.null_cells import cells_beside_null
from jetassay.report.panels import WIDTH, label, legend, log_axis, margins, numbers, panels, trained

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

FEWEST_TO_DRAW = 50
"""Passing jets; a histogram of fewer shows their scatter and nothing else."""


def section(content: Content) -> Section | None:
    """Divergence of every backbone and signal, the histograms behind it, and the plane of 1 / JSD and rejection."""
    rows, table = content.scores("sculpting"), content.tables.get("sculpting")
    if table is None or not len(rows):
        return None
    style = styles(content.frame)
    blocks: list[Block] = []
    for name in table["cut"].drop_duplicates():
        chosen = trained(table[table["cut"] == name], content)
        passing = chosen.groupby(["backbone", "signal"])["n_after"].sum()
        if not name.startswith("background") or passing.max() < FEWEST_TO_DRAW:
            continue
        cells = cells_beside_null(rows[rows["bin"] == name], "jsd", backbones=content.backbones)
        share = f"{100 * float(name.rpartition(' ')[2]):g} % of the background"
        title = f"JSD of the mass where {share} pass, in brackets that of as many random jets; ns: not above it"
        blocks.append(content.grouped(cells, "backbone", title=title))
        blocks.append(
            Figure(
                f"sculpting_{name.rpartition(' ')[2]}",
                partial(mass_figure, chosen, style=style),
                f"Soft-drop mass of all background jets (grey) and of the {share} that look most like each signal, "
                "trained backbones; below, after over before: flat at 1 is no sculpting.",
            )
        )
    own = rows[rows["working_point"].notna()]
    if len(own):
        text = "Cut at the class's working point. Up: tells signal from background; right: leaves the mass alone."
        blocks.append(Figure("sculpting_plane", partial(plane_figure, own, style=style), text))
    note = Text("No backbone was trained to leave the mass alone, so sculpting is expected.", kind="note")
    return Section("Mass sculpting", (note, *blocks), ("Mass sculpting",))


def mass_figure(table: pd.DataFrame, *, style: dict[str, tuple[str, str]]) -> "Drawing":
    """Soft-drop mass before and after one cut, with the ratio below, a panel for each signal.

    table: rows of one cut: backbone, signal, mass_low, mass_high, before, after, n_before, n_after
    """
    import matplotlib.pyplot as plt

    signals, backbones = in_order(table["signal"]), list(dict.fromkeys(table["backbone"]))
    columns = min(3, len(signals))
    rows = -(-len(signals) // columns)
    height = 3.0 * rows + 0.8
    figure = plt.figure(figsize=(WIDTH, height))
    outer = figure.add_gridspec(rows, columns, wspace=0.2, hspace=0.2, **margins(WIDTH, height))
    for k, signal in enumerate(signals):
        row, column = divmod(k, columns)
        inner = outer[row, column].subgridspec(2, 1, height_ratios=[2.2, 1], hspace=0.06)
        main = figure.add_subplot(inner[0])
        below = figure.add_subplot(inner[1], sharex=main)
        for number, backbone in enumerate(backbones):
            chosen = table[(table["signal"] == signal) & (table["backbone"] == backbone)].sort_values("mass_low")
            if len(chosen):
                _draw_mass(main, below, chosen, style=style[backbone], number=number)
        main.set_title(jet_class(signal).tex, fontsize=10, loc="left", pad=3)
        main.tick_params(labelbottom=False)
        main.set_ylim(bottom=0)
        below.axhline(1, color="0.6", linewidth=0.8)
        below.set_yscale("log")
        below.set_ylim(0.05, 20)
        if not column:
            main.set_ylabel("share of jets / GeV", fontsize=9)
            below.set_ylabel("ratio", fontsize=9)
    label(figure, "soft-drop mass [GeV]", "")
    legend(figure, backbones, style)
    return figure


def _draw_mass(main: "Axes", below: "Axes", rows: pd.DataFrame, *, style: tuple[str, str], number: int) -> None:
    """One histogram with its ratio; markers on every fourth bin, other bins for each, tell it apart without colour."""
    colour, marker = style
    low, high, before, after = numbers(rows, "mass_low", "mass_high", "before", "after")
    edges, width = np.append(low, high[-1]), high - low
    if number == 0:
        main.stairs(before / width, edges, fill=True, color="0.85")
    main.stairs(after / width, edges, color=colour, linewidth=1)
    ratio = np.where(after > 0, after / np.where(before > 0, before, 1), np.nan)
    centre = (edges[1:] + edges[:-1]) / 2
    n_after = rows["n_after"].to_numpy()
    error = np.where(n_after > 0, ratio / np.sqrt(np.maximum(n_after, 1)), np.nan)
    main.plot(centre[number % 4 :: 4], (after / width)[number % 4 :: 4], marker, color=colour, markersize=3.5)
    below.plot(centre, ratio, marker, color=colour, markersize=2.5)
    below.vlines(centre, ratio - error, ratio + error, color=colour, linewidth=0.7)


def plane_figure(rows: pd.DataFrame, *, style: dict[str, tuple[str, str]]) -> "Drawing":
    """1 / JSD against rejection at the class's working point, a panel for each signal.

    rows: of the result frame, cuts at a signal efficiency: metrics `jsd`, `inverse_jsd`, `jsd_null`
    """
    figure, grid = panels(in_order(rows["signal"]))
    backbones = list(dict.fromkeys(rows["backbone"]))
    for axes, signal in zip(grid, in_order(rows["signal"]), strict=True):
        for backbone in backbones:
            found = rows[(rows["signal"] == signal) & (rows["backbone"] == backbone)].set_index("metric")
            if "inverse_jsd" not in found.index or pd.isna(found.loc["inverse_jsd", "value"]):
                continue
            one = found.loc["inverse_jsd"]
            value, low, high = (
                float(one[name]) if pd.notna(one[name]) else np.nan for name in ("value", "low", "high")
            )
            rejection = float(one["n_background"]) / float(one["n_survivors"])
            colour, marker = style[backbone]
            bars = np.nan_to_num(np.array([[value - low], [high - value]]))
            axes.errorbar([value], [rejection], xerr=np.clip(bars, 0, None), fmt=marker, color=colour, markersize=5)
            axes.plot([1 / float(found.loc["jsd_null", "value"])], [rejection], "|", color=colour, markersize=9)
        log_axis(axes.xaxis)
        log_axis(axes.yaxis)
    label(figure, "1 / JSD (upright ticks: what as many random jets give)", r"rejection $1/\varepsilon_B$")
    legend(figure, backbones, style)
    return figure
