"""What embedding costs, and what it gives: quality against jets per second, operations and memory."""

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from jetassay.report.content import Block, Content, Figure, Section, Table
from jetassay.report.figures import styles, throughput_figure
from jetassay.report.panels import WIDTH, legend, log_axis, margins, numbers
from jetassay.report.tables import scores_by_signal, throughput_cells

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

COSTS = {
    "jets_per_s": "jets per second",
    "flops_per_jet": "million operations of matrix products per jet",
    "peak_memory_mib": "memory of a batch at its peak [MiB]",
}
"""Metrics of the measurement, and what axes say; more of the first is better, less of the others."""


def section(content: Content) -> Section | None:
    """The short measurement of the suite, and quality against each cost."""
    scores = content.scores("throughput")
    if not len(scores):
        return None
    blocks: list[Block] = [
        Table(cost_cells(content.frame), "backbone"),
        Figure("throughput", partial(throughput_figure, scores, style=styles(content.frame))),
    ]
    quality = mean_quality(content.frame)
    if len(quality) > 1:
        style = styles(content.frame)
        caption = (
            "Mean of 1 - AUC over signals (linear probe) against what embedding costs; lower is better. Bars: means of "
            "the ends of the 68 % intervals. Line: backbones that no other beats in both. Operations: of matrix "
            f"products as they are run, padding and all, for {_constituents(scores)} constituents a jet on average; "
            "memory: tensors made in one batch, without inputs and weights. Backbones without matrix products in torch "
            "have neither."
        )
        blocks.append(Figure("cost", partial(cost_figure, scores, quality, style=style), caption))
    return Section("Throughput and cost", tuple(blocks))


def cost_cells(frame: pd.DataFrame) -> pd.DataFrame:
    """Text cells, backbones down: jets per second, operations, memory and constituents a jet, where they are known."""
    cells = throughput_cells(frame)
    scores = frame[frame["task"] == "throughput"]
    names = {
        "flops_per_jet": ("million operations a jet", 1e-6),
        "peak_memory_mib": ("MiB at the peak", 1.0),
        "constituents_per_jet": ("constituents a jet", 1.0),
    }
    for metric, (title, unit) in names.items():
        found = scores[scores["metric"] == metric].set_index("backbone")["value"].astype(float) * unit
        if len(found):
            cells[title] = [f"{found[name]:.3g}" if name in found else "-" for name in cells.index]
    return cells


def mean_quality(frame: pd.DataFrame) -> pd.DataFrame:
    """1 - AUC of the linear probe, mean over signals, of every backbone that has all of them: value, low, high."""
    rows = scores_by_signal(frame, "auc", task="probe").dropna(subset=["value", "low", "high"])
    counts = rows.groupby("backbone")["signal"].nunique()
    whole = set(counts.index[counts == counts.max()])
    means = rows[rows["backbone"].isin(whole)].groupby("backbone", sort=False)[["value", "low", "high"]].mean()
    return pd.DataFrame({"value": 1 - means["value"], "low": 1 - means["high"], "high": 1 - means["low"]})


def cost_figure(scores: pd.DataFrame, quality: pd.DataFrame, *, style: dict[str, tuple[str, str]]) -> "Drawing":
    """Quality against every cost that was measured, a panel each, with the line of those that no other beats.

    scores: of task `throughput`; quality: as `mean_quality` gives it
    """
    import matplotlib.pyplot as plt

    there = [name for name in COSTS if (scores["metric"] == name).any()]
    size = (WIDTH * max(len(there), 2) / 3, 3.9)
    figure, grid = plt.subplots(1, len(there), figsize=size, sharey=True, squeeze=False)
    figure.subplots_adjust(**{**margins(*size), "bottom": 0.55 / size[1]}, wspace=0.06)
    for axes, metric in zip(grid[0], there, strict=True):
        rows = scores[scores["metric"] == metric].set_index("backbone")
        if metric == "flops_per_jet":
            rows = rows.assign(value=rows["value"] / 1e6)
        _draw(axes, rows[rows.index.isin(quality.index)], quality, rising=metric == "jets_per_s", style=style)
        axes.set_xlabel(COSTS[metric], fontsize=9)
        axes.grid(color="0.93")
        axes.set_axisbelow(True)
        log_axis(axes.xaxis)
        axes.tick_params(labelsize=8)
    log_axis(grid[0, 0].yaxis)
    grid[0, 0].set_ylabel("mean 1 − AUC", fontsize=10)
    legend(figure, [name for name in style if name in quality.index], style)
    return figure


def _draw(
    axes: "Axes", rows: pd.DataFrame, quality: pd.DataFrame, *, rising: bool, style: dict[str, tuple[str, str]]
) -> None:
    (cost,), (loss,) = numbers(rows, "value"), numbers(quality.loc[rows.index], "value")
    best = unbeaten(-cost if rising else cost, loss)
    axes.plot(cost[best], loss[best], color="0.6", linewidth=1, linestyle=":", zorder=1)
    for x, name in zip(cost, rows.index, strict=True):
        colour, marker = style[name]
        middle, low, high = (each[0] for each in numbers(quality.loc[[name]], "value", "low", "high"))
        axes.vlines(x, low, high, color=colour, linewidth=1)
        axes.plot([x], [middle], marker, color=colour, markersize=6)


def unbeaten(cost: NDArray[np.float64], loss: NDArray[np.float64]) -> list[int]:
    """Places, rising in cost, where no other has both at most the same cost and at most the same loss, one less."""
    return [
        k
        for k in np.argsort(cost, kind="stable").tolist()
        if not ((cost <= cost[k]) & (loss <= loss[k]) & ((cost < cost[k]) | (loss < loss[k]))).any()
    ]


def _constituents(scores: pd.DataFrame) -> str:
    """The means over jets, from the least to the most of all backbones."""
    found = scores.loc[scores["metric"] == "constituents_per_jet", "value"].astype(float)
    if not len(found):
        return "an unknown number of"
    low, high = f"{found.min():.1f}", f"{found.max():.1f}"
    return low if low == high else f"{low} to {high}"
