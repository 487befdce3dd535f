"""How well class probabilities tell K classes apart: accuracy, log-loss, and the mean AUC over pairs of classes."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from jetassay.errors import DataError
from jetassay.metrics.intervals import Interval, clopper_pearson, perfect_order_margin
from jetassay.metrics.roc import pairs_won

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

SMALLEST = float(np.finfo(np.float32).smallest_subnormal)
"""What a probability of 0 counts as: the smallest that float32 can hold, 1.4e-45."""


def accuracy(probabilities: NDArray[Any], labels: IntArray, *, level: float) -> tuple[float, Interval]:
    """Fraction of jets whose most probable class is theirs (of equals, the first), with its Clopper-Pearson interval.

    probabilities (J, K), labels int64 (J,) from 0 to K - 1. Raises `DataError` without jets.
    """
    _require_jets(labels)
    hits = int(np.count_nonzero(probabilities.argmax(axis=1) == labels))
    return hits / len(labels), clopper_pearson(hits, len(labels), level=level)


def log_loss(probabilities: NDArray[Any], labels: IntArray, *, level: float) -> tuple[float, Interval]:
    """Mean of -ln p of the jet's own class, a p of 0 counting as `SMALLEST`, with the normal interval of the mean."""
    _require_jets(labels)
    own = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    losses = -np.log(np.maximum(own, SMALLEST))
    error = float(losses.std(ddof=1)) / np.sqrt(len(losses)) if len(losses) > 1 else 0.0
    return float(losses.mean()), _normal(float(losses.mean()), float(error), level, lowest=0.0, highest=np.inf)


def macro_ovo_auc(probabilities: NDArray[Any], labels: IntArray, *, level: float) -> tuple[float, Interval]:
    """Mean AUC over pairs of classes (Hand and Till, Machine Learning 45 (2001) 171, equation 7), with its interval.

    The AUC of classes i and j is the mean of two on the jets of both: that of p_i with i as signal, and that of p_j
    with j as signal; ties count one half. Its variance is DeLong's (Biometrics 44 (1988) 837), for the mean of all
    ordered pairs: the sum over classes of the sample variance of each jet's own part in it, over the number of jets;
    the interval is normal. Where every pair is ordered there is no variance, and it is the limit of
    `perfect_order_margin`: m disjoint sets of one jet of each class, m the smallest class, are then all in order, which
    has probability AUC**m at most.

    Classes with fewer than two jets are left out. Raises `DataError` where fewer than two classes remain.
    """
    classes = [label for label, count in enumerate(np.bincount(labels)) if count > 1]
    if len(classes) < 2:
        raise DataError(f"a mean over pairs of classes needs two jets of each of two classes, not of {len(classes)}")
    rows = {label: np.flatnonzero(labels == label) for label in classes}
    parts = {label: np.zeros(len(each)) for label, each in rows.items()}
    total, pairs = 0.0, len(classes) * (len(classes) - 1)
    for i in classes:
        scores = {label: probabilities[each, i].astype(np.float64) for label, each in rows.items()}
        for j in (other for other in classes if other != i):
            won = _fraction_below(scores[i], scores[j])
            total += float(won.mean())
            parts[i] += won
            parts[j] += 1 - _fraction_below(scores[j], scores[i])
    variance = sum(float(part.var(ddof=1)) / len(part) for part in parts.values()) / pairs**2
    value = total / pairs
    if value == 1:
        margin = perfect_order_margin(min(map(len, rows.values())), level=level)
        return value, Interval(1 - margin, 1.0, level, "disjoint-pairs")
    return value, _normal(value, float(np.sqrt(variance)), level, lowest=0.0, highest=1.0)


def _fraction_below(scores: FloatArray, others: FloatArray) -> FloatArray:
    """For each score the fraction of `others` below it, those equal counting one half."""
    below, not_above = pairs_won(scores, np.sort(others))
    return (below + not_above) / (2 * len(others))


def _normal(value: float, error: float, level: float, *, lowest: float, highest: float) -> Interval:
    reach = float(stats.norm.ppf((1 + level) / 2)) * error
    return Interval(max(value - reach, lowest), min(value + reach, highest), level, "normal")


def _require_jets(labels: IntArray) -> None:
    if not len(labels):
        raise DataError("there are no jets to measure on")
