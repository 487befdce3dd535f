"""Names under which scores are tracked, made so that MLflow groups and sorts them well.

MLflow makes a section of what stands before the slash: `auc/Hbb_vs_QCD`, `rejection/Hbb_vs_QCD_at_0.50`,
`auc_low/Hbb_vs_QCD`, `n_signal/Hbb_vs_QCD`, `survivors/Hbb_vs_QCD_at_0.50`, `cka/mlp_vs_part-mini`,
`throughput/jets_per_s`, `mean/auc`.
"""

import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from jetassay.errors import TrackingError
from jetassay.jets.classes import JET_CLASSES
from jetassay.tracking.record import HEADLINE_TASK, given, probed_signals, score_rows

_PLAIN_TASKS = (HEADLINE_TASK, "similarity")  # their metrics need no prefix: the section tells
_TABLES_ONLY = ("layers",)  # no layer is part of a name, and there are thousands of pairs
_EVERYWHERE = "all"  # the bin of a score over all jets
_COUNTS = {"n_signal": "n_signal", "n_background": "n_background", "n_survivors": "survivors"}
_PER_CLASS = ("n_signal", "n_background")  # the same at every cut
_FORBIDDEN = re.compile(r"[^A-Za-z0-9_.-]")


@dataclass(frozen=True, slots=True)
class Named:
    """Numbers to track by name, with the dataset that each was measured on, and names of those that have no value."""

    numbers: Mapping[str, float]
    datasets: Mapping[str, tuple[str, str]]
    missing: tuple[str, ...]


def metric_name(row: Mapping[str, Any], *, part: str = "") -> str:
    """The name of a score, or of a `part` of it: low, high, or one of its counts.

    Scores of one bin get a section of their own; so do those of tasks other than the probe and the similarity. The
    layer is not part of it: an inner layer is a backbone of its own, with its own run.
    """
    task, subject = str(row["task"]), _subject(row)
    base = _COUNTS.get(part, str(row["metric"]))
    bound = f"_{part}" if part and part not in _COUNTS else ""
    detail = ""
    if given(row["working_point"]) and part not in _PER_CLASS:
        detail += f"_at_{_working_point(row['working_point'])}"
    if given(row["n_train"]) and task not in _PLAIN_TASKS:
        detail += f"_from_{row['n_train']}"
    if not subject:
        return f"{clean(task)}/{clean(base + bound + detail)}"
    prefix = "" if task in _PLAIN_TASKS else f"{task}_"
    where = f"_{row['bin']}" if given(row["bin"]) and row["bin"] != _EVERYWHERE else ""
    return f"{clean(prefix + base + where + bound)}/{clean(subject + detail)}"


def named_scores(rows: pd.DataFrame) -> Named:
    """All scores of one run that are worth a metric, by name.

    Single draws, layers, bins of anything but the similarity, pairs on one signal, and the counts of pairs stay in
    the tables: thousands of metrics help nobody. A value that is missing or not finite is never tracked as a number;
    its name is in `missing`.
    """
    numbers: dict[str, float] = {}
    datasets: dict[str, tuple[str, str]] = {}
    missing: list[str] = []
    several = len(rows["dataset"].dropna().unique()) > 1
    for row in score_rows(rows):
        is_pair = given(row["backbone_b"])
        if is_pair and given(row["signal"]):
            continue
        in_bin = given(row["bin"]) and row["bin"] != _EVERYWHERE and row["task"] != "similarity"
        if given(row["draw"]) or in_bin or row["task"] in _TABLES_ONLY:
            continue
        where = f"_on_{clean(str(row['dataset']))}" if several else ""
        for part in ("", "low", "high", *(() if is_pair else _COUNTS)):
            name = metric_name(row, part=part) + where
            number = finite(row[part or "value"])
            if number is None:
                missing += [] if part else [name]
                continue
            if numbers.get(name, number) != number:
                raise TrackingError(
                    f"two scores would be tracked as '{name}': {numbers[name]} and {number}. "
                    "Scores of one backbone and seed must differ in a column that is part of the name."
                )
            numbers[name] = number
            datasets[name] = (str(row["dataset"]), str(row["data_digest"]))
    return Named(numbers, datasets, tuple(missing))


