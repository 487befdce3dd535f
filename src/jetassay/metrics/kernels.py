"""CKA with a Gaussian kernel by the unbiased minibatch estimator: as many jets as one likes, one batch at a time.

K_ij = exp(-|x_i - x_j|^2 / (2 sigma^2)), sigma a fraction of the median distance between jets of that embedding
(Kornblith et al. 2019, arXiv:1905.00414, section 3). With Nguyen, Raghu and Kornblith 2021 (arXiv:2010.15327, eq. 3),

    CKA = mean_b HSIC(K_b, L_b) / sqrt(mean_b HSIC(K_b, K_b) mean_b HSIC(L_b, L_b)),

the mean over disjoint batches b of n jets, and HSIC the unbiased estimator of Song et al. 2012 (see `cka`), here as
the product of U-centred matrices (Szekely and Rizzo 2014, arXiv:1310.2926, eq. 2.6 and proposition 1), the same number:

    HSIC(K, L) = sum_ij K~_ij L~_ij / (n (n - 3)),
    K~_ij = K_ij - K_i. / (n - 2) - K_.j / (n - 2) + K.. / ((n - 1)(n - 2)) for i != j, and 0 for i = j.

Each of the three means is unbiased for any size of the batches, so that the size changes how much CKA scatters and not
what it tends to; what bias the ratio has falls with the number of all jets. Jets must be in random order: a batch of
one class alone measures the inside of that class.
"""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jetassay.errors import DataError
from jetassay.metrics.cka import FEWEST_JETS, PermutationNull, jackknife_interval
from jetassay.metrics.intervals import Interval

FloatArray = NDArray[np.float64]
Kernel = NDArray[np.float32]

BATCH = 256
"""Jets in a batch, where there are enough for several."""

FEWEST_BATCHES = 8
"""Where there are fewer than so many batches of `BATCH` jets, batches are smaller, for the interval's sake."""

SMALLEST_BATCH = 16
_JETS_OF_MEDIAN = 1000


def median_distance(embedding: NDArray[Any], *, seed: int = 0) -> float:
    """Median Euclidean distance between two jets of an embedding (J, D), over at most 1000 jets drawn with `seed`.

    Raises `DataError` for fewer than two jets, NaN or infinity, or where half of all pairs are at the same place.
    """
    if len(embedding) < 2:
        raise DataError(f"a distance needs two jets, and there are {len(embedding)}")
    rows = np.random.default_rng(seed).permutation(len(embedding))[:_JETS_OF_MEDIAN]
    few = np.asarray(embedding[np.sort(rows)], np.float64)
    if not np.isfinite(few).all():
        raise DataError("the embedding holds NaN or infinity")
    distances = np.sqrt(_squared_distances(few - few.mean(axis=0)))[np.triu_indices(len(few), 1)]
    median = float(np.median(distances))
    if not median > 0:
        raise DataError("half of all pairs of jets have the same embedding, so there is no scale for a kernel")
    return median


