"""How far two embeddings of the same jets are apart."""

import numpy as np
from numpy.typing import NDArray

Embedding = NDArray[np.float32]


def same_bits(one: Embedding, other: Embedding) -> NDArray[np.bool_]:
    """Which rows are equal to the bit, bool (J,); none where shapes differ. NaN equals the same NaN."""
    if one.shape != other.shape:
        return np.zeros(len(other), np.bool_)
    same: NDArray[np.bool_] = (
        np.ascontiguousarray(one).view(np.int32) == np.ascontiguousarray(other).view(np.int32)
    ).all(axis=1)
    return same


def deviation(one: Embedding, other: Embedding) -> float:
    """Largest difference of two (J, D), relative to the largest value of `one`; infinite where one is not finite."""
    if one.shape != other.shape or not (np.isfinite(one).all() and np.isfinite(other).all()):
        return float("inf")
    scale = float(np.abs(one).max(initial=0.0))
    largest = float(np.abs(one.astype(np.float64) - other).max(initial=0.0))
    return largest / scale if scale else (0.0 if largest == 0 else float("inf"))


def told(apart: float) -> str:
    """A deviation in words: `3e-07 apart`."""
    return f"{apart:.0e} apart" if apart else "equal"
