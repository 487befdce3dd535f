"""Jets sorted by length and cut under a budget of constituents, so that what is padded later is padded little."""

import numpy as np
from numpy.typing import NDArray

from jetassay.features.batch import InputBatch


def batches_of(batch: InputBatch, *, token_budget: int) -> list[NDArray[np.int64]]:
    """Which jets go together, longest first: every jet once, by falling multiplicity, in the ranges of `split_sorted`.

    Batches that take long come first, so that the last ones, on whichever thread, end nearly together.
    """
    order = np.argsort(-batch.multiplicities, kind="stable")
    return [order[first:last] for first, last in _ranges(batch.multiplicities[order], token_budget)]


def sort_by_length(batch: InputBatch) -> tuple[InputBatch, NDArray[np.int64]]:
    """The jets by falling multiplicity, equal ones in their order, and which jet each of them was."""
    order = np.argsort(-batch.multiplicities, kind="stable")
    return batch.take(order), order


def split_sorted(batch: InputBatch, *, token_budget: int) -> list[tuple[int, int]]:
    """Ranges of jets, in order and without a gap, of at most `token_budget` constituents after padding.

    `batch` stands by falling multiplicity, so the first jet of a range is its longest.
    """
    return _ranges(batch.multiplicities, token_budget)


def _ranges(multiplicities: NDArray[np.int64], token_budget: int) -> list[tuple[int, int]]:
    ranges: list[tuple[int, int]] = []
    first, jets = 0, len(multiplicities)
    while first < jets:
        last = min(first + max(1, token_budget // int(multiplicities[first])), jets)
        ranges.append((first, last))
        first = last
    return ranges


def between(batch: InputBatch, first: int, last: int) -> InputBatch:
    """Jets first:last, as views."""
    low, high = batch.offsets[first], batch.offsets[last]
    return InputBatch(
        batch.features[low:high],
        batch.p4[low:high],
        batch.offsets[first : last + 1] - low,
        batch.jet_features[first:last],
    )
