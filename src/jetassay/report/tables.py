"""The leaderboard as aligned text: backbone by signal class, each number with its 68 % interval.

A cell reads `0.9873(12)`: the digits in brackets are half the interval's width in units of the last digit; or
`123 +15-12`: the interval reaches from 111 to 138; or `123 (>58)`: so few background jets survived that it has no upper
end, and 58 is its lower one; or `>210`: no background jet survived, and 210 is the lower limit.
"""

import math
from textwrap import fill

import pandas as pd

from jetassay.jets.classes import BACKGROUND, in_order, jet_class

DISCRIMINATION = {
    "probe": "linear probe",
    "knn": "k nearest neighbours",
    "mlp-probe": "one hidden layer",
    "zero-shot": "the classifier's own outputs",
}
"""Tasks that measure every signal against the background, in the order of the report, and how figures call them."""

MULTICLASS = {"accuracy": "accuracy", "macro_ovo_auc": "macro one-vs-one AUC", "log_loss": "log-loss"}
"""Metrics of all classes together, and how tables call them."""

REJECTION = "rejection_over_cuts"
"""The rejection whose interval also covers the finite number of signal jets that set the cut: the one to show."""


def auc_cell(row: pd.Series) -> str:
    """One AUC with its interval in brackets, three decimals or as many as the interval supports."""
    if pd.isna(row["value"]):
        return "-"
    if pd.isna(row["low"]):
        return f"{row['value']:.4f}"
    half = (row["high"] - row["low"]) / 2
    decimals = 4 if half < 0.001 else 3
    return f"{row['value']:.{decimals}f}({max(round(half * 10**decimals), 1)})"


def rejection_cell(row: pd.Series) -> str:
    """One background rejection with its asymmetric interval, or with what is known of it: never infinity."""
    if pd.isna(row["value"]):
        return f">{_three_digits(row['low'])}" if not pd.isna(row["low"]) else "-"
    decimals = _decimals(row["value"])
    if pd.isna(row["low"]):
        return f"{row['value']:.{decimals}f}"
    if pd.isna(row["high"]):
        return f"{row['value']:.{decimals}f} (>{_three_digits(row['low'])})"
    above, below = row["high"] - row["value"], row["value"] - row["low"]
    return f"{row['value']:.{decimals}f} +{above:.{decimals}f}-{below:.{decimals}f}"


def scores_by_signal(frame: pd.DataFrame, metric: str, *, task: str) -> pd.DataFrame:
    """The rows of `auc`, or of `REJECTION` at each class's own working point."""
    chosen = frame[(frame["task"] == task) & (frame["metric"] == metric) & frame["signal"].notna()]
    if metric != REJECTION:
        return chosen
    own = chosen["signal"].map(lambda name: jet_class(name).working_point)
    return chosen[chosen["working_point"].astype(float).sub(own.astype(float)).abs() < 1e-9]


def background_of(frame: pd.DataFrame) -> str:
    """What signals are measured against in these scores."""
    return " and ".join(dict.fromkeys(frame.loc[frame["signal"].notna(), "background"].dropna())) or BACKGROUND


def leaderboard_cells(frame: pd.DataFrame, metric: str, *, task: str = "probe") -> pd.DataFrame:
    """Text cells, backbones down and signals across, of `auc`, or of `REJECTION` at each class's working point."""
    chosen = scores_by_signal(frame, metric, task=task)
    cell = auc_cell if metric == "auc" else rejection_cell
    cells = chosen.assign(cell=[cell(row) for _, row in chosen.iterrows()])
    table = cells.pivot(index="backbone", columns="signal", values="cell")
    order = list(dict.fromkeys(frame["backbone"].dropna()))
    signals = in_order(table.columns)
    return table.reindex(index=[name for name in order if name in table.index], columns=signals).fillna("-")


def multiclass_cells(frame: pd.DataFrame, *, task: str = "zero-shot") -> pd.DataFrame:
    """Text cells, backbones down, of accuracy, macro AUC and log-loss over all classes; no rows where none has them."""
    chosen = frame[(frame["task"] == task) & frame["metric"].isin(list(MULTICLASS)) & frame["signal"].isna()]
    cells = chosen.assign(cell=[auc_cell(row) for _, row in chosen.iterrows()])
    table = cells.pivot(index="backbone", columns="metric", values="cell")
    order = [name for name in dict.fromkeys(frame["backbone"].dropna()) if name in table.index]
    found = table.reindex(index=order, columns=[name for name in MULTICLASS if name in table.columns])
    return found.rename(columns=MULTICLASS).fillna("-")


