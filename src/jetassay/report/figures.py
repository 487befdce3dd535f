"""Figures of one suite: what the eye should see first."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from jetassay.jets.classes import in_order, jet_class
from jetassay.report.styles import Style, backbone_styles
from jetassay.report.tables import DISCRIMINATION, REJECTION, background_of, matrix, scores_by_signal

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def auc_figure(frame: pd.DataFrame, *, style: Mapping[str, Style], task: str = "probe") -> "Figure":
    """1 - AUC of every signal against the background on a log scale, a marker per backbone, bars of 68 %.

    style: backbone -> colour and marker

    Where the AUC is 1, an open marker at the end of its interval with an arrow downwards.
    """
    chosen = scores_by_signal(frame, "auc", task=task).dropna(subset=["value"])
    flipped = chosen.assign(value=1 - chosen["value"], low=1 - chosen["high"], high=1 - chosen["low"])
    return _dots(
        flipped,
        styles=style,
        label="1 − AUC  (lower is better)",
        title=f"Each signal against {background_of(frame)}, {DISCRIMINATION[task]}",
    )


def rejection_figure(frame: pd.DataFrame, *, style: Mapping[str, Style], task: str = "probe") -> "Figure":
    """Background rejection at each class's working point; an arrow where only a lower limit is known."""
    return _dots(
        scores_by_signal(frame, REJECTION, task=task),
        styles=style,
        label=r"background rejection $1/\varepsilon_B$",
        title=f"Each signal against {background_of(frame)} at its working point, {DISCRIMINATION[task]}",
        ticks=lambda name: f"{jet_class(name).tex}\n{100 * jet_class(name).working_point:g} %",
    )


def cka_figure(frame: pd.DataFrame, *, where: str) -> "Figure":
    """Debiased linear CKA between all pairs of backbones, with values."""
    import matplotlib.pyplot as plt
    import seaborn as sns

    table = matrix(frame, "cka", where=where)
    size = 1.6 + 0.75 * len(table)
    figure, axes = plt.subplots(figsize=(size + 1.2, size))
    sns.heatmap(table, vmin=0, vmax=1, cmap="cividis", annot=True, fmt=".2f", square=True, ax=axes,
                cbar_kws={"label": "debiased linear CKA"})  # fmt: skip
    axes.set_xticklabels(axes.get_xticklabels(), rotation=40, ha="right")
    axes.set_yticklabels(axes.get_yticklabels(), rotation=0)
    axes.set_title("all test jets" if where == "all" else f"{where} jets alone")
    return figure


def throughput_figure(frame: pd.DataFrame, *, style: Mapping[str, Style]) -> "Figure":
    """Jets per second of each backbone, log scale, in the order of the suite."""
    import matplotlib.pyplot as plt

    chosen = frame[(frame["task"] == "throughput") & (frame["metric"] == "jets_per_s")]
    figure, axes = plt.subplots(figsize=(7, 0.6 + 0.4 * len(chosen)))
    values = chosen["value"].astype(float).to_numpy()
    low, high = chosen["low"].astype(float).to_numpy(), chosen["high"].astype(float).to_numpy()
    colours = [style[name][0] for name in chosen["backbone"]]
    axes.barh(list(chosen["backbone"]), values, xerr=[values - low, high - values], color=colours)
    for row, value in enumerate(values):
        axes.annotate(f" {value:,.0f}", (max(value, high[row]), row), va="center")
    axes.set_xscale("log")
    axes.set_xlim(right=4 * high.max())
    axes.invert_yaxis()
    axes.set_xlabel("jets per second (bars: fastest and slowest round)")
    return figure


def styles(frame: pd.DataFrame) -> dict[str, Style]:
    """Colour and marker of each backbone of the frame, in its order, as `report.styles` fixes them."""
    return backbone_styles(frame["backbone"].dropna())


def _dots(
    scores: pd.DataFrame,
    *,
    styles: Mapping[str, Style],
    label: str,
    title: str,
    ticks: Callable[[str], str] = lambda name: jet_class(name).tex,
) -> "Figure":
    import matplotlib.pyplot as plt

    signals = in_order(scores["signal"])
    backbones = list(dict.fromkeys(scores["backbone"]))
    figure, axes = plt.subplots(figsize=(10.5, 4.6))
    for k, backbone in enumerate(backbones):
        rows = scores[scores["backbone"] == backbone].set_index("signal").reindex(signals)
        shift = 0.7 * ((k + 0.5) / len(backbones) - 0.5)
        x = np.arange(len(signals)) + shift
        value, low, high = (rows[name].astype("float64").to_numpy(na_value=np.nan) for name in ("value", "low", "high"))
        colour, marker = styles[backbone]
        limit = np.isnan(value) & ~np.isnan(low)
        bars = np.where(value > 0, np.nan_to_num(np.stack([value - low, high - value])), 0)
        axes.errorbar(x, value, yerr=np.clip(bars, 0, None), fmt=marker, color=colour, label=backbone, markersize=5.5)
        perfect = (value <= 0) & (high > 0)  # an AUC of 1: the end of the interval that a log scale can show
        axes.errorbar(x[perfect], high[perfect], yerr=0.4 * high[perfect], uplims=True, fmt=marker, color=colour,
                      markersize=5.5, markerfacecolor="none")  # fmt: skip
        axes.errorbar(x[limit], low[limit], yerr=0.4 * low[limit], lolims=True, fmt=marker, color=colour,
                      markersize=5.5, markerfacecolor="none")  # fmt: skip
        open_above = ~np.isnan(value) & ~np.isnan(low) & np.isnan(high)
        axes.errorbar(x[open_above], value[open_above], yerr=0.4 * value[open_above], lolims=True, fmt="none",
                      color=colour)  # fmt: skip
    axes.set_yscale("log")
    axes.set_xticks(range(len(signals)), [ticks(name) for name in signals])
    for edge in range(len(signals) - 1):
        axes.axvline(edge + 0.5, color="0.9", linewidth=0.8, zorder=0)
    axes.grid(axis="y", which="both", color="0.93")
    axes.set_axisbelow(True)
    axes.set_ylabel(label)
    axes.set_title(title, loc="left")
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    return figure
