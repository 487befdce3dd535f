"""The ladder of heads on frozen embeddings, signal by signal: how much each backbone gains by a head that bends."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from jetassay.jets.classes import in_order
from jetassay.report.content import Block, Content, Figure, Section, Table
from jetassay.report.figures import styles
from jetassay.report.panels import legend, log_axis, one_minus, panels, points
from jetassay.report.tables import REJECTION, auc_cell, rejection_cell, scores_by_signal, with_working_point

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

HEADS = {"probe": "linear", "knn": "neighbours", "mlp-probe": "hidden layer"}
"""Tasks that put a head on the frozen embedding, from the stiffest on, and how the ladder calls them."""


def section(content: Content) -> Section | None:
    """AUC and rejection of every backbone by head, where a suite has more than one."""
    frame = content.frame
    heads = [task for task in HEADS if len(content.scores(task, "auc"))]
    if len(heads) < 2:
        return None
    auc = pd.concat([scores_by_signal(frame, "auc", task=task) for task in heads])
    rejection = pd.concat([scores_by_signal(frame, REJECTION, task=task) for task in heads])
    caption = (
        "1 - AUC by head on the same embeddings and jets, for each signal; bars: 68 %, test jets. Where a line falls "
        "from the linear head to the hidden layer, the embedding holds more than a hyperplane can read."
    )
    by_point = ladder_cells(rejection, rejection_cell)
    by_point.columns = pd.Index([with_working_point(name) for name in by_point.columns])
    title = "Background rejection 1/eps_B at the signal efficiency in the heading"
    blocks: list[Block] = [
        Figure("ladder_auc", partial(ladder_figure, auc, style=styles(frame)), caption),
        _table(ladder_cells(auc, auc_cell), content, title="AUC"),
        _table(by_point, content, title=title, folded=True),
    ]
    definitions = tuple(
        words
        for task, words in (("probe", "Linear probe"), ("knn", "k nearest neighbours"), ("mlp-probe", "MLP probe"))
        if task in heads
    )
    return Section("Heads on frozen embeddings", tuple(blocks), definitions)


def ladder_figure(scores: pd.DataFrame, *, style: dict[str, tuple[str, str]]) -> "Drawing":
    """1 - AUC by head, a panel for each signal, a line for each backbone.

    scores: rows of metric `auc` of the tasks in `HEADS`
    """
    signals = in_order(scores["signal"])
    backbones = list(dict.fromkeys(scores["backbone"]))
    heads = [task for task in HEADS if task in set(scores["task"])]
    flipped = one_minus(scores)
    figure, axes = panels(signals, sharex=True)
    for panel, signal in zip(axes, signals, strict=True):
        for k, name in enumerate(backbones):
            own = flipped[(flipped["backbone"] == name) & (flipped["signal"] == signal)]
            rows = own.set_index("task").reindex(heads)
            points(panel, _beside(len(heads), k, len(backbones)), rows, style[name])
        if (flipped.loc[flipped["signal"] == signal, "high"] > 0).any():
            log_axis(panel.yaxis)
        panel.set_xticks(range(len(heads)), [HEADS[task] for task in heads])
        panel.set_xlim(-0.35, len(heads) - 0.65)
        panel.tick_params(labelsize=8)
    figure.supylabel("1 − AUC  (lower is better)", fontsize=10)
    legend(figure, backbones, style)
    return figure


def _beside(heads: int, k: int, backbones: int) -> NDArray[np.float64]:
    """Where the points of backbone k stand: side by side around each head."""
    return np.arange(heads, dtype=np.float64) + 0.3 * ((k + 0.5) / backbones - 0.5)


def ladder_cells(scores: pd.DataFrame, cell: Callable[[pd.Series], str]) -> pd.DataFrame:
    """Text cells, each backbone with its heads down, signals across."""
    cells = scores.assign(cell=[cell(row) for _, row in scores.iterrows()])
    table = cells.pivot(index=["backbone", "task"], columns="signal", values="cell")
    pairs = ((name, task) for name in dict.fromkeys(scores["backbone"]) for task in HEADS)
    table = table.reindex(index=[pair for pair in pairs if pair in table.index], columns=in_order(table.columns))
    return table.astype(object).fillna("-")


def _table(cells: pd.DataFrame, content: Content, **options: Any) -> Table:
    """The cells with one line a backbone and head, trained backbones first."""
    pairs = sorted(cells.index, key=lambda pair: content.is_control(pair[0]))
    names = [f"{backbone}: {HEADS[task]}" for backbone, task in pairs]
    groups = {name: content.group(backbone) for name, (backbone, _) in zip(names, pairs, strict=True)}
    return Table(cells.loc[pairs].set_axis(names), "backbone: head", groups=groups, **options)
