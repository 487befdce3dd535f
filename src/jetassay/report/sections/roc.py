"""ROC curves: background rejection against signal efficiency, with the ratio to one backbone below."""

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from jetassay.jets.classes import in_order, jet_class
from jetassay.report.content import Block, Content, Figure, Fold, Section
from jetassay.report.figures import styles
from jetassay.report.panels import WIDTH, label, legend, log_axis, margins, numbers, trained
from jetassay.report.tables import DISCRIMINATION, background_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

_RATIOS = (0.1, 10.0)
"""Ends of the ratio's axis."""

_MARKED = (0.2, 0.5, 1.0, 2.0, 5.0)
"""Numbers on it; none at its ends, where they would meet those of the panel above."""


def section(content: Content) -> Section | None:
    """Curves of the linear probes; those of the classifiers' own outputs in a fold."""
    table = content.tables.get("roc")
    if table is None or not len(table):
        return None
    style, background = styles(content.frame), background_of(content.frame)
    blocks: list[Block] = []
    for task in [name for name in DISCRIMINATION if name in set(table["task"])]:
        chosen = table[table["task"] == task]
        reference = trained(chosen, content)["backbone"].iloc[0]
        controls = frozenset(name for name in chosen["backbone"].unique() if content.is_control(name))
        draw = partial(roc_figure, chosen, style=style, reference=reference, controls=controls)
        caption = (
            f"{DISCRIMINATION[task].capitalize()}: background rejection against signal efficiency, each signal against "
            f"{background}; up and to the right is better. Band: 68 % of the background jets that survive the cut. A "
            f"curve ends on the left where none survives. Below: ratio to {reference}. Dashed: controls and floors. "
            "Upright line: the class's working point."
        )
        figure = Figure(f"roc_{task}", draw, caption)
        blocks.append(Fold(f"ROC curves of {DISCRIMINATION[task]}", (figure,)) if blocks else figure)
    return Section("ROC curves", tuple(blocks), ("Linear probe",))


def roc_figure(
    table: pd.DataFrame, *, style: dict[str, tuple[str, str]], reference: str, controls: frozenset[str] = frozenset()
) -> "Drawing":
    """Rejection on a log scale against signal efficiency, a panel with its ratio for each signal.

    table: rows of one task: backbone, signal, signal_efficiency, rejection, low, high
    reference: the backbone that ratios are taken to; controls: backbones that are drawn dashed
    """
    import matplotlib.pyplot as plt

    signals, backbones = in_order(table["signal"]), list(dict.fromkeys(table["backbone"]))
    columns = min(3, len(signals))
    rows = -(-len(signals) // columns)
    height = 3.3 * rows + 0.8
    figure = plt.figure(figsize=(WIDTH, height))
    outer = figure.add_gridspec(rows, columns, wspace=0.24, hspace=0.2, **margins(WIDTH, height))
    for k, signal in enumerate(signals):
        row, column = divmod(k, columns)
        inner = outer[row, column].subgridspec(2, 1, height_ratios=[2.6, 1], hspace=0.06)
        main = figure.add_subplot(inner[0])
        below = figure.add_subplot(inner[1], sharex=main)
        own = table[table["signal"] == signal]
        base = own[own["backbone"] == reference]
        for name in backbones:
            rows_of = own[own["backbone"] == name]
            _draw(main, below, rows_of, base, style=style[name], dashed=name in controls)
        _finish(main, below, signal)
        if not column:
            main.set_ylabel(r"rejection $1/\varepsilon_B$", fontsize=9)
            below.set_ylabel("ratio", fontsize=9)
    label(figure, r"signal efficiency $\varepsilon_S$", "")
    legend(figure, backbones, style)
    return figure


def _draw(
    main: "Axes", below: "Axes", rows: pd.DataFrame, base: pd.DataFrame, *, style: tuple[str, str], dashed: bool
) -> None:
    """One curve with its band and a few markers, and its ratio to `base`, taken at equal signal efficiency."""
    x, value, low, high = numbers(rows, "signal_efficiency", "rejection", "low", "high")
    colour, marker = style
    line: dict[str, Any] = {"color": colour, "linewidth": 1.1, "linestyle": "--" if dashed else "-"}
    main.plot(x, value, marker=marker, markevery=(5, 20), markersize=4, **line)
    there = ~np.isnan(value)
    main.fill_between(x[there], low[there], high[there], color=colour, alpha=0.15, linewidth=0)
    base_x, base_value = numbers(base, "signal_efficiency", "rejection")
    known = ~np.isnan(base_value)
    if known.any() and there.any():
        against = np.interp(x, base_x[known], base_value[known], left=np.nan, right=np.nan)
        below.plot(x, value / against, **line)
        below.fill_between(x[there], (low / against)[there], (high / against)[there], color=colour, alpha=0.12, lw=0)


def _finish(main: "Axes", below: "Axes", signal: str) -> None:
    from matplotlib.ticker import NullLocator

    point = jet_class(signal).working_point
    for axes in (main, below):
        axes.axvline(point, color="0.75", linewidth=0.8, zorder=0)
        axes.grid(color="0.93")
        axes.set_axisbelow(True)
        axes.tick_params(labelsize=8)
    main.set_title(jet_class(signal).tex, fontsize=10, loc="left", pad=3)
    main.tick_params(labelbottom=False)
    main.set_xlim(0, 1)
    log_axis(main.yaxis)
    main.set_ylim(bottom=1)
    below.axhline(1, color="0.6", linewidth=0.8)
    below.set_yscale("log")
    below.set_yticks(_MARKED, [f"{each:g}" for each in _MARKED])
    below.yaxis.set_minor_locator(NullLocator())
    below.set_ylim(*_RATIOS)
