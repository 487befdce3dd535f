"""Names under which scores are tracked, made so that MLflow groups and sorts them well.

MLflow makes a section of what stands before the slash: `auc/Hbb_vs_QCD`, `rejection/Hbb_vs_QCD_at_0.50`,
`auc_low/Hbb_vs_QCD`, `n_signal/Hbb_vs_QCD`, `survivors/Hbb_vs_QCD_at_0.50`, `cka/mlp_vs_part-mini`,
`throughput/jets_per_s`, `mean/auc`.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from jetassay.errors import TrackingError
from jetassay.jets.classes import CLASS_NAMES, JET_CLASSES

HEADLINE_TASK = "probe"
_PLAIN_TASKS = (HEADLINE_TASK, "similarity")  # their metrics need no prefix: the section tells
_EVERYWHERE = "all"  # the bin of a score over all jets
_COUNTS = {"n_signal": "n_signal", "n_background": "n_background", "n_survivors": "survivors"}
_PER_CLASS = ("n_signal", "n_background")  # the same at every cut
_FORBIDDEN = re.compile(r"[^A-Za-z0-9_.-]")


@dataclass(frozen=True, slots=True)
class Named:
    """Numbers to track by name, with the dataset that each was measured on, and names of those that have no value."""

    values: Mapping[str, float]
    datasets: Mapping[str, tuple[str, str]]
    missing: tuple[str, ...]


def metric_name(row: Mapping[str, Any], *, part: str = "") -> str:
    """The name of a score, or of a `part` of it: low, high, or one of its counts.

    Scores of one pT bin, say, get a section of their own; so do those of tasks other than the probe.
    """
    task, subject = str(row["task"]), _subject(row)
    base = _COUNTS.get(part, str(row["metric"]))
    bound = f"_{part}" if part and part not in _COUNTS else ""
    detail = ""
    if _given(row["working_point"]) and part not in _PER_CLASS:
        detail += f"_at_{_working_point(row['working_point'])}"
    if _given(row["layer"]):
        detail += f"_layer_{row['layer']}"
    if _given(row["n_train"]):
        detail += f"_from_{row['n_train']}"
    if not subject:
        return f"{_clean(task)}/{_clean(base + bound + detail)}"
    prefix = "" if task in _PLAIN_TASKS else f"{task}_"
    where = f"_{row['bin']}" if _given(row["bin"]) and row["bin"] != _EVERYWHERE else ""
    return f"{_clean(prefix + base + where + bound)}/{_clean(subject + detail)}"


def named_scores(rows: pd.DataFrame) -> Named:
    """All scores of one run that are worth a metric, by name.

    Single draws, and bins of anything but a pair, stay in the tables: thousands of metrics help nobody. A value that
    is missing or not finite is never tracked as a number; its name is in `missing`.
    """
    values: dict[str, float] = {}
    datasets: dict[str, tuple[str, str]] = {}
    missing: list[str] = []
    several = rows["dataset"].nunique() > 1
    for row in rows.to_dict(orient="records"):
        if _given(row["draw"]) or (_given(row["bin"]) and not _given(row["backbone_b"]) and row["bin"] != _EVERYWHERE):
            continue
        end = f"_on_{_clean(str(row['dataset']))}" if several else ""
        for part in ("", "low", "high", *_COUNTS):
            number = _finite(row[part or "value"])
            name = metric_name(row, part=part) + end
            if number is None:
                if not part:
                    missing.append(name)
                continue
            if values.get(name, number) != number:
                raise TrackingError(
                    f"two scores would be tracked as '{name}': {values[name]} and {number}. "
                    "Scores of one backbone and seed must differ in a column that is part of the name."
                )
            values[name] = number
            datasets[name] = (str(row["dataset"]), str(row["data_digest"]))
    return Named(values, datasets, tuple(missing))


def mean_scores(rows: pd.DataFrame) -> dict[str, float]:
    """`mean/auc` and `mean/rejection` over all signals of the probe, to sort by.

    The mean of rejections is geometric, each at its class's own working point. A mean is left out where one of its
    signals has no value, for it would not be comparable.
    """
    table = per_class_table(rows)
    means: dict[str, float] = {}
    if len(table) and table["auc"].notna().all():
        means["mean/auc"] = float(table["auc"].mean())
    if len(table) and table["rejection"].notna().all() and (table["rejection"] > 0).all():
        means["mean/rejection"] = math.exp(float(table["rejection"].map(math.log).mean()))
    return means


def per_class_table(rows: pd.DataFrame) -> pd.DataFrame:
    """One row a signal, `class` first (MLflow groups by the first column): AUC and the rejection at its working point.

    A cell without a value is None; `note` says why.
    """
    probe = rows[(rows["task"] == HEADLINE_TASK) & rows["signal"].notna() & rows["draw"].isna() & rows["bin"].isna()]
    probe = probe[probe["n_train"].isna() & probe["layer"].isna()]
    order = {name: place for place, name in enumerate(CLASS_NAMES)}
    signals = sorted(probe["signal"].unique(), key=lambda name: (order.get(name, len(order)), name))
    return pd.DataFrame([_class_row(name, probe[probe["signal"] == name]) for name in signals])


def _class_row(signal: str, rows: pd.DataFrame) -> dict[str, Any]:
    auc = _only(rows[rows["metric"] == "auc"])
    known = JET_CLASSES.get(signal)
    point = known.working_point if known else 0.5
    at_point = (rows["working_point"].astype(float) - point).abs() < 1e-9
    rejection = _only(rows[(rows["metric"] == "rejection") & at_point])
    no_value = rejection.get("n_survivors") == 0 and _finite(rejection.get("value")) is None
    return {
        "class": signal,
        **{name: _finite(auc.get(column)) for name, column in _columns("auc").items()},
        "working_point": point,
        **{name: _finite(rejection.get(column)) for name, column in _columns("rejection").items()},
        **{
            name: _finite({**rejection, **auc}.get(name) if name != "n_survivors" else rejection.get(name))
            for name in ("n_signal", "n_background", "n_survivors")
        },
        "note": "no background jet survives: rejection_low is a lower limit" if no_value else "",
    }


def _columns(name: str) -> dict[str, str]:
    return {name: "value", f"{name}_low": "low", f"{name}_high": "high"}


def _only(rows: pd.DataFrame) -> dict[str, Any]:
    return {str(key): value for key, value in rows.iloc[0].items()} if len(rows) else {}


def _subject(row: Mapping[str, Any]) -> str:
    """What a score is of: a pair of backbones, a signal against a background, one class, or nothing in particular."""
    pair = ("backbone", "backbone_b") if _given(row["backbone_b"]) else ("signal", "background")
    return "_vs_".join(str(row[side]) for side in pair if _given(row[side]))


def _working_point(value: float) -> str:
    """At least two decimals, so that names sort: 0.30, 0.50, 0.99, 0.995."""
    text = f"{float(value):.6f}".rstrip("0")
    return text + "0" * (2 - len(text.partition(".")[2]))


def _given(value: Any) -> bool:
    return not (value is None or pd.isna(value) or value == "")


def _finite(value: Any) -> float | None:
    """`value` as a float, or None where there is none or it is not finite."""
    if not _given(value):
        return None
    number = float(value)
    return number if math.isfinite(number) else None


def _clean(name: str) -> str:
    return _FORBIDDEN.sub("_", name)
