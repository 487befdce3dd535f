"""Ours beside the published: a pull where protocol and data are the same, and why there is none where they are not.

The pull of a number is z = (f(ours) - f(published)) / s, with f = ln for a rejection, whose errors are relative, and
f(x) = x for all else. s^2 is the sum of three squares: the side of our 68 % interval that faces the published value;
the facing side of the published interval (computed from its survivors), else the published spread, else ours scaled
by sqrt(our test jets / theirs); and one unit of the last published digit / sqrt(12), for rounding.
"""

import math
from dataclasses import dataclass
from fnmatch import fnmatch

import pandas as pd

from jetassay.report.content import Content
from jetassay.report.published import Number, of_card, sources
from jetassay.report.tables import REJECTION

TASKS = {"own outputs": "zero-shot", "linear probe": "multiclass"}
"""Which task here measures what was published."""

_SAME_SIZE = 1.1  # training samples of a probe that differ by less than this factor count as equal


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A published number and ours. ours: a row of the result frame; pull: None where `why` says what hinders it."""

    number: Number
    ours: pd.Series | None
    pull: float | None
    why: str


def pairs(content: Content, backbone: str) -> list[Pair]:
    """Every published number of a backbone's weights that a task here measures, beside ours.

    Of those that differ in the training jets of a probe alone, the one that is nearest to ours.
    """
    nearest: dict[tuple[str, str, str | None], Pair] = {}
    for number in of_card(content.card(backbone)):
        if number.how not in TASKS or _metric(number) is None:
            continue
        pair = _pair(number, content, backbone)
        key = number.how, number.metric, number.signal
        if key not in nearest or _other_size(pair) < _other_size(nearest[key]):
            nearest[key] = pair
    return list(nearest.values())


def data_differs(number: Number, content: Content) -> str:
    """Why the jets of this run may not be held against those of the published number; empty where they may."""
    data = content.provenance.get("data", {})
    dataset, names = data.get("dataset"), data.get("file_names", ())
    if dataset != number.dataset:
        return f"other jets: {dataset}, not {number.dataset}"
    if not names:
        return "which files these jets are from is not known"
    patterns = sources().unseen_files.get(number.dataset, ())
    seen = [name for name in names if not any(fnmatch(name, pattern) for pattern in patterns)]
    if seen:
        return f"{len(seen)} of {len(names)} files may have been in the published training, such as {seen[0]}"
    return ""


def pull(number: Number, ours: pd.Series) -> float | None:
    """The pull as defined above; None where our interval is open on the side that faces the published value."""
    log = number.metric == "rejection"
    value, published = float(ours["value"]), float(number.value)
    above = value > published
    facing = ours["low"] if above else ours["high"]
    if pd.isna(facing):
        return None
    own = _distance(value, float(facing), log=log)
    rounding = number.unit / math.sqrt(12) / (published if log else 1)
    total = math.hypot(own, _published_error(number, ours, own=own, above=above), rounding)
    return math.copysign(_distance(value, published, log=log), value - published) / total if total else None


def _published_error(number: Number, ours: pd.Series, *, own: float, above: bool) -> float:
    log, published = number.metric == "rejection", float(number.value)
    if number.interval is not None and number.interval.high is not None:
        return _distance(published, number.interval.high if above else number.interval.low, log=log)
    if number.spread is not None:
        return float(number.spread) / (published if log else 1)
    jets = ours[["n_signal", "n_background"]].sum()
    return own * math.sqrt(jets / number.n_test) if number.n_test else 0.0


def _distance(a: float, b: float, *, log: bool) -> float:
    return abs(math.log(a / b)) if log else abs(a - b)


def _metric(number: Number) -> str | None:
    """What our task calls it; None where it measures nothing like it."""
    if number.how == "linear probe":
        return {"accuracy": "accuracy", "macro_ovr_auc": "macro_ovo_auc"}.get(number.metric)
    return REJECTION if number.metric == "rejection" else number.metric


def _pair(number: Number, content: Content, backbone: str) -> Pair:
    found = _rows(content.scores(TASKS[number.how]), number, backbone)
    ours = found.iloc[0] if len(found) else None
    if ours is None and number.metric in ("auc", "rejection"):
        probe = _rows(content.scores("probe"), number, backbone)
        if len(probe):
            row = probe.iloc[0]
            return Pair(
                number=number, ours=row, pull=None, why="ours is a probe of one signal, not the network's outputs"
            )
    why = _hindrance(number, ours, content)
    reached = pull(number, ours) if ours is not None and not why else None
    open_side = "" if reached is not None else "our interval is open on the side of the published value"
    return Pair(number=number, ours=ours, pull=reached, why=why or open_side)


def _hindrance(number: Number, ours: pd.Series | None, content: Content) -> str:
    """Why the two are not the same quantity of the same jets; empty where they are."""
    if differs := data_differs(number, content):
        return differs
    if ours is None:
        return f"not measured here: the suite has no such score of task '{TASKS[number.how]}'"
    if pd.isna(ours["value"]):
        return "ours is only a lower limit" if not pd.isna(ours["low"]) else "ours is not defined"
    return _protocol_differs(number, ours, content)


def _protocol_differs(number: Number, ours: pd.Series, content: Content) -> str:
    if number.how == "own outputs":
        return ""
    if number.metric == "macro_ovr_auc":
        return "other definitions: theirs is one against the rest, ours one against one"
    if "@" in content.names.get(ours["backbone"], ours["backbone"]):
        return "another layer than the published one"
    if _other_size(Pair(number=number, ours=ours, pull=None, why="")) > math.log(_SAME_SIZE):
        return f"other training samples: theirs {number.n_train or 0:,} jets, ours {ours['n_train']:,}"
    return ""


def _rows(frame: pd.DataFrame, number: Number, backbone: str) -> pd.DataFrame:
    chosen = frame[(frame["backbone"] == backbone) & (frame["metric"] == _metric(number))]
    if number.signal is None:
        return chosen[chosen["signal"].isna()]
    chosen = chosen[(chosen["signal"] == number.signal) & (chosen["background"] == number.background)]
    if number.working_point is None:
        return chosen
    return chosen[chosen["working_point"].astype(float).sub(number.working_point).abs() < 1e-9]


def _other_size(pair: Pair) -> float:
    """How far apart the training samples are: |ln(theirs / ours)|, infinite where one is not known."""
    if pair.ours is None or pd.isna(pair.ours["n_train"]) or pair.number.n_train is None:
        return math.inf
    return abs(math.log(pair.number.n_train / pair.ours["n_train"]))
