"""Embeddings in two dimensions, by class and by mass; the pointer shows the jet."""

from functools import partial
from typing import TYPE_CHECKING

import pandas as pd

from jetassay.jets.classes import in_order, jet_class
from jetassay.report.content import Block, Content, Figure, Fold, Pointed, Section, Text
from jetassay.report.panels import WIDTH
from jetassay.report.pointing import link, pointed_jets
from jetassay.tasks.displays import CONSTITUENTS, JETS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

_MASSES = (0.0, 250.0)
"""GeV; ends of the scale of colours."""

_METRICS = {"trustworthiness": "this map", "trustworthiness_pca": "two principal components"}


def section(content: Content) -> Section | None:
    """How far the maps can be trusted, and one of each backbone; where there is none, the reason stands above."""
    table = content.tables.get("map")
    if table is None or JETS not in content.jet_tables or not len(table):
        return None
    jets = content.of_jets(JETS, table["jet"])
    blocks: list[Block] = [
        Text(
            "Each point is a test jet, the same jets in every map. Near points are near in the embedding as far as the "
            "trustworthiness goes; how far apart groups stand, and how wide they are, means nothing. Where the page "
            "may run its script, the pointer shows the jet under it.",
            "note",
        ),
        content.grouped(trust_cells(content.scores("map")), "backbone", title="Trustworthiness: 1 is all, 0.5 chance"),
    ]
    places = table.merge(jets, on="jet")
    for k, name in enumerate(sorted(dict.fromkeys(table["backbone"]), key=content.is_control)):
        draw = partial(map_figure, places[places["backbone"] == name])
        figure = Figure(f"map_{name.replace(' ', '_')}", draw, f"The embedding of {name}.")
        blocks.append(Fold(f"Map of {name}", (figure,)) if k else figure)
    constituents = content.tables.get(CONSTITUENTS)
    if constituents is not None:
        blocks.append(Pointed(pointed_jets(jets, constituents[constituents["jet"].isin(table["jet"])])))
    return Section("Maps of the embeddings", tuple(blocks), ("Map",))


def trust_cells(scores: pd.DataFrame) -> pd.DataFrame:
    """Text cells, backbones down."""
    found = scores.pivot(index="backbone", columns="metric", values="value").reindex(columns=list(_METRICS))
    found = found.reindex(index=scores["backbone"].unique()).rename(columns=_METRICS)
    return found.map(lambda value: "-" if pd.isna(value) else f"{value:.3f}")


def map_figure(places: pd.DataFrame) -> "Drawing":
    """The map twice: classes by colour and marker, and the soft-drop mass where jets have one.

    places: jet, x, y, label, and jet_sdmass in GeV, of one backbone
    """
    import matplotlib.pyplot as plt

    by_mass = "jet_sdmass" in places
    figure, grid = plt.subplots(1, 1 + by_mass, figsize=(WIDTH if by_mass else WIDTH / 2, 5.0), squeeze=False)
    figure.subplots_adjust(left=0.01, right=0.99, top=0.99, bottom=0.12, wspace=0.03)
    first = grid[0, 0]
    for name in in_order(places["label"]):
        here, one = places[places["label"] == name], jet_class(name)
        some = first.scatter(
            here["x"], here["y"], s=14, color=one.colour, marker=one.marker, linewidths=0, label=one.tex
        )
        some.set_urls(link(here["jet"]))
    first.legend(loc="upper center", bbox_to_anchor=(0.5, 0.0), ncols=5, frameon=False, fontsize=8, markerscale=1.6)
    if by_mass:
        _by_mass(grid[0, 1], places)
    for axes in grid.flat:
        axes.set_xticks([])
        axes.set_yticks([])
        axes.set_aspect("equal", adjustable="datalim")
    return figure


def _by_mass(axes: "Axes", places: pd.DataFrame) -> None:
    low, high = _MASSES
    drawn = axes.scatter(
        places["x"], places["y"], c=places["jet_sdmass"], s=11, cmap="cividis", vmin=low, vmax=high, linewidths=0
    )
    drawn.set_urls(link(places["jet"]))
    place = axes.figure.add_axes((0.55, 0.075, 0.4, 0.025))  # of its own, so that both maps are of one size
    bar = axes.figure.colorbar(drawn, cax=place, orientation="horizontal", extend="max")
    bar.set_label("soft-drop mass [GeV]", fontsize=9)
    bar.ax.tick_params(labelsize=8)
