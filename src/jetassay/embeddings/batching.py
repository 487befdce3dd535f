"""How the jets of a unit are cut into batches: by length, under a budget, and by nothing else."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jetassay.errors import ConfigError
from jetassay.features.batch import InputBatch


@dataclass(frozen=True, slots=True, kw_only=True)
class Batching:
    """Sizes that can change the last bits of an embedding, and so belong to its key.

    entries_per_unit: entries of one file that become one shard
    entries_per_pool: entries that are read, held in memory and sorted by multiplicity together
    token_budget:     at most so many constituents in a batch, with every jet counted as its longest; a jet that is
                      longer than the budget is a batch of its own
    """

    entries_per_unit: int = 25_000
    entries_per_pool: int = 5_000
    token_budget: int = 3_072

    def __post_init__(self) -> None:
        for name in ("entries_per_unit", "entries_per_pool", "token_budget"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, not {getattr(self, name)}")


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
