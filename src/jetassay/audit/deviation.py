"""How far two embeddings of the same jets are apart: beside the largest value, and as a probe sees them."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jetassay.tasks.standardisation import Standardisation

Embedding = NDArray[np.float32]

TOLERANCE = 1e-4
"""Of the largest value: how far the same jets may differ in other batches, in float32."""
SHIFT = 0.1
"""Of a dimension's standard deviation: how far it may move, as the root of a mean square over jets. Probes bring every
dimension to standard deviation 1, so what is rounding beside the largest value may be all that a dimension tells."""
_ROUNDING = 16 * float(np.finfo(np.float32).eps)  # of a dimension's own largest value; less is no shift


@dataclass(frozen=True, slots=True, kw_only=True)
class Deviation:
    """How far two (J, D) are apart; both infinite where one is finite and the other is not.

    relative: largest difference, over the largest value of all
    shift:    of the dimension that moved most, in its standard deviations; 0 for float32 rounding
    """

    relative: float
    shift: float

    @property
    def is_rounding(self) -> bool:
        """Within both tolerances."""
        return self.relative <= TOLERANCE and self.shift <= SHIFT

    @property
    def weight(self) -> float:
        """Of the two the larger, each in units of its tolerance."""
        return max(self.relative / TOLERANCE, self.shift / SHIFT)

    @property
    def numbers(self) -> Mapping[str, float]:
        """For the table of numbers."""
        return {"deviation": self.relative, "shift": self.shift}

    def __str__(self) -> str:
        """In words: `3e-07 apart`."""
        if self.relative <= TOLERANCE and self.shift > SHIFT:
            return f"{self.shift:.1f} sd of a dimension apart"
        return f"{self.relative:.0e} apart" if self.relative else "equal"


def same_bits(one: Embedding, other: Embedding) -> NDArray[np.bool_]:
    """Which rows are equal to the bit, bool (J,); none where shapes differ. NaN equals the same NaN."""
    if one.shape != other.shape:
        return np.zeros(len(other), np.bool_)
    same: NDArray[np.bool_] = (
        np.ascontiguousarray(one).view(np.int32) == np.ascontiguousarray(other).view(np.int32)
    ).all(axis=1)
    return same


def deviation(one: Embedding, other: Embedding, *, beside: Embedding | None = None) -> Deviation:
    """How far `other` is from `one`, (J, D) both. What is not finite in both alike is left out: `finite` tells of that.

    beside: (K, D), more jets, from which the standard deviations of dimensions are taken too
    """
    infinite = Deviation(relative=float("inf"), shift=float("inf"))
    if one.shape != other.shape or not np.array_equal(np.isfinite(one), np.isfinite(other)):
        return infinite
    parts = [one, other] if beside is None else [one, other, beside]
    ours, theirs, everything = (np.where(np.isfinite(each), each, 0) for each in (one, other, np.concatenate(parts)))
    if not ours.size:
        return Deviation(relative=0.0, shift=0.0)
    apart = np.abs(ours.astype(np.float64) - theirs)
    scale = float(np.abs(ours).max())
    if scale == 0 and apart.any():
        return infinite
    moved = np.sqrt((apart**2).mean(axis=0))
    seen = np.where(moved > _ROUNDING * np.abs(everything).max(axis=0), moved, 0.0)
    return Deviation(
        relative=float(apart.max()) / scale if scale else 0.0,
        shift=float((seen / Standardisation.of(everything).scale).max()),
    )
