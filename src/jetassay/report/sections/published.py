"""Numbers that others have published, beside ours; with a pull where they may be held against each other."""

from collections.abc import Iterator
from typing import Literal

import pandas as pd

from jetassay.jets.classes import in_order
from jetassay.report.content import Block, Content, Section, Table, Text
from jetassay.report.published import Number, published
from jetassay.report.pulls import Pair, data_differs, pairs
from jetassay.report.reference import interval_text, quantity, source_text, survivors_text, value_text
from jetassay.report.tables import (
    MULTICLASS,
    REJECTION,
    auc_cell,
    leaderboard_cells,
    multiclass_cells,
    rejection_cell,
    with_working_point,
)

_FORMULA = (
    "pull = (f(ours) - f(published)) / s, with f = ln for a rejection and f(x) = x for all else. s^2 adds the "
    "squares of the side of each 68 % interval that faces the other number (the published one is computed from the "
    "surviving background jets; without such a count it is the published spread, or ours scaled to the published "
    "test sample) and of the rounding of the published digits, 1 unit / sqrt(12). Where our jets are among the "
    "published test jets the two are correlated, and the pull is too small in size."
)
_SHOWN = ("accuracy", "macro_ovo_auc", "auc", "rejection")
_NETWORKS = ("own outputs", "fine-tuned")
_OURS = {"zero-shot": "this suite: the classifiers' own outputs", "probe": "this suite: linear probes, not own outputs"}


def section(content: Content) -> Section | None:
    """For every backbone with published weights, theirs and ours; then the published leaderboard of these classes."""
    blocks: list[Block] = []
    beside = {backbone: pairs(content, backbone) for backbone in content.backbones}
    for backbone, found in beside.items():
        blocks += _beside(backbone, found) if found else ()
    if any(pair.pull is not None for found in beside.values() for pair in found):
        blocks.append(Text(_FORMULA, "note"))
    blocks += _context(content)
    return Section("Published numbers", tuple(blocks)) if blocks else None


def _beside(backbone: str, found: list[Pair]) -> Iterator[Block]:
    rows = [
        {
            "published": value_text(pair.number),
            "68 % interval": interval_text(pair.number),
            "survivors": survivors_text(pair.number),
            "ours": _ours(pair),
            "our survivors": _our_survivors(pair),
            "pull": f"{pair.pull:+.1f}" if pair.pull is not None else f"not comparable: {pair.why}",
        }
        for pair in found
    ]
    table = pd.DataFrame(rows, index=[_of(pair.number) for pair in found])
    reasons = {pair.why for pair in found}
    if len(reasons) == 1 and "" not in reasons:
        yield Text(f"{backbone}: no published number may be held against ours: {reasons.pop()}.")
        table = table.drop(columns="pull")
    kind: Literal["numbers", "text"] = "text" if any(pair.why for pair in found) and "pull" in table else "numbers"
    yield Table(table, "quantity", title=f"{backbone} and what was published of its weights", kind=kind)
    for key in dict.fromkeys(pair.number.source for pair in found):
        yield Text(source_text(key), "note")


def _of(number: Number) -> str:
    size = f", {number.n_train:,} jets" if number.n_train and number.how != "own outputs" else ""
    return f"{quantity(number)} ({number.how}{size})"


def _ours(pair: Pair) -> str:
    if pair.ours is None:
        return "-"
    return rejection_cell(pair.ours) if pair.number.metric == "rejection" else auc_cell(pair.ours)


def _our_survivors(pair: Pair) -> str:
    if pair.ours is None or pd.isna(pair.ours["n_survivors"]):
        return ""
    return f"{pair.ours['n_survivors']:,} of {pair.ours['n_background']:,}"


def _context(content: Content) -> Iterator[Block]:
    """Networks as published on the dataset of these jets, or on the one they imitate, above those of this suite."""
    data = content.provenance.get("data", {})
    for dataset in (data.get("dataset"), data.get("schema")):
        theirs = [n for n in published() if n.dataset == dataset and n.how in _NETWORKS and n.metric in _SHOWN]
        if theirs:
            break
    else:
        return
    table = _networks(theirs)
    groups = dict.fromkeys(table.index, f"as published on {dataset}")
    for task, heading in _OURS.items():
        ours = _measured(content, task).drop(index=list(groups), errors="ignore")
        trained = [name for name in content.backbones if name in ours.index and not content.is_control(name)]
        ours = ours.reindex(index=trained, columns=table.columns)
        groups |= dict.fromkeys(ours.index, heading)
        table = pd.concat([table, ours])
    differs = data_differs(theirs[0], content)
    because = f"these are {differs}" if differs else "pulls stand above where there can be any"
    yield Text(f"The published networks were trained on up to 100 million jets. For orientation only: {because}.")
    yield Table(table.fillna("-"), "network", title="Accuracy, AUC and background rejection", groups=groups)


def _networks(numbers: list[Number]) -> pd.DataFrame:
    """Published values, networks down, of those with a number for a signal; of two sources the first of the file."""
    most = max(number.n_train or 0 for number in numbers)
    cells: dict[str, dict[str, str]] = {}
    told: set[str] = set()
    for number in numbers:
        size = f", {number.n_train:,} jets" if number.n_train and number.n_train < most else ""
        name = number.model + (", fine-tuned" if number.how == "fine-tuned" else "") + size
        cells.setdefault(name, {}).setdefault(_column(number), value_text(number))
        told |= {name} if number.signal else set()
    table = pd.DataFrame.from_dict({name: row for name, row in cells.items() if name in told}, orient="index")
    signals = in_order(dict.fromkeys(number.signal for number in numbers if number.signal))
    order = {_column(number): signals.index(number.signal) if number.signal else -1 for number in numbers}
    return table[sorted(table.columns, key=lambda name: order[str(name)])]


def _column(number: Number) -> str:
    if number.metric == "auc":
        return f"AUC {number.signal}"
    if number.working_point is None:
        return MULTICLASS[number.metric]
    return f"{number.signal} {100 * number.working_point:g}%"


def _measured(content: Content, task: str) -> pd.DataFrame:
    """Text cells of one task here, in the same columns."""
    if not len(content.scores(task)):
        return pd.DataFrame()
    auc, rejection = (leaderboard_cells(content.frame, metric, task=task) for metric in ("auc", REJECTION))
    named = auc.add_prefix("AUC "), rejection.rename(columns=with_working_point)
    return pd.concat([multiclass_cells(content.frame, task=task), *named], axis=1)
