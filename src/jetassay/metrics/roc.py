"""Ranking quality of one score that tells signal from background: AUC, cuts, rejections and curves.

A larger score means more like signal. The cut convention, the only one in the project: at a working point e the cut
is the score of the k-th highest signal jet, where k is the smallest whole number with k / n_signal >= e. A jet passes
when its score is at or above the cut, so jets that tie with the cut stay, of either kind. The efficiency of the
actual cut is therefore at least e, and more where scores tie. Nothing is interpolated: interpolating the
background efficiency divides by zero where no background jet is left.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jetassay.errors import DataError

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """A cut on the score, and what it kept.

    requested: the working point, a signal efficiency in (0, 1)
    score:     jets at or above it pass
    n_signal, n_signal_passing: signal jets, and those that pass
    n_background, n_survivors: background jets, and those that pass
    """

    requested: float
    score: float
    n_signal: int
    n_signal_passing: int
    n_background: int
    n_survivors: int

    @property
    def signal_efficiency(self) -> float:
        """Fraction of signal at or above the cut: at least `requested`."""
        return self.n_signal_passing / self.n_signal

    @property
    def background_efficiency(self) -> float:
        """Fraction of background at or above the cut, in [0, 1]."""
        return self.n_survivors / self.n_background

    @property
    def rejection(self) -> float | None:
        """1 / background efficiency, at least 1; None where no background jet survives, never infinity."""
        return self.n_background / self.n_survivors if self.n_survivors else None


@dataclass(frozen=True, slots=True)
class Curve:
    """The ROC curve, one point for each distinct score, by falling cut; the point where nothing passes is left out.

    cuts:                  float64 (P,), strictly falling
    signal_efficiency:     float64 (P,), rising to 1
    background_efficiency: float64 (P,), rising to 1
    """

    cuts: FloatArray
    signal_efficiency: FloatArray
    background_efficiency: FloatArray


def auc(signal: NDArray[Any], background: NDArray[Any]) -> float:
    """Probability that a signal jet scores above a background jet; a tie counts one half.

    Exact: both sides are sorted and the ordered pairs are counted as whole numbers (Mann-Whitney U).

    signal, background: (n_signal,) and (n_background,) scores
    Raises `DataError` where either is empty or holds NaN.
    """
    above, not_below = pairs_won(checked(signal, "signal"), np.sort(checked(background, "background")))
    return (int(above.sum()) + int(not_below.sum())) / (2 * len(above) * len(background))


def cut_at(signal: NDArray[Any], background: NDArray[Any], *, signal_efficiency: float) -> Cut:
    """The cut at a working point, by the convention above, and what survives it.

    Raises `DataError` where a side is empty or holds NaN, or where the sample cannot resolve the working point:
    at least one signal jet has to be expected on each side of the cut (`signal_jets_needed`).
    """
    signal, background = checked(signal, "signal"), checked(background, "background")
    needed = signal_jets_needed(signal_efficiency)
    n_signal = len(signal)
    if n_signal < needed:
        raise DataError(
            f"a working point of {signal_efficiency:g} needs at least {needed} signal jets, "
            f"and the test sample has {n_signal}; use more jets or another working point"
        )
    kept = jets_to_keep(n_signal, signal_efficiency)
    score = float(np.partition(signal, n_signal - kept)[n_signal - kept])
    return Cut(
        requested=signal_efficiency,
        score=score,
        n_signal=n_signal,
        n_signal_passing=int(np.count_nonzero(signal >= score)),
        n_background=len(background),
        n_survivors=int(np.count_nonzero(background >= score)),
    )


def roc_curve(signal: NDArray[Any], background: NDArray[Any]) -> Curve:
    """Both efficiencies at every cut that keeps different jets. Raises `DataError` as `auc` does."""
    signal, background = checked(signal, "signal"), checked(background, "background")
    cuts = np.unique(np.concatenate([signal, background]))[::-1]
    return Curve(cuts, _fraction_at_or_above(signal, cuts), _fraction_at_or_above(background, cuts))


def signal_jets_needed(signal_efficiency: float) -> int:
    """The smallest signal sample in which a jet is expected on each side of the cut: 2 at 0.5, 200 at 0.995."""
    if not 0 < signal_efficiency < 1:
        raise DataError(f"a working point is a signal efficiency between 0 and 1, not {signal_efficiency}")
    return math.ceil(round(1 / min(signal_efficiency, 1 - signal_efficiency), 6))


def jets_to_keep(n_signal: int, signal_efficiency: float) -> int:
    """The smallest k with k / n_signal >= signal_efficiency, free of the rounding of their product."""
    kept = math.ceil(signal_efficiency * n_signal)
    while kept / n_signal < signal_efficiency:
        kept += 1
    while kept > 1 and (kept - 1) / n_signal >= signal_efficiency:
        kept -= 1
    return kept


def pairs_won(signal: FloatArray, background_sorted: FloatArray) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """For each signal jet the background jets strictly below it, and those at or below it; both int64 (n_signal,)."""
    order = np.argsort(signal)
    won = np.empty((2, len(signal)), np.int64)
    won[0, order] = np.searchsorted(background_sorted, signal[order], side="left")
    won[1, order] = np.searchsorted(background_sorted, signal[order], side="right")
    return won[0], won[1]


def checked(scores: NDArray[Any], side: str) -> FloatArray:
    """The scores as float64 (n,). Raises `DataError` where there are none, or some are NaN."""
    array = np.asarray(scores, np.float64)
    if array.ndim != 1 or not len(array):
        raise DataError(f"{side} scores: expected a non-empty array of one dimension, got shape {array.shape}")
    missing = np.flatnonzero(np.isnan(array))
    if len(missing):
        raise DataError(f"{side} scores: {len(missing)} of {len(array)} are NaN, the first at position {missing[0]}")
    return array


def _fraction_at_or_above(scores: FloatArray, cuts: FloatArray) -> FloatArray:
    below = np.searchsorted(np.sort(scores), cuts, side="left")
    return 1.0 - below / len(scores)
