"""Passes over a table of embeddings, chunk by chunk: every logistic regression of a grid is served by the same pass.

The table stays where it is, in memory or mapped into it from a file; a pass holds a few chunks and sums. The table is
cut into `SEGMENTS` parts whatever the number of cores, and their sums are added in order, so that results have the same
bits on one core as on many.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from jetassay.embeddings.scratch import let_go
from jetassay.embeddings.threads import usable_cores

FloatArray = NDArray[np.float64]
Sums = Mapping[Any, tuple[FloatArray, ...]]

SEGMENTS = 8
CHUNK = 4096  # jets in float64 at once: 4 MiB at 128 columns
_WORTH_THREADS = 1 << 16  # jets of a pass that is shared out to all cores
_FEW = 512  # jets that say where most lie


@dataclass(frozen=True, slots=True)
class Labels:
    """J embedded jets with their labels, which may be more than fit in memory.

    embedding: float32 (J, D), an array or a memory map; labels: int64 (J,)
    """

    embedding: NDArray[np.float32]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    def rows(self, label: int, *, most: int) -> NDArray[np.int64]:
        """At most so many rows of a label, evenly spread over all of them; int64, rising."""
        found = np.flatnonzero(self.labels == label)
        return found[np.linspace(0, len(found) - 1, min(len(found), most)).astype(np.int64)]

    def middle(self) -> FloatArray:
        """The median of some jets, evenly spread over all, float64 (D,): near most of them, however far a few lie."""
        rows = np.linspace(0, len(self) - 1, min(len(self), _FEW)).astype(np.int64)
        some = self.embedding[rows].astype(np.float64)
        finite = some[np.isfinite(some).all(axis=1)]
        return np.asarray(np.median(finite, axis=0)) if len(finite) else np.zeros(some.shape[1])

    def sums(self, work: Callable[[int, FloatArray], tuple[FloatArray, ...]], *, of: frozenset[int]) -> Sums:
        """For each label of `of`, the sums over chunks of what `work` gives for a label and jets of it, float64."""

        def segment(edges: tuple[int, int]) -> Sums:
            found: dict[int, tuple[FloatArray, ...]] = {}
            for start in range(edges[0], edges[1], CHUNK):
                chunk = slice(start, min(start + CHUNK, edges[1]))
                labels = self.labels[chunk]
                here = of.intersection(np.unique(labels).tolist())
                if not here:
                    continue
                rows = self.embedding[chunk]
                for label in sorted(here):
                    own = rows if len(here) == 1 and (labels == label).all() else rows[labels == label]
                    found[label] = _added(found.get(label), work(label, own.astype(np.float64)))
                let_go(rows, labels)
            return found

        edges = np.linspace(0, len(self), SEGMENTS + 1).astype(np.int64).tolist()
        if len(self) < _WORTH_THREADS:
            return reduce(_joined, map(segment, pairwise(edges)))
        with undivided(), ThreadPoolExecutor(usable_cores(), thread_name_prefix="pass") as workers:
            return reduce(_joined, workers.map(segment, pairwise(edges)))


def undivided() -> AbstractContextManager[Any]:
    """Within it products of matrices run on the thread that asks for them, so that their bits depend on no others.

    And threads of BLAS that wait for work between two passes would take the cores from the passes' own.
    """
    limits: AbstractContextManager[Any] = threadpool_limits(limits=1, user_api="blas")
    return limits


def _joined(first: Sums, second: Sums) -> Sums:
    return {**first, **{label: _added(first.get(label), sums) for label, sums in second.items()}}


def _added(total: tuple[FloatArray, ...] | None, more: tuple[FloatArray, ...]) -> tuple[FloatArray, ...]:
    return more if total is None else tuple(one + other for one, other in zip(total, more, strict=True))


@dataclass(frozen=True, slots=True)
class Moments:
    """Of the jets of each label: how many, and sums of x - shift and of its square, float64 (D,).

    shift: float64 (D,), near the embeddings, which keeps the sums exact
    """

    shift: FloatArray
    counts: Mapping[int, int]
    first: Mapping[int, FloatArray]
    second: Mapping[int, FloatArray]

    @classmethod
    def of(cls, table: Labels, labels: frozenset[int]) -> "Moments":
        """One pass. A sum is NaN or infinite where, and only where, a jet of that label is."""
        shift = table.middle()

        def work(_: int, rows: FloatArray) -> tuple[FloatArray, ...]:
            with np.errstate(invalid="ignore"):  # of the thread that it runs on
                rows -= shift
                return rows.sum(axis=0), np.einsum("jd,jd->d", rows, rows)

        sums = table.sums(work, of=labels)
        counts = {label: int(np.count_nonzero(table.labels == label)) for label in labels}
        return cls(shift, counts, *({label: sums[label][k] for label in sums} for k in (0, 1)))

    def together(self, labels: tuple[int, ...]) -> tuple[FloatArray, FloatArray]:
        """Mean and standard deviation, both float64 (D,), of all jets of these labels; NaN where one of them is."""
        jets = sum(self.counts[label] for label in labels)
        first, second = (sum(each[label] for label in labels) / jets for each in (self.first, self.second))
        with np.errstate(invalid="ignore"):
            return self.shift + first, np.sqrt(np.maximum(second - first**2, 0.0))


@dataclass(frozen=True, slots=True)
class Wanted:
    """Points at which logistic losses are wanted: K columns of parameters (D + 1, K), intercept last, for each signal.

    curved: for each signal, the columns whose second derivatives are wanted too
    """

    points: Mapping[int, FloatArray]
    curved: Mapping[int, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Found:
    """Losses (K,), gradients (D + 1, K), and Hessians (D + 1, D + 1) by column, both classes weighing one half."""

    losses: FloatArray
    gradients: FloatArray
    hessians: Mapping[int, FloatArray]


def evaluate(
    table: Labels, wanted: Wanted, *, background: int, shift: FloatArray, slopes: bool = True
) -> Mapping[int, Found]:
    """One pass: the mean loss ln(1 + exp(-s logit)) of each signal against the background, and its derivatives.

    shift:  float64 (D,), taken from every jet first; parameters are of x - shift
    slopes: whether derivatives are wanted; without, they are empty
    """
    places, at = {}, 0
    for signal, points in wanted.points.items():
        places[signal] = slice(at, at := at + points.shape[1])
    everything = np.concatenate(list(wanted.points.values()), axis=1)
    curved = {signal: tuple(wanted.curved.get(signal, ())) for signal in places}
    all_curved = tuple(places[signal].start + k for signal, columns in curved.items() for k in columns)

    def work(label: int, rows: FloatArray) -> tuple[FloatArray, ...]:
        rows -= shift
        if label == background:
            return _losses(rows, everything, sign=-1.0, curved=all_curved, slopes=slopes)
        return _losses(rows, wanted.points[label], sign=1.0, curved=curved[label], slopes=slopes)

    sums = table.sums(work, of=frozenset({*places, background}))
    jets = {label: int(np.count_nonzero(table.labels == label)) for label in sums}
    found = {}
    for signal, place in places.items():
        own, other = ([part / (2 * jets[label]) for part in sums[label]] for label in (signal, background))
        theirs = other[2][[all_curved.index(place.start + k) for k in curved[signal]]]
        hessians = dict(zip(curved[signal], own[2] + theirs, strict=True))
        found[signal] = Found(own[0] + other[0][place], own[1] + other[1][:, place], hessians)
    return found


def _losses(
    rows: FloatArray, points: FloatArray, *, sign: float, curved: tuple[int, ...], slopes: bool
) -> tuple[FloatArray, ...]:
    """Sums over jets (j, D) of the loss (K,), its gradients (D + 1, K) and Hessians (len(curved), D + 1, D + 1)."""
    margins = rows @ points[:-1]
    margins += points[-1]
    margins *= sign
    small = np.exp(-np.abs(margins))  # at most 1, whichever the sign
    losses = (np.log1p(small) - np.minimum(margins, 0.0)).sum(axis=0)
    if not slopes:
        return losses, np.zeros((0, len(losses))), np.zeros((0,))
    wrong = np.where(margins > 0, small, 1.0)
    wrong /= 1 + small
    gradients = -sign * np.concatenate([rows.T @ wrong, wrong.sum(axis=0)[None]])
    hessians = np.empty((len(curved), len(points), len(points)))
    for hessian, k in zip(hessians, curved, strict=True):
        roots = np.sqrt(wrong[:, k] * (1 - wrong[:, k]))
        weighted = np.column_stack([rows, np.ones(len(rows))]) * roots[:, None]
        np.matmul(weighted.T, weighted, out=hessian)
    return losses, gradients, hessians
