"""Debiased linear CKA: how alike two embeddings of the same jets are, without a Gram matrix of jets by jets.

CKA = HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L)) with K = X X', L = Y Y' for embeddings X (J, p) and Y (J, q)
(Kornblith et al. 2019, arXiv:1905.00414), and for HSIC the unbiased estimator (Song et al., JMLR 13 (2012) 1393, eq. 5)

    [tr(K'L') + (1'K'1)(1'L'1) / ((n-1)(n-2)) - 2/(n-2) 1'K'L'1] / (n (n-3)),

K', L' without their diagonal, in numerator and denominator alike (Murphy et al. 2024, arXiv:2405.01012). It is 1 for
equal embeddings, 0 on average for independent ones, and slightly negative values are kept. Rotations, isotropic scales
and shifts change nothing.

Every term is a sum over jets. With squared lengths a_i = |x_i|^2, b_i = |y_i|^2 and the widened rows (x_i, a_i, 1) and
(y_i, b_i, 1), all of them stand in the one matrix M = sum_i (x_i, a_i, 1)'(y_i, b_i, 1) of shape (p + 2, q + 2):

    tr(K'L') = |sum x y'|^2 - sum a b        1'K'1 = |sum x|^2 - sum a
    1'K'L'1  = sum_i (x_i.sum x - a_i)(y_i.sum y - b_i)

so that sums of disjoint sets of jets add up, and 10^6 jets need one pass and no more memory than a chunk.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from jetassay.errors import DataError
from jetassay.metrics.intervals import Interval

FloatArray = NDArray[np.float64]

CHUNK = 8192  # jets widened at once
FEWEST_JETS = 4  # the estimator divides by n - 3


def hsic(sums: FloatArray) -> float:
    """Unbiased HSIC from the sums M (p + 2, q + 2) of the module's docstring."""
    n, cross = sums[-1, -1], sums[:-2, :-2]
    x, y = sums[:-2, -1], sums[-1, :-2]
    trace = np.vdot(cross, cross) - sums[-2, -2]
    total_x, total_y = x @ x - sums[-2, -1], y @ y - sums[-1, -2]
    between = x @ cross @ y - x @ sums[:-2, -2] - sums[-2, :-2] @ y + sums[-2, -2]
    return float((trace + total_x * total_y / ((n - 1) * (n - 2)) - 2 / (n - 2) * between) / (n * (n - 3)))


def covariance(sums: FloatArray) -> FloatArray:
    """Covariance (p, q) of the jets, dividing by their number, from the sums M (p + 2, q + 2), or from many of them."""
    n = sums[..., -1:, -1:]
    covariances: FloatArray = (sums[..., :-2, :-2] - sums[..., :-2, -1:] * sums[..., -1:, :-2] / n) / n
    return covariances


def debiased_cka(x: NDArray[Any], y: NDArray[Any]) -> float:
    """Debiased linear CKA of two embeddings of the same jets in the same order, (J, p) and (J, q).

    At most 1 (HSIC is an inner product of U-centred matrices), 0 on average for independent ones, maybe slightly below.
    Raises `DataError` for fewer than four jets, NaN or infinity, other lengths, or a constant embedding.
    """
    sums = CrossSums({"first": x.shape[1], "second": y.shape[1]}, blocks=1)
    for start in range(0, max(len(x), len(y)), CHUNK):
        sums.add({"first": x[start : start + CHUNK], "second": y[start : start + CHUNK]})
    return sums.cka("first", "second")


