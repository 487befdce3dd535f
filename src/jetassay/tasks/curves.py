"""What figures are drawn from: ROC curves at whole percents, and every jet's logit by every probe."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from jetassay.metrics.roc import checked, jets_to_keep, signal_jets_needed
from jetassay.tasks.score import LEVEL

ROC, LOGITS = "roc", "probe_logits"
"""The tables' names."""

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


def logit_table(logits: Mapping[str, NDArray[Any]]) -> dict[str, pd.DataFrame]:
    """The table `probe_logits` of one backbone: a row a test jet, a float32 column a signal; no table without signals.

    logits: signal -> (J,) logits of all jets of the test sample, in its order, whatever their label

    Column `jet`, int32, is the row of the test sample; which jet that is, table `test_jets` says.
    """
    if not logits:
        return {}
    jets = len(next(iter(logits.values())))
    columns = {signal: each.astype(np.float32) for signal, each in logits.items()}
    return {LOGITS: pd.DataFrame({"jet": np.arange(jets, dtype=np.int32), **columns})}
