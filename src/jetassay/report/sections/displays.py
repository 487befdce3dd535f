"""Jets as physicists draw them: those that each backbone's probes are most and least sure of."""

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from jetassay.jets.classes import in_order, jet_class
from jetassay.report.content import Block, Content, Figure, Fold, Section, Text
from jetassay.report.panels import WIDTH
from jetassay.tasks.curves import LOGITS
from jetassay.tasks.displays import CONSTITUENTS, JETS, SHOWN, WHY

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

KIND_NAMES = ("unknown", "charged hadron", "neutral hadron", "photon", "electron", "muon")
"""What `kind` of the table means."""

_MARKERS = (".", "o", "s", "^", "P", "X")
_REACH = 0.85
"""Half the side of a panel in eta and phi."""

_MOST_DISPLACED = 10.0
_AREA = 900.0
"""Of a constituent that carries all of the jet's pT, in points squared."""


def section(content: Content) -> Section | None:
    """A figure for each trained backbone: a row of five jets for each signal."""
    shown, constituents, jets = (content.tables.get(name) for name in (SHOWN, CONSTITUENTS, JETS))
    logits = content.tables.get(LOGITS)
    if shown is None or constituents is None or jets is None or logits is None or not len(shown):
        return None
    trained = [name for name in content.backbones if not content.is_control(name)]
    names = [name for name in dict.fromkeys(shown["backbone"]) if name in trained] or list(shown["backbone"].unique())
    # The tables hold every test jet, and a figure a few of them.
    jets, logits = (table[table["jet"].isin(shown["jet"].unique())] for table in (jets, logits))
    beside = logits[logits["backbone"].isin(names)]
    blocks: list[Block] = [
        Text(
            "Constituents around the jet's axis, pseudorapidity across and azimuth up. Area: share of the jet's pT. "
            "Shape: kind. Filled: charged, by colour how far its track is from the beam line (key below); hollow: "
            "neutral. Beside: logits of the linear probes of the signal that the row names, above 0 for signal; the "
            "one in bold chose the jet.",
            "note",
        )
    ]
    for k, name in enumerate(names):
        draw = partial(
            displays_figure, shown[shown["backbone"] == name], constituents=constituents, jets=jets, logits=beside
        )
        caption = f"Jets that the probes of {name} are most and least sure of, a row for each signal."
        figure = Figure(f"jets_{name.replace(' ', '_')}", draw, caption)
        blocks.append(Fold(f"Jets as {name} sees them", (figure,)) if k else figure)
    return Section("Jets, surest and least sure", tuple(blocks), ("Linear probe",))


def displays_figure(
    shown: pd.DataFrame, *, constituents: pd.DataFrame, jets: pd.DataFrame, logits: pd.DataFrame
) -> "Drawing":
    """A row for each signal, a column for each reason.

    shown: rows of one backbone of table `shown_jets`; the others are the tables of `tasks.displays` and `tasks.curves`
    """
    import matplotlib.pyplot as plt

    signals = in_order(shown["signal"])
    side = WIDTH / len(WHY)
    height = side * 1.13 * len(signals) + 1.0
    figure, grid = plt.subplots(
        len(signals), len(WHY), figsize=(WIDTH, height), squeeze=False, sharex=True, sharey=True
    )
    figure.subplots_adjust(
        left=0.055, right=0.995, bottom=0.4 / height, top=1 - 0.75 / height, wspace=0.04, hspace=0.17
    )
    about = jets.set_index("jet").to_dict("index")
    parts = dict(tuple(constituents.groupby("jet")))
    for row, signal in enumerate(signals):
        chosen = shown[shown["signal"] == signal].set_index("why")["jet"]
        for column, why in enumerate(WHY):
            axes, jet = grid[row, column], int(chosen[why])
            draw_jet(axes, parts[jet])
            axes.set_title(_title(about[jet]), fontsize=7.5, pad=2)
            _scores(axes, logits[logits["jet"] == jet].set_index("backbone")[signal], bold=shown["backbone"].iloc[0])
        grid[row, 0].set_ylabel(f"{jet_class(signal).tex}\n$\\Delta\\phi$", fontsize=9)
    for column, why in enumerate(WHY):
        centre = (grid[0, column].get_position().x0 + grid[0, column].get_position().x1) / 2
        words = why.replace(", ", ",\n")
        figure.text(centre, 1 - 0.36 / height, words, ha="center", va="center", fontsize=8.5, weight="bold")
        grid[-1, column].set_xlabel(r"$\Delta\eta$", fontsize=9)
    _key(figure, set(constituents["kind"]))
    return figure


