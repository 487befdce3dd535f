"""Backbones on the same jets: covariances of AUC, survivors of one and not of the other, corrected p-values, ranks.

Scores of B backbones stand in the rows of one array, jets in its columns; the jets are the same for all rows.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from jetassay.errors import DataError
from jetassay.metrics.intervals import Interval, clopper_pearson
from jetassay.metrics.roc import checked, pairs_won

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def placements(signal: NDArray[Any], background: NDArray[Any]) -> tuple[FloatArray, FloatArray]:
    """How well each jet is placed: the structural components of DeLong, DeLong and Clarke-Pearson (1988).

    signal (B, n_signal), background (B, n_background). Gives, for each signal jet, the fraction of the background below
    it, float64 (B, n_signal), and for each background jet the fraction of the signal above it, float64 (B,
    n_background); a tie counts one half. The mean of either, along the jets, is the AUC. Raises `DataError` for NaN.
    """
    of_signal, of_background = np.empty(signal.shape), np.empty(background.shape)
    for row, (some, others) in enumerate(zip(signal, background, strict=True)):
        ours, theirs = checked(some, "signal"), checked(others, "background")
        below, not_above = pairs_won(ours, np.sort(theirs))
        of_signal[row] = (below + not_above) / (2 * len(theirs))
        below, not_above = pairs_won(theirs, np.sort(ours))
        of_background[row] = 1 - (below + not_above) / (2 * len(ours))
    return of_signal, of_background


def delong_covariance(of_signal: FloatArray, of_background: FloatArray) -> FloatArray:
    """Covariance of the AUCs of B backbones on the same jets, float64 (B, B), from their `placements`.

    The covariance of the placements of signal jets over n_signal, plus that of background jets over n_background
    (DeLong, DeLong and Clarke-Pearson, Biometrics 44 (1988) 837, equation 5). Raises `DataError` for fewer than two
    jets a side.
    """
    fewest = min(of_signal.shape[1], of_background.shape[1])
    if fewest < 2:
        raise DataError(f"the covariance of AUCs needs two jets a side, not {fewest}")
    total = np.zeros((len(of_signal), len(of_signal)))
    for side in (of_signal, of_background):
        centred = side - side.mean(axis=1, keepdims=True)
        total += centred @ centred.T / (side.shape[1] - 1) / side.shape[1]
    return total


def difference_p_value(difference: float, variance: float, *, fewest_jets: int) -> float:
    """Two-sided p-value that a difference of expectation 0 and this variance is as large, by the normal distribution.

    `fewest_jets` m, of either side, bounds it from below by 2**(1 - m): m disjoint pairs of jets, each of which one
    backbone may get right and the other wrong, can say no more (sign test). A difference of 0 has p = 1.
    """
    if difference == 0:
        return 1.0
    standardised = abs(difference) / np.sqrt(variance) if variance > 0 else np.inf
    return float(min(1.0, max(2 * stats.norm.sf(standardised), 2.0 ** (1 - fewest_jets))))


def mcnemar_p_value(only_first: int, only_second: int) -> float:
    """Exact two-sided p-value of McNemar's test (Psychometrika 12 (1947) 153): discordant jets as a fair coin.

    only_first, only_second: background jets that pass the cut of one backbone and not that of the other. Of
    their sum m, min(only_first, only_second) or fewer fall on one side with half this probability; without discordant
    jets it is 1.

    >>> round(mcnemar_p_value(1, 9), 6)
    0.021484
    """
    if min(only_first, only_second) < 0:
        raise DataError(f"counts of jets cannot be negative: {only_first} and {only_second}")
    discordant = only_first + only_second
    return float(min(1.0, 2 * stats.binom.cdf(min(only_first, only_second), discordant, 0.5)))


def holm(p_values: NDArray[Any]) -> FloatArray:
    """p-values (m,) corrected for m comparisons by Holm's method (Scand. J. Statist. 6 (1979) 65); float64 (m,).

    The k-th smallest is multiplied by m - k + 1, and none is smaller than one before it. Rejecting where the result
    is at most L keeps the chance of any false rejection at L, whatever the dependence of the comparisons.

    >>> holm(np.array([0.01, 0.04, 0.03, 0.005])).tolist()
    [0.03, 0.06, 0.06, 0.02]
    """
    p_values = np.asarray(p_values, np.float64)
    if p_values.ndim != 1 or not ((p_values >= 0) & (p_values <= 1)).all():
        raise DataError(f"p-values lie between 0 and 1, in one dimension; got {p_values}")
    order = np.argsort(p_values, kind="stable")
    raised = np.maximum.accumulate(p_values[order] * np.arange(len(p_values), 0, -1))
    corrected = np.empty_like(p_values)
    corrected[order] = np.minimum(raised, 1.0)
    return corrected


def jets_needed(
    only_first: float, only_second: float, *, n_background: int, level: float = 0.05, power: float = 0.8
) -> float | None:
    """Background jets with which McNemar's test of this `level` finds the difference with probability `power`.

    n = (z_(1 - level/2) sqrt(psi) + z_power sqrt(psi - d**2))**2 / d**2, with the rates of discordant jets
    psi = (only_first + only_second) / n_background and their difference d = (only_first - only_second) / n_background
    (Miettinen, Biometrics 24 (1968) 339; Connor, Biometrics 43 (1987) 207), taken as the true ones. None where d = 0.

    >>> round(jets_needed(30, 10, n_background=1000))
    783
    """
    psi, difference = (only_first + only_second) / n_background, (only_first - only_second) / n_background
    if difference == 0:
        return None
    of_level, of_power = stats.norm.isf(level / 2), stats.norm.ppf(power)
    return float((of_level * np.sqrt(psi) + of_power * np.sqrt(psi - difference**2)) ** 2 / difference**2)


def jets_needed_interval(
    only_first: int, only_second: int, *, n_background: int, level: float, power: float = 0.8
) -> Interval:
    """`jets_needed` over the Clopper-Pearson interval, of coverage `level`, of the side that discordant jets fall on.

    The sum of the discordant jets is held. high is None where the interval includes equal shares: no number of jets is
    then known to be enough. Raises `DataError` without discordant jets.
    """
    discordant = only_first + only_second
    share = clopper_pearson(max(only_first, only_second), discordant, level=level)
    assert share.high is not None
    few, many = (
        jets_needed(end * discordant, (1 - end) * discordant, n_background=n_background, power=power)
        if end > 0.5
        else None
        for end in (share.high, share.low)
    )
    assert few is not None
    return Interval(few, many, level, "clopper-pearson")


def rank_ranges(better: NDArray[np.bool_]) -> IntArray:
    """The ranks that B backbones may hold, int64 (B, 2): the first and the last.

    better: bool (B, B), whether the backbone of the row is distinguishably better than that of the column
    The first is 1 + the number that are better than it, the last B - the number that it is better than. Where all the
    comparisons together err with probability L at most, all ranges hold together with probability 1 - L at least.
    """
    return np.stack([1 + better.sum(axis=0), len(better) - better.sum(axis=1)], axis=1).astype(np.int64)
