"""Small multiples: a panel for each signal, one legend for all, and points that say what is a limit."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from jetassay.jets.classes import jet_class
from jetassay.report.content import Content

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

WIDTH = 10.5
"""Inches; what fills the page."""


def panels(
    signals: Sequence[str], *, height: float = 2.3, columns: int = 3, **options: Any
) -> "tuple[Figure, list[Axes]]":
    """A figure with a panel for each signal, named in its corner; fewer columns where there are fewer signals.

    height: of a row, inches; options: of `subplots`, such as `sharex`
    """
    import matplotlib.pyplot as plt

    columns = min(columns, len(signals))
    rows = -(-len(signals) // columns)
    size = (max(WIDTH * columns / 3, WIDTH / 2) if columns < 3 else WIDTH, height * rows + 0.8)
    # Margins by hand: matplotlib's own layouts draw everything twice.
    space = {"wspace": 0.08 if options.get("sharey") else 0.24, "hspace": 0.22, **margins(*size)}
    figure, grid = plt.subplots(rows, columns, figsize=size, squeeze=False, gridspec_kw=space, **options)
    axes = list(grid.flat)
    for unused in axes[len(signals) :]:
        unused.set_visible(False)
    for panel, signal in zip(axes, signals, strict=False):
        panel.set_title(jet_class(signal).tex, fontsize=10, loc="left", pad=3)
        panel.grid(color="0.93")
        panel.set_axisbelow(True)
    return figure, axes[: len(signals)]


def trained(table: pd.DataFrame, content: Content) -> pd.DataFrame:
    """The rows of trained backbones, where a panel would not hold all of them; all rows where none is trained."""
    found = table[[not content.is_control(name) for name in table["backbone"]]]
    return found if len(found) else table


def margins(width: float, height: float) -> dict[str, float]:
    """Where the panels of a figure of this size in inches end, so that labels have their inches."""
    return {"left": 0.75 / width, "right": 0.995, "bottom": 0.45 / height, "top": 1 - 0.35 / height}


def label(figure: "Figure", x: str, y: str) -> None:
    """What both axes of all panels show, in the middle or where a style of figures has the labels of its axes."""
    import matplotlib as mpl

    right, top = (mpl.rcParams["xaxis.labellocation"] == "right"), (mpl.rcParams["yaxis.labellocation"] == "top")
    figure.supxlabel(x, fontsize=10, y=0.0, **({"x": 0.995, "ha": "right"} if right else {}))
    above = {"y": 1 - 0.35 / figure.get_figheight(), "va": "top"}
    figure.supylabel(y, fontsize=10, x=0.005, **(above if top else {}))


def legend(figure: "Figure", names: Iterable[str], styles: Mapping[str, tuple[str, str]]) -> None:
    """One legend of backbones above all panels."""
    from matplotlib.lines import Line2D

    width, height = figure.get_size_inches()
    handles = [Line2D([], [], color=styles[name][0], marker=styles[name][1], label=name) for name in names]
    place = (0.5, 1 - 0.1 / height)  # it grows upwards from here, and the saved figure with it
    columns = max(int(width / 2.5), 1)
    figure.legend(handles=handles, loc="lower center", bbox_to_anchor=place, ncols=columns, frameon=False, fontsize=9)


def numbers(rows: pd.DataFrame, *names: str) -> list[NDArray[np.float64]]:
    """Columns as float64, NaN where there is no number."""
    return [np.asarray(rows[name].astype("float64").to_numpy(na_value=np.nan), np.float64) for name in names]


def points(
    axes: "Axes", x: NDArray[np.float64], rows: pd.DataFrame, style: tuple[str, str], *, joined: bool = True
) -> None:
    """Values with their bars, joined by a thin line; a limit is an open marker with an arrow."""
    value, low, high = numbers(rows, "value", "low", "high")
    colour, marker = style
    if joined:
        axes.plot(x, value, color=colour, linewidth=0.7, alpha=0.6)
    axes.plot(x, value, marker, color=colour, markersize=4)
    axes.vlines(x, low, high, color=colour, linewidth=1)
    limit, open_above = (np.isnan(value) & ~np.isnan(low)), (~np.isnan(value) & ~np.isnan(low) & np.isnan(high))
    axes.vlines(x[open_above], low[open_above], value[open_above], color=colour, linewidth=1)
    if limit.any():
        axes.plot(x[limit], low[limit], marker, color=colour, markersize=4, markerfacecolor="none")
    arrows = limit | open_above
    if arrows.any():
        start = np.where(limit, low, value)[arrows]
        axes.errorbar(x[arrows], start, yerr=0.5 * start, lolims=True, fmt="none", color=colour, elinewidth=1)
    below = np.isnan(value) & np.isnan(low) & ~np.isnan(high)
    if below.any():
        axes.errorbar(x[below], high[below], yerr=0.5 * high[below], uplims=True, fmt=marker, color=colour,
                      elinewidth=1, markersize=4, markerfacecolor="none")  # fmt: skip


def one_minus(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with 1 - value and its interval; where the value is 1, the upper end alone, as a log axis needs it."""
    value, low, high = 1 - rows["value"], 1 - rows["high"], 1 - rows["low"]
    return rows.assign(value=value.mask(value <= 0), low=low.mask(value <= 0), high=high)


def log_axis(axis: "Axis") -> None:
    """A logarithmic axis, after all is drawn, whose numbers can be read however many powers of ten it spans."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    set_scale = axis.axes.set_xscale if axis is axis.axes.xaxis else axis.axes.set_yscale
    set_scale("log")
    low, high = axis.get_view_interval()
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)) if high / low < 300 else LogLocator(numticks=5))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())
