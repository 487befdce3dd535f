"""What the leaderboard of many draws beyond scores: curves, and who is better on the same jets.

Both need scores of single jets or points of curves, which folders of executions hold and result files do not.
"""

from collections.abc import Iterator, Mapping
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from jetassay.metrics.paired import delong_covariance, difference_p_value, holm, placements, rank_ranges
from jetassay.report.merging import Merged
from jetassay.report.results import TABLES
from jetassay.report.sections.comparison import BETTER, TIED, WORSE
from jetassay.tasks.curves import LOGITS, ROC
from jetassay.tasks.displays import JETS

LEVEL = 0.05
"""Chance of any false verdict among all pairs."""

PROTOCOL = (
    "Comparison. The AUCs of the linear probe of every two backbones on the same test jets, by the logits that "
    "their executions left: p-values by DeLong's covariance (Biometrics 44 (1988) 837), corrected by Holm over all "
    f"pairs and signals; 'better' and 'worse' where that is at most {LEVEL:g}. A rank is a range: 1 + the number of "
    "backbones that are better, to the number of all less those that are worse. Backbones without logits, or of other "
    "test jets, have none."
)
"""How the tables `comparison` and `ranks` are made."""

_JET = ["label", "file", "entry"]
_POINT = ["signal_efficiency", "rejection", "low", "high"]
_ROUNDING = 1e-5


def board_tables(merged: Merged, folders: Mapping[str, Path]) -> tuple[dict[str, pd.DataFrame], tuple[str, ...]]:
    """The tables `roc`, `comparison` and `ranks` of the merged backbones, and a sentence for each that is in none.

    folders: label -> where an execution's tables lie; files of scores alone have none
    """
    curves, logits, gaps = [], {}, []
    for name, labels in merged.sources.items():
        own = [folders[label] for label in labels if label in folders]
        card = str(merged.backbones.loc[name, "card"])
        points = _curve(merged, name, card, own)
        curves += [] if points is None else [points]
        scores = _logits(merged, name, card, own)
        if scores is not None:
            logits[name] = scores
        lacking = [what for what, found in (("curve", points), ("pair", scores)) if found is None]
        if lacking:
            why = "its tables do not fit its scores, or cannot be read" if own else "its files hold scores alone"
            gaps.append(f"{name}: no {' and no '.join(lacking)}: {why}")
    tables = {ROC: pd.concat(curves, ignore_index=True)} if curves else {}
    return tables | _compared(logits, merged, gaps), tuple(gaps)


def _curve(merged: Merged, name: str, card: str, folders: list[Path]) -> pd.DataFrame | None:
    """Points of the curves whose AUC is on the board; None where no folder has them."""
    auc = merged.frame[(merged.frame["backbone"] == name) & (merged.frame["metric"] == "auc")]
    shown = set(zip(auc["task"], auc["signal"], strict=True))
    for folder in folders:
        table = _table(folder, ROC, card)
        if table is not None and {"task", "signal", *_POINT} <= set(table) and _are_numbers(table[_POINT]):
            kept = [pair in shown for pair in zip(table["task"], table["signal"], strict=True)]
            if any(kept):
                return table[kept].assign(backbone=name)
    return None


def _logits(merged: Merged, name: str, card: str, folders: list[Path]) -> pd.DataFrame | None:
    """Logits of all test jets, a column a signal, index `_JET`; None where no folder has those of the scores."""
    auc = merged.frame[(merged.frame["backbone"] == name) & (merged.frame["metric"] == "auc")]
    auc = auc[(auc["task"] == "probe") & auc["value"].notna()]
    for folder in folders:
        jets, logits = _table(folder, JETS), _table(folder, LOGITS, card)
        if jets is None or logits is None or not {"jet", *_JET} <= set(jets) or "jet" not in logits:
            continue
        if not _are_numbers(jets[["jet", "entry"]]) or not _are_numbers(logits.drop(columns="backbone")):
            continue
        both = jets[["jet", *_JET]].merge(logits.drop(columns="backbone"), on="jet").set_index(_JET)
        if len(both) == len(jets) and not both.index.has_duplicates and _fits(both, auc):
            return both.drop(columns="jet").sort_index()
    return None


def _are_numbers(table: pd.DataFrame) -> bool:
    return all(pd.api.types.is_numeric_dtype(dtype) for dtype in table.dtypes)


