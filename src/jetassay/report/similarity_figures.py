"""Figures of similarity: heat maps of pairs, of bins and of layers with their values, and how numbers settle."""

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from jetassay.report.panels import log_axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

WIDTH = 10.5
NAMES = {
    "linear_cka": "linear CKA",
    "rbf_cka": "RBF CKA",
    "procrustes": "orthogonal Procrustes",
    "svcca": "SVCCA",
    "cross_r2": "cross-prediction R²",
    "mutual_knn": "mutual neighbours",
}
"""How people call each family, in the order of the page."""

_USUAL = ("biased", "in sample")


def families_figure(scores: pd.DataFrame, backbones: Sequence[str]) -> "Figure":
    """A heat map of every family, backbones by backbones; rows of `scores` are those of one bin."""
    import matplotlib.pyplot as plt

    families = [name for name in NAMES if name in set(scores["metric"])]
    rows = -(-len(families) // 3)
    side = (WIDTH - 1.9) / 3
    figure, grid = plt.subplots(
        rows, 3, figsize=(WIDTH, rows * (side + 0.3) + 0.9), squeeze=False, layout="constrained"
    )
    image = None
    for place, axes in enumerate(grid.flat):
        if place >= len(families):
            axes.set_visible(False)
            continue
        values = pair_matrix(scores[scores["metric"] == families[place]], backbones)
        image = _heat(axes, values, size=7)
        axes.set_title(NAMES[families[place]], fontsize=10, loc="left")
        _ticks(axes, backbones if place % 3 == 0 else (), backbones if place + 3 >= len(families) else ())
    if image is not None:
        figure.colorbar(image, ax=grid, shrink=0.6, label="1: equal but for rotation, scale, shift; 0: unrelated")
    return figure


def bins_figure(scores: pd.DataFrame, pairs: Sequence[tuple[str, str]], bins: Sequence[str]) -> "Figure":
    """One family, pairs of backbones down and bins across; rows of `scores` are those of one metric."""
    import matplotlib.pyplot as plt

    found = {
        (frozenset((row["backbone"], row["backbone_b"])), row["bin"]): row["value"] for row in scores.to_dict("records")
    }
    values = np.array([[_number(found.get((frozenset(pair), where))) for where in bins] for pair in pairs])
    height = 1.2 + 0.27 * len(pairs)
    figure, axes = plt.subplots(figsize=(WIDTH, height))
    figure.subplots_adjust(left=0.3, right=1, top=1, bottom=0.9 / height)  # matplotlib's layouts draw everything twice
    largest = float(np.nan_to_num(values).max(initial=0))
    image = _heat(axes, values, size=8, aspect="auto", top=max(math.ceil(10 * largest) / 10, 0.2))
    _ticks(axes, [f"{first} – {second}" for first, second in pairs], bins)
    figure.colorbar(image, ax=axes, pad=0.01)
    return figure


def layers_figure(table: pd.DataFrame) -> "Figure":
    """Layer by layer, by depth, a frame around each backbone; rows of `table` are of one metric and bin."""
    import matplotlib.pyplot as plt

    firsts, seconds = (list(zip(table[a], table[b], strict=True)) for a, b in _ENDS)
    owner = {name: number for number, name in enumerate(dict.fromkeys(name for name, _ in [*firsts, *seconds]))}
    keys = sorted(dict.fromkeys([*firsts, *seconds]), key=lambda key: owner[key[0]])
    place = {key: number for number, key in enumerate(keys)}
    values = np.eye(len(keys))
    for first, second, value in zip(firsts, seconds, table["value"], strict=True):
        values[place[first], place[second]] = values[place[second], place[first]] = value
    side = min(2.2 + 0.42 * len(keys), WIDTH)
    figure, axes = plt.subplots(figsize=(side + 0.8, side))
    figure.subplots_adjust(left=0.22, right=0.98, top=1, bottom=0.2)
    image = _heat(axes, values, size=8 if len(keys) < 20 else 6)
    labels = [f"{backbone}  {layer}" for backbone, layer in keys]
    _ticks(axes, labels, labels)
    owners = [backbone for backbone, _ in keys]
    for edge in (k - 0.5 for k in range(1, len(keys)) if owners[k] != owners[k - 1]):
        axes.axhline(edge, color="white", linewidth=2.5)
        axes.axvline(edge, color="white", linewidth=2.5)
    figure.colorbar(image, ax=axes, shrink=0.6)
    return figure


_ENDS = (("backbone", "layer"), ("backbone_b", "layer_b"))


def convergence_figure(
    table: pd.DataFrame, pairs: Sequence[tuple[str, str]], noise: tuple[str, str], colours: Mapping[str, str]
) -> "Figure":
    """Left: two independent embeddings, as measured here and as usually. Right: pairs of backbones, both ways.

    table: `cka_convergence`; noise: the pair of it that is unrelated; colours: of each family, by its metric
    """
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(WIDTH, 3.9), sharex=True, layout="constrained")
    unrelated = table[(table["backbone"] == noise[0]) & (table["backbone_b"] == noise[1])]
    for metric in [name for name in NAMES if name in set(unrelated["metric"])]:
        _curves(left, unrelated[unrelated["metric"] == metric], colours[metric], NAMES[metric])
    left.set_title("two independent Gaussian embeddings, 128 dimensions each", fontsize=10, loc="left")
    linear = table[table["metric"] == "linear_cka"]
    palette = plt.get_cmap("tab10")
    for number, (first, second) in enumerate(pairs):
        chosen = linear[(linear["backbone"] == first) & (linear["backbone_b"] == second)]
        _curves(right, chosen, palette(number % 10), f"{first} – {second}", by_name=True)
    right.set_title("backbones, linear CKA: full debiased, dashed biased", fontsize=10, loc="left")
    for axes in (left, right):
        log_axis(axes.xaxis)
        axes.set(xlabel="jets", ylim=(-0.05, 1.0))
        axes.axhline(0, color="0.6", linewidth=0.8)
        axes.grid(color="0.93")
        axes.set_axisbelow(True)
        axes.legend(frameon=False, fontsize=8)
    left.set_ylabel("similarity")
    return figure