def draw_jet(axes: "Axes", parts: pd.DataFrame) -> None:
    """The constituents of one jet: rows of table `shown_constituents`."""
    parts = parts.sort_values("pt", ascending=False)
    share = parts["pt"] / parts["pt"].sum()
    area = np.maximum(_AREA * share, 3.0)
    colour = (parts["significance"].fillna(0.0) / _MOST_DISPLACED).clip(0, 1)
    for kind, marker in enumerate(_MARKERS):
        for charged in (False, True):
            mask = ((parts["kind"] == kind) & ((parts["charge"] != 0) == charged)).to_numpy()
            if not mask.any():
                continue
            look: dict[str, Any] = {"facecolors": "none", "edgecolors": "0.35", "linewidths": 0.6}
            if charged:
                look = {"c": _colours(colour[mask]), "edgecolors": "white", "linewidths": 0.3}
            axes.scatter(parts["deta"][mask], parts["dphi"][mask], s=area[mask], marker=marker, **look)
    axes.set_xlim(-_REACH, _REACH)
    axes.set_ylim(-_REACH, _REACH)
    axes.set_aspect("equal")
    axes.tick_params(labelsize=6.5, length=2)
    axes.set_xticks([-0.5, 0, 0.5])
    axes.set_yticks([-0.5, 0, 0.5])


def _colours(share: pd.Series) -> Any:
    """From light blue, a track from the beam line, to near black, one far from it; readable in grey too."""
    from matplotlib import colormaps

    return colormaps["viridis_r"](0.15 + 0.85 * share.to_numpy())


def _title(jet: dict[Any, Any]) -> str:
    facts = [jet_class(str(jet["label"])).tex]
    facts += [f"{jet[name]:.0f} GeV" for name in ("jet_pt",) if name in jet]
    facts += [f"$m_{{SD}}$ {jet[name]:.0f}" for name in ("jet_sdmass",) if name in jet]
    return "  ".join(facts)


def _scores(axes: "Axes", logits: pd.Series, *, bold: str) -> None:
    """Logits of all trained backbones in the panel's corner."""
    for line, (name, value) in enumerate(logits.items()):
        axes.text(
            0.03,
            0.97 - 0.085 * line,
            f"{str(name).partition(' (')[0]} {value:+.1f}",
            transform=axes.transAxes,
            fontsize=5.8,
            va="top",
            weight="bold" if name == bold else "normal",
        )


def _key(figure: "Drawing", kinds: set[int]) -> None:
    """One legend of shapes and colours above all panels."""
    from matplotlib.lines import Line2D

    handles = [
        Line2D(
            [], [], linestyle="", marker=_MARKERS[kind], label=KIND_NAMES[kind], color="0.35", markerfacecolor="none"
        )
        for kind in sorted(kinds)
    ]
    for value in (0, 3, _MOST_DISPLACED):
        shade = _colours(pd.Series([value / _MOST_DISPLACED]))[0]
        words = f"$|d_0|/\\sigma$ = {value:g}{' or more' if value == _MOST_DISPLACED else ''}"
        handles.append(Line2D([], [], linestyle="", marker="o", color=shade, label=words))
    figure.legend(
        handles=handles, loc="upper center", ncols=len(handles), frameon=False, fontsize=7.5, handletextpad=0.2
    )