def leaderboard_text(frame: pd.DataFrame, *, width: int, task: str = "probe") -> str:
    """AUC and rejection tables of a task, broken into blocks of signals that fit `width` characters."""
    how = DISCRIMINATION[task]
    auc = leaderboard_cells(frame, "auc", task=task)
    rejection = leaderboard_cells(frame, REJECTION, task=task)
    renamed = rejection.rename(columns={name: with_working_point(name) for name in rejection.columns})
    blocks = {
        f"AUC of each signal against {background_of(frame)} ({how})": auc,
        f"Background rejection 1/eps_B at the signal efficiency in the heading ({how})": renamed,
        f"All classes together ({how})": multiclass_cells(frame, task=task),
    }
    shown = {title: cells for title, cells in blocks.items() if len(cells)}
    return "\n\n".join(f"{fill(title, width)}\n{aligned(cells, width=width)}" for title, cells in shown.items())


def aligned(cells: pd.DataFrame, *, width: int) -> str:
    """A plain table: row names left, cells right-aligned, split into blocks of columns no wider than `width`."""
    names = [str(name) for name in cells.index]
    left = max([len(name) for name in names], default=0)
    widths = [max(len(str(column)), *(len(str(cell)) for cell in cells[column])) for column in cells.columns]
    blocks, start = [], 0
    while start < len(widths):
        stop, used = start, left
        while stop < len(widths) and (stop == start or used + 2 + widths[stop] <= width):
            used += 2 + widths[stop]
            stop += 1
        columns = range(start, stop)
        lines = [" " * left + "".join("  " + str(cells.columns[k]).rjust(widths[k]) for k in columns)]
        lines += [
            name.ljust(left) + "".join("  " + str(cells.iloc[row, k]).rjust(widths[k]) for k in columns)
            for row, name in enumerate(names)
        ]
        blocks.append("\n".join(lines))
        start = stop
    return "\n\n".join(blocks)


def markdown(cells: pd.DataFrame, *, corner: str) -> str:
    """The same cells as a Markdown table."""
    head = f"| {corner} | " + " | ".join(str(column) for column in cells.columns) + " |"
    rule = "|---" * (len(cells.columns) + 1) + "|"
    rows = [
        f"| {name} | " + " | ".join(str(cell) for cell in row) + " |"
        for name, row in zip(cells.index, cells.to_numpy(), strict=True)
    ]
    return "\n".join([head, rule, *rows])


def matrix(frame: pd.DataFrame, metric: str, *, where: str) -> pd.DataFrame:
    """A pair metric of task `similarity` as a symmetric matrix of floats, for the jets `where` (the `bin` column)."""
    chosen = frame[(frame["task"] == "similarity") & (frame["metric"] == metric) & (frame["bin"] == where)]
    order = list(dict.fromkeys([*chosen["backbone"], *chosen["backbone_b"]]))
    table = pd.DataFrame(math.nan, index=order, columns=order)
    for a, b, value in zip(chosen["backbone"], chosen["backbone_b"], chosen["value"], strict=True):
        table.loc[a, b] = table.loc[b, a] = float(value) if not pd.isna(value) else math.nan
    if metric == "cka":
        for name in order:
            table.loc[name, name] = 1.0  # by definition
    return table


def throughput_cells(frame: pd.DataFrame) -> pd.DataFrame:
    """Jets per second of each backbone with the spread over rounds, for the short measurement of the suite."""
    chosen = frame[(frame["task"] == "throughput") & (frame["metric"] == "jets_per_s")]
    cells = [
        f"{_three_digits(row['value'])} ({_three_digits(row['low'])} to {_three_digits(row['high'])})"
        for _, row in chosen.iterrows()
    ]
    return pd.DataFrame({"jets/s": cells}, index=list(chosen["backbone"]))


def with_working_point(name: str) -> str:
    """A class and the signal efficiency at which its rejection is quoted: `Hqql 99%`."""
    return f"{name} {100 * jet_class(name).working_point:g}%"


def _decimals(value: float) -> int:
    return max(2 - math.floor(math.log10(value)), 0) if value > 0 else 2


def _three_digits(value: float) -> str:
    return f"{value:.{_decimals(value)}f}"