def pair_matrix(scores: pd.DataFrame, backbones: Sequence[str]) -> NDArray[np.float64]:
    """Values (B, B) of one metric: the row's backbone with the column's, symmetric unless both ways are there.

    1 on the diagonal, NaN where there is no score.
    """
    place = {name: number for number, name in enumerate(backbones)}
    values = np.full((len(place), len(place)), math.nan)
    np.fill_diagonal(values, 1.0)
    for row in scores.to_dict("records"):
        if row["backbone"] in place and row["backbone_b"] in place:
            values[place[row["backbone"]], place[row["backbone_b"]]] = _number(row["value"])
    for a, b in combinations(range(len(place)), 2):
        if math.isnan(values[b, a]):
            values[b, a] = values[a, b]
        elif math.isnan(values[a, b]):
            values[a, b] = values[b, a]
    return values


def _curves(axes: "Axes", table: pd.DataFrame, colour: Any, name: str, *, by_name: bool = False) -> None:
    """The estimate of this suite as a line with dots, the usual one dashed; thin points are the single draws.

    by_name: the legend names the pair alone, and not the estimate
    """
    for usual, style in ((False, "o-"), (True, "s--")):
        chosen = table[table["estimator"].isin(_USUAL) == usual]
        if not len(chosen):
            continue
        label = name if by_name and not usual else "_" if by_name else f"{name}, {chosen['estimator'].iloc[0]}"
        mean = chosen.groupby("n_jets")["value"].mean()
        axes.plot(mean.index, mean, style, color=colour, label=label, markersize=4, linewidth=1.2,
                  markerfacecolor="none" if usual else None)  # fmt: skip
        axes.plot(chosen["n_jets"], chosen["value"], ".", color=colour, markersize=2, alpha=0.6)


def _heat(
    axes: "Axes", values: NDArray[np.float64], *, size: float, aspect: str = "equal", top: float = 1.0
) -> "AxesImage":
    """Cells coloured from 0 to `top` with two decimals in them; a value below 0 is printed, in the colour of 0."""
    image = axes.imshow(values, vmin=0, vmax=top, cmap="cividis", aspect=aspect)  # type: ignore[arg-type]
    for (row, column), value in np.ndenumerate(values):
        if math.isfinite(value):
            text = f"{value:.2f}".replace("-0.00", "0.00")
            colour = "black" if value > 0.5 * top else "white"
            axes.text(column, row, text, ha="center", va="center", fontsize=size, color=colour)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return image


def _ticks(axes: "Axes", down: Sequence[str], across: Sequence[str]) -> None:
    axes.tick_params(length=0)
    axes.set_yticks(range(len(down)), down, fontsize=8)
    axes.set_xticks(range(len(across)), across, fontsize=8, rotation=40, ha="right", rotation_mode="anchor")


def _number(value: Any) -> float:
    return math.nan if value is None or pd.isna(value) else float(value)
