"""Reliability diagrams and expected calibration errors, of the probes and of classifiers' own outputs."""

from functools import partial
from typing import TYPE_CHECKING

import pandas as pd

from jetassay.jets.classes import in_order
from jetassay.report.content import Block, Content, Figure, Section
from jetassay.report.figures import styles
from jetassay.report.null_cells import ALL_CLASSES, cells_beside_null
from jetassay.report.panels import label, legend, numbers, panels, trained
from jetassay.report.tables import auc_cell

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

_KINDS = {
    "probe": "the probe's probability of signal",
    "own outputs": "the classifier's own probability of signal, p_S / (p_S + p_B)",
    "top label": "the largest class probability, all classes",
}


def section(content: Content) -> Section | None:
    """ECE, reliability diagrams and Brier scores of each kind of probability."""
    rows, table = content.scores("calibration"), content.tables.get("calibration")
    if table is None or not len(rows):
        return None
    blocks: list[Block] = []
    for of, words in _KINDS.items():
        curves = table[table["of"] == of]
        if not len(curves):
            continue
        chosen = rows[rows["bin"].isna()] if of == "probe" else rows[rows["bin"] == of]
        title = f"ECE of {words}, in brackets that of perfect calibration; ns: not above it"
        cells = cells_beside_null(chosen, "ece", backbones=content.backbones)
        blocks.append(content.grouped(cells, "backbone", title=title))
        caption = f"Reliability of {words}: how often it is right, against what it says; trained backbones."
        draw = partial(reliability_figure, trained(curves, content), style=styles(content.frame))
        blocks.append(Figure(f"calibration_{of.replace(' ', '_')}", draw, caption))
        brier = chosen[chosen["metric"] == "brier"]
        if len(brier):
            title = f"Brier score of {words}: 0 is perfect"
            blocks.append(content.grouped(brier_cells(brier), "backbone", title=title, folded=True))
    return Section("Calibration", tuple(blocks), ("Calibration",))


def brier_cells(rows: pd.DataFrame) -> pd.DataFrame:
    """Text cells, backbones down and signals across. rows: of metric `brier` and one kind of probability."""
    cells = [auc_cell(row) for _, row in rows.iterrows()]
    labelled = rows.assign(signal=rows["signal"].fillna(ALL_CLASSES), cell=cells)
    table = labelled.pivot(index="backbone", columns="signal", values="cell")
    return table.reindex(index=rows["backbone"].unique(), columns=in_order(table.columns)).astype(object).fillna("-")


def reliability_figure(table: pd.DataFrame, *, style: dict[str, tuple[str, str]]) -> "Drawing":
    """Observed fraction against probability, a panel for each signal, or one for all classes.

    table: rows of one kind: backbone, signal, probability, fraction, fraction_low, fraction_high
    """
    signals, backbones = in_order(table["signal"]), list(dict.fromkeys(table["backbone"]))
    figure, grid = panels(signals, height=2.9, sharex=True, sharey=True)
    for axes, signal in zip(grid, signals, strict=True):
        axes.plot([0, 1], [0, 1], color="0.6", linewidth=0.8)
        for backbone in backbones:
            _draw_curve(axes, table[(table["signal"] == signal) & (table["backbone"] == backbone)], style[backbone])
        axes.set_xlim(-0.02, 1.02)
        axes.set_ylim(-0.02, 1.02)
    label(figure, "probability", "observed fraction")
    legend(figure, backbones, style)
    return figure


def _draw_curve(axes: "Axes", rows: pd.DataFrame, style: tuple[str, str]) -> None:
    x, y, low, high = numbers(rows, "probability", "fraction", "fraction_low", "fraction_high")
    colour, marker = style
    axes.plot(x, y, marker, color=colour, markersize=3)
    axes.plot(x, y, color=colour, linewidth=0.7, alpha=0.6)
    axes.vlines(x, low, high, color=colour, linewidth=0.8)
