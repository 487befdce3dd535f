"""The same backbones on several splits of the same jets: mean and spread over them."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from jetassay.jets.classes import in_order
from jetassay.report.content import CONTROLS, TRAINED, UNRANKED, Block, Section, Table, Text
from jetassay.report.merging import Merged, merge
from jetassay.report.result_files import ResultFile
from jetassay.report.tables import REJECTION, scores_by_signal, with_working_point

_TITLE = "Mean over splits"
_STANDARD = ["dataset", "data_digest", "task", "task_version"]
"""What scores must share with the leaderboard to count."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Scores of the probe on several splits.

    rows:   backbone, signal, metric, split_seed, value; one for each; a value may be missing
    splits: seeds, rising
    roles:  backbone -> its role
    """

    rows: pd.DataFrame
    splits: tuple[int, ...]
    roles: Mapping[str, str]


def gather_splits(files: Mapping[str, ResultFile], merged: Merged) -> Spread | None:
    """The probe's scores of every split of the leaderboard's jets; None where there are no two splits.

    Within a split, files are merged as for one leaderboard. Task versions are those of the leaderboard, and a backbone
    is the same one where card and weights are.
    """
    standard = merged.frame[_STANDARD].drop_duplicates()
    by_split: dict[int, dict[str, ResultFile]] = {}
    for label, file in files.items():
        fit = file.frame.merge(standard, on=_STANDARD)
        if len(fit):
            by_split.setdefault(int(fit["split_seed"].iloc[0]), {})[label] = replace(file, frame=fit)
    if len(by_split) < 2:
        return None
    parts, roles = [], dict[tuple[str, str], str]()
    for seed, own in sorted(by_split.items()):
        one = merge(own)
        same = {name: (row["card"], row["weights"]) for name, row in one.backbones.iterrows()}
        roles |= {same[name]: role for name, role in one.backbones["role"].items()}
        chosen = pd.concat([scores_by_signal(one.frame, metric, task="probe") for metric in ("auc", REJECTION)])
        several = chosen.assign(backbone=chosen["backbone"].map(same), split_seed=seed)
        parts.append(several.drop_duplicates(["backbone", "metric", "signal"], keep=False))
    columns = ["backbone", "signal", "metric", "split_seed", "value"]
    names = _names(roles)
    rows = pd.concat(parts, ignore_index=True)[columns]
    return Spread(
        rows.assign(backbone=rows["backbone"].map(names)),
        tuple(sorted(by_split)),
        {names[same]: role for same, role in roles.items()},
    )


def _names(found: Collection[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """Card and weights -> the card's name, with the weights' digest where a card has several."""
    cards = Counter(card for card, _ in found)
    return {(card, weights): card if cards[card] == 1 else f"{card} ({weights[:8]})" for card, weights in found}


def splits_section(files: Mapping[str, ResultFile], merged: Merged) -> Section | None:
    """Mean and standard deviation over splits, backbones with all splits by falling mean AUC; None without two."""
    spread = gather_splits(files, merged)
    if spread is None:
        return None
    number = len(spread.splits)
    note = (
        f"Seeds of the splits: {', '.join(map(str, spread.splits))}. A cell is the mean over {number} splits and their "
        "standard deviation; rejections as geometric mean, and the spread in percent. Splits draw training and test "
        "jets anew from the same files and share jets, so this is how much a score moves from split to split, not the "
        "error of the mean. A cell `-` has no number on one split at least: none is in the results, or no background "
        "jet survives and the rejection is a limit there. Rows stand by mean AUC; a backbone that lacks a whole split "
        "is not ranked."
    )
    blocks: list[Block] = [Text(note, "note")]
    titles = {"auc": "AUC of the linear probe", REJECTION: "Background rejection of the linear probe"}
    for metric, title in titles.items():
        rows = spread.rows[spread.rows["metric"] == metric]
        if len(rows):
            blocks.append(_table(rows, spread, metric, title=title))
    return Section(_TITLE, tuple(blocks))


def _table(rows: pd.DataFrame, spread: Spread, metric: str, *, title: str) -> Table:
    found = rows.assign(value=rows["value"].astype("Float64").astype(float))
    wide = found.pivot(index=["backbone", "split_seed"], columns="signal", values="value")
    cells = {}
    for name, own in wide.groupby("backbone", sort=False):
        seeds = [seed for _, seed in own.index]
        texts = {signal: _cell(own[signal].to_numpy(), metric) for signal in in_order(wide.columns)}
        cells[str(name)] = {"splits": ", ".join(map(str, seeds)), **texts}
    groups = {name: _group(name, each["splits"], spread) for name, each in cells.items()}
    headings = (TRAINED, CONTROLS, UNRANKED)
    auc = spread.rows[spread.rows["metric"] == "auc"].groupby("backbone")["value"].mean()
    order = sorted(cells, key=lambda name: (headings.index(groups[name]), -auc.get(name, -1.0), name))
    table = pd.DataFrame.from_dict(cells, orient="index").loc[order]
    if metric == REJECTION:
        table = table.rename(columns={name: with_working_point(name) for name in table.columns if name != "splits"})
    return Table(table, "backbone", title=title, groups={name: groups[name] for name in order})


def _group(name: str, splits: str, spread: Spread) -> str:
    if splits != ", ".join(map(str, spread.splits)):
        return UNRANKED
    return TRAINED if spread.roles[name] == "backbone" else CONTROLS


def _cell(values: np.ndarray[tuple[int], np.dtype[np.float64]], metric: str) -> str:
    """Mean and spread; `-` where a value is missing or there is but one."""
    if len(values) < 2 or np.isnan(values).any():
        return "-"
    if metric == "auc":
        return f"{values.mean():.4f} ± {values.std(ddof=1):.4f}"
    logs = np.log(values)
    return f"{np.exp(logs.mean()):.3g} ± {100 * logs.std(ddof=1):.0f}%"
