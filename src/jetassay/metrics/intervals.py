"""How sure a number is: exact intervals of counts and rejections, bootstrap and DeLong for the AUC.

All intervals are central: a miss on either side has probability (1 - level) / 2 at most (exact ones) or about
(bootstrap).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from jetassay.errors import DataError
from jetassay.metrics.draws import blocks, multiplicities
from jetassay.metrics.roc import Cut, auc, checked, pairs_won

FloatArray = NDArray[np.float64]

_BLOCK = 1 << 18  # resampled jets held at once: two arrays of int64, well inside the second-level cache
_TAIL = 1e-9  # probability of cuts that are left out on each side in `rejection_interval_over_cuts`


@dataclass(frozen=True, slots=True)
class Interval:
    """The central interval of coverage `level`; `method` names how it was made.

    high is None where there is only a lower limit (a rejection without survivors).
    """

    low: float
    high: float | None
    level: float
    method: str


def clopper_pearson(successes: int, trials: int, *, level: float) -> Interval:
    """Exact central interval of a binomial probability (Clopper and Pearson, Biometrika 26 (1934) 404).

    low  = Beta quantile (1 - level) / 2 of (k, n - k + 1), 0 at k = 0
    high = Beta quantile (1 + level) / 2 of (k + 1, n - k), 1 at k = n

    Its coverage is at least `level` for every probability. The tails stay the same at k = 0, where `high` alone is
    thus a limit of confidence (1 + level) / 2: spending both tails on it there would cover 58 % and not 68 % of the
    time where 1.2 survivors are expected.

    >>> interval = clopper_pearson(3, 100_000, level=0.68)
    >>> f"{1e5 * interval.low:.2f} {1e5 * interval.high:.2f}"
    '1.37 5.90'
    """
    _check_level(level)
    if not 0 <= successes <= trials or trials < 1:
        raise DataError(f"{successes} successes in {trials} trials: expected 0 <= successes <= trials, trials >= 1")
    tail = (1 - level) / 2
    low = float(stats.beta.ppf(tail, successes, trials - successes + 1)) if successes else 0.0
    high = float(stats.beta.isf(tail, successes + 1, trials - successes)) if successes < trials else 1.0
    return Interval(low, high, level, "clopper-pearson")


def rejection_interval(cut: Cut, *, level: float) -> Interval:
    """Interval of the rejection of this very cut: the inverse of Clopper-Pearson on the survivors.

    Where nothing survives, only the lower limit, of confidence (1 + level) / 2 (see `clopper_pearson`). The cut is
    taken as given; what the finite number of signal jets adds is in `rejection_interval_over_cuts`.
    """
    efficiency = clopper_pearson(cut.n_survivors, cut.n_background, level=level)
    assert efficiency.high is not None
    if cut.n_survivors == 0:
        return Interval(1 / efficiency.high, None, level, "clopper-pearson-limit")
    return Interval(1 / efficiency.high, 1 / efficiency.low, level, "clopper-pearson")


def rejection_interval_over_cuts(
    signal: NDArray[Any], background: NDArray[Any], *, signal_efficiency: float, level: float
) -> Interval:
    """Interval of the rejection at the true `signal_efficiency`: survivors and the cut itself both fluctuate.

    In n signal jets the number above the true cut is binomial(n, signal_efficiency) = j, so the true cut lies at the
    j-th highest signal score with that probability. The bounds are quantiles of the Clopper-Pearson Beta
    distributions of the survivors k_j, averaged over j with these weights; they become those of `rejection_interval` as
    n grows. At a working point of 0.99 or 0.995 the cut dominates: with 600 to 5000 jets a side, intervals of level
    0.68 that leave it out cover about 0.4, these 0.7 to 0.8 (by simulation; a test repeats it).

    high is None where one of the cuts that matter may have no survivors. Raises `DataError` as `auc` does.
    """
    _check_level(level)
    signal, background = np.sort(checked(signal, "signal"))[::-1], np.sort(checked(background, "background"))
    n_signal, n_background = len(signal), len(background)
    ends = stats.binom.ppf([_TAIL, 1 - _TAIL], n_signal, signal_efficiency).astype(np.int64)
    passing = np.arange(ends[0], ends[1] + 1)
    cuts = np.concatenate([[np.inf], signal])[passing]
    survivors, column = np.unique(n_background - np.searchsorted(background, cuts, side="left"), return_inverse=True)
    chances = stats.binom.pmf(passing, n_signal, signal_efficiency)
    weights = np.bincount(column, weights=chances / chances.sum()).astype(np.float64)
    tail = (1 - level) / 2
    low = _mixture_quantile(tail, weights, survivors, n_background - survivors + 1)
    high = _mixture_quantile(1 - tail, weights, survivors + 1, n_background - survivors)
    return Interval(1 / high, 1 / low if low > 0 else None, level, "clopper-pearson-over-cuts")


def auc_interval(
    signal: NDArray[Any], background: NDArray[Any], *, level: float, draws: int = 1000, seed: int = 0
) -> Interval:
    """Percentile interval of the AUC from `bootstrap_auc`; of perfect order, the exact limit instead.

    By simulation it covers 0.65 to 0.68 at level 0.68 with 50 to 1000 jets a side up to an AUC of 0.95, and 0.58 to
    0.66 at 0.999 with 200 to 1000, where a handful of jets decides (`docs/coverage.csv`).

    Where every pair is ordered the same way, resampling cannot vary; then it is the limit of `perfect_order_margin`
    (method "disjoint-pairs").
    """
    _check_level(level)
    value, tail = auc(signal, background), (1 - level) / 2
    if value in (0.0, 1.0):
        margin = perfect_order_margin(min(len(signal), len(background)), level=level)
        low, high = (1 - margin, 1.0) if value else (0.0, margin)
        return Interval(low, high, level, "disjoint-pairs")
    low, high = np.quantile(bootstrap_auc(signal, background, draws=draws, seed=seed), [tail, 1 - tail])
    return Interval(float(low), float(high), level, "bootstrap")


def perfect_order_margin(jets: int, *, level: float) -> float:
    """How far from 1 an AUC may be where every pair is ordered: 1 - ((1 - level) / 2)**(1 / jets).

    jets: of the smaller side, m. Perfect order implies that m disjoint pairs are all ordered, which has probability
    AUC**m at most; so the AUC is at least ((1 - level) / 2)**(1 / m) with confidence (1 + level) / 2.
    """
    return float(-np.expm1(np.log((1 - level) / 2) / jets))


def bootstrap_auc(signal: NDArray[Any], background: NDArray[Any], *, draws: int, seed: int) -> FloatArray:
    """AUC of `draws` resamples of the jets with replacement, signal and background apart; float64 (draws,).

    Jets are sorted once and a resample is their multiplicities, so the cost is O(draws (n_signal + n_background)).
    A resample depends on seed and counts alone, not on the scores: two backbones' scores of the same jets in the same
    order, with the same seed, are resampled alike, and the difference of the two arrays is the paired bootstrap.
    """
    signal, background = checked(signal, "signal"), checked(background, "background")
    order = np.argsort(background)
    below, not_above = pairs_won(signal, background[order])
    values = np.empty(draws)
    streams = [np.random.default_rng(each) for each in np.random.SeedSequence(seed).spawn(2)]
    batches = zip(
        _resamples(streams[0], len(signal), draws), _resamples(streams[1], len(background), draws), strict=True
    )
    for draw, (signal_counts, background_counts) in enumerate(batches):
        counts_below = np.zeros(len(background) + 1, np.int64)
        np.cumsum(background_counts[order], out=counts_below[1:])
        values[draw] = signal_counts @ (counts_below[below] + counts_below[not_above])
    return values / (2 * len(signal) * len(background))


def delong_variance(signal: NDArray[Any], background: NDArray[Any]) -> float:
    """Variance of the AUC estimate (DeLong, DeLong and Clarke-Pearson, Biometrics 44 (1988) 837).

    Sample variance of each signal jet's fraction of background below it, over n_signal, plus the same with the sides
    exchanged. Needs two jets a side; raises `DataError` otherwise.
    """
    signal, background = checked(signal, "signal"), checked(background, "background")
    if min(len(signal), len(background)) < 2:
        raise DataError(f"DeLong's variance needs two jets a side, not {len(signal)} and {len(background)}")
    below, not_above = pairs_won(signal, np.sort(background))
    of_signal = (below + not_above) / (2 * len(background))
    below, not_above = pairs_won(background, np.sort(signal))
    of_background = (below + not_above) / (2 * len(signal))
    return float(of_signal.var(ddof=1) / len(signal) + of_background.var(ddof=1) / len(background))


def delong_interval(signal: NDArray[Any], background: NDArray[Any], *, level: float) -> Interval:
    """Interval of the AUC from DeLong's variance, normal in ln(AUC / (1 - AUC)); of perfect order, the exact limit.

    It costs two sorts, where a bootstrap costs a thousand. Two jets a side at least.
    """
    _check_level(level)
    value = auc(signal, background)
    if value in (0.0, 1.0):
        return auc_interval(signal, background, level=level)
    error = np.sqrt(delong_variance(signal, background)) / (value * (1 - value))
    reach = float(stats.norm.ppf((1 + level) / 2) * error)
    low, high = special.expit(special.logit(value) + np.array([-reach, reach]))
    return Interval(float(low), float(high), level, "delong-logit")


def _resamples(stream: np.random.Generator, jets: int, draws: int) -> Iterator[NDArray[np.int64]]:
    """How often each of `jets` jets is drawn in a resample of the same size, `draws` times; int64 (jets,) each."""
    for block in blocks(draws, jets=jets, most=_BLOCK):
        yield from multiplicities(stream, jets=jets, draws=block)


def _mixture_quantile(probability: float, weights: FloatArray, a: NDArray[np.int64], b: NDArray[np.int64]) -> float:
    """Where sum_i weights_i P(Beta(a_i, b_i) <= x) reaches `probability`; a = 0 stands for x = 0, b = 0 for x = 1."""
    at_zero, at_one = a == 0, b == 0
    a, b = np.maximum(a, 1), np.maximum(b, 1)
    if weights[at_zero].sum() >= probability:
        return 0.0
    if 1 - weights[at_one].sum() <= probability:
        return 1.0
    low, high = 0.0, 1.0
    while high - low > 1e-12 * high:
        middle = (low + high) / 2
        below = np.where(at_zero, 1.0, np.where(at_one, 0.0, special.betainc(a, b, middle)))
        low, high = (middle, high) if weights @ below < probability else (low, middle)
    return (low + high) / 2


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise DataError(f"the level of an interval lies between 0 and 1, not {level}")
