"""How far embeddings of the same jets move when the jets change."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from jetassay.errors import DataError
from jetassay.metrics.intervals import Interval

FEWEST_JETS = 2


@dataclass(frozen=True, slots=True)
class Shift:
    """How far J embeddings moved.

    relative: root mean square of |z' - z| over the root mean square distance of two of the J jets before, taken at
        random: 0 where nothing moves, 1 where a jet is on average as far from itself as from another jet. Rotation,
        shift and scale of the embedding do not change it.
    cosine: mean cosine of z and z' seen from the mean of z, in [-1, 1]
    """

    relative: float
    relative_interval: Interval
    cosine: float
    cosine_interval: Interval


def embedding_shift(before: NDArray[np.float32], after: NDArray[np.float32], *, level: float) -> Shift:
    """The shift of embeddings (J, D) of the same jets before and after.

    The mean square distance of two different jets is 2 sum_d var_d with the unbiased variances. Intervals of coverage
    `level` are normal, from the spread over jets: of the cosine, and of the ratio of mean squares, whose variance is
    that of q - R v for squared distances q, twice the squared distances v from the mean, and their ratio R (Cochran,
    Sampling Techniques, section 6.4). A jet at the very mean has no direction and is left out of the cosine.

    Raises `DataError` where shapes differ, there are fewer than 2 jets, or the embedding before is the same for all.
    """
    if before.shape != after.shape or before.ndim != 2 or len(before) < FEWEST_JETS:
        raise DataError(
            f"embeddings before {before.shape} and after {after.shape}: expected the same (J, D), J >= {FEWEST_JETS}"
        )
    centre = before.mean(axis=0, dtype=np.float64)
    first, second = before - centre, after - centre
    distances = 2 * (first**2).sum(axis=1) * len(first) / (len(first) - 1)
    typical = float(distances.mean())
    if typical == 0:
        raise DataError(f"the embedding is the same for all {len(before)} jets, so no shift can be compared with it")
    squares = ((second - first) ** 2).sum(axis=1)
    ratio = float(squares.mean()) / typical
    norms = np.sqrt((first**2).sum(axis=1) * (second**2).sum(axis=1))
    directed = norms > 0
    cosines = (first * second).sum(axis=1)[directed] / norms[directed]
    square, cosine = _mean(ratio + (squares - ratio * distances) / typical, level), _mean(cosines, level)
    assert square.high is not None
    assert cosine.high is not None
    relative = Interval(np.sqrt(max(square.low, 0.0)), np.sqrt(square.high), level, square.method)
    bounded = Interval(max(cosine.low, -1.0), min(cosine.high, 1.0), level, cosine.method)
    return Shift(float(np.sqrt(ratio)), relative, float(np.clip(cosines.mean(), -1, 1)), bounded)


def _mean(values: NDArray[np.float64], level: float) -> Interval:
    half = stats.norm.isf((1 - level) / 2) * values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.inf
    return Interval(float(values.mean() - half), float(values.mean() + half), level, "normal")
