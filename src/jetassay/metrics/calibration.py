"""Whether probabilities mean what they say: reliability curve, expected calibration error, Brier score and its parts.

For n jets with probabilities p and outcomes y (0 or 1), in B bins of equally many jets by p, with weights
w_b = n_b / n, mean probabilities p_b and observed fractions y_b:

    ECE   = sum_b w_b |p_b - y_b|                                   (Naeini, Cooper and Hauskrecht, AAAI 2015)
    Brier = mean (p - y)^2 = reliability - resolution + uncertainty + within
    reliability = sum_b w_b (p_b - y_b)^2    resolution = sum_b w_b (y_b - y)^2    uncertainty = y (1 - y)

(Murphy, J. Appl. Meteorol. 12 (1973) 595; `within` = mean over jets of (p - p_b)^2 - 2 (p - p_b)(y - y_b), which is 0
where all p of a bin are equal: Stephenson, Coelho and Jolliffe, Wea. Forecasting 23 (2008) 752.)

ECE and reliability are biased upwards: perfectly calibrated probabilities have |p_b - y_b| > 0 by chance, the more so
the fewer jets a bin has. The null says how much: outcomes drawn from the probabilities themselves.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from jetassay.errors import DataError
from jetassay.metrics.draws import blocks
from jetassay.metrics.intervals import Interval

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_BLOCK = 1 << 20  # draws times jets held at once


@dataclass(frozen=True, slots=True)
class Reliability:
    """The reliability curve; bins without jets do not occur.

    low, high:    float64 (B,), smallest and largest probability of each bin
    probability:  float64 (B,), mean
    fraction:     float64 (B,), of the jets with outcome 1; fraction_low, fraction_high: Clopper-Pearson
    jets:         int64 (B,)
    """

    low: FloatArray
    high: FloatArray
    probability: FloatArray
    fraction: FloatArray
    fraction_low: FloatArray
    fraction_high: FloatArray
    jets: IntArray


@dataclass(frozen=True, slots=True)
class Calibration:
    """Calibration of J probabilities.

    curve:     the reliability curve
    numbers:   "ece", "brier", "brier_reliability", "brier_resolution", "brier_uncertainty" -> value
    intervals: the same names -> central interval of the value's scatter, by bootstrap within each bin (of the
               uncertainty and the Brier score: normal); biases stay in it, and the null shows them
    null:      float64 (draws,), ECE of outcomes that were drawn from the probabilities
    """

    curve: Reliability
    numbers: dict[str, float]
    intervals: dict[str, Interval]
    null: FloatArray

    @property
    def p_value(self) -> float:
        """(1 + draws of the null at or above the ECE) / (1 + draws); never 0."""
        return (1 + int(np.count_nonzero(self.null >= self.numbers["ece"] - 1e-12))) / (1 + len(self.null))


def calibration(
    probabilities: NDArray[Any],
    outcomes: NDArray[np.bool_],
    *,
    level: float,
    bins: int = 15,
    draws: int = 200,
    seed: int = 0,
) -> Calibration:
    """Reliability, ECE and Brier score with intervals and the null of perfect calibration.

    probabilities: (J,) from 0 to 1; outcomes: bool (J,). Jets of equal probability stay in one bin, so that fewer bins
    than asked for may result. Raises `DataError` without jets, for NaN, or for what is no probability.
    """
    p = np.asarray(probabilities, np.float64)
    if not len(p) or p.shape != outcomes.shape or not ((p >= 0) & (p <= 1)).all():
        raise DataError(
            f"calibration: expected a probability from 0 to 1 for each of {len(outcomes)} jets, at least one"
        )
    order = np.argsort(p, kind="stable")
    p, y = p[order], outcomes[order].astype(np.float64)
    starts = _starts(p, bins)
    jets = np.diff(np.append(starts, len(p)))
    weights = jets / len(p)
    mean = np.add.reduceat(p, starts) / jets
    streams = [np.random.default_rng(each) for each in np.random.SeedSequence(seed).spawn(2)]
    observed = np.add.reduceat(y, starts) / jets
    values = _values(p, y) | _binned(mean, observed, weights)
    null = _ece_of_drawn(p, starts, weights, draws=draws, stream=streams[0])
    intervals = _intervals(p, y, level) | _bootstrap(p, y, starts, values, level=level, draws=draws, stream=streams[1])
    return Calibration(_curve(p, y, starts, level), values, intervals, null)


def _starts(p: FloatArray, bins: int) -> IntArray:
    """First row of each bin of sorted probabilities; equal ones are never parted."""
    wanted = np.arange(bins, dtype=np.int64) * len(p) // bins
    return np.unique(np.searchsorted(p, p[wanted], side="left"))


def _values(p: FloatArray, y: FloatArray) -> dict[str, float]:
    return {"brier": float(((p - y) ** 2).mean()), "brier_uncertainty": float(y.mean() * (1 - y.mean()))}


def _binned(mean: FloatArray, observed: FloatArray, weights: FloatArray) -> dict[str, Any]:
    """ECE, reliability and resolution from the bins' mean probabilities and fractions, each (..., B)."""
    gaps = mean - observed
    overall = (observed * weights).sum(axis=-1, keepdims=True)
    found = {
        "ece": np.abs(gaps) @ weights,
        "brier_reliability": gaps**2 @ weights,
        "brier_resolution": (observed - overall) ** 2 @ weights,
    }
    return {name: float(value) for name, value in found.items()} if gaps.ndim == 1 else found