class CrossSums:
    """Sums over jets from which CKA between any two of several embeddings follows; one pass, chunk by chunk.

    widths: name -> D of each embedding
    blocks: jets are dealt at random into so many blocks, whose sums are kept apart for the jackknife; 1 for none.
            Memory is blocks (sum of (D + 2))^2 float64.
    seed:   of the dealing

    Embeddings are shifted by the means of the first chunk, which changes no CKA and keeps float64 sums exact enough
    however far from zero the embeddings lie.
    """

    def __init__(self, widths: Mapping[str, int], *, blocks: int = 20, seed: int = 0) -> None:
        self.n_jets = 0
        ends = np.cumsum([width + 2 for width in widths.values()], dtype=np.int64)
        self._columns = {
            name: slice(int(end) - width - 2, int(end)) for (name, width), end in zip(widths.items(), ends, strict=True)
        }
        self._sums = np.zeros((blocks, ends[-1], ends[-1]))
        self._shift: dict[str, FloatArray] = {}
        self._stream = np.random.default_rng(seed)

    def add(self, chunk: Mapping[str, NDArray[Any]]) -> None:
        """Add the same jets in every embedding: name -> (j, D), any j. Raises `DataError` where they cannot be."""
        jets = {len(embedding) for embedding in chunk.values()}
        if len(jets) > 1 or chunk.keys() != self._columns.keys():
            raise DataError(
                f"similarity compares embeddings of the same jets: expected {sorted(self._columns)} with equally many, "
                f"got { ({name: len(embedding) for name, embedding in chunk.items()}) }"
            )
        j = jets.pop()
        if not j:
            return
        wide = np.empty((j, self._sums.shape[-1]))
        order = self._stream.permutation(j) if len(self._sums) > 1 else slice(None)
        for name, columns in self._columns.items():
            part = np.asarray(chunk[name], np.float64)
            _check_rows(part, name, columns.stop - columns.start - 2, self.n_jets)
            shift = self._shift.setdefault(name, part.mean(axis=0))
            wide[:, columns] = widened(part[order] - shift)
        for block, rows in enumerate(np.array_split(wide, len(self._sums))):
            self._sums[(block + self.n_jets) % len(self._sums)] += rows.T @ rows
        self.n_jets += j

    def cka(self, first: str, second: str) -> float:
        """Debiased linear CKA of two of the embeddings over all jets so far."""
        return _cka(tuple(each.sum(axis=0) for each in self.blocks(first, second)), first, second)

    def interval(self, first: str, second: str, *, level: float) -> Interval | None:
        """Delete-one-block jackknife with Student's t; None with one block, or where CKA is not defined without one.

        Blocks are deleted and not resampled, since a jet drawn twice would count as a pair of equal jets and bias the
        estimate upwards. Near CKA = 0, where the estimator degenerates, the interval is wider than need be.
        """
        value, n = self.cka(first, second), len(self._sums)
        if n < 2:
            return None
        kept = zip(*(each.sum(axis=0) - each for each in self.blocks(first, second)), strict=True)
        try:
            without = np.array([_cka(sums, first, second) for sums in kept])
        except DataError:
            return None
        return jackknife_interval(value, without, level=level, method="block-jackknife")

    def biased_cka(self, first: str, second: str) -> float:
        """CKA as it is often computed, |X'Y|^2 / (|X'X| |Y'Y|) of centred embeddings: above 0 for unrelated ones.

        For comparison with what others publish; it tends to D / (n + D) for independent isotropic embeddings of D
        dimensions and n jets, and says nothing until n is many times D.
        """
        cross, own_first, own_second = (float((covariance(each.sum(axis=0)) ** 2).sum()) for each in
                                        self.blocks(first, second))  # fmt: skip
        return cross / float(np.sqrt(own_first * own_second))

    def blocks(self, first: str, second: str) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Sums M of each block: of the first with the second, the first with itself, the second with itself.

        float64 (blocks, p + 2, q + 2), (blocks, p + 2, p + 2) and (blocks, q + 2, q + 2).
        """
        a, b = self._columns[first], self._columns[second]
        return self._sums[:, a, b], self._sums[:, a, a], self._sums[:, b, b]


@dataclass(frozen=True, slots=True)
class PermutationNull:
    """What CKA would be if the jets of one embedding were in random order.

    observed: CKA of the jets in their own order
    values:   float64 (draws,), CKA after shuffling
    """

    observed: float
    values: FloatArray

    @property
    def p_value(self) -> float:
        """(1 + draws at or above the observed CKA) / (1 + draws), one-sided; never 0 (Phipson and Smyth 2010)."""
        return (1 + int(np.count_nonzero(self.values >= self.observed))) / (1 + len(self.values))


def permutation_null(x: NDArray[Any], y: NDArray[Any], *, draws: int = 99, seed: int = 0) -> PermutationNull:
    """CKA with the rows of `y` shuffled, `draws` times; only the cross term changes, so a draw is one product.

    The products of the draws are in float32, after centring: their rounding is far below the spread of the null.

    x, y: (J, p) and (J, q), the same jets in the same order. Raises `DataError` as `debiased_cka` does.
    """
    if draws < 1:
        raise DataError(f"a permutation null needs at least one draw, not {draws}")
    _check_enough(len(x))
    if len(x) != len(y):
        raise DataError(f"similarity compares embeddings of the same jets, not of {len(x)} and {len(y)}")
    wide_x, wide_y = _centred(x, "first"), _centred(y, "second")
    scale = _scale(wide_x.T @ wide_x, wide_y.T @ wide_y, "first", "second")
    left, right = wide_x.T.astype(np.float32), wide_y.astype(np.float32)
    stream = np.random.default_rng(seed)
    products = (left @ right[stream.permutation(len(y))] for _ in range(draws))
    values = np.array([hsic(product.astype(np.float64)) for product in products])
    return PermutationNull(hsic(wide_x.T @ wide_y) / scale, values / scale)


def jackknife_interval(value: float, without: FloatArray, *, level: float, method: str) -> Interval:
    """Of a similarity, which is at most 1, from its values (n,) without each of n parts in turn, with Student's t."""
    n = len(without)
    margin = float(np.sqrt((n - 1) ** 2 / n * without.var(ddof=1)) * stats.t.ppf((1 + level) / 2, n - 1))
    return Interval(value - margin, max(min(value + margin, 1.0), value), level, method)


