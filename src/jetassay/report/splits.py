"""The same backbones on several splits of the same jets: mean and spread over them."""

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

_Same = tuple[str, str, str]
"""Card, weights and precision: what makes a backbone the same one."""

_SIZES = ["n_train", "n_signal", "n_background"]
_NEAR = 0.1
"""Files differ in jets, and so do splits: up to here, of the leaderboard's, a sample has the same size."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Scores of the probe on several splits.

    rows:   backbone, signal, metric, split_seed, value; one for each; a value may be missing
    splits: seeds, rising
    files:  labels of those that the scores are from
    roles:  backbone -> its role
    """

    rows: pd.DataFrame
    splits: tuple[int, ...]
    files: tuple[str, ...]
    roles: Mapping[str, str]


def gather_splits(files: Mapping[str, ResultFile], merged: Merged) -> Spread | None:
    """The probe's scores of every split of the leaderboard's jets; None where there are no two splits.

    Within a split, files are merged as for one leaderboard. Task versions are those of the leaderboard, samples are as
    large as its, and a backbone is the same one where card, weights and precision are.
    """
    by_split: dict[int, dict[str, ResultFile]] = {}
    for label, file in files.items():
        for _, rows in _fitting(file.frame, merged.frame).groupby("split_seed"):
            by_split.setdefault(int(rows["split_seed"].iloc[0]), {})[label] = replace(file, frame=rows)
    if len(by_split) < 2:
        return None
    parts, roles = [], dict[_Same, str]()
    for seed, own in sorted(by_split.items()):
        one = merge(own)
        dtypes = one.frame.groupby("backbone")["dtype"].first().fillna("not said").to_dict()
        about = one.backbones.reset_index()[["backbone", "card", "weights"]].astype(str).to_numpy().tolist()
        same = {name: (card, weights, str(dtypes[name])) for name, card, weights in about}
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
        tuple(dict.fromkeys(label for own in by_split.values() for label in own)),
        {names[same]: role for same, role in roles.items()},
    )


def _fitting(frame: pd.DataFrame, standard: pd.DataFrame) -> pd.DataFrame:
    """The rows of the probe that are of the leaderboard's jets and versions, from samples of about its sizes."""
    key = [*_STANDARD, "metric", "signal", "working_point"]
    probe = standard[standard["task"] == "probe"]
    sizes = probe.drop_duplicates(key)[[*key, *_SIZES]]
    both = frame.merge(sizes, on=key, suffixes=("", "_standard"))
    near = pd.Series(True, index=both.index)
    for name in _SIZES:
        own, wanted = (both[each].astype("Float64").fillna(0) for each in (name, f"{name}_standard"))
        near &= (own - wanted).abs() <= _NEAR * wanted
    return both.loc[near, frame.columns]


def _names(found: Collection[_Same]) -> dict[_Same, str]:
    """The card's name, with the weights' digest where a card has several, and the precision where they have."""
    names = {}
    for card, weights, dtype in found:
        others = [each for each in found if each[0] == card and each != (card, weights, dtype)]
        marks = [weights[:8]] if any(each[1] != weights for each in others) else []
        marks += [dtype] if any(each[2] != dtype for each in others) else []
        names[card, weights, dtype] = f"{card} ({', '.join(marks)})" if marks else card
    return names


def splits_section(files: Mapping[str, ResultFile], merged: Merged) -> Section | None:
    """Mean and standard deviation over splits, backbones with all splits by falling mean AUC; None without two."""
    spread = gather_splits(files, merged)
    if spread is None:
        return None
    number = len(spread.splits)
    note = (
        f"Seeds of the splits: {', '.join(map(str, spread.splits))}. Results: {', '.join(spread.files)}; those of "
        f"other jets or task versions, or with samples more than {100 * _NEAR:.0f} % larger or smaller, do not "
        f"count. A cell is the mean over {number} splits and their standard deviation; rejections as geometric mean, "
        "and the spread in percent. Splits draw training and test jets anew from the same files and share jets, so "
        "this is how much a score moves from split to split, not the error of the mean. A cell `-` has no number on "
        "one split at least: none is in the results, several that differ are, or no background jet survives and the "
        "rejection is a limit there. Rows stand by mean AUC over the signals that all ranked ones have; a backbone "
        "that lacks a whole split is not ranked."
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
    auc = _mean_auc(spread.rows, [name for name, group in groups.items() if group != UNRANKED])
    order = sorted(cells, key=lambda name: (headings.index(groups[name]), -auc.get(name, -1.0), name))
    table = pd.DataFrame.from_dict(cells, orient="index").loc[order]
    if metric == REJECTION:
        table = table.rename(columns={name: with_working_point(name) for name in table.columns if name != "splits"})
    return Table(table, "backbone", title=title, groups={name: groups[name] for name in order})


def _mean_auc(rows: pd.DataFrame, ranked: list[str]) -> dict[str, float]:
    """Mean AUC of those ranked over splits and over the signals that all of them have on every split."""
    found = rows[(rows["metric"] == "auc") & rows["backbone"].isin(ranked)]
    wide = found.assign(value=found["value"].astype("Float64").astype(float)).pivot(
        index=["backbone", "split_seed"], columns="signal", values="value"
    )
    means = wide.dropna(axis="columns").mean(axis="columns").groupby("backbone").mean().dropna()
    return {str(name): float(value) for name, value in means.items()}


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
