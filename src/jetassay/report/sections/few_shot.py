"""Learning curves: quality against the number of training jets, the area under it, and where backbones cross."""

from functools import partial
from typing import TYPE_CHECKING

import pandas as pd

from jetassay.jets.classes import in_order
from jetassay.report.content import Block, Content, Figure, Section, Table
from jetassay.report.figures import styles
from jetassay.report.panels import legend, log_axis, numbers, panels
from jetassay.report.tables import auc_cell

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

_HEADS = {"linear": "linear probe", "knn": "k nearest neighbours", "mlp": "one hidden layer"}


def section(content: Content) -> Section | None:
    """For every head the curves, their areas, and the crossings of every two backbones."""
    scores = content.scores("few-shot")
    scores = scores[scores["draw"].isna()]
    if not len(scores):
        return None
    style, draws = styles(content.frame), content.tables.get("few_shot")
    blocks: list[Block] = []
    for head, rows in scores.assign(head=scores["bin"].fillna("linear")).groupby("head", sort=False):
        how = _HEADS.get(str(head), str(head))
        caption = (
            f"1 - AUC ({how}) against training jets of each class. Line: mean over random draws; band: the middle 68 % "
            "of the draws, none where all jets are taken; bars at the end: test jets, 68 %."
        )
        own = draws[draws["head"] == head] if draws is not None else None
        draw = partial(curves_figure, rows, draws=own, style=style)
        blocks.append(Figure(f"few_shot_{head}", draw, caption))
        areas = rows[rows["metric"] == "area_under_curve"]
        if len(areas):
            title = f"Mean AUC over the logarithm of the training jets ({how}); in brackets its spread over draws"
            blocks.append(content.grouped(area_cells(areas), "backbone", title=title))
        crossings = crossing_cells(rows)
        if len(crossings):
            title = (
                f"Training jets of each class where mean curves cross for the last time ({how}), the 68 % interval, "
                "and how many of a hundred resamples have it; an end that is open lies outside of the curves"
            )
            blocks.append(Table(crossings, "backbones", title=title, folded=True))
    return Section("Learning curves", tuple(blocks), ("Few-shot",))


def curves_figure(scores: pd.DataFrame, *, draws: pd.DataFrame | None, style: dict[str, tuple[str, str]]) -> "Drawing":
    """1 - AUC by training jets, both axes logarithmic, a panel for each signal, a colour for each backbone.

    scores: means over draws of one head, metrics `auc` and `auc_over_test_jets`; n_train counts both classes
    draws:  single draws of this head (backbone, signal, n_per_class, auc), for the bands; None for no bands
    """
    curves = scores[scores["metric"] == "auc"]
    signals = in_order(curves["signal"])
    backbones = list(dict.fromkeys(curves["backbone"]))
    figure, axes = panels(signals, sharex=True)
    for panel, signal in zip(axes, signals, strict=True):
        for name in backbones:
            colour, marker = style[name]
            own = scores[(scores["backbone"] == name) & (scores["signal"] == signal)]
            rows = own[own["metric"] == "auc"].sort_values("n_train")
            jets, value = numbers(rows, "n_train", "value")
            panel.plot(jets / 2, 1 - value, color=colour, marker=marker, markersize=3.5, linewidth=1.2)
            if draws is not None:
                lower, upper = _band(draws[(draws["backbone"] == name) & (draws["signal"] == signal)])
                panel.fill_between(lower.index, 1 - upper, 1 - lower, color=colour, alpha=0.15, linewidth=0)
            last = own[own["metric"] == "auc_over_test_jets"].sort_values("n_train").tail(1)
            jets, low, high = numbers(last, "n_train", "low", "high")
            panel.vlines(jets / 2, 1 - high, 1 - low, color=colour, linewidth=1.5)
        if (curves.loc[curves["signal"] == signal, "value"] < 1).any():
            log_axis(panel.yaxis)
        log_axis(panel.xaxis)
        panel.tick_params(labelsize=8)
    figure.supxlabel("training jets of each class", fontsize=10)
    figure.supylabel("1 − AUC  (lower is better)", fontsize=10)
    legend(figure, backbones, style)
    return figure


def _band(draws: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """The middle 68 % of the draws by jets of each class: quantiles, since AUCs near 1 scatter more to one side."""
    grouped = draws.groupby("n_per_class")["auc"]
    return grouped.quantile(0.16), grouped.quantile(0.84)


def area_cells(areas: pd.DataFrame) -> pd.DataFrame:
    """Text cells, backbones down and signals across."""
    cells = areas.assign(cell=[auc_cell(row) for _, row in areas.iterrows()])
    table = cells.pivot(index="backbone", columns="signal", values="cell")
    return table.reindex(index=areas["backbone"].unique(), columns=in_order(table.columns)).astype(object).fillna("-")


def crossing_cells(scores: pd.DataFrame) -> pd.DataFrame:
    """Text cells, pairs down and signals across: `85 (60 to 130), 97 %`; no row for a pair that crosses nowhere."""
    keys = ["backbone", "backbone_b", "signal"]
    found = scores[(scores["metric"] == "crossing") & scores["value"].notna()]
    shares = scores[scores["metric"] == "crossing_share"].set_index(keys)["value"]
    cells = []
    for _, row in found.iterrows():
        low, high = ("…" if pd.isna(row[end]) else f"{row[end]:.0f}" for end in ("low", "high"))
        cells.append(f"{row['value']:.0f} ({low} to {high}), {100 * shares[tuple(row[keys])]:.0f} %")
    pairs = found["backbone"].astype(str) + " / " + found["backbone_b"].astype(str)
    table = found.assign(cell=cells, pair=pairs).pivot(index="pair", columns="signal", values="cell")
    order = list(dict.fromkeys(pairs))
    return table.reindex(index=order, columns=in_order(table.columns)).astype(object).fillna("-")