def batch_edges(jets: int) -> NDArray[np.int64]:
    """Where batches of about equal size begin and end, int64 (batches + 1,); one batch of all where there are few."""
    batches = max(jets // BATCH, min(FEWEST_BATCHES, jets // SMALLEST_BATCH), 1)
    return np.linspace(0, jets, batches + 1).astype(np.int64)


class KernelSums:
    """Unbiased HSIC of all pairs of embeddings, batch by batch; of each, E by E numbers of E embeddings are kept.

    widths: bandwidth sigma of each embedding's kernel, in the units of the embedding
    """

    def __init__(self, widths: Mapping[str, float]) -> None:
        self.n_jets = 0
        self._widths = dict(widths)
        self._place = {name: place for place, name in enumerate(widths)}
        self._batches: list[FloatArray] = []

    def add(self, batch: Mapping[str, NDArray[Any]]) -> None:
        """One batch of the same jets in every embedding, name -> (j, D), j at least 4. Raises `DataError`."""
        jets = {len(each) for each in batch.values()}
        if batch.keys() != self._widths.keys() or len(jets) > 1:
            found = {name: len(each) for name, each in batch.items()}
            raise DataError(f"expected the same jets in each of {sorted(self._widths)}, got {found}")
        n = jets.pop()
        if n < FEWEST_JETS:
            raise DataError(f"CKA needs at least {FEWEST_JETS} jets a batch, and this one has {n}")
        centred = np.stack([gaussian_kernel(batch[name], sigma, name=name) for name, sigma in self._widths.items()])
        flat = centred.reshape(len(centred), -1)
        self._batches.append((flat @ flat.T).astype(np.float64) / (n * (n - 3)))
        self.n_jets += n

    def cka(self, first: str, second: str) -> float:
        """CKA of two of the embeddings over all batches so far. Raises `DataError` where one does not vary."""
        return float(self._ratio(np.mean(self._of(first, second), axis=0), first, second))

    def interval(self, first: str, second: str, *, level: float) -> Interval | None:
        """Delete-one-batch jackknife with Student's t; None with fewer than two batches."""
        each, n = self._of(first, second), len(self._batches)
        if n < 2:
            return None
        value = self.cka(first, second)
        try:
            without = self._ratio((each.sum(axis=0) - each) / (n - 1), first, second)
        except DataError:
            return None
        return jackknife_interval(value, without, level=level, method="batch-jackknife")

    def _of(self, first: str, second: str) -> FloatArray:
        """HSIC of each batch (batches, 3): of the first with the second, of the first, of the second."""
        if not self._batches:
            raise DataError("CKA of no jets: add batches first")
        a, b = self._place[first], self._place[second]
        return np.array([(one[a, b], one[a, a], one[b, b]) for one in self._batches])

    @staticmethod
    def _ratio(means: FloatArray, first: str, second: str) -> FloatArray:
        cross, own_first, own_second = np.moveaxis(means, -1, 0)
        for name, own in ((first, own_first), (second, own_second)):
            if not np.all(own > 0):
                raise DataError(f"CKA is not defined for the embedding '{name}': it is the same for all jets")
        ratio: FloatArray = cross / np.sqrt(own_first * own_second)
        return ratio


def kernel_sums(embeddings: Mapping[str, NDArray[Any]], *, widths: Mapping[str, float], seed: int = 0) -> KernelSums:
    """All jets of embeddings (J, D) in memory or mapped into it, in random batches.

    widths: sigma of each embedding's kernel, as `bandwidths` gives them; seed: of the order

    Raises `DataError` for fewer than four jets, NaN, or other jets.
    """
    jets = len(next(iter(embeddings.values())))
    if jets < FEWEST_JETS:
        raise DataError(f"CKA needs at least {FEWEST_JETS} jets, and there are {jets}")
    sums = KernelSums(widths)
    order = np.random.default_rng(seed).permutation(jets)
    for start, stop in pairwise(batch_edges(jets)):
        rows = np.sort(order[start:stop])
        sums.add({name: each[rows] for name, each in embeddings.items()})
    return sums


def bandwidths(embeddings: Mapping[str, NDArray[Any]], *, fraction: float, seed: int = 0) -> dict[str, float]:
    """`fraction` of the median distance of each embedding. Raises `DataError` naming the one that has none."""
    if not fraction > 0:
        raise DataError(f"the bandwidth is a positive fraction of the median distance, not {fraction}")
    if len({len(each) for each in embeddings.values()}) > 1:
        raise DataError(
            f"similarity compares embeddings of the same jets: { ({name: len(x) for name, x in embeddings.items()}) }"
        )
    found = {}
    for name, embedding in embeddings.items():
        try:
            found[name] = fraction * median_distance(embedding, seed=seed)
        except DataError as error:
            raise DataError(f"embedding '{name}': {error}") from error
    return found


def kernel_null(
    embeddings: Mapping[str, NDArray[Any]], *, widths: Mapping[str, float], draws: int, seed: int = 0
) -> PermutationNull:
    """CKA of two embeddings with the jets of the second in random order within each batch, `draws` times.

    embeddings: two of them, name -> (J, D); widths, seed: as `kernel_sums`
    """
    order = np.random.default_rng(seed).permutation(len(next(iter(embeddings.values()))))
    stream = np.random.default_rng([seed, 1])
    found, own = np.zeros(1 + draws), np.zeros(2)
    for start, stop in pairwise(batch_edges(len(order))):
        rows = np.sort(order[start:stop])
        k, level = (gaussian_kernel(each[rows], widths[name], name=name) for name, each in embeddings.items())
        scale = 1 / (len(rows) * (len(rows) - 3))
        own += scale * np.array([np.vdot(k, k), np.vdot(level, level)])
        found[0] += scale * np.vdot(k, level)
        for draw in range(draws):
            shuffled = stream.permutation(len(rows))
            found[1 + draw] += scale * np.vdot(k, level[np.ix_(shuffled, shuffled)])
    found /= np.sqrt(own.prod())
    return PermutationNull(float(found[0]), found[1:])


def gaussian_kernel(embedding: NDArray[Any], sigma: float, *, name: str) -> Kernel:
    """The U-centred Gaussian kernel, float32 (j, j), of an embedding (j, D). Raises `DataError` for NaN or infinity."""
    rows = np.asarray(embedding, np.float64)
    finite = np.isfinite(rows).all(axis=1)
    if not finite.all():
        raise DataError(f"embedding '{name}': {np.count_nonzero(~finite)} jets of a batch hold NaN or infinity")
    rows = (rows - rows.mean(axis=0)) / sigma
    kernel = np.exp(-0.5 * _squared_distances(rows.astype(np.float32)))
    np.fill_diagonal(kernel, 0)
    n = len(kernel)
    rows_of = kernel.sum(axis=1, dtype=np.float64)
    kernel -= (rows_of / (n - 2))[:, None].astype(np.float32)
    kernel -= (rows_of / (n - 2) - rows_of.sum() / ((n - 1) * (n - 2))).astype(np.float32)
    np.fill_diagonal(kernel, 0)
    return kernel


def _squared_distances(rows: NDArray[Any]) -> NDArray[Any]:
    """(j, j); rounding never makes one negative."""
    lengths = np.einsum("jd,jd->j", rows, rows)
    squared: NDArray[Any] = lengths[:, None] + lengths - 2 * (rows @ rows.T)
    np.maximum(squared, 0, out=squared)
    return squared
