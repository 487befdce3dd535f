"""The paired bootstrap: the same resampled jets for all backbones, in one pass over the draws.

A resample draws as many jets as there are, with replacement, signal and background apart: a count for each jet. It
depends on the seed and the number of jets alone, so all backbones, and all signals with equally many jets, share it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jetassay.errors import DataError
from jetassay.metrics.draws import blocks, multiplicities
from jetassay.metrics.paired import placements
from jetassay.metrics.roc import jets_to_keep

FloatArray = NDArray[np.float64]
Counts = NDArray[np.float32]
"""How often each jet was drawn, (draws, jets); float32 for the speed of matrix products, exact to 16 million."""

_BLOCK = 1 << 21  # resampled jets held at once, 8 MiB
_REACH = 7.0  # standard deviations of the cut's position that are looked at: beyond lies 1e-12


@dataclass(frozen=True, slots=True)
class PairedScores:
    """Scores that B backbones give to the same jets.

    signal:            float64 (B, n_signal)
    background:        float64 (B, n_background)
    signal_efficiency: where to cut; None for no cut

    Raises `DataError` where shapes disagree or there is nothing.
    """

    signal: FloatArray
    background: FloatArray
    signal_efficiency: float | None

    def __post_init__(self) -> None:
        if self.signal.ndim != 2 or self.background.ndim != 2 or len(self.signal) != len(self.background):
            raise DataError(
                f"paired scores: expected (B, n_signal) and (B, n_background), got {self.signal.shape} and "
                f"{self.background.shape}"
            )
        if not self.signal.size or not self.background.size:
            raise DataError("paired scores: there are no jets or no backbones")


@dataclass(frozen=True, slots=True)
class Resampled:
    """What each of R resamples gives.

    auc:       float64 (R, B)
    survivors: float64 (R, B), background jets at or above the cut of that resample; None without a working point
    """

    auc: FloatArray
    survivors: FloatArray | None


def paired_bootstrap(samples: Mapping[str, PairedScores], *, draws: int, seed: int) -> dict[str, Resampled]:
    """AUC and survivors of `draws` resamples, for every entry (a signal) of `samples`.

    The cut of a resample is set by its own signal jets, by the convention of `metrics.roc`, and survivors are exact.
    The AUC is that of the jets plus the sum of how much each drawn jet adds to it (the placements of DeLong, the linear
    part of the bootstrap): one matrix product for all backbones. What is left out is of the order 1 / n, where the
    spread is of the order 1 / sqrt(n).
    """
    prepared = {name: _Prepared(each) for name, each in samples.items()}
    results = {
        name: Resampled(np.empty((draws, each.backbones)), np.empty((draws, each.backbones)) if each.windows else None)
        for name, each in prepared.items()
    }
    sizes = {(side, each.jets[side]) for each in prepared.values() for side in (0, 1)}
    streams = {size: np.random.default_rng([seed, *size]) for size in sorted(sizes)}
    start = 0
    for block in blocks(draws, jets=max((jets for _, jets in sizes), default=1), most=_BLOCK):
        rows = slice(start, start := start + block)
        drawn = {size: _counts(stream, size[1], block) for size, stream in streams.items()}
        for name, each in prepared.items():
            counts = drawn[0, each.jets[0]], drawn[1, each.jets[1]]
            results[name].auc[rows] = each.auc(*counts)
            if (survivors := results[name].survivors) is not None:
                survivors[rows] = np.stack(list(each.survivors(*counts)), axis=1)
    return results


class _Prepared:
    """All that does not depend on the draw."""

    def __init__(self, scores: PairedScores) -> None:
        sides = placements(scores.signal, scores.background)
        self.backbones = len(scores.signal)
        self.jets = (scores.signal.shape[1], scores.background.shape[1])
        self._auc = sides[0].mean(axis=1)
        # Centred, so that float32 rounds the differences from the mean and not the mean.
        self._adds = [((side - self._auc[:, None]) / side.shape[1]).astype(np.float32).T.copy() for side in sides]
        efficiency = scores.signal_efficiency
        self.windows = [] if efficiency is None else [
            _Window(some, others, efficiency) for some, others in zip(scores.signal, scores.background, strict=True)
        ]  # fmt: skip
        if self.windows:
            self._above = [np.stack([window.above[side] for window in self.windows], axis=1) for side in (0, 1)]

    def auc(self, signal: Counts, background: Counts) -> FloatArray:
        """AUC (R, B) of these resamples."""
        values: FloatArray = self._auc + (signal @ self._adds[0]).astype(np.float64) + background @ self._adds[1]
        return values

    def survivors(self, signal: Counts, background: Counts) -> Iterator[FloatArray]:
        """Survivors (R,) of each backbone."""
        surely = signal @ self._above[0], background @ self._above[1]
        for row, window in enumerate(self.windows):
            yield window.survivors(signal, background, surely[0][:, row], surely[1][:, row])


class _Window:
    """One backbone's jets by falling score: those surely above any resample's cut, and those where the cut may lie.

    above: float32 (n_signal,) and (n_background,), 1 for jets above the window
    """

    def __init__(self, signal: NDArray[Any], background: NDArray[Any], efficiency: float) -> None:
        n_signal = len(signal)
        self._keep = jets_to_keep(n_signal, efficiency)
        reach = int(np.ceil(_REACH * np.sqrt(n_signal * efficiency * (1 - efficiency)))) + 2
        first, last = max(self._keep - reach, 0), min(self._keep + reach, n_signal)
        order, theirs = np.argsort(-signal), np.argsort(-background)
        # How many background jets pass a cut at each signal jet of the window.
        passing = np.searchsorted(-background[theirs], -signal[order[first:last]], side="right")
        self._signal, self._background = order[first:last], theirs[passing[0] : passing[-1]]
        self._passing = passing - passing[0]
        self.above = tuple(np.zeros(len(side), np.float32) for side in (signal, background))
        self.above[0][order[:first]] = 1
        self.above[1][theirs[: passing[0]]] = 1

    def survivors(self, signal: Counts, background: Counts, n_above: Counts, surviving: Counts) -> FloatArray:
        """Background jets (R,) at or above the cut of each resample, given the counts above the window."""
        drawn = signal[:, self._signal].cumsum(axis=1) + n_above[:, None]
        cut = np.minimum((drawn < self._keep).sum(axis=1), len(self._signal) - 1)
        within = np.zeros((len(background), len(self._background) + 1), np.float32)
        np.cumsum(background[:, self._background], axis=1, out=within[:, 1:])
        survivors: FloatArray = (surviving + within[np.arange(len(cut)), self._passing[cut]]).astype(np.float64)
        return survivors


def _counts(stream: np.random.Generator, jets: int, draws: int) -> Counts:
    return multiplicities(stream, jets=jets, draws=draws).astype(np.float32)
