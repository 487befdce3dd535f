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

_SIDE = 1.91
_PITCH = (1.99, 2.37)
"""Inches: the side of a panel, and from one to the next, across and down."""

_LEFT, _FOOT, _HEAD = 0.58, 0.4, 0.85
"""Inches for labels."""

_TICKS, _TICK = (-0.5, 0.0, 0.5), 0.028
"""Where ticks are, and their length in inches."""

_MOST_DISPLACED = 10.0
_AREA = 900.0
"""Of a constituent that carries all of the jet's pT, in points squared."""


def section(content: Content) -> Section | None:
    """A figure for each trained backbone: a row of five jets for each signal."""
    shown, constituents = (content.tables.get(name) for name in (SHOWN, CONSTITUENTS))
    if shown is None or constituents is None or not {JETS, LOGITS} <= set(content.jet_tables) or not len(shown):
        return None
    trained = [name for name in content.backbones if not content.is_control(name)]
    names = [name for name in dict.fromkeys(shown["backbone"]) if name in trained] or list(shown["backbone"].unique())
    jets, logits = (content.of_jets(name, shown["jet"]) for name in (JETS, LOGITS))
    beside = logits[logits["backbone"].isin(names)]
    blocks: list[Block] = [
        Text(
            "Constituents around the jet's axis, pseudorapidity across and azimuth up. Area: share of the jet's pT. "
            "Shape: kind. Filled: charged, by colour how far its track is from the beam line (key below); hollow: "
            "neutral. Above: class, transverse momentum, soft-drop mass. Beside: logits of the linear probes of the "
            "signal that the row names, above 0 for signal; the one in bold chose the jet.",
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

    One pair of axes in inches holds all panels: matplotlib takes far longer for axes and their ticks than for points.
    """
    import matplotlib.pyplot as plt

    signals = in_order(shown["signal"])
    width, height = WIDTH, _HEAD + _PITCH[1] * (len(signals) - 1) + _SIDE + _FOOT
    figure = plt.figure(figsize=(width, height))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(0, height))
    axes.axis("off")
    places = shown.assign(
        x=_LEFT + _PITCH[0] * shown["why"].map(WHY.index),
        y=height - _HEAD - _SIDE - _PITCH[1] * shown["signal"].map(signals.index),
    )
    draw_jets(axes, places, constituents)
    _frames(axes, places)
    about = jets.set_index("jet").to_dict("index")
    beside = {jet: rows.set_index("backbone") for jet, rows in logits.groupby("jet")}
    for panel in places.to_dict("records"):
        jet, above = about[panel["jet"]], panel["y"] + _SIDE + 0.035
        axes.text(panel["x"], above, jet_class(str(jet["label"])).tex, fontsize=7.5)
        axes.text(panel["x"] + _SIDE, above, _facts(jet), fontsize=7.5, ha="right")
        _scores(axes, beside[panel["jet"]][panel["signal"]], bold=panel["backbone"], at=(panel["x"], panel["y"]))
    for signal, y in places.groupby("signal")["y"].first().items():
        words = f"{jet_class(str(signal)).tex}\n$\\Delta\\phi$"
        axes.text(0.02, y + _SIDE / 2, words, fontsize=9, rotation=90, ha="left", va="center", multialignment="center")
    for why, x in places.groupby("why")["x"].first().items():
        words = str(why).replace(", ", ",\n")
        axes.text(x + _SIDE / 2, height - 0.45, words, ha="center", va="center", fontsize=8.5, weight="bold")
        axes.text(x + _SIDE / 2, 0.02, r"$\Delta\eta$", ha="center", va="bottom", fontsize=9)
    _key(figure, set(constituents["kind"]))
    return figure


def draw_jets(axes: "Axes", places: pd.DataFrame, constituents: pd.DataFrame) -> None:
    """The constituents of jets, those of one kind of all jets together.

    places: jet, and x and y of the lower left corner of its panel in inches; constituents: table `shown_constituents`
    """
    parts = constituents.sort_values("pt", ascending=False)
    parts = parts.assign(share=parts["pt"] / parts.groupby("jet")["pt"].transform("sum"))
    parts = places[["jet", "x", "y"]].merge(parts[parts[["deta", "dphi"]].abs().max(axis=1) <= _REACH], on="jet")
    x, y = (parts[corner] + _SIDE * (parts[name] / _REACH + 1) / 2 for corner, name in (("x", "deta"), ("y", "dphi")))
    area = np.maximum(_AREA * parts["share"], 3.0)
    colour = (parts["significance"].fillna(0.0) / _MOST_DISPLACED).clip(0, 1)
    for kind, marker in enumerate(_MARKERS):
        for charged in (False, True):
            mask = ((parts["kind"] == kind) & ((parts["charge"] != 0) == charged)).to_numpy()
            if not mask.any():
                continue
            look: dict[str, Any] = {"facecolors": "none", "edgecolors": "0.35", "linewidths": 0.6}
            if charged:
                look = {"c": _colours(colour[mask]), "edgecolors": "white", "linewidths": 0.3}
            axes.scatter(x[mask], y[mask], s=area[mask], marker=marker, **look)


def _frames(axes: "Axes", places: pd.DataFrame) -> None:
    """A square around each panel, ticks at its lower and left edge, numbers at those of the last row and first column.

    places: x and y of the lower left corners in inches
    """
    from matplotlib.collections import LineCollection, PolyCollection

    corners = places[["x", "y"]].to_numpy()
    square = _SIDE * np.array([(0, 0), (1, 0), (1, 1), (0, 1)])
    look: dict[str, Any] = {"edgecolors": "black", "linewidths": 0.8}
    axes.add_collection(PolyCollection(list(corners[:, None] + square), facecolors="none", **look), autolim=False)
    inside = _SIDE * (np.array(_TICKS) / _REACH + 1) / 2
    along = np.stack([inside, np.zeros(len(_TICKS))], axis=1)
    ticks = np.concatenate(
        [np.stack([edge, edge - out], axis=1) for edge, out in ((along, (0, _TICK)), (along[:, ::-1], (_TICK, 0)))]
    )
    axes.add_collection(
        LineCollection(list((corners[:, None, None] + ticks).reshape(-1, 2, 2)), colors="black", linewidths=0.8),
        autolim=False,
    )
    lowest, first = places["y"].min(), places["x"].min()
    for place, value in zip(inside, _TICKS, strict=True):
        for x in places["x"].unique():
            axes.text(x + place, lowest - 2.5 * _TICK, f"{value:g}", fontsize=6.5, ha="center", va="top")
        for y in places["y"].unique():
            axes.text(first - 2.5 * _TICK, y + place, f"{value:g}", fontsize=6.5, ha="right", va="center")


def _colours(share: pd.Series) -> Any:
    """From light blue, a track from the beam line, to near black, one far from it; readable in grey too."""
    from matplotlib import colormaps

    return colormaps["viridis_r"](0.15 + 0.85 * share.to_numpy())


def _facts(jet: dict[Any, Any]) -> str:
    """Plain text: what TeX says in so many different lines takes most of the time of a figure."""
    facts = [f"{jet[name]:.0f} GeV" for name in ("jet_pt",) if name in jet]
    facts += [f"mass {jet[name]:.0f} GeV" for name in ("jet_sdmass",) if name in jet]
    return ", ".join(facts)


def _scores(axes: "Axes", logits: pd.Series, *, bold: str, at: tuple[float, float]) -> None:
    """Logits of all trained backbones in the corner of the panel whose lower left is `at`, in inches."""
    for line, (name, value) in enumerate(logits.items()):
        axes.text(
            at[0] + 0.03 * _SIDE,
            at[1] + (0.97 - 0.085 * line) * _SIDE,
            f"{str(name).partition(' (')[0]} {value:+.1f}",
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
        handles=handles,
        loc="upper center",
        bbox_to_anchor=(0.5, 1.0),
        ncols=len(handles),
        frameon=False,
        fontsize=7.5,
        handletextpad=0.2,
    )
