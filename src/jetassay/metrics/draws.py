"""Resamples of jets with replacement, as how often each jet is drawn, in blocks that fit in memory."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray


def multiplicities(stream: np.random.Generator, *, jets: int, draws: int) -> NDArray[np.int64]:
    """How often each of `jets` jets is in each of `draws` resamples of the same size; int64 (draws, jets)."""
    drawn = stream.integers(jets, size=(draws, jets)) + jets * np.arange(draws)[:, None]
    return np.bincount(drawn.ravel(), minlength=draws * jets).reshape(draws, jets)


def blocks(draws: int, *, jets: int, most: int) -> Iterator[int]:
    """Numbers of draws that sum to `draws`, each times `jets` at most `most`, or 1."""
    per_block = max(1, most // jets)
    for start in range(0, draws, per_block):
        yield min(per_block, draws - start)
