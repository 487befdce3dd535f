"""The cheapest linear probe: least squares on labels -1 and +1, for many label vectors of the same jets at once.

Its direction is that of Fisher's discriminant with a little shrinkage. All label vectors share one matrix of D by D
sums and its Cholesky factor, so that fifty probes cost little more than one: 2,000 jets by 128 take a few hundredths of
a second. The probe of the suite (`tasks.probe`) is a logistic regression with a chosen penalty; this one stands in for
it where hundreds are needed, and wherever it does the definition says so.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, stats

from jetassay.errors import DataError
from jetassay.tasks.standardisation import Standardisation

FloatArray = NDArray[np.float64]

PENALTY = 0.01
"""Of the squared coefficients on standardised dimensions, beside the mean squared error."""


def least_squares_scores(train: NDArray[np.float32], targets: NDArray[Any], test: NDArray[np.float32]) -> FloatArray:
    """Scores of the test jets by one probe for each column of `targets`, float64 (T, P).

    train, test: float32 (J, D) and (T, D), finite; standardised here by the training jets
    targets:     (J, P), larger for signal; each column is centred, so that no intercept is needed

    Minimises |X w - t|^2 / J + PENALTY |w|^2 for each column. Raises `DataError` where the embedding does not vary.
    """
    standardisation = Standardisation.of(train)
    if standardisation.all_constant:
        raise DataError(f"the embedding is the same for all {len(train)} training jets")
    features = standardisation.apply(train)
    gram = (features.T @ features).astype(np.float64) / len(features)
    gram[np.diag_indices_from(gram)] += PENALTY
    centred = (targets - targets.mean(axis=0)).astype(np.float32)
    slopes = (features.T @ centred).astype(np.float64) / len(features)
    return standardisation.project(test, on=linalg.cho_solve(linalg.cho_factor(gram), slopes))


def column_aucs(scores: FloatArray, is_signal: NDArray[np.bool_]) -> FloatArray:
    """AUC of each column of scores (T, P), ties counting one half; float64 (P,).

    is_signal: bool (T,), or (T, P) with a labelling for each column; both classes in each
    """
    labelled = is_signal if is_signal.ndim == 2 else is_signal[:, None]
    ranks = stats.rankdata(scores, axis=0)
    signal = labelled.sum(axis=0)
    rank_sums = (ranks * labelled).sum(axis=0)
    return np.asarray((rank_sums - signal * (signal + 1) / 2) / (signal * (len(scores) - signal)), np.float64)
