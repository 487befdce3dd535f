"""How much of every score is chance, by what varies."""

import pandas as pd

from jetassay.jets.classes import in_order
from jetassay.report.content import Content, Section

PARTS = ("test", "train", "splits")
"""What varies, in the order of a cell."""

_TITLES = {
    "auc": "Standard deviation of the AUC, in units of 0.001: test jets, training jets, other splits",
    "log_rejection": "Relative standard deviation of the rejection, in percent: test jets, training jets, other splits",
}
_UNITS = {"auc": 1e-3, "log_rejection": 1e-2}


def section(content: Content) -> Section | None:
    """A table for the AUC and one for the rejection."""
    scores = content.scores("stability")
    metrics = [name for name in _TITLES if (scores["metric"] == f"{name}_sd_test").any()]
    if not metrics:
        return None
    tables = (content.grouped(spread_cells(scores, name), "backbone", title=_TITLES[name]) for name in metrics)
    return Section("How much is chance", tuple(tables), ("Stability",))


def spread_cells(scores: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Text cells, backbones down and signals across: the three spreads, one after another; `-` for one that is not."""
    parts = {}
    for part in PARTS:
        chosen = scores[scores["metric"] == f"{metric}_sd_{part}"]
        parts[part] = chosen.pivot(index="backbone", columns="signal", values="value").astype(float) / _UNITS[metric]
    order = list(dict.fromkeys(scores["backbone"]))
    shape = parts["test"]
    table = pd.DataFrame("-", index=[name for name in order if name in shape.index], columns=in_order(shape.columns))
    for name in table.index:
        for signal in table.columns:
            values = [parts[part].loc[name, signal] for part in PARTS]
            if not all(pd.isna(value) for value in values):
                table.loc[name, signal] = ", ".join(_digits(value) for value in values)
    return table


def _digits(value: float) -> str:
    if pd.isna(value):
        return "-"
    return f"{value:.2f}" if value < 1 else f"{value:.1f}" if value < 10 else f"{value:.0f}"
