"""AUC and rejection of every backbone and signal: the linear probe, and the classifiers' own outputs."""

from dataclasses import replace
from functools import partial

import pandas as pd

from jetassay.report.content import CONTROLS, Block, Content, Figure, Section, Table
from jetassay.report.figures import auc_figure, rejection_figure, styles
from jetassay.report.tables import (
    DISCRIMINATION,
    REJECTION,
    background_of,
    leaderboard_cells,
    multiclass_cells,
    scores_by_signal,
    with_working_point,
)

SHUFFLED = "shuffled-labels"
"""The task of probes that were trained on shuffled labels: a floor that belongs beside every AUC."""


def probe(content: Content) -> Section | None:
    """The linear probe."""
    return _section(content, "probe", "Linear probe", "Shuffled labels")


def zero_shot(content: Content) -> Section | None:
    """The classifiers' own outputs."""
    return _section(content, "zero-shot", "Zero-shot")


def _section(content: Content, task: str, *definitions: str) -> Section | None:
    frame, own = content.frame, content.scores(task)
    if not len(own):
        return None
    style = styles(frame)
    auc, rejection = (leaderboard_cells(frame, metric, task=task) for metric in ("auc", REJECTION))
    rejection.columns = pd.Index([with_working_point(name) for name in rejection.columns])
    together = multiclass_cells(frame, task=task)
    heading = "Background rejection 1/eps_B at the signal efficiency in the heading"
    first = content.grouped(auc, "backbone", title="AUC")
    blocks: list[Block] = []
    if len(auc):
        blocks.append(_with_shuffled(first, content) if task == "probe" else first)
        blocks.append(Figure(f"{task}_auc", partial(auc_figure, own, style=style, task=task)))
    if len(rejection):
        blocks.append(content.grouped(rejection, "backbone", title=heading))
        blocks.append(Figure(f"{task}_rejection", partial(rejection_figure, own, style=style, task=task)))
    if len(together):
        blocks.append(content.grouped(together, "backbone", title="All classes together"))
    title = f"Each signal against {background_of(frame)}: {DISCRIMINATION[task]}"
    return Section(title, tuple(blocks), definitions)


def _with_shuffled(table: Table, content: Content) -> Table:
    """With one more row: the span, over backbones, of probes that were trained on shuffled labels."""
    floor = scores_by_signal(content.frame, "auc", task=SHUFFLED).dropna(subset=["value"])
    if not len(floor):
        return table
    spans = {name: f"{each.min():.3f} to {each.max():.3f}" for name, each in floor.groupby("signal")["value"]}
    name = f"shuffled labels ({floor['backbone'].nunique()} backbones)"
    row = pd.DataFrame({column: spans.get(column, "-") for column in table.cells.columns}, index=[name])
    return replace(table, cells=pd.concat([table.cells, row]), groups={**table.groups, name: CONTROLS})
