"""R^2: the share of a quantity's variance that predictions explain, with a bootstrap interval over jets."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from jetassay.errors import DataError
from jetassay.metrics.draws import blocks, multiplicities
from jetassay.metrics.intervals import Interval

FloatArray = NDArray[np.float64]

_BLOCK = 1 << 20  # draws times jets held at once


def explained(truth: NDArray[Any], predictions: NDArray[Any]) -> FloatArray:
    """R^2 = 1 - sum (y - prediction)^2 / sum (y - mean y)^2 over the first axis, of arrays that may broadcast.

    1 for perfect predictions, 0 for none better than the mean of these jets, negative for worse; never clipped.
    Raises `DataError` where there are fewer than two jets, or a quantity is the same for all.
    """
    y = np.asarray(truth, np.float64)
    if len(y) < 2 or len(y) != len(predictions):
        raise DataError(f"R^2 needs two jets at least and a prediction for each, not {len(y)} and {len(predictions)}")
    if (np.ptp(y, axis=0) == 0).any():
        raise DataError("R^2 is not defined for a quantity that is the same for all jets")
    errors = ((y - predictions) ** 2).sum(axis=0)
    return np.asarray(1 - errors / ((y - y.mean(axis=0)) ** 2).sum(axis=0), np.float64)


def r_squared(
    truth: NDArray[Any], predictions: NDArray[Any], *, level: float, draws: int = 200, seed: int = 0
) -> list[tuple[float, Interval]]:
    """`explained` of T quantities, each with its interval: the bootstrap's over jets, percentiles.

    truth, predictions: (J, T). All quantities are resampled alike; resamples in which one does not vary are left out
    for it. Raises as `explained` does.
    """
    values = explained(truth, predictions)
    y = np.asarray(truth, np.float64) - np.mean(truth, axis=0, dtype=np.float64)
    spread = y.std(axis=0)
    errors = ((np.asarray(truth, np.float64) - predictions) / spread) ** 2
    y /= spread
    sums = np.concatenate([errors, y, y**2], axis=1)  # (J, 3 T)
    stream = np.random.default_rng(seed)
    drawn = np.concatenate(
        [
            _from_sums(multiplicities(stream, jets=len(y), draws=block).astype(np.float64) @ sums, len(y))
            for block in blocks(draws, jets=len(y), most=_BLOCK)
        ]
    )
    ends = np.nanquantile(drawn, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return [
        (float(value), Interval(float(low), float(high), level, "bootstrap"))
        for value, low, high in zip(values, *ends, strict=True)
    ]


def _from_sums(sums: FloatArray, jets: int) -> FloatArray:
    """R^2, (draws, T), from the sums of squared errors, of y, and of y^2, side by side; NaN where y does not vary."""
    errors, total, squares = np.split(sums, 3, axis=1)
    spread = squares - total**2 / jets
    varies = spread > 1e-12 * jets
    return np.where(varies, 1 - errors / np.where(varies, spread, 1.0), np.nan)
