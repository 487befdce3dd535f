"""Embeddings brought to mean 0 and standard deviation 1 per dimension, by the training jets."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from jetassay.embeddings.scratch import chunks, collect

FloatArray = NDArray[np.float64]

_ROUNDING = 4 * float(np.finfo(np.float32).eps)
_CHUNK = 8192  # jets held in float64 at once
_IN_CACHE = 512  # where no sum over jets depends on how they are cut


@dataclass(frozen=True, slots=True)
class Standardisation:
    """Mean and scale of each dimension, both float64 (D,).

    scale is the standard deviation, or infinity for a dimension that varies by no more than float32 rounding (4 units
    of its mean), which thus becomes 0 for every jet.
    """

    mean: FloatArray
    scale: FloatArray

    @classmethod
    def of(cls, embedding: NDArray[np.float32]) -> Self:
        """Measured on the embedding (J, D), J >= 1, in float64."""
        mean = sum((rows.sum(axis=0) for _, rows in _chunks(embedding)), np.zeros(embedding.shape[1]))
        mean /= len(embedding)
        squares = sum((((rows - mean) ** 2).sum(axis=0) for _, rows in _chunks(embedding)), np.zeros_like(mean))
        return cls.by(mean, np.sqrt(squares / len(embedding)))

    @classmethod
    def by(cls, mean: FloatArray, spread: FloatArray) -> Self:
        """From the mean and the standard deviation of each dimension, both float64 (D,)."""
        return cls(mean, np.where(spread > _ROUNDING * np.abs(mean), spread, np.inf))

    @property
    def all_constant(self) -> bool:
        """No dimension varies."""
        return bool(np.isinf(self.scale).all())

    def apply(self, embedding: NDArray[np.float32]) -> NDArray[np.float32]:
        """The embedding (J, D), standardised in float64 and kept in float32."""
        features = np.empty_like(embedding)
        for chunk, rows in _chunks(embedding, _IN_CACHE):
            np.subtract(rows, self.mean, out=rows)
            np.divide(rows, self.scale, out=features[chunk], casting="same_kind")
        return features

    def stored(self, embedding: NDArray[np.float32]) -> NDArray[np.float32]:
        """What `apply` gives, in a file of no name where that is large."""
        parts = (self.apply(rows) for _, rows in chunks(embedding, _CHUNK))
        return collect(parts, rows=len(embedding))

    def project(self, embedding: NDArray[np.float32], *, on: FloatArray) -> FloatArray:
        """The standardised embedding (J, D) times `on`, (D,) or (D, K), in float64."""
        projected = np.empty((len(embedding), *on.shape[1:]))
        for chunk, rows in _chunks(embedding):
            projected[chunk] = ((rows - self.mean) / self.scale) @ on
        return projected


def _chunks(embedding: NDArray[np.float32], jets: int = _CHUNK) -> Iterator[tuple[slice, FloatArray]]:
    for chunk, rows in chunks(embedding, jets):
        yield chunk, rows.astype(np.float64)
