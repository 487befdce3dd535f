"""Quality against training jets: means over draws, the area under the curve, and where two curves cross.

Two things fluctuate, and are kept apart: which jets were drawn for training, and which jets it is measured on.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from jetassay.errors import DataError
from jetassay.metrics.paired import placements

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class LearningCurve:
    """AUC of one model at G numbers of training jets, R draws each, on the same test jets.

    jets:             int64 (G,), rising, training jets of each class
    aucs:             G arrays float64 (R,) or, where all draws are the same, (1,); draw r is nested over the G numbers
    signal_parts:     float64 (G, n_signal), mean over draws of the fraction of background below each signal jet
    background_parts: float64 (G, n_background), mean over draws of the fraction of signal above each background jet
    """

    jets: NDArray[np.int64]
    aucs: tuple[FloatArray, ...]
    signal_parts: FloatArray
    background_parts: FloatArray

    @classmethod
    def of(cls, jets: NDArray[np.int64], scores: Iterable[FloatArray], is_signal: NDArray[np.bool_]) -> Self:
        """From the scores of the test jets, G arrays (R, T) or (1, T), of which one at a time is held.

        Raises `DataError` for NaN or an empty side.
        """
        aucs, means = [], []
        for each in scores:
            parts = placements(each[:, is_signal], each[:, ~is_signal])
            aucs.append(parts[0].mean(axis=1))
            means.append(tuple(side.mean(axis=0) for side in parts))
        return cls(jets, tuple(aucs), *(np.stack(side) for side in zip(*means, strict=True)))

    @property
    def mean(self) -> FloatArray:
        """Mean AUC over draws, (G,)."""
        return np.array([each.mean() for each in self.aucs])

    @property
    def by_draw(self) -> FloatArray:
        """AUC (G, R); where all draws are the same, that value R times."""
        draws = max(len(each) for each in self.aucs)
        return np.stack([np.broadcast_to(each, draws) for each in self.aucs])

    @property
    def covariance(self) -> FloatArray:
        """Of the means, over test jets alone: float64 (G, G), after DeLong (Biometrics 44 (1988) 837)."""
        return _covariance(self.signal_parts, self.background_parts)


def _covariance(signal: FloatArray, background: FloatArray) -> FloatArray:
    if min(signal.shape[1], background.shape[1]) < 2:
        raise DataError("DeLong's covariance needs two test jets of each side")
    found: FloatArray = np.cov(signal) / signal.shape[1] + np.cov(background) / background.shape[1]
    return np.atleast_2d(found)


def area_weights(jets: NDArray[np.int64]) -> FloatArray:
    """What to multiply AUC (G,) with and sum, for its mean over ln n from the first to the last number of jets.

    A = integral of AUC d ln n / (ln n_G - ln n_1) by trapezoids; the weights sum to 1. Raises `DataError` for G < 2.

    >>> area_weights(np.array([10, 100, 1000])).round(3)
    array([0.25, 0.5 , 0.25])
    """
    if len(jets) < 2:
        raise DataError("the area under a learning curve needs two numbers of training jets at least")
    steps = np.diff(np.log(jets))
    weights = np.zeros(len(jets))
    weights[:-1] += steps / 2
    weights[1:] += steps / 2
    normalised: FloatArray = weights / steps.sum()
    return normalised


@dataclass(frozen=True, slots=True)
class Crossing:
    """Where one mean curve overtakes another for the last time, in training jets of each class.

    jets:  None where the mean curves do not cross
    low, high: central interval of it; None where that end lies before the first or beyond the last number of jets
    share: fraction of resamples in which the curve that is ahead at the end overtakes the other in between
    ahead: whether that is the first; None where the mean curves are equal throughout
    """

    jets: float | None
    low: float | None
    high: float | None
    share: float
    ahead: bool | None


def crossing(
    first: LearningCurve, second: LearningCurve, *, level: float, resamples: int = 1000, seed: int = 0
) -> Crossing:
    """The last crossing of two curves of the same draws and test jets, linear in ln n between the numbers of jets.

    A resample takes draws with replacement, the same for both curves, and moves the difference of the curves by a
    normal fluctuation with DeLong's covariance, for the test jets. Where the curve that is ahead at the end is so
    throughout a resample, its crossing lies before the first number of jets; where it is behind at the end, beyond the
    last. The interval holds the central `level` of all resamples.

    Raises `DataError` where the curves have other numbers of jets or draws.
    """
    if not np.array_equal(first.jets, second.jets) or first.by_draw.shape != second.by_draw.shape:
        raise DataError("learning curves that are compared need the same numbers of jets and the same draws")
    difference = first.by_draw - second.by_draw
    stream = np.random.default_rng(seed)
    draws = stream.integers(difference.shape[1], size=(resamples, difference.shape[1]))
    covariance = _covariance(first.signal_parts - second.signal_parts, first.background_parts - second.background_parts)
    values, vectors = np.linalg.eigh(covariance)
    moved = stream.normal(size=(resamples, len(values))) * np.sqrt(np.maximum(values, 0)) @ vectors.T
    log_jets = np.log(first.jets)
    resampled = difference[:, draws].mean(axis=2).T + moved
    mean = difference.mean(axis=1)
    found = np.nan_to_num(last_crossing(resampled, log_jets), nan=-np.inf)
    found = np.where(resampled[:, -1] * mean[-1] < 0, np.inf, found)
    place = float(last_crossing(mean[None], log_jets)[0])
    share, apart = float(np.isfinite(found).mean()), mean[mean != 0]
    ahead = bool(apart[-1] > 0) if len(apart) else None
    if np.isnan(place):
        return Crossing(None, None, None, share, ahead)
    ends = np.quantile(found, [(1 - level) / 2, (1 + level) / 2], method="inverted_cdf")
    low, high = (float(np.exp(end)) if np.isfinite(end) else None for end in ends)
    return Crossing(float(np.exp(place)), low, high, share, ahead)


def last_crossing(differences: FloatArray, log_jets: FloatArray) -> FloatArray:
    """Where each row of differences (B, G) changes its sign for the last time, linear in `log_jets`; NaN for never.

    Differences of exactly 0 are no sign.
    """
    places = np.full(len(differences), np.nan)
    before, at = differences[:, 0], np.full(len(differences), log_jets[0])
    for value, here in zip(differences.T[1:], log_jets[1:], strict=True):
        changed = before * value < 0
        with np.errstate(invalid="ignore"):  # 0 / 0 where nothing has changed
            between = at + (here - at) * np.divide(before, before - value, out=np.zeros_like(value), where=changed)
        places = np.where(changed, between, places)
        told = value != 0
        before, at = np.where(told, value, before), np.where(told, here, at)
    return places
