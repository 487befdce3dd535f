"""Which backbones are better, and which are not distinguishable: ranks with ties, and verdicts on every pair."""

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from jetassay.jets.classes import in_order
from jetassay.report.content import Block, Content, Figure, Row, Section, Table, Text
from jetassay.report.tables import aligned, with_working_point

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

METRICS = {"auc": "AUC", "rejection": "background rejection"}
"""What is compared, and how titles call it."""

BETTER, WORSE, TIED = "better", "worse", "not distinguishable"


def section(content: Content) -> Section | None:
    """Ranks of all backbones, the pairs as a matrix, and what the undecided ones would need."""
    comparisons, ranks = content.tables.get("comparison"), content.tables.get("ranks")
    if comparisons is None or ranks is None:
        return None
    found = [metric for metric in METRICS if metric in set(comparisons["metric"])]
    blocks: list[Block] = [Text(_tied(comparisons), "note")]
    for metric in found:
        title = f"Ranks by {METRICS[metric]}"
        blocks.append(content.grouped(rank_cells(ranks, metric), "backbone", title=title))
    blocks.append(Text("On how many signals the backbone of the row is better, tied, worse than that of the column:"))
    figures = (Figure(f"verdicts_{name}", partial(verdict_figure, comparisons, name)) for name in found)
    blocks.append(Row(tuple(figures)))
    if "rejection" in found and len(undecided := undecided_cells(comparisons)):
        title = "Pairs whose rejections are not distinguishable, and the background jets that would tell them apart"
        blocks.append(Table(undecided, "signal", title=title, folded=True))
    return Section("Who is better", tuple(blocks), ("Comparison",))


def ranks_text(content: Content, *, width: int) -> str:
    """The ranks as plain tables, at most `width` characters wide; none of backbones that stand apart."""
    comparisons, ranks = content.tables["comparison"], content.tables["ranks"]
    ranks = ranks[~ranks["backbone"].isin(list(content.unranked))]
    blocks = [
        f"Ranks by {name}\n{aligned(rank_cells(ranks, metric), width=width)}"
        for metric, name in METRICS.items()
        if metric in set(ranks["metric"])
    ]
    return "\n\n".join([*blocks, _tied(comparisons)])


def _tied(comparisons: pd.DataFrame) -> str:
    tied = int((comparisons["verdict"] == TIED).sum())
    return (
        f"In {tied} of {len(comparisons)} comparisons the two are not distinguishable. A rank such as 1-3 says that "
        "the backbone may be any of the first three."
    )


def rank_cells(ranks: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Text cells, backbones down and signals across: `2`, or `1-3` where it ties."""
    chosen = ranks[ranks["metric"] == metric]
    texts = [
        f"{first}" if first == last else f"{first}-{last}"
        for first, last in zip(chosen["first"], chosen["last"], strict=True)
    ]
    table = chosen.assign(cell=texts).pivot(index="backbone", columns="signal", values="cell")
    order = list(dict.fromkeys(chosen["backbone"]))
    cells = table.reindex(index=order, columns=in_order(table.columns)).fillna("-")
    if metric == "rejection":
        cells.columns = pd.Index([with_working_point(name) for name in cells.columns])
    return cells


def verdict_figure(comparisons: pd.DataFrame, metric: str) -> "Drawing":
    """Backbones against backbones: numbers of signals with each verdict, coloured by better minus worse."""
    import matplotlib.pyplot as plt
    import seaborn as sns

    chosen = comparisons[comparisons["metric"] == metric]
    names = list(dict.fromkeys([*chosen["backbone"], *chosen["backbone_b"]]))
    lead, text = np.full((len(names), len(names)), np.nan), np.full((len(names), len(names)), "", object)
    for (first, second), verdicts in chosen.groupby(["backbone", "backbone_b"], sort=False)["verdict"]:
        wins, ties, losses = (int((verdicts == each).sum()) for each in (BETTER, TIED, WORSE))
        a, b = names.index(first), names.index(second)
        lead[a, b], lead[b, a] = (wins - losses) / len(verdicts), (losses - wins) / len(verdicts)
        text[a, b], text[b, a] = f"{wins} {ties} {losses}", f"{losses} {ties} {wins}"
    size = 0.4 + 0.46 * len(names)
    figure, axes = plt.subplots(figsize=(size, size))
    sns.heatmap(pd.DataFrame(lead, names, names), vmin=-1, vmax=1, cmap="vlag_r", annot=text, fmt="", square=True,
                linewidths=0.6, ax=axes, annot_kws={"size": 7}, cbar=False)  # fmt: skip
    axes.set_facecolor("0.92")
    axes.set_xticklabels(names, rotation=40, ha="right", size=8)
    axes.set_yticklabels(names, rotation=0, size=8)
    axes.set_title(f"{METRICS[metric]}: better, tied, worse", size=10)
    return figure


def undecided_cells(comparisons: pd.DataFrame) -> pd.DataFrame:
    """One row for each pair whose rejections tie: discordant jets, p-value, and how many jets would be needed."""
    rows = comparisons[(comparisons["metric"] == "rejection") & (comparisons["verdict"] == TIED)]
    cells = {
        "first": rows["backbone"],
        "second": rows["backbone_b"],
        "passes first only": rows["only_first"],
        "passes second only": rows["only_second"],
        "p (Holm)": [f"{value:.2g}" for value in rows["p_holm"]],
        "background jets": rows["n_background"],
        "needed": [_jets(*ends) for ends in zip(*(rows[f"jets_needed{end}"] for end in _ENDS), strict=True)],
    }
    return pd.DataFrame({name: np.asarray(values) for name, values in cells.items()}, index=list(rows["signal"]))


_ENDS = ("", "_low", "_high")


def _jets(value: float, low: float, high: float) -> str:
    """Jets needed with their range, in two digits; `-` where the two do not differ at all."""
    if pd.isna(value):
        return "-"
    ends = f"{_rounded(low)} to {_rounded(high)}" if not pd.isna(high) else f"more than {_rounded(low)}"
    return f"{_rounded(value)} ({ends})"


def _rounded(jets: float) -> str:
    return f"{float(f'{jets:.2g}'):,.0f}"