def _ece_of_drawn(
    p: FloatArray, starts: IntArray, weights: FloatArray, *, draws: int, stream: np.random.Generator
) -> FloatArray:
    """ECE of `draws` sets of outcomes that are 1 with the probabilities stated."""
    expected, jets = np.add.reduceat(p, starts), np.diff(np.append(starts, len(p)))
    found = []
    for block in blocks(draws, jets=len(p), most=_BLOCK):
        drawn = stream.random((block, len(p)), dtype=np.float32) < p
        gaps = (np.add.reduceat(drawn, starts, axis=1, dtype=np.int64) - expected) / jets
        found.append(np.abs(gaps) @ weights)
    return np.concatenate(found)


def _bootstrap(
    p: FloatArray,
    y: FloatArray,
    starts: IntArray,
    values: dict[str, float],
    *,
    level: float,
    draws: int,
    stream: np.random.Generator,
) -> dict[str, Interval]:
    """Intervals of what depends on the bins: jets resampled within each bin, deviations put around the value."""
    ends = np.append(starts[1:], len(p))
    jets, lengths = ends - starts, np.repeat(ends - starts, ends - starts)
    first = np.repeat(starts, jets)
    found: dict[str, list[FloatArray]] = {}
    for block in blocks(draws, jets=len(p), most=_BLOCK):
        rows = first + (stream.random((block, len(p))) * lengths).astype(np.int64)
        mean, observed = (np.add.reduceat(each[rows], starts, axis=1) / jets for each in (p, y))
        for name, drawn in _binned(mean, observed, jets / len(p)).items():
            found.setdefault(name, []).append(drawn)
    tail, intervals = (1 - level) / 2, {}
    for name, parts in found.items():
        drawn = np.concatenate(parts)
        low, high = np.clip(values[name] + np.quantile(drawn - drawn.mean(), [tail, 1 - tail]), 0.0, 1.0)
        intervals[name] = Interval(float(low), float(high), level, "bootstrap")
    return intervals


def _intervals(p: FloatArray, y: FloatArray, level: float) -> dict[str, Interval]:
    """Normal intervals: of the Brier score as a mean, of the uncertainty through the fraction y (1 - y)."""
    reach = float(stats.norm.ppf((1 + level) / 2)) / np.sqrt(len(p))
    squares, fraction = (p - y) ** 2, float(y.mean())
    brier, spread = float(squares.mean()), fraction * (1 - fraction)
    margin = reach * float(squares.std())
    of_uncertainty = reach * abs(1 - 2 * fraction) * float(np.sqrt(spread))
    return {
        "brier": Interval(max(brier - margin, 0.0), min(brier + margin, 1.0), level, "normal"),
        "brier_uncertainty": Interval(
            max(spread - of_uncertainty, 0.0), min(spread + of_uncertainty, 0.25), level, "normal"
        ),
    }


def _curve(p: FloatArray, y: FloatArray, starts: IntArray, level: float) -> Reliability:
    ends = np.append(starts[1:], len(p))
    jets, hits = ends - starts, np.add.reduceat(y, starts)
    tail = (1 - level) / 2
    low = np.where(hits > 0, stats.beta.ppf(tail, np.maximum(hits, 1), jets - hits + 1), 0.0)
    high = np.where(hits < jets, stats.beta.isf(tail, hits + 1, np.maximum(jets - hits, 1)), 1.0)
    return Reliability(p[starts], p[ends - 1], np.add.reduceat(p, starts) / jets, hits / jets, low, high, jets)
