"""Two stored results score by score: what is the same, what moved, beyond its uncertainty or not, what cannot be said.

Where both left scores of the same single jets on disk, errors are paired; elsewhere they count as independent.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from jetassay.metrics.paired import holm
from jetassay.metrics.unpaired import Bounded, two_sided, unpaired_difference
from jetassay.report.jet_rows import KEPT
from jetassay.report.pairing import DRAWS, paired_intervals
from jetassay.report.stored import Stored

FAMILY_LEVEL = 0.05
SAME, WITHIN, MOVED, CHANGED = "same", "within", "moved", "no interval"
LIMIT, NOT_COMPARABLE = "limit", "not comparable"
MEANING = {
    MOVED: "beyond its uncertainty",
    CHANGED: "changed, and no uncertainty to judge it by",
    LIMIT: "one of the two is only a limit",
    WITHIN: "changed within its uncertainty",
}
VERDICTS = (MOVED, CHANGED, LIMIT, WITHIN, SAME, NOT_COMPARABLE)
"""What is said of a score that both results hold, in the order of tables."""

PAIRED, INDEPENDENT = "paired", "independent"
"""How the errors of a change were taken."""

METHOD = (
    f"Change from the first result to the second on the same test jets. '{PAIRED}': by scores of single jets that both "
    f"results left on disk ({', '.join(KEPT)}); AUC: covariance of DeLong; rejections: paired bootstrap of "
    f"{DRAWS} draws, each with its own cuts, and the larger p-value of that and of McNemar's exact test. "
    f"'{INDEPENDENT}': without them, errors are combined as if they were independent (variance estimates recovery, Zou "
    "and Donner 2008); since both fail on the same hard jets the true interval is usually narrower. Rejections and "
    f"other rates as ratios, on a logarithmic scale. '{MOVED}': the p-value, corrected by Holm over all scores of one "
    f"task and metric, is at most {FAMILY_LEVEL:g}. Intervals cover the test jets, not what other training jets would "
    "change."
)

KEY = (
    "task", "metric", "backbone", "backbone_b", "layer", "signal", "background", "working_point", "bin", "n_train",
    "draw",
)  # fmt: skip
"""What a score is of."""

_RATES = ("rejection", "rejection_over_cuts", "inverse_jsd", "jets_needed", "jets_per_s")
"""Metrics that are compared as ratios."""

_ERRORS = (
    "bootstrap", "clopper-pearson", "delong", "disjoint-pairs", "paired-bootstrap", "normal", "block-jackknife",
    "batch-jackknife", "chi-squared",
)  # fmt: skip
"""How the methods of intervals begin that state an error; others are bands of chance, ranges of ranks or spreads."""

_ROUNDING = 1e-12
_CURVES = "few-shot"

_MUST_AGREE = {
    "task_version": "task version",
    "data_digest": "data digest",
    "dataset": "dataset",
    "split_seed": "split",
    "dtype": "precision",
    "n_signal": "test jets of the signal",
    "n_background": "test jets of the background",
    "jets_trained": "training jets",
}
"""Columns without which two numbers are not of the same quantity on the same jets, and how a reason calls them."""

_VALUES = ("value", "low", "high", "level", "interval", "n_survivors", "weights_sha256", *_MUST_AGREE)


def differences(first: Stored, second: Stored) -> pd.DataFrame:
    """One row for each score of either result.

    Columns: `KEY`; value_a, low_a, high_a and the same with _b; `scale` (difference or ratio) with `change`,
    `change_low`, `change_high` (68.27 %); z; p_holm; errors, `PAIRED` or `INDEPENDENT`, missing without an interval;
    unpaired, why errors are independent; same_weights; verdict, one of `VERDICTS` or "only in the first" or "only in
    the second"; reason, where it is not comparable.
    """
    both = _joined(first.frame, second.frame)
    both["reason"] = _reasons(both, _other_machine(first, second))
    _measure(both, first, second)
    both["verdict"] = _verdicts(both)
    moved = both["verdict"].isin([MOVED, WITHIN, SAME, CHANGED, LIMIT])
    both.loc[~moved, ["change", "change_low", "change_high", "z", "p_holm", "errors", "unpaired"]] = np.nan
    both["same_weights"] = _agree(both, "weights_sha256")
    sides = [f"{name}_{side}" for side in "ab" for name in ("value", "low", "high")]
    outcome = ["scale", "change", "change_low", "change_high", "z", "p_holm", "errors", "unpaired"]
    return both[[*KEY, *sides, *outcome, "same_weights", "verdict", "reason"]]


def unexplained(rows: pd.DataFrame) -> int:
    """How many numbers, speeds apart, changed on the same jets with the same weights: not by chance, then."""
    changed = rows["verdict"].isin([MOVED, WITHIN, CHANGED, LIMIT]) & (rows["task"] != "throughput")
    return int((changed & rows["same_weights"]).sum())


def ranked(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows in the order of `VERDICTS`, by |z| within each; what is not comparable has no order but the suite's."""
    place = rows["verdict"].map({name: k for k, name in enumerate(VERDICTS)}).fillna(len(VERDICTS))
    order = pd.DataFrame({"place": place, "z": -rows["z"].abs().fillna(-1.0)})
    return rows.loc[order.sort_values(["place", "z"], kind="stable").index]


