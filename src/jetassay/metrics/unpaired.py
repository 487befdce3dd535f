"""The difference of two numbers of which only the intervals are known: errors as if they were independent."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Bounded:
    """Numbers with central intervals of one coverage, float64 (m,) each; a bound that is missing is NaN."""

    value: FloatArray
    low: FloatArray
    high: FloatArray
    level: FloatArray

    def below(self) -> FloatArray:
        """Distance to the lower bound in standard deviations' worth of it, infinite without one."""
        return _one_sigma(self.value - self.low, self.level)

    def above(self) -> FloatArray:
        """The same to the upper bound."""
        return _one_sigma(self.high - self.value, self.level)


def unpaired_difference(first: Bounded, second: Bounded) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Second minus first: difference, its 68.27 % interval (low, high), and z, float64 (m,) each.

    The method of variance estimates recovery (Zou and Donner, Stat. Med. 27 (2008) 1693, eq. 7): the lower distance is
    sqrt(below_second^2 + above_first^2), the upper one sqrt(above_second^2 + below_first^2), so that asymmetric
    intervals stay asymmetric. z is the difference over the distance that faces zero; NaN where that distance is 0 or
    a value is missing. Intervals of another coverage are scaled as a normal one would be.

    Errors count as independent. Of numbers on the same jets that rise and fall together the true interval is narrower.

    >>> one = lambda value: Bounded(*(np.array([each]) for each in (value, value - 0.03, value + 0.03, 0.6827)))
    >>> difference, low, high, z = unpaired_difference(one(0.90), one(0.95))
    >>> [round(float(each[0]), 3) for each in (difference, low, high, z)]
    [0.05, 0.008, 0.092, 1.179]
    """
    difference = second.value - first.value
    down = np.hypot(second.below(), first.above())
    up = np.hypot(second.above(), first.below())
    facing = np.where(difference >= 0, down, up)
    z = np.divide(difference, facing, out=np.full_like(difference, np.nan), where=facing > 0)
    return difference, difference - down, difference + up, z


def two_sided(z: NDArray[Any]) -> FloatArray:
    """The p-value of z standard deviations of a normal distribution, either side; float64, 1 at z = 0."""
    return np.asarray(2 * norm.sf(np.abs(z)), np.float64)


def _one_sigma(distance: FloatArray, level: FloatArray) -> FloatArray:
    scaled: FloatArray = np.maximum(distance, 0) / norm.ppf((1 + level) / 2)
    return np.where(np.isnan(scaled), np.inf, scaled)
