"""Bins of one variable of jets, with edges that can be read: quantiles of a sample, rounded, or as given."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jetassay.errors import ConfigError, DataError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Binning:
    """B bins of a variable: a jet is in the bin with low <= value < high; the last bin holds its upper edge too.

    edges: float64 (B + 1,), strictly rising

    Raises `ConfigError` for other edges.
    """

    variable: str
    edges: FloatArray

    def __post_init__(self) -> None:
        if self.edges.ndim != 1 or len(self.edges) < 2 or not (np.diff(self.edges) > 0).all():
            raise ConfigError(f"bins of {self.variable}: edges must rise strictly, two at least, not {self.edges}")
        if not np.isfinite(self.edges).all():
            raise ConfigError(f"bins of {self.variable}: edges must be finite, not {self.edges}")

    def __len__(self) -> int:
        return len(self.edges) - 1

    @property
    def names(self) -> tuple[str, ...]:
        """What each bin is called: `jet_pt 500-600`, or `jet_sdmass -1 to 7`."""
        to = " to " if self.edges[0] < 0 else "-"
        pairs = zip(self.edges[:-1], self.edges[1:], strict=True)
        return tuple(f"{self.variable} {low:g}{to}{high:g}" for low, high in pairs)

    def find(self, values: NDArray[Any]) -> IntArray:
        """The bin of each value, int64 of the same shape; -1 outside of the edges and for NaN."""
        values = np.asarray(values, np.float64)
        found = np.searchsorted(self.edges, values, side="right").astype(np.int64) - 1
        found[values == self.edges[-1]] = len(self) - 1
        found[(found >= len(self)) | np.isnan(values)] = -1
        return found

    def count(self, values: NDArray[Any], *, fold: bool = False) -> IntArray:
        """Jets in each bin, int64 (B,). fold: values outside of the edges count in the outermost bins."""
        if fold:
            values = np.clip(values, self.edges[0], self.edges[-1])
        found = self.find(values)
        return np.bincount(found[found >= 0], minlength=len(self)).astype(np.int64)


def equal_counts(variable: str, values: NDArray[Any], *, within: NDArray[Any], bins: int) -> Binning:
    """About equally many of `values` in each bin; the outermost edges hold all of `within`.

    Edges are rounded to one hundredth of the power of ten of the largest (10 GeV where that is above 1000 GeV, 1 GeV
    below), so bins that rounding makes equal become one. Raises `DataError` without a finite value.
    """
    values, within = (np.asarray(each, np.float64)[np.isfinite(each)] for each in (values, within))
    if not len(values) or not len(within):
        raise DataError(f"bins of {variable}: no jet has a finite value")
    largest = float(np.abs(within).max())
    decimals = 2 - int(np.floor(np.log10(largest))) if largest > 0 else 0
    step = 10.0**-decimals
    low, high = np.floor(within.min() / step) * step, np.ceil(within.max() / step) * step
    low, high = (low - step if low > within.min() else low), (high + step if high < within.max() else high)
    if low == high:
        high = low + step
    inner = np.quantile(values, np.arange(1, bins) / bins)
    edges = np.unique(np.round(np.concatenate([[low], inner, [high]]), decimals))
    edges = edges[(edges >= np.round(low, decimals)) & (edges <= np.round(high, decimals))]
    edges[0], edges[-1] = min(edges[0], within.min()), max(edges[-1], within.max())
    return Binning(variable, edges)


def equal_widths(variable: str, values: NDArray[Any], *, bins: int) -> Binning:
    """At most `bins` bins of one width, 1, 2 or 5 times a power of ten, from 0 to beyond 99 % of `values`.

    Raises `DataError` where that is not above 0.
    """
    finite = np.asarray(values, np.float64)[np.isfinite(values)]
    reach = float(np.quantile(finite, 0.99)) if len(finite) else 0.0
    if reach <= 0:
        raise DataError(f"bins of {variable}: 99 % of {len(finite)} values are not above 0; give the edges")
    power = int(np.floor(np.log10(reach / bins)))
    width, digits = next((m * 10.0**power, -power) for m in (1, 2, 5, 10) if m * 10.0**power * bins >= reach)
    return Binning(variable, np.round(width * np.arange(int(np.ceil(reach / width)) + 1), max(digits, 0)))
