"""AUC, rejection and turn-on in bins of pT, mass, |eta| and multiplicity: small multiples, one panel a signal."""

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from jetassay.jets.classes import in_order
from jetassay.report.content import Block, Content, Figure, Fold, Section, Text
from jetassay.report.figures import styles
from jetassay.report.panels import label, legend, log_axis, numbers, one_minus, panels, points, trained
from jetassay.report.tables import REJECTION, background_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

LABELS = {
    "jet_pt": r"jet $p_T$ [GeV]",
    "jet_sdmass": "soft-drop mass [GeV]",
    "abs_eta": r"jet $|\eta|$",
    "multiplicity": "constituents",
}
"""What the axes say; other variables stand as they are called."""

_QUANTITIES = {"auc": "1 − AUC", REJECTION: r"rejection $1/\varepsilon_B$"}
_TURN_ON = ("signal_efficiency", "background_efficiency")


def section(content: Content) -> Section | None:
    """Every variable: AUC and rejection within the bin, and the efficiencies of the cut of all jets."""
    edges = content.tables.get("bins")
    rows = content.scores("bins")
    if edges is None or not len(rows):
        return None
    unique = edges.drop_duplicates(["variable", "bin"])
    style, background = styles(content.frame), background_of(rows)
    blocks: list[Block] = [
        Text(
            f"Signal and {background} are restricted to one bin. Bins are drawn equally wide whatever their edges, "
            "with backbones side by side in each. Open markers with an arrow: no background jet survives, and this "
            "is the lower limit. A bin with too few jets has no point.",
            kind="note",
        )
    ]
    captions = {
        "auc": (
            f"1 − AUC against {background} within each bin; lower is better. Open markers with an arrow down: the AUC "
            "is 1, and this is the upper end of its interval."
        ),
        REJECTION: "background rejection at the class's working point, the cut set within each bin.",
    }
    turn_on = (
        f"efficiencies of one cut for all jets, at the class's working point: filled {background}, open signal; what "
        "an analysis wishes for is flat. Trained backbones."
    )
    for variable in unique["variable"].drop_duplicates():
        name, bins = LABELS.get(variable, variable), unique[unique["variable"] == variable]
        here, figures = rows[rows["bin"].isin(bins["bin"])], []
        for metric, caption in captions.items():
            draw = partial(binned_figure, here[here["metric"] == metric], bins, metric=metric, style=style)
            figures.append(Figure(f"bins_{variable}_{metric}", draw, f"In bins of {_plain(name)}: {caption}"))
        draw = partial(turn_on_figure, trained(here[here["metric"].isin(_TURN_ON)], content), bins, style=style)
        figures.append(Figure(f"bins_{variable}_turn_on", draw, f"In bins of {_plain(name)}: {turn_on}"))
        first = variable == unique["variable"].iloc[0]
        blocks += figures if first else [Fold(f"In bins of {_plain(name)}", tuple(figures))]
    return Section("In bins of the jet", tuple(blocks), ("Bins",))


def _plain(name: str) -> str:
    """A label without units and TeX."""
    plain = name.partition(" [")[0]
    return plain.replace("$", "").replace("p_T", "pT").replace(r"\eta", "eta")


def binned_figure(
    rows: pd.DataFrame, edges: pd.DataFrame, *, metric: str, style: dict[str, tuple[str, str]]
) -> "Drawing":
    """AUC or rejection in the bins of one variable, a panel for each signal.

    rows:  of the result frame, of this metric and these bins
    edges: `variable`, `bin`, `low`, `high` of each bin, in order
    style: backbone -> colour and marker
    """
    signals, backbones = in_order(rows["signal"]), list(dict.fromkeys(rows["backbone"]))
    figure, grid = panels(signals, sharex=True)
    for axes, signal in zip(grid, signals, strict=True):
        for k, backbone in enumerate(backbones):
            found = _in_bins(rows[(rows["signal"] == signal) & (rows["backbone"] == backbone)], edges)
            if metric == "auc":
                found = one_minus(found)
            points(axes, _places(k, backbones, edges), found, style[backbone])
        log_axis(axes.yaxis)
        _mark_edges(axes, edges)
    label(figure, _label(edges), _QUANTITIES[metric])
    legend(figure, backbones, style)
    return figure


def turn_on_figure(rows: pd.DataFrame, edges: pd.DataFrame, *, style: dict[str, tuple[str, str]]) -> "Drawing":
    """Efficiencies of the cut of all jets in the bins of one variable, a panel for each signal.

    rows: of the result frame, signal and background efficiencies; edges, style: as of `binned_figure`
    """
    signals, backbones = in_order(rows["signal"]), list(dict.fromkeys(rows["backbone"]))
    figure, grid = panels(signals, sharex=True)
    for axes, signal in zip(grid, signals, strict=True):
        for k, backbone in enumerate(backbones):
            chosen = rows[(rows["signal"] == signal) & (rows["backbone"] == backbone)]
            colour, marker = style[backbone]
            where = _places(k, backbones, edges)
            of_signal, of_background = (_in_bins(chosen[chosen["metric"] == each], edges) for each in _TURN_ON)
            points(axes, where, of_background, (colour, marker), joined=False)
            value, low, high = numbers(of_signal, "value", "low", "high")
            axes.plot(where, value, marker, color=colour, markersize=4, markerfacecolor="white", zorder=3)
            axes.vlines(where, low, high, color=colour, linewidth=1)
        axes.set_yscale("symlog", linthresh=1e-3)
        axes.set_ylim(-1e-4, 1.5)
        _mark_edges(axes, edges)
    label(figure, _label(edges), "efficiency of the cut of all jets")
    legend(figure, backbones, style)
    return figure


def _in_bins(rows: pd.DataFrame, edges: pd.DataFrame) -> pd.DataFrame:
    """Value and interval in each bin, in the order of the edges."""
    return rows.set_index("bin")[["value", "low", "high"]].reindex(edges["bin"])


def _places(number: int, backbones: list[str], edges: pd.DataFrame) -> NDArray[np.float64]:
    """Where a backbone stands in each bin."""
    return np.arange(len(edges), dtype=np.float64) + (number + 1) / (len(backbones) + 1)


def _mark_edges(axes: "Axes", edges: pd.DataFrame) -> None:
    marks = [*edges["low"], edges["high"].iloc[-1]]
    axes.set_xticks(range(len(marks)), [f"{each:g}" for each in marks])
    axes.grid(axis="x", color="0.85")
    axes.set_xlim(-0.02, len(edges) + 0.02)


def _label(edges: pd.DataFrame) -> str:
    variable = str(edges["variable"].iloc[0])
    return LABELS.get(variable, variable)
