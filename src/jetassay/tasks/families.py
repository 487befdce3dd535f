"""Every family of similarity between embeddings of one set of jets: values, intervals, and what chance gives."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jetassay.errors import DataError
from jetassay.metrics.cka import CHUNK, CrossSums, PermutationNull, permutation_null
from jetassay.metrics.intervals import Interval
from jetassay.metrics.kernels import kernel_null, kernel_sums, median_distance
from jetassay.metrics.maps import DIRECTED, FITS, Halves, ShuffledHalves
from jetassay.metrics.neighbours import nearest_jets, overlap, overlap_null
from jetassay.tasks.score import LEVEL

FAMILIES = ("linear_cka", "rbf_cka", *FITS, "mutual_knn")

BANDWIDTH = 0.5
"""Of the Gaussian kernel, in units of the median distance of each embedding."""

MOST_NEIGHBOURS_JETS = 2000
"""Nearest neighbours are sought among a random subset of so many jets, for the overlap depends on their number."""

MOST_NULL_JETS = 1000
"""The permutation nulls, and the values that their p-values are about, take a random subset of so many jets."""

FEWEST_JETS = 64
"""Fewer make halves that no map can be found on."""

BLOCKS = 10

Embeddings = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Likeness:
    """One measure of one pair on `jets` jets; of `second` by `first` where the measure has a direction."""

    metric: str
    first: str
    second: str
    value: float
    interval: Interval | None
    jets: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Null:
    """One measure of one pair with the jets of one embedding shuffled."""

    metric: str
    first: str
    second: str
    null: PermutationNull
    jets: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Shuffles:
    """How many shuffles make a null, of which seed; bandwidth: as `BANDWIDTH`."""

    draws: int
    bandwidth: float = BANDWIDTH
    seed: int = 0


def likenesses(
    embeddings: Embeddings, *, bandwidth: float = BANDWIDTH, seed: int = 0
) -> tuple[list[Likeness], dict[str, str]]:
    """All families of all pairs of embeddings (J, D) of the same jets; and embeddings without a kernel, and why.

    The embeddings are finite and none is constant. bandwidth: as `BANDWIDTH`; seed: of blocks, batches and subsets.
    """
    jets = len(next(iter(embeddings.values())))
    sums = CrossSums({name: each.shape[1] for name, each in embeddings.items()}, blocks=BLOCKS, seed=seed)
    for start in range(0, jets, CHUNK):
        sums.add({name: each[start : start + CHUNK] for name, each in embeddings.items()})
    halves = Halves(sums)
    widths, problems = _widths(embeddings, bandwidth, seed)
    with_kernel = {name: embeddings[name] for name in widths}
    kernels = kernel_sums(with_kernel, widths=widths, seed=seed) if len(widths) > 1 else None
    rows = subset(jets, MOST_NEIGHBOURS_JETS, seed)
    near = {name: nearest_jets(each[rows]) for name, each in embeddings.items()}
    found = []
    for metric, first, second in pairs(embeddings):
        count, value, interval = jets, 0.0, None
        if metric == "linear_cka":
            value, interval = sums.cka(first, second), sums.interval(first, second, level=LEVEL)
        elif metric == "rbf_cka":
            if kernels is None or not {first, second} <= widths.keys():
                continue
            value, interval = kernels.cka(first, second), kernels.interval(first, second, level=LEVEL)
        elif metric == "mutual_knn":
            both, count = overlap(near[first], near[second]), len(rows)
            value, interval = both.value, both.interval(level=LEVEL)
        else:
            value, interval = halves.measure_with_interval(metric, first, second, level=LEVEL)
        found.append(Likeness(metric=metric, first=first, second=second, value=value, interval=interval, jets=count))
    return found, problems


def nulls(embeddings: Embeddings, shuffles: Shuffles) -> Iterator[Null]:
    """The permutation null of every family and pair, on at most `MOST_NULL_JETS` jets."""
    rows = subset(len(next(iter(embeddings.values()))), MOST_NULL_JETS, shuffles.seed)
    few = {name: each[rows] for name, each in embeddings.items()}
    shuffled = ShuffledHalves(few, seed=shuffles.seed)
    near = {name: nearest_jets(each) for name, each in few.items()}
    widths, _ = _widths(few, shuffles.bandwidth, shuffles.seed)
    for first, second in combinations(few, 2):
        found = {
            (metric, first, second) if not back else (metric, second, first): null
            for (metric, back), null in shuffled.null(first, second, draws=shuffles.draws).items()
        }
        pair, options = {name: few[name] for name in (first, second)}, {"draws": shuffles.draws, "seed": shuffles.seed}
        found["linear_cka", first, second] = permutation_null(few[first], few[second], **options)
        found["mutual_knn", first, second] = overlap_null(near[first], near[second], **options)
        if pair.keys() <= widths.keys():
            found["rbf_cka", first, second] = kernel_null(pair, widths=widths, **options)
        for (metric, a, b), null in found.items():
            yield Null(metric=metric, first=a, second=b, null=null, jets=len(rows))


def pairs(names: Iterable[str]) -> Iterator[tuple[str, str, str]]:
    """(family, first, second) of every pair, both ways round where the family has a direction."""
    for first, second in combinations(names, 2):
        for metric in FAMILIES:
            yield metric, first, second
            if metric in DIRECTED:
                yield metric, second, first


def subset(jets: int, most: int, seed: int) -> NDArray[np.int64]:
    """Rows of at most `most` jets, drawn at random and in order."""
    if jets <= most:
        return np.arange(jets)
    return np.sort(np.random.default_rng(seed).choice(jets, most, replace=False))


def _widths(embeddings: Embeddings, bandwidth: float, seed: int) -> tuple[dict[str, float], dict[str, str]]:
    """Kernel widths of the embeddings that have a scale, and why others have none."""
    widths, problems = {}, {}
    for name, each in embeddings.items():
        try:
            widths[name] = bandwidth * median_distance(each, seed=seed)
        except DataError as error:
            problems[name] = f"no Gaussian kernel of '{name}': {error}"
    return widths, problems
