"""Two results on the same jets: intervals of differences from the scores of single jets that both left on disk."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import norm

from jetassay.errors import DataError
from jetassay.metrics.intervals import perfect_order_margin
from jetassay.metrics.paired import delong_covariance, difference_p_value, placements
from jetassay.metrics.resampling import PairedScores, Resampled, paired_bootstrap
from jetassay.metrics.roc import cut_at
from jetassay.report.jet_rows import KEPT
from jetassay.tasks.curves import LOGITS
from jetassay.tasks.displays import JETS
from jetassay.tasks.pairs import rejection_pairs
from jetassay.tasks.score import LEVEL

FloatArray = NDArray[np.float64]

NO_SCORES = "of this number no scores of single jets are kept"
DRAWS = 1000
_REJECTIONS = ("rejection", "rejection_over_cuts")
_JET = ["file", "entry", "label"]
"""What says that two rows are the same jet: sha256 of its file, its entry in it, and what it is."""

_ONE_SIGMA = 0.6827
_ROUNDING = 1e-5
"""Scores are kept in float32; an AUC from them may differ by this much from that of the run."""

_CERTAIN = 1e-300


def paired_intervals(rows: pd.DataFrame, first: Path | None, second: Path | None) -> pd.DataFrame:
    """How far each score moved from the first result to the second, by jets that both hold.

    rows:          scores of both, with the columns of a joined frame: task, metric, backbone, signal, background,
                   working_point, bin, draw, backbone_b, value_a, value_b
    first, second: folders of the results, with `tables/test_jets.parquet` and the tables that `jet_rows.KEPT` names

    Index as `rows`; float64 `low` and `high` (68.27 % interval of the difference, of logarithms for rejections), `z`,
    `p` (two-sided); `unpaired`, why a row has none of these, empty where it has them.
    The AUC: covariance of DeLong. Rejections: paired bootstrap, every draw with its own cuts, and the p-value of
    `tasks.pairs.rejection_pairs`. z of a rejection is that of the p-value. Nothing is raised for tables that are absent
    or damaged: each row says so.
    """
    found = pd.DataFrame(dict.fromkeys(("low", "high", "z", "p"), np.nan), index=rows.index)
    found["unpaired"] = NO_SCORES
    known = rows["metric"].isin(["auc", *_REJECTIONS]) & rows["task"].isin(list(KEPT))
    wanted = rows[known & rows[["bin", "draw", "backbone_b"]].isna().all(axis=1)]
    if not len(wanted):
        return found
    try:
        jets = _shared_jets(first, second)
    except _NotPairedError as error:
        found.loc[wanted.index, "unpaired"] = str(error)
        return found
    for (task, backbone), own in wanted.groupby(["task", "backbone"], sort=False):
        scored = _Scored(KEPT[str(task)], str(backbone))
        for index, outcome in _of_backbone(own, scored, jets, (first, second)):
            found.loc[index, list(outcome)] = list(outcome.values())
    return found


class _NotPairedError(Exception):
    """Why two numbers cannot be paired, in words for a row."""


def _shared_jets(first: Path | None, second: Path | None) -> pd.DataFrame:
    """Test jets of either: file, entry, label, and `jet_a`, `jet_b`, their rows there, NaN where one has it not."""
    a, b = (
        _table(folder, JETS, which, columns=["jet", *_JET]) for folder, which in ((first, "first"), (second, "second"))
    )
    for each, which in ((a, "first"), (b, "second")):
        _require_numbers(each, ["jet", "entry"], JETS, which)
    if a.duplicated(_JET).any() or b.duplicated(_JET).any():
        raise _NotPairedError("a jet stands twice in a table of test jets")
    return a.merge(b, on=_JET, how="outer", suffixes=("_a", "_b"))


def _table(folder: Path | None, name: str, which: str, **options: Any) -> pd.DataFrame:
    if folder is None:
        raise _NotPairedError(f"the {which} is a file of scores alone, without scores of single jets")
    path = folder / "tables" / f"{name}.parquet"
    try:
        return pd.read_parquet(path, **options)
    except FileNotFoundError as error:
        raise _NotPairedError(f"the {which} has no tables/{name}.parquet") from error
    except (OSError, ValueError, KeyError) as error:
        raise _NotPairedError(f"tables/{name}.parquet of the {which} cannot be read") from error


def _require_numbers(table: pd.DataFrame, columns: Iterable[str], name: str, which: str) -> None:
    if not all(each in table and pd.api.types.is_numeric_dtype(table[each].dtype) for each in columns):
        raise _NotPairedError(f"tables/{name}.parquet of the {which} cannot be read")


@dataclass(frozen=True, slots=True)
class _Scored:
    """Scores of single jets by one backbone: the table that they are in, and whose they are."""

    table: str
    backbone: str

    def read(self, folder: Path | None, which: str) -> pd.DataFrame:
        """Those of one result, a row a jet and a column a signal, whichever way the table is laid out."""
        found = _table(folder, self.table, which, filters=[("backbone", "==", self.backbone)])
        columns = ["jet", *found.columns.drop("backbone")] if self.table == LOGITS else ["jet", "score"]
        _require_numbers(found, columns, self.table, which)
        if self.table == LOGITS:
            return found.set_index("jet")
        if "signal" not in found:
            raise _NotPairedError(f"tables/{self.table}.parquet of the {which} cannot be read")
        if found.duplicated(["jet", "signal"]).any():
            raise _NotPairedError(f"a jet stands twice in tables/{self.table}.parquet of the {which}")
        return found.pivot(index="jet", columns="signal", values="score")


def _of_backbone(
    rows: pd.DataFrame, scored: _Scored, jets: pd.DataFrame, folders: tuple[Path | None, Path | None]
) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Index and outcome of every row of one task and backbone; its scores of single jets are read once."""
    try:
        tables = [scored.read(folder, which) for folder, which in zip(folders, ("first", "second"), strict=True)]
    except _NotPairedError as error:
        yield from ((index, {"unpaired": str(error)}) for index in rows.index)
        return
    for (signal, background), own in rows.groupby(["signal", "background"], sort=False):
        labels = str(signal), str(background)
        try:
            sides = [_scores(tables, jets, label=label, signal=labels[0], name=scored.table) for label in labels]
        except _NotPairedError as error:
            yield from ((index, {"unpaired": str(error)}) for index in own.index)
            continue
        yield from _of_signal(own, sides[0], sides[1])