def mean_scores(rows: pd.DataFrame, *, signals: Collection[str]) -> dict[str, float]:
    """`mean/auc` and `mean/rejection` of the probe over `signals`, to sort by.

    The mean of rejections is geometric, each at its class's own working point. A mean is left out where one of the
    signals has no value, for it would not be comparable.
    """
    table = per_class_table(rows)
    if not signals or set(signals) != set(table["class"]):
        return {}
    means: dict[str, float] = {}
    if table["auc"].notna().all():
        means["mean/auc"] = float(table["auc"].mean())
    if table["rejection"].notna().all() and (table["rejection"] > 0).all():
        means["mean/rejection"] = math.exp(float(table["rejection"].map(math.log).mean()))
    return means


def leaderboard_names(names: Collection[str]) -> list[str]:
    """Of metric names, those to show in a leaderboard: AUC, rejection at the class's working point, throughput."""
    chosen: dict[str, list[str]] = {"auc": [], "rejection": [], "throughput": []}
    for name in names:
        section, _, item = name.partition("/")
        signal, point = item.partition("_vs_")[0], item.partition("_at_")[2].partition("_")[0]
        is_own_point = section == "rejection" and point == _working_point(_own_working_point(signal))
        if section == "auc" or name == "throughput/jets_per_s" or is_own_point:
            chosen[section].append(name)
    return [*chosen["auc"], *chosen["rejection"], *chosen["throughput"]]


def per_class_table(rows: pd.DataFrame) -> pd.DataFrame:
    """One row a signal, `class` first (MLflow groups by the first column): AUC and the rejection at its working point.

    A cell without a value is None; `note` says why.
    """
    probe = rows[(rows["task"] == HEADLINE_TASK) & rows["draw"].isna() & rows["bin"].isna()]
    if len(probe):  # of several datasets, the first that is named
        probe = probe[probe["dataset"] == probe["dataset"].iloc[0]]
    columns = list(_class_row("", probe[:0]))
    found = [_class_row(name, probe[probe["signal"] == name]) for name in probed_signals(probe)]
    return pd.DataFrame(found, columns=columns)


def finite(value: Any) -> float | None:
    """`value` as a float, or None where there is none or it is not finite."""
    if not given(value):
        return None
    number = float(value)
    return number if math.isfinite(number) else None


def _class_row(signal: str, rows: pd.DataFrame) -> dict[str, Any]:
    point = _own_working_point(signal)
    at_point = (rows["working_point"].astype(float) - point).abs() < 1e-9
    auc = _only(rows[rows["metric"] == "auc"])
    rejection = _only(rows[(rows["metric"] == "rejection") & at_point])
    counts = {**rejection, **{name: value for name, value in auc.items() if given(value)}}
    return {
        "class": signal,
        **{name: finite(auc.get(column)) for name, column in _columns("auc").items()},
        "working_point": point,
        **{name: finite(rejection.get(column)) for name, column in _columns("rejection").items()},
        **{name: finite(counts.get(name)) for name in _COUNTS},
        "note": _note(auc, rejection),
    }


def _note(auc: Mapping[str, Any], rejection: Mapping[str, Any]) -> str:
    reasons = [
        f"{name} is undefined for this sample"
        for name, score in (("auc", auc), ("rejection", rejection))
        if score.get("interval") == "undefined"
    ]
    if finite(rejection.get("value")) is None and finite(rejection.get("low")) is not None:
        reasons.append("no background jet survives: rejection_low is a lower limit")
    return "; ".join(reasons)


def _columns(name: str) -> dict[str, str]:
    return {name: "value", f"{name}_low": "low", f"{name}_high": "high"}


def _only(rows: pd.DataFrame) -> dict[str, Any]:
    return score_rows(rows)[0] if len(rows) else {}


def _own_working_point(signal: str) -> float:
    return JET_CLASSES[signal].working_point if signal in JET_CLASSES else 0.5


def _subject(row: Mapping[str, Any]) -> str:
    """What a score is of: a pair of backbones, a signal against a background, one class, or nothing in particular."""
    pair = ("backbone", "backbone_b") if given(row["backbone_b"]) else ("signal", "background")
    return "_vs_".join(str(row[side]) for side in pair if given(row[side]))


def _working_point(value: float) -> str:
    """At least two decimals, so that names sort: 0.30, 0.50, 0.99, 0.995."""
    text = f"{float(value):.6f}".rstrip("0")
    return text + "0" * (2 - len(text.partition(".")[2]))


def clean(name: str) -> str:
    """`name` with only the characters that every store takes."""
    return _FORBIDDEN.sub("_", name)
