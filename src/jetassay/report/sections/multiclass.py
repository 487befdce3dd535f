"""All classes together from frozen embeddings: how often the right one is named, and what is taken for what."""

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from jetassay.jets.classes import in_order, jet_class
from jetassay.report.content import Block, Content, Figure, Section
from jetassay.report.panels import WIDTH
from jetassay.report.tables import multiclass_cells

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

_COLUMNS = 2


def section(content: Content) -> Section | None:
    """Accuracy, macro AUC and log-loss in a table, and a confusion matrix of every backbone."""
    cells = multiclass_cells(content.frame, task="multiclass")
    if not len(cells):
        return None
    blocks: list[Block] = [content.grouped(cells, "backbone")]
    counts = content.tables.get("confusion")
    if counts is not None and len(counts):
        caption = "Percent of the test jets of each true class (rows, which sum to 100) by predicted class."
        blocks.append(Figure("multiclass_confusion", partial(confusion_figure, counts), caption))
    return Section("All classes together: one linear model", tuple(blocks), ("Multiclass probe",))


def confusion_figure(counts: pd.DataFrame) -> "Drawing":
    """Percent of each true class by predicted class, a panel for each backbone.

    counts: columns backbone, true, predicted, n
    """
    import matplotlib.pyplot as plt

    backbones = list(dict.fromkeys(counts["backbone"]))
    columns = min(_COLUMNS, len(backbones))
    rows = -(-len(backbones) // columns)
    size = WIDTH * columns / _COLUMNS, 4.6 * rows
    figure, grid = plt.subplots(rows, columns, figsize=size, squeeze=False)
    figure.subplots_adjust(left=0.7 / size[0], right=0.99, bottom=0.9 / size[1], top=1 - 0.3 / size[1], hspace=0.36)
    for unused in grid.flat[len(backbones) :]:
        unused.set_visible(False)
    for axes, backbone in zip(grid.flat, backbones, strict=False):
        shares = percent(counts[counts["backbone"] == backbone])
        values = shares.to_numpy()
        axes.imshow(values, vmin=0, vmax=100, cmap="cividis")
        for row, column in np.argwhere(values >= 0.5):  # what is no percent stays empty
            value = values[row, column]
            colour = "black" if value > 50 else "white"
            axes.text(column, row, f"{np.floor(value + 0.5):.0f}", color=colour, ha="center", va="center", fontsize=8)
        names = [jet_class(name).tex for name in shares.columns]
        axes.set_xticks(range(len(names)), names, rotation=50, ha="right", rotation_mode="anchor", fontsize=8)
        axes.set_yticks(range(len(names)), names, fontsize=8)
        axes.tick_params(length=0)
        axes.set(xlabel="predicted", ylabel="true")
        axes.set_title(backbone, fontsize=10)
    return figure


def percent(counts: pd.DataFrame) -> pd.DataFrame:
    """Percent of each true class (rows) by predicted class, in the order of the classes; one backbone's counts."""
    table = counts.pivot(index="true", columns="predicted", values="n").astype(float)
    names = in_order(table.index)
    table = table.loc[names, names]
    return 100 * table.div(table.sum(axis=1), axis=0)
