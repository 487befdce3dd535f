"""Ridge regression of several targets at once, for many penalties, from sums over jets.

Minimised over coefficients w (D,) of each target, with an intercept that is not penalised:

    mean_i (y_i - b - x_i . w)^2 + penalty |w|^2

for standardised x, so w = (C_xx + penalty 1)^-1 C_xy with covariances C; scikit-learn's `Ridge(alpha=n penalty)` has
the same minimum. The covariances are one pass over the jets, chunk by chunk, in float64, and one eigendecomposition of
C_xx serves every penalty and every target.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jetassay.errors import DataError
from jetassay.tasks.standardisation import Standardisation

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_CHUNK = 4096  # jets in float64 at once


@dataclass(frozen=True, slots=True)
class Ridge:
    """Fits of T targets at P penalties.

    standardisation: of the training jets
    coefficients:    float64 (P, D, T), on standardised dimensions
    intercepts:      float64 (T,), the same at every penalty: the targets' means
    """

    standardisation: Standardisation
    coefficients: FloatArray
    intercepts: FloatArray

    def squared_errors(self, embedding: NDArray[np.float32], targets: NDArray[Any]) -> FloatArray:
        """Mean squared errors, float64 (P, T), on embeddings (J, D) with targets (J, T)."""
        penalties, width, count = self.coefficients.shape
        grid = self.coefficients.transpose(1, 0, 2).reshape(width, penalties * count)
        total = np.zeros((penalties, count))
        for start in range(0, len(embedding), _CHUNK):
            chunk = slice(start, start + _CHUNK)
            projected = self.standardisation.project(embedding[chunk], on=grid).reshape(-1, penalties, count)
            total += ((projected + self.intercepts - targets[chunk, None]) ** 2).sum(axis=0)
        return total / len(embedding)

    def predict(self, embedding: NDArray[np.float32], *, at: IntArray) -> FloatArray:
        """Predictions, float64 (J, T), of embeddings (J, D); at: which penalty for each target, int64 (T,)."""
        chosen = self.coefficients[at, :, np.arange(len(at))].T
        return self.standardisation.project(embedding, on=chosen) + self.intercepts


def fit_ridge(embedding: NDArray[np.float32], targets: NDArray[Any], *, penalties: tuple[float, ...]) -> Ridge:
    """Fit every target at every penalty.

    embedding: float32 (J, D), finite; targets: (J, T), finite; penalties: each above 0

    Raises `DataError` where the embedding is the same for all jets.
    """
    standardisation = Standardisation.of(embedding)
    if standardisation.all_constant:
        raise DataError(f"ridge probe: the embedding is the same for all {len(embedding)} training jets")
    width, means = embedding.shape[1], targets.mean(axis=0, dtype=np.float64)
    squares, products = np.zeros((width, width)), np.zeros((width, targets.shape[1]))
    for start in range(0, len(embedding), _CHUNK):
        chunk = slice(start, start + _CHUNK)
        x = (embedding[chunk].astype(np.float64) - standardisation.mean) / standardisation.scale
        squares += x.T @ x
        products += x.T @ (targets[chunk] - means)
    values, vectors = np.linalg.eigh(squares / len(embedding))
    rotated = vectors.T @ (products / len(embedding))
    shrunk = np.stack([rotated / (np.maximum(values, 0.0) + penalty)[:, None] for penalty in penalties])
    return Ridge(standardisation, vectors @ shrunk, means)
