"""What another detector does to the probes: changes of AUC with their paired intervals, and moves of the embedding."""

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from jetassay.jets.classes import in_order
from jetassay.report.content import Block, Content, Figure, Section
from jetassay.report.figures import styles
from jetassay.report.panels import legend, numbers, panels
from jetassay.report.tables import auc_cell

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing


def section(content: Content) -> Section | None:
    """The largest losses in a table, every change in a figure, and how far embeddings move."""
    changes = content.scores("robustness", "auc_change").dropna(subset=["value"])
    shifts = content.scores("robustness", "embedding_shift").dropna(subset=["value"])
    blocks: list[Block] = []
    if len(changes):
        title = "Largest loss of AUC of any signal whose 68 % interval lies below 0, and which signal"
        caption = (
            "Change of AUC, same jets and same probes, when another detector sees the jets; bars: 68 %, paired "
            "bootstrap; losses point down. Soft-drop mass and N-subjettiness stay as they were: see the definitions."
        )
        draw = partial(change_figure, changes, style=styles(content.frame))
        blocks += [
            content.grouped(loss_cells(changes), "backbone", title=title),
            Figure("robustness_auc_change", draw, caption),
        ]
    if len(shifts):
        title = "How far embeddings move: 0 not at all, 1 as far as to another jet of the sample"
        blocks.append(content.grouped(shift_cells(shifts), "backbone", title=title))
    return Section("Robustness against another detector", tuple(blocks), ("Robustness",)) if blocks else None


def loss_cells(changes: pd.DataFrame) -> pd.DataFrame:
    """Text cells, backbones down and variations across: the most negative change and its signal, or `none`."""
    certain = changes[changes["high"] < 0]
    worst = certain.loc[certain.groupby(["backbone", "bin"])["value"].idxmin()] if len(certain) else certain
    cells = [f"{auc_cell(row)} {row['signal']}" for _, row in worst.iterrows()]
    table = worst.assign(cell=cells).pivot(index="backbone", columns="bin", values="cell")
    return (
        table.reindex(index=changes["backbone"].unique(), columns=changes["bin"].unique()).astype(object).fillna("none")
    )


def shift_cells(shifts: pd.DataFrame) -> pd.DataFrame:
    """Text cells, backbones down and variations across."""
    cells = shifts.assign(cell=["0" if row["high"] == 0 else auc_cell(row) for _, row in shifts.iterrows()])
    table = cells.pivot(index="backbone", columns="bin", values="cell")
    return table.reindex(index=shifts["backbone"].unique(), columns=shifts["bin"].unique()).astype(object).fillna("-")


def change_figure(changes: pd.DataFrame, *, style: dict[str, tuple[str, str]]) -> "Drawing":
    """Change of AUC by variation, a panel for each signal, a marker for each backbone; linear near 0, then logarithmic.

    changes: rows of metric `auc_change`
    """
    signals, names = in_order(changes["signal"]), list(changes["bin"].unique())
    backbones = list(changes["backbone"].unique())
    figure, grid = panels(signals, height=2.4, sharex=True, sharey=True)
    for axes, signal in zip(grid, signals, strict=True):
        axes.axhline(0, color="0.6", linewidth=0.8)
        for k, backbone in enumerate(backbones):
            chosen = changes[(changes["signal"] == signal) & (changes["backbone"] == backbone)]
            rows = chosen.set_index("bin").reindex(names)
            value, low, high = numbers(rows, "value", "low", "high")
            x = np.arange(len(names)) + 0.7 * ((k + 0.5) / len(backbones) - 0.5)
            colour, marker = style[backbone]
            bars = np.clip(np.nan_to_num(np.stack([value - low, high - value])), 0, None)
            axes.errorbar(x, value, yerr=bars, fmt=marker, color=colour, markersize=3.5, elinewidth=0.9)
        axes.set_yscale("symlog", linthresh=0.01, linscale=1.0)
        axes.set_xticks(range(len(names)), names, rotation=55, ha="right", fontsize=8)
        axes.set_xlim(-0.6, len(names) - 0.4)
        for edge in range(len(names) - 1):
            axes.axvline(edge + 0.5, color="0.9", linewidth=0.6, zorder=0)
    for axes in grid[:: min(3, len(signals))]:  # the first of each row
        axes.set_ylabel("change of AUC")
    legend(figure, backbones, style)
    return figure
