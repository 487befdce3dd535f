"""What embeddings hold of physics: R^2 of linear readings, backbone by observable."""

from functools import partial
from typing import TYPE_CHECKING

import pandas as pd

from jetassay.report.content import Content, Figure, Section
from jetassay.report.panels import WIDTH

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing


def section(content: Content) -> Section | None:
    """The two heat maps: over all jets, and within the background."""
    table = content.tables.get("content")
    if table is None or not len(table):
        return None
    caption = (
        "R² of a ridge regression of each observable on the frozen embedding, on test jets: 1 is known exactly, 0 is "
        "nothing; below 0, colours end. Floors (shuffled observables) lie between "
        f"{table['floor'].min():.2f} and {table['floor'].max():.2f}."
    )
    figure = Figure("content", partial(content_figure, table), caption)
    return Section("What the embeddings hold", (figure,), ("Content",))


def content_figure(table: pd.DataFrame) -> "Drawing":
    """R^2, backbones down and observables across, a panel for each choice of jets.

    table: backbone, observable, jets, r2
    """
    import matplotlib.pyplot as plt
    import seaborn as sns

    kinds, backbones = (list(dict.fromkeys(table[name])) for name in ("jets", "backbone"))
    names = list(dict.fromkeys(table["observable"]))
    size = (WIDTH, 1.9 + 0.36 * len(backbones))
    figure, grid = plt.subplots(1, len(kinds), figsize=size, squeeze=False, sharey=True, layout="constrained")
    for axes, kind in zip(grid[0], kinds, strict=True):
        values = table[table["jets"] == kind].pivot(index="backbone", columns="observable", values="r2")
        values = values.reindex(index=backbones, columns=names)
        sns.heatmap(values, vmin=0, vmax=1, cmap="cividis", annot=True, fmt=".2f", cbar=False, ax=axes)
        axes.set_title(kind, fontsize=10, loc="left")
        axes.set_xticklabels(axes.get_xticklabels(), rotation=40, ha="right")
        axes.set(xlabel="", ylabel="")
        axes.tick_params(axis="y", rotation=0)
    figure.colorbar(grid[0][-1].collections[0], ax=grid[0].tolist(), label="$R^2$", pad=0.01)
    return figure
