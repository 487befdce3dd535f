"""Mutual nearest neighbours: how far two embeddings agree on which jets are alike.

For k nearest neighbours N_i (Euclidean distance, not the jet itself) of each of n jets in both embeddings
(Huh et al. 2024, arXiv:2405.07987, appendix A), the overlap is m = mean_i |N_i(X) and N_i(Y)| / k. By chance it is
c = k / (n - 1), which is no constant, so what is given here is (m - c) / (1 - c): 1 for the same neighbours, 0 on
average for unrelated embeddings. It still depends on k / n, the scale that is looked at, and falls as n grows at
constant k; only values of the same k and n are comparable. It sees local structure, which CKA hardly does.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from jetassay.errors import DataError
from jetassay.metrics.cka import PermutationNull
from jetassay.metrics.intervals import Interval

IntArray = NDArray[np.int64]

NEIGHBOURS = 10
_ROWS_AT_ONCE = 512


@dataclass(frozen=True, slots=True)
class Overlap:
    """Shared neighbours of each jet.

    shares: float64 (J,), |N_i(X) and N_i(Y)| / k
    shared: float64 (J,), how many jets have this one as a shared neighbour, in units of k
    chance: k / (J - 1)
    """

    shares: NDArray[np.float64]
    shared: NDArray[np.float64]
    chance: float

    @property
    def value(self) -> float:
        """Overlap beyond chance, at most 1 and 0 on average for unrelated embeddings."""
        return float((self.shares.mean() - self.chance) / (1 - self.chance))

    def interval(self, *, level: float) -> Interval:
        """Normal, from the spread over jets of the shares that each is part of, as having and as being a neighbour.

        Jets' shares are no independent numbers: their spread alone covers too little. This one covers 68 % at least
        (71 to 99 % in simulations), since a jet that is taken out is replaced by the next nearest.
        """
        parts = self.shares + self.shared
        spread = parts.std(ddof=1) / np.sqrt(len(parts)) / (1 - self.chance)
        margin = float(spread * stats.norm.ppf((1 + level) / 2))
        return Interval(self.value - margin, min(self.value + margin, 1.0), level, "normal")


def nearest_jets(embedding: NDArray[Any], *, k: int = NEIGHBOURS) -> IntArray:
    """Row numbers (J, k) of the k nearest other jets in the embedding (J, D), in no particular order.

    Raises `DataError` for NaN or infinity, a constant embedding, or fewer than k + 2 jets.
    """
    if len(embedding) < k + 2:
        raise DataError(f"{k} neighbours need at least {k + 2} jets, and there are {len(embedding)}")
    rows = np.asarray(embedding, np.float64)
    if not np.isfinite(rows).all():
        raise DataError("the embedding holds NaN or infinity")
    rows = rows - rows.mean(axis=0)
    size = np.sqrt(np.square(rows).sum() / len(rows))
    if not size > 0:
        raise DataError(f"the embedding is the same for all {len(rows)} jets, so none is nearest")
    return np.concatenate(list(_nearest((rows / size).astype(np.float32), k)))


def _nearest(rows: NDArray[np.float32], k: int) -> Iterator[IntArray]:
    lengths = np.einsum("jd,jd->j", rows, rows)
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        block = slice(start, start + _ROWS_AT_ONCE)
        squared = lengths - 2 * (rows[block] @ rows.T)  # but for the jet's own length, which ranks nothing
        squared[np.arange(len(squared)), np.arange(start, start + len(squared))] = np.inf
        yield np.argpartition(squared, k - 1, axis=1)[:, :k].astype(np.int64, copy=False)


def overlap(first: IntArray, second: IntArray) -> Overlap:
    """Shared neighbours in two tables (J, k) of `nearest_jets`. Raises `DataError` where their shapes differ."""
    if first.shape != second.shape:
        raise DataError(f"neighbours of {first.shape} and of {second.shape} jets and places cannot be compared")
    n, k = first.shape
    both = (first[:, :, None] == second[:, None, :]).any(axis=2)
    return Overlap(both.sum(axis=1) / k, np.bincount(first[both], minlength=n) / k, k / (n - 1))


def overlap_null(first: IntArray, second: IntArray, *, draws: int, seed: int = 0) -> PermutationNull:
    """Overlap beyond chance with the jets of the second embedding in random order, `draws` times."""
    stream = np.random.default_rng(seed)
    values = np.empty(draws)
    for draw in range(draws):
        order = stream.permutation(len(second))
        place = np.empty_like(order)
        place[order] = np.arange(len(order))
        values[draw] = overlap(first, place[second[order]]).value
    return PermutationNull(overlap(first, second).value, values)
