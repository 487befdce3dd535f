"""The jets of a report are read from the files again, and are the jets that the tables name."""

import numpy as np
import pytest

from jetassay.showing import runs


@pytest.mark.parametrize(
    ("entries", "ranges"),
    [([], []), ([4], [(4, 5)]), ([0, 3, 14, 15], [(0, 4), (14, 16)]), ([0, 10, 20], [(0, 21)])],
)
def test_runs_hold_every_entry_and_skip_wide_gaps(entries, ranges):
    assert list(runs(np.array(entries, np.int64), gap=10)) == ranges