def _fits(logits: pd.DataFrame, auc: pd.DataFrame) -> bool:
    """Whether logits give the AUCs that the scores state."""
    for signal, background, value in zip(auc["signal"], auc["background"], auc["value"], strict=True):
        labels = logits.index.get_level_values("label")
        if signal not in logits or not {signal, background} <= set(labels):
            return False
        sides = [logits.loc[labels == label, signal].to_numpy(np.float64)[None] for label in (signal, background)]
        if not all(np.isfinite(each).all() for each in sides):
            return False
        if abs(float(placements(*sides)[0].mean()) - float(value)) > _ROUNDING:
            return False
    return bool(len(auc))


def _table(folder: Path, name: str, card: str | None = None) -> pd.DataFrame | None:
    filters = None if card is None else [("backbone", "==", card)]
    try:
        return pd.read_parquet(folder / TABLES / f"{name}.parquet", filters=filters)
    except (OSError, ValueError, KeyError):
        return None  # named by the caller, for each backbone


def _compared(logits: Mapping[str, pd.DataFrame], merged: Merged, gaps: list[str]) -> dict[str, pd.DataFrame]:
    """Tables `comparison` and `ranks` by AUC, of backbones with the same test jets as the first of them."""
    names = [name for name in dict.fromkeys(merged.frame["backbone"]) if name in logits]
    same = [name for name in names if logits[name].index.equals(logits[names[0]].index)]
    gaps += [f"{name}: no pair: its test jets are not those of {names[0]}" for name in names if name not in same]
    if len(same) < 2:
        return {}
    pairs = pd.DataFrame(_pairs({name: logits[name] for name in same}, merged))
    if not len(pairs):
        return {}
    pairs["p_holm"] = holm(pairs["p"].to_numpy())
    apart = (pairs["p_holm"] <= LEVEL) & (pairs["lead"] != 0)
    pairs["verdict"] = np.where(apart, np.where(pairs["lead"] > 0, BETTER, WORSE), TIED)
    return {"comparison": pairs, "ranks": pd.DataFrame(_ranks(pairs))}


def _pairs(logits: Mapping[str, pd.DataFrame], merged: Merged) -> Iterator[dict[str, object]]:
    """Every pair on every signal: difference of the AUC, and its p-value by DeLong's covariance."""
    auc = merged.frame[(merged.frame["task"] == "probe") & (merged.frame["metric"] == "auc")]
    auc = auc[auc["value"].notna()]  # one that no sample gives has nothing to be better at
    for (signal, background), rows in auc.groupby(["signal", "background"], sort=False):
        names = [name for name in logits if name in set(rows["backbone"])]
        if len(names) < 2:
            continue
        labels = next(iter(logits.values())).index.get_level_values("label")
        signals, backgrounds = (
            np.stack([logits[name][str(signal)].to_numpy(np.float64)[labels == label] for name in names])
            for label in (signal, background)
        )
        placed = placements(signals, backgrounds)
        values, covariance = placed[0].mean(axis=1), delong_covariance(*placed)
        fewest = min(signals.shape[1], backgrounds.shape[1])
        for a, b in combinations(range(len(names)), 2):
            lead = float(values[a] - values[b])
            variance = float(covariance[a, a] + covariance[b, b] - 2 * covariance[a, b])
            yield {
                "signal": signal,
                "metric": "auc",
                "backbone": names[a],
                "backbone_b": names[b],
                "lead": lead,
                "p": difference_p_value(lead, variance, fewest_jets=fewest),
            }


def _ranks(pairs: pd.DataFrame) -> Iterator[dict[str, object]]:
    for signal, rows in pairs.groupby("signal", sort=False):
        names = list(dict.fromkeys([*rows["backbone"], *rows["backbone_b"]]))
        better: NDArray[np.bool_] = np.zeros((len(names), len(names)), np.bool_)
        for a, b, verdict in zip(rows["backbone"], rows["backbone_b"], rows["verdict"], strict=True):
            better[names.index(a), names.index(b)] = verdict == BETTER
            better[names.index(b), names.index(a)] = verdict == WORSE
        for name, (first, last) in zip(names, rank_ranges(better), strict=True):
            yield {"signal": signal, "metric": "auc", "backbone": name, "first": int(first), "last": int(last)}
