"""Long tables beside the scores: ROC curves at whole percents, and what every probe and head makes of every jet."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from jetassay.metrics.roc import checked, jets_to_keep, signal_jets_needed
from jetassay.tasks.score import LEVEL

ROC, LOGITS = "roc", "probe_logits"
"""The tables' names."""

BLOCK = 1 << 16
"""Rows of a table with a row for each test jet that are made at once."""

EFFICIENCIES: tuple[float, ...] = (*(percent / 100 for percent in range(1, 100)), 0.995, 0.999)
"""Signal efficiencies of a curve's points; those that the sample does not resolve are left out."""


def roc_points(signal: NDArray[Any], background: NDArray[Any]) -> pd.DataFrame:
    """Background rejection along the signal efficiency, one row a cut: what a ROC curve is drawn from.

    signal, background: (n_signal,), (n_background,) scores

    Columns, float64: `signal_efficiency` of the actual cut (the convention of `metrics.roc`), `rejection` = 1 /
    background efficiency, NaN where no background jet survives; `low`, `high`: its Clopper-Pearson interval of level
    0.68 on the survivors of this very cut, `high` NaN without survivors. Raises `DataError` as `metrics.roc.auc` does.
    """
    signal, background = np.sort(checked(signal, "signal"))[::-1], np.sort(checked(background, "background"))
    n_signal, n_background = len(signal), len(background)
    points = [each for each in EFFICIENCIES if n_signal >= signal_jets_needed(each)]
    cuts = signal[[jets_to_keep(n_signal, each) - 1 for each in points]]
    passing = n_signal - np.searchsorted(signal[::-1], cuts, side="left")
    survivors = n_background - np.searchsorted(background, cuts, side="left")
    tail = (1 - LEVEL) / 2
    none, every = survivors == 0, survivors == n_background
    most = np.where(every, 1.0, stats.beta.isf(tail, survivors + 1, np.maximum(n_background - survivors, 1)))
    least = np.where(none, np.nan, stats.beta.ppf(tail, np.maximum(survivors, 1), n_background - survivors + 1))
    return pd.DataFrame(
        {
            "signal_efficiency": passing / n_signal,
            "rejection": np.where(none, np.nan, n_background / np.maximum(survivors, 1)),
            "low": 1 / most,
            "high": 1 / least,
        }
    ).drop_duplicates("signal_efficiency", ignore_index=True)


def roc_table(task: str, scores: Mapping[str, tuple[NDArray[Any], NDArray[Any]]]) -> dict[str, pd.DataFrame]:
    """The table `roc` of one backbone and task; no table without signals.

    scores: signal -> scores of signal and background jets
    """
    curves = [roc_points(*sides).assign(signal=signal) for signal, sides in scores.items()]
    return {ROC: pd.concat(curves, ignore_index=True).assign(task=task)} if curves else {}


def logit_table(logits: Mapping[str, NDArray[Any]]) -> dict[str, Iterator[pd.DataFrame]]:
    """Blocks of the table `probe_logits` of one backbone: a row a test jet, a float32 column a signal.

    logits: signal -> (J,) logits of all jets of the test sample, in its order, whatever their label

    Column `jet`, int32, is the row of the test sample; which jet that is, table `test_jets` says. No table without
    signals.
    """
    if not logits:
        return {}
    jets = len(next(iter(logits.values())))
    return {
        LOGITS: (
            pd.DataFrame({"jet": numbers(here), **{signal: each[here] for signal, each in logits.items()}}).astype(
                dict.fromkeys(logits, np.float32)
            )
            for here in blocks(jets)
        )
    }


def blocks(rows: int) -> Iterator[slice]:
    """`BLOCK` rows and again so many, to the last; one of no rows where there are none."""
    return (slice(start, min(start + BLOCK, rows)) for start in range(0, max(rows, 1), BLOCK))


def numbers(here: slice) -> NDArray[np.int32]:
    """The column `jet` of these rows of the test sample."""
    return np.arange(here.start, here.stop, dtype=np.int32)


def jet_scores_name(task: str) -> str:
    """The name of a task's table of `jet_scores_table`."""
    return f"{task.replace('-', '_')}_scores"


def jet_scores_table(
    task: str, scores: Mapping[str, Sequence[tuple[NDArray[np.int64], NDArray[Any]]]], *, names: Sequence[str]
) -> dict[str, Iterator[pd.DataFrame]]:
    """Blocks of what a task ranked, a row for each signal and jet of that signal or the background; by table's name.

    scores: signal -> for either side its rows of the test sample, and the score of each, larger is more like signal
    names:  of all labels of the sample

    Columns: `signal`, a category; `jet`, int32, the row of the test sample as in `probe_logits`; `score`, float32. No
    table without signals.
    """
    if not scores:
        return {}
    categories = pd.Index(names)
    return {
        jet_scores_name(task): (
            pd.DataFrame(
                {
                    "signal": pd.Categorical([signal] * (here.stop - here.start), categories=categories),
                    "jet": rows[here].astype(np.int32),
                    "score": values[here].astype(np.float32),
                }
            )
            for signal, both in scores.items()
            for rows, values in both
            for here in blocks(len(rows))
        )
    }