def widened(embedding: FloatArray) -> FloatArray:
    """(j, D) to (j, D + 2): squared length and 1 appended to each row."""
    wide = np.empty((len(embedding), embedding.shape[1] + 2))
    wide[:, :-2] = embedding
    np.einsum("jd,jd->j", embedding, embedding, out=wide[:, -2])
    wide[:, -1] = 1.0
    return wide


def _centred(embedding: NDArray[Any], name: str) -> FloatArray:
    """Widened rows (J, D + 2) of the embedding around its mean, scaled to a mean squared length of 1."""
    rows = np.asarray(embedding, np.float64)
    _check_rows(rows, name, rows.shape[-1], 0)
    rows = rows - rows.mean(axis=0)
    length = np.sqrt((rows**2).sum() / len(rows))
    return widened(rows / length if length else rows)


def _cka(sums: tuple[FloatArray, ...], first: str, second: str) -> float:
    """CKA from the sums of the first with the second, of the first with itself, and of the second with itself."""
    cross, own_first, own_second = sums
    scale = _scale(own_first, own_second, first, second)
    return hsic(cross) / scale


def _scale(own_first: FloatArray, own_second: FloatArray, first: str, second: str) -> float:
    """The denominator of CKA. Raises `DataError` where an embedding has no variance or there are too few jets."""
    product = 1.0
    for sums, name in ((own_first, first), (own_second, second)):
        n = int(sums[-1, -1])
        _check_enough(n)
        own, rounding = hsic(sums), 1e-14 * (sums[-2, -1] / n) ** 2
        if not own > rounding:
            raise DataError(f"CKA is not defined for the embedding '{name}': it is the same for all {n} jets")
        product *= np.sqrt(own)
    return float(product)


def _check_enough(jets: int) -> None:
    if jets < FEWEST_JETS:
        raise DataError(f"CKA needs at least {FEWEST_JETS} jets, and there are {jets}")


def _check_rows(rows: FloatArray, name: str, width: int, first_jet: int) -> None:
    if rows.ndim != 2 or rows.shape[1] != width:
        raise DataError(f"embedding '{name}': expected (jets, {width}), got {rows.shape}")
    broken = np.flatnonzero(~np.isfinite(rows).all(axis=1))
    if len(broken):
        raise DataError(
            f"embedding '{name}': {len(broken)} jets hold NaN or infinity, the first is jet {first_jet + broken[0]}"
        )