def _scores(tables: list[pd.DataFrame], jets: pd.DataFrame, *, label: str, signal: str, name: str) -> FloatArray:
    """Scores by `signal` of the jets of one label, float64 (2, jets): the second result's, then the first's."""
    own = jets[jets["label"] == label]
    if own[["jet_a", "jet_b"]].isna().any(axis=None):
        raise _NotPairedError(f"the test jets of {label} are not the same")
    found = []
    for which, table, column in (("second", tables[1], "jet_b"), ("first", tables[0], "jet_a")):
        if signal not in table or table.index.has_duplicates:
            raise _NotPairedError(f"no scores of {signal} in tables/{name}.parquet of the {which}")
        found.append(table[signal].reindex(own[column].astype(np.int64)).to_numpy(np.float64, na_value=np.nan))
    scores = np.stack(found)
    if not scores.size or not np.isfinite(scores).all():
        raise _NotPairedError(f"some jets of {label} have no score of {signal} in tables/{name}.parquet")
    return scores


def _of_signal(rows: pd.DataFrame, signal: FloatArray, background: FloatArray) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Every row of one backbone and signal; signal, background: (2, jets), the second result first."""
    drawn: dict[float, Resampled] = {}
    alike = np.array_equal(signal[0], signal[1]) and np.array_equal(background[0], background[1])
    for index, row in rows.iterrows():
        try:
            if row["metric"] == "auc":
                outcome = _auc(row, signal, background)
            else:
                outcome = _rejection(
                    row, PairedScores(signal, background, float(row["working_point"])), drawn, alike=alike
                )
        except (DataError, _NotPairedError) as error:
            outcome = {"unpaired": str(error)}
        yield index, outcome


def _auc(row: pd.Series, signal: FloatArray, background: FloatArray) -> dict[str, Any]:
    placed = placements(signal, background)
    for value, kept in zip(placed[0].mean(axis=1), (row["value_b"], row["value_a"]), strict=True):
        _require_close(abs(value - kept), _ROUNDING)
    covariance = delong_covariance(*placed)
    variance = max(float(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]), 0.0)
    change, spread = float(row["value_b"] - row["value_a"]), np.sqrt(variance)
    p = difference_p_value(change, variance, fewest_jets=min(signal.shape[1], background.shape[1]))
    reach = norm.ppf((1 + _ONE_SIGMA) / 2) * spread
    if change == 0 and row["value_a"] in (0, 1):  # both order every pair alike: what either may be off it
        reach = perfect_order_margin(min(signal.shape[1], background.shape[1]), level=_ONE_SIGMA)
    z = change / spread if spread else _signed(p, change)
    return {"low": change - reach, "high": change + reach, "z": z, "p": p, "unpaired": ""}


def _rejection(row: pd.Series, scores: PairedScores, drawn: dict[float, Resampled], *, alike: bool) -> dict[str, Any]:
    """drawn: resamples of this signal by working point, which several metrics share."""
    point = float(row["working_point"])
    cuts = [
        cut_at(some, others, signal_efficiency=point)
        for some, others in zip(scores.signal, scores.background, strict=True)
    ]
    for cut, kept in zip(cuts, (row["value_b"], row["value_a"]), strict=True):
        # one jet that ties with the cut in float32 may have been beside it
        _require_close(abs(cut.n_background / kept - cut.n_survivors), 1 + _ROUNDING)
    if alike:
        return {"low": 0.0, "high": 0.0, "z": 0.0, "p": 1.0, "unpaired": ""}
    if point not in drawn:
        drawn[point] = paired_bootstrap({"": scores}, draws=DRAWS, seed=0)[""]
    (pair,) = rejection_pairs(scores, drawn[point], cuts)
    found = pair.difference
    if found.low is None or found.high is None:
        raise _NotPairedError("no background jet survives one of the cuts")
    middle, kept = float(found.value or 0.0), float(np.log(row["value_b"] / row["value_a"]))
    wider = norm.ppf((1 + _ONE_SIGMA) / 2) / norm.ppf((1 + LEVEL) / 2)
    low, high = (kept + wider * (end - middle) for end in (found.low, found.high))
    return {"low": low, "high": high, "z": _signed(pair.p_value, pair.lead), "p": pair.p_value, "unpaired": ""}


def _require_close(distance: float, most: float) -> None:
    if distance > most:
        raise _NotPairedError("its scores of single jets give another number than the results: of another run?")


def _signed(p: float, direction: float) -> float:
    """The z of a two-sided p-value."""
    return float(np.sign(direction) * norm.isf(max(p, _CERTAIN) / 2))
