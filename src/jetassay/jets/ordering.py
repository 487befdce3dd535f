"""Constituents by falling pT, and the hardest of them kept."""

import numpy as np
from numpy.typing import NDArray

from jetassay.jets.containers import FloatArray, IntArray

_TIE = 1e-5
"""Relative rise in pT that still counts as sorted: files hold px and py rounded to float32."""


def by_falling_pt(px: FloatArray, py: FloatArray, offsets: IntArray) -> IntArray | None:
    """Rows (N,) that put the constituents of each jet by falling pT; None where all jets are sorted already.

    A jet that is sorted keeps its order, one that is not is sorted stably; neither depends on the other jets.
    """
    pt: NDArray[np.float32] = np.hypot(px, py)
    rises = pt[1:] > pt[:-1] * np.float32(1 + _TIE)
    rises[offsets[1:-1] - 1] = False  # from the last constituent of a jet to the first of the next
    if not rises.any():
        return None
    jet_of_row = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    unsorted = np.zeros(len(offsets) - 1, dtype=np.bool_)
    unsorted[jet_of_row[:-1][rises]] = True
    moved = np.flatnonzero(unsorted[jet_of_row])
    rows = np.arange(len(pt), dtype=np.int64)
    rows[moved] = moved[np.lexsort((-pt[moved], jet_of_row[moved]))]
    return rows


def hardest(offsets: IntArray, most: int) -> tuple[IntArray, IntArray] | None:
    """Rows and new offsets that keep the first `most` constituents of each jet; None if no jet has more."""
    counts = np.diff(offsets)
    if counts.max(initial=0) <= most:
        return None
    position = np.arange(offsets[-1], dtype=np.int64) - np.repeat(offsets[:-1], counts)
    kept = np.minimum(counts, most)
    return np.flatnonzero(position < most), np.concatenate([np.zeros(1, np.int64), np.cumsum(kept, dtype=np.int64)])
