"""Two backbones on one signal: the difference of their AUCs and of their rejections, with interval and p-value."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from jetassay.metrics.intervals import clopper_pearson, perfect_order_margin
from jetassay.metrics.paired import (
    delong_covariance,
    difference_p_value,
    jets_needed,
    jets_needed_interval,
    mcnemar_p_value,
    placements,
)
from jetassay.metrics.resampling import PairedScores, Resampled
from jetassay.metrics.roc import Cut
from jetassay.tasks.score import LEVEL

FloatArray = NDArray[np.float64]

TEST_LEVEL, POWER = 0.05, 0.8
"""Level of the test of one pair alone, and its chance to tell the two apart, that `jets_needed` asks for."""

_ANSCOMBE = 3 / 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A number with its central interval of coverage `LEVEL`; each is None where there is none, never infinity."""

    value: float | None = None
    low: float | None = None
    high: float | None = None
    method: str = "undefined"


@dataclass(frozen=True, slots=True, kw_only=True)
class Survivors:
    """Background jets that pass the cut of one backbone and not that of the other.

    mcnemar_p: of McNemar's exact test, cuts as given; needed: background jets that would tell the two apart
    """

    only_first: int
    only_second: int
    mcnemar_p: float
    needed: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One comparison of backbones `first` and `second`, numbers of rows.

    difference: of the AUC, or of the logarithm of the rejection; first minus second
    lead:       above 0 where the first did better, 0 where they are equal
    p_value:    that such a lead is chance, before any correction
    survivors:  None for the AUC
    """

    first: int
    second: int
    difference: Estimate
    lead: float
    p_value: float
    survivors: Survivors | None = None


def auc_pairs(scores: PairedScores, resampled: Resampled) -> Iterator[Pair]:
    """Every pair by AUC: paired bootstrap interval, and the p-value of DeLong's test. Needs two jets a side.

    Where both order every pair of jets alike, no draw varies: the interval is then what either AUC may be off 1 (or 0).
    """
    placed = placements(scores.signal, scores.background)
    values, covariance = placed[0].mean(axis=1), delong_covariance(*placed)
    fewest = min(scores.signal.shape[1], scores.background.shape[1])
    for a, b in combinations(range(len(values)), 2):
        difference = float(values[a] - values[b])
        variance = float(covariance[a, a] + covariance[b, b] - 2 * covariance[a, b])
        margin = perfect_order_margin(fewest, level=LEVEL)
        yield Pair(
            first=a,
            second=b,
            difference=Estimate(value=0.0, low=-margin, high=margin, method="disjoint-pairs")
            if values[a] == values[b] and values[a] in (0, 1)
            else _by_draws(difference, resampled.auc[:, a] - resampled.auc[:, b]),
            lead=difference,
            p_value=difference_p_value(difference, variance, fewest_jets=fewest),
        )


def rejection_pairs(scores: PairedScores, resampled: Resampled, cuts: Sequence[Cut]) -> Iterator[Pair]:
    """Every pair by background rejection at the cuts, one for each backbone.

    The p-value is the larger of two: McNemar's exact test, right for few survivors but blind to how the finite number
    of signal jets moved the cuts; and the normal test of the difference of sqrt(survivors + 3/8) by the spread of the
    paired bootstrap, which sets the cuts anew. Roots of counts spread alike, large or small (Anscombe, Biometrika 35
    (1948) 246). At a working point of 0.99 or 0.995 with 25 survivors or more, McNemar alone calls 20 to 60 % of equal
    backbones different at level 0.05, both together 2 to 4 % (by simulation; a test repeats it).
    """
    assert resampled.survivors is not None
    passing = (scores.background >= np.array([cut.score for cut in cuts])[:, None]).astype(np.float64)
    both, n_background = passing @ passing.T, scores.background.shape[1]
    logs, roots = np.log(resampled.survivors + 0.5), np.sqrt(resampled.survivors + _ANSCOMBE)
    for a, b in combinations(range(len(cuts)), 2):
        only_first, only_second = int(both[a, a] - both[a, b]), int(both[b, b] - both[a, b])
        lead = float(np.sqrt(both[b, b] + _ANSCOMBE) - np.sqrt(both[a, a] + _ANSCOMBE))
        variance = float((roots[:, b] - roots[:, a]).var(ddof=1))
        mcnemar = mcnemar_p_value(only_first, only_second)
        overall = difference_p_value(lead, variance, fewest_jets=n_background)
        significance = lead / np.sqrt(variance) if variance else np.inf
        yield Pair(
            first=a,
            second=b,
            difference=_log_rejection(cuts[a].n_survivors, cuts[b].n_survivors, logs[:, b] - logs[:, a]),
            lead=lead,
            p_value=max(mcnemar, overall),
            survivors=Survivors(
                only_first=only_first,
                only_second=only_second,
                mcnemar_p=mcnemar,
                needed=_needed(only_first, only_second, n_background, significance),
            ),
        )


def _by_draws(value: float, draws: FloatArray) -> Estimate:
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(value=value, low=float(low), high=float(high), method="paired-bootstrap")


def _log_rejection(first: int, second: int, drawn: FloatArray) -> Estimate:
    """The logarithm of R_first / R_second = k_second / k_first; a limit where one side has no survivors k.

    drawn: the same of every resample, 1/2 added to its survivors. Where k is 0 on one side, all discordant jets are the
    other's; their share p has an exact lower limit, and p / (1 - p) is that of the ratio. Where both are 0, nothing is
    known.
    """
    if first and second:
        return _by_draws(float(np.log(second / first)), drawn)
    if not first and not second:
        return Estimate()
    share = clopper_pearson(max(first, second), max(first, second), level=LEVEL).low
    limit = float(np.log(share / (1 - share)))
    return Estimate(low=limit if second else None, high=-limit if first else None, method="clopper-pearson-limit")


def _needed(only_first: int, only_second: int, n_background: int, significance: float) -> Estimate:
    """Background jets, signal growing alike, with which both tests of `rejection_pairs` find the difference.

    significance: of the normal test with the jets there are, in standard deviations; it grows as the root of the jets
    """
    value = jets_needed(only_first, only_second, n_background=n_background, power=POWER)
    if value is None:
        return Estimate()
    wanted = float(stats.norm.isf(TEST_LEVEL / 2) + stats.norm.ppf(POWER))
    few, exact, many = (
        None if z <= 0 else n_background * (wanted / z) ** 2
        for z in abs(significance) + float(stats.norm.ppf((1 + LEVEL) / 2)) * np.array([1, 0, -1])
    )
    interval = jets_needed_interval(only_first, only_second, n_background=n_background, level=LEVEL, power=POWER)
    assert few is not None
    return Estimate(
        value=max(value, exact or 0.0),
        low=max(interval.low, few),
        high=None if interval.high is None or many is None else max(interval.high, many),
        method="clopper-pearson and normal",
    )
