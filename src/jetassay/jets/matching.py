"""The same jets in two simulations of the same events: found by the tracks that they share."""

import numpy as np
from numpy.typing import NDArray

from jetassay.jets.containers import IntArray, Jets

TRACK = ("part_d0val", "part_dzval")
"""Measured impact parameters, mm: equal to the bit where two detectors measure a track alike, and never by chance."""


def match_jets(first: Jets, second: Jets) -> tuple[IntArray, IntArray]:
    """Jets of `first` and of `second` that are the same: rows of each, int64 (M,), rising in the first.

    Two jets are the same where each has more tracks in common with the other than with any other jet, and they share
    more than half of the tracks of the one that has fewer. A jet without tracks is never found. Both need `TRACK`.
    """
    found = [_tracks(each) for each in (first, second)]
    tracks, jets = [each[0] for each in found], [each[1] for each in found]
    _, ours, theirs = np.intersect1d(tracks[0], tracks[1], assume_unique=True, return_indices=True)
    pairs, shared = np.unique(jets[0][ours] * max(len(second), 1) + jets[1][theirs], return_counts=True)
    rows, others = np.divmod(pairs, max(len(second), 1))
    total = [np.bincount(each, minlength=len(side)) for each, side in zip(jets, (first, second), strict=True)]
    mutual = _is_most(shared, of=rows, jets=len(first)) & _is_most(shared, of=others, jets=len(second))
    same = mutual & (2 * shared > np.minimum(total[0][rows], total[1][others]))
    return rows[same], others[same]


def _tracks(jets: Jets) -> tuple[NDArray[np.int64], IntArray]:
    """Each track as the bits of its impact parameters, and its jet; measurements that occur twice are left out."""
    bits = np.stack([jets.constituents[name] for name in TRACK], axis=1)
    measured = (bits != 0).any(axis=1)
    keys = np.ascontiguousarray(bits).view(np.int64)[:, 0]
    jet = np.repeat(np.arange(len(jets), dtype=np.int64), jets.multiplicities)
    found, row, count = np.unique(keys[measured], return_index=True, return_counts=True)
    return found[count == 1], jet[measured][row[count == 1]]


def _is_most(shared: IntArray, *, of: IntArray, jets: int) -> NDArray[np.bool_]:
    """Whether each pair shares more tracks than any other pair of its jet; of two that share equally many, none does.

    of: the jet of each pair
    """
    most = np.zeros(jets, np.int64)
    np.maximum.at(most, of, shared)
    found = shared == most[of]
    alone: NDArray[np.bool_] = found & (np.bincount(of[found], minlength=jets)[of] == 1)
    return alone
