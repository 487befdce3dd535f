"""Random numbers that belong to constituents: functions of seed, file, entry and place in the jet, of nothing else.

A counter-based generator has no state to carry along, so neither the order of jets nor how they are cut into batches
can change a number, and all of them are made at once.
"""

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jetassay.jets.containers import IntArray

_MULTIPLIERS = np.array([0xD2511F53, 0xCD9E8D57], np.uint64)
_WEYL = np.array([0x9E3779B9, 0xBB67AE85], np.uint64)
_ROUNDS = 10
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)


def philox(counters: NDArray[Any], key: NDArray[Any]) -> NDArray[np.uint64]:
    """Philox4x32-10 of Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (SC'11), section 3.3.

    counters: uint64 (4, N), each below 2^32; key: uint64 (2,), each below 2^32. Gives uint64 (4, N) below 2^32.
    """
    first, second, third, fourth = counters
    key = key.copy()
    for _ in range(_ROUNDS):
        left, right = first * _MULTIPLIERS[0], third * _MULTIPLIERS[1]
        first, second = (right >> _HALF) ^ second ^ key[0], right & _LOW
        third, fourth = (left >> _HALF) ^ fourth ^ key[1], left & _LOW
        key = (key + _WEYL) & _LOW
    return np.stack([first, second, third, fourth])


def uniform_of_constituents(*, purpose: str, entries: IntArray, offsets: IntArray) -> NDArray[np.float64]:
    """One number of (0, 1) for each constituent, float64 (N,), in steps of 2^-52; 0 and 1 are never drawn.

    purpose: what makes these numbers others than those of another file, another seed or another use
    entries: int64 (J,), entry number of each jet in its file; offsets: int64 (J + 1,), as in `Jets`
    """
    key = np.frombuffer(hashlib.sha256(purpose.encode()).digest()[:8], "<u4").astype(np.uint64)
    lengths = np.diff(offsets)
    place = (np.arange(offsets[-1], dtype=np.int64) - np.repeat(offsets[:-1], lengths)).astype(np.uint64)
    entry = np.repeat(entries.astype(np.uint64), lengths)
    words = philox(np.stack([place, entry & _LOW, entry >> _HALF, np.zeros_like(place)]), key)
    bits = (words[0] >> np.uint64(6)) << np.uint64(26) | words[1] >> np.uint64(6)
    return np.asarray((bits.astype(np.float64) + 0.5) * 2.0**-52)
