"""Jets sorted by length and cut under a budget of constituents, so that what is padded later is padded little."""

import numpy as np
from numpy.typing import NDArray

from jetassay.features.batch import InputBatch


def sort_by_length(batch: InputBatch) -> tuple[InputBatch, NDArray[np.int64]]:
    """The jets by falling multiplicity, equal ones in their order, and which jet each of them was."""
    order = np.argsort(-batch.multiplicities, kind="stable")
    return batch.take(order), order


def split_sorted(batch: InputBatch, *, token_budget: int) -> list[tuple[int, int]]:
    """Ranges of jets, in order and without a gap, of at most `token_budget` constituents after padding.

    `batch` stands by falling multiplicity, so the first jet of a range is its longest.
    """
    multiplicities = batch.multiplicities
    ranges: list[tuple[int, int]] = []
    first = 0
    while first < len(batch):
        last = min(first + max(1, token_budget // int(multiplicities[first])), len(batch))
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