def _joined(first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    sides = []
    for frame, side in ((first, "a"), (second, "b")):
        # along a learning curve the number of training jets says which score it is; elsewhere it has to agree
        along = frame["task"] == _CURVES
        both = frame.assign(jets_trained=frame["n_train"].mask(along), n_train=frame["n_train"].where(along))
        chosen = both[[*KEY, *_VALUES]].rename(columns={name: f"{name}_{side}" for name in _VALUES})
        chosen["repeat"] = chosen.groupby(list(KEY), dropna=False).cumcount()
        sides.append(chosen.reset_index(drop=True))
    # pandas matches a missing key with a missing one, which is what a column that a score does not use means
    return sides[0].merge(sides[1], on=[*KEY, "repeat"], how="outer", sort=False, indicator="sides")


def _agree(both: pd.DataFrame, name: str) -> pd.Series:
    a, b = both[f"{name}_a"], both[f"{name}_b"]
    return ((a == b).fillna(value=False) | (a.isna() & b.isna())).astype(bool)


def _equal(both: pd.DataFrame, name: str) -> pd.Series:
    """Equal but for the rounding of a text file."""
    a, b = (both[f"{name}_{side}"].to_numpy(np.float64, na_value=np.nan) for side in "ab")
    return pd.Series(np.isclose(a, b, rtol=_ROUNDING, atol=_ROUNDING, equal_nan=True), index=both.index)


def _reasons(both: pd.DataFrame, other_machine: str) -> pd.Series:
    """Why a score of both is not comparable, empty where it is."""
    reasons = pd.Series("", index=both.index)
    for name, words in reversed(_MUST_AGREE.items()):  # the first of them wins
        texts = [f"{words}: {_cut(a)}, {_cut(b)}" for a, b in zip(both[f"{name}_a"], both[f"{name}_b"], strict=True)]
        reasons = reasons.where(_agree(both, name), pd.Series(texts, index=both.index))
    if other_machine:
        reasons = reasons.where((both["task"] != "throughput") | (reasons != ""), other_machine)
    return reasons.where(both["sides"] == "both", "")


def _cut(value: Any) -> str:
    return "none" if pd.isna(value) else str(value)[:12]


def _other_machine(first: Stored, second: Stored) -> str:
    """Speeds mean something on one machine alone."""
    names = [name for name in ("machine", "threads") if first.provenance.get(name) != second.provenance.get(name)]
    return f"other {' and '.join(names)}" if names else ""


def _side(both: pd.DataFrame, side: str, rates: np.ndarray[Any, Any]) -> Bounded:
    columns: Mapping[str, np.ndarray[Any, Any]] = {
        name: both[f"{name}_{side}"].to_numpy(np.float64, na_value=np.nan) for name in ("value", "low", "high", "level")
    }
    with np.errstate(divide="ignore", invalid="ignore"):
        scaled = {name: np.where(rates, np.log(columns[name]), columns[name]) for name in ("value", "low", "high")}
    stated = both[f"interval_{side}"].fillna("").astype(str).str.startswith(_ERRORS).to_numpy(bool)
    low, high = (np.where(stated, scaled[name], np.nan) for name in ("low", "high"))
    return Bounded(scaled["value"], low, high, columns["level"])


def _measure(both: pd.DataFrame, first: Stored, second: Stored) -> None:
    """Add scale, change, its interval, z, the corrected p-value, and how errors were taken."""
    rates = both["metric"].isin(_RATES).to_numpy(bool)
    change, low, high, z = unpaired_difference(_side(both, "a", rates), _side(both, "b", rates))
    found = _paired(both, first, second)
    paired = (found["unpaired"] == "").to_numpy(bool)
    low, high = (np.where(paired, found[name], end) for name, end in (("low", low), ("high", high)))
    stated = np.isfinite(low) | np.isfinite(high)
    z = np.where(paired, found["z"], np.where(stated, z, np.nan))
    p = np.where(paired, found["p"], two_sided(z))
    both["scale"] = np.where(rates, "ratio", "difference")
    with np.errstate(over="ignore"):
        for name, number in (("change", change), ("change_low", low), ("change_high", high)):
            both[name] = np.where(np.isfinite(number), np.where(rates, np.exp(number), number), np.nan)
    both["z"] = z
    both["errors"] = pd.Series(np.where(paired, PAIRED, INDEPENDENT), dtype="string").where(stated)
    both["unpaired"] = found["unpaired"].astype("string").where(stated & ~paired)
    both["p_holm"] = np.nan
    judged = both[both["z"].notna() & (both["reason"] == "")]
    for _, rows in judged.groupby(["task", "metric"], sort=False):
        both.loc[rows.index, "p_holm"] = holm(p[rows.index])


def _paired(both: pd.DataFrame, first: Stored, second: Stored) -> pd.DataFrame:
    """As `paired_intervals`, for all rows; those that are not comparable are not asked for."""
    there = both[["value_a", "value_b"]].notna().all(axis=1) & (both["sides"] == "both") & (both["reason"] == "")
    found = paired_intervals(both[there], first.folder, second.folder).reindex(both.index)
    return found.assign(unpaired=found["unpaired"].fillna("it is no number of both"))


def _verdicts(both: pd.DataFrame) -> list[str]:
    one_sided = {"left_only": "only in the first", "right_only": "only in the second"}
    limits = both["value_a"].isna() | both["value_b"].isna()
    same = _equal(both, "value") & (~limits | _equal(both, "low"))
    found = []
    for k, side in enumerate(both["sides"]):
        if side != "both":
            found.append(one_sided[side])
        elif both["reason"].iloc[k]:
            found.append(NOT_COMPARABLE)
        elif same.iloc[k]:
            found.append(SAME)
        elif limits.iloc[k]:
            found.append(LIMIT)
        elif np.isnan(both["p_holm"].iloc[k]):
            found.append(CHANGED)
        else:
            found.append(MOVED if both["p_holm"].iloc[k] <= FAMILY_LEVEL else WITHIN)
    return found
