"""Jets in batches of similar multiplicity, each jet once an epoch, in an order that follows from a seed."""

from collections.abc import Iterator, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

IntArray: TypeAlias = NDArray[np.int64]

_POOL_STEPS = 16
"""Jets are sorted by multiplicity among those of this many steps: 2 % of padding, and each pool a random sample."""


def by_multiplicity(multiplicities: IntArray, *, size: int) -> list[IntArray]:
    """All jets in batches of at most `size`, from few constituents to many: for inference."""
    order = np.argsort(multiplicities, kind="stable")
    return [order[start : start + size] for start in range(0, len(order), size)]


def epoch_steps(
    multiplicities: IntArray, *, batch: int, micro_batch: int, seed: int, epoch: int
) -> Iterator[Sequence[IntArray]]:
    """The steps of one epoch, each a few micro-batches of jets; every jet comes exactly once.

    The jets of a micro-batch have similar multiplicities, those of a step do not: pools of random jets are sorted,
    cut into micro-batches, and these are shuffled before they make up steps. So a step is a random sample of the
    pool, up to the size of its micro-batches. seed and epoch fix the order.
    """
    random = np.random.default_rng([seed, epoch])
    order = random.permutation(len(multiplicities))
    pool = _POOL_STEPS * batch
    micro: list[IntArray] = []
    for start in range(0, len(order), pool):
        jets = order[start : start + pool]
        jets = jets[np.argsort(multiplicities[jets], kind="stable")]
        pieces = [jets[first : first + micro_batch] for first in range(0, len(jets), micro_batch)]
        micro += [pieces[index] for index in random.permutation(len(pieces))]
    return _in_steps(micro, max(1, batch // micro_batch))


def steps_per_epoch(jets: int, *, batch: int, micro_batch: int) -> int:
    """How many steps `epoch_steps` gives."""
    pools, rest = divmod(jets, _POOL_STEPS * batch)
    micro = pools * -(-_POOL_STEPS * batch // micro_batch) + -(-rest // micro_batch)
    return -(-micro // max(1, batch // micro_batch))


def _in_steps(micro: Sequence[IntArray], count: int) -> Iterator[Sequence[IntArray]]:
    for start in range(0, len(micro), count):
        yield micro[start : start + count]
