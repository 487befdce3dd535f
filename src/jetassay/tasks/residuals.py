"""Embeddings without what a few jet columns explain: residuals of a regression on splines of pT, mass, multiplicity."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from jetassay.errors import DataError

FloatArray = NDArray[np.float64]

KNOTS = (0.05, 0.275, 0.5, 0.725, 0.95)
"""Quantiles of a column at which its spline has knots (Harrell, Regression Modeling Strategies, 2nd ed., table 2.3)."""

BASIS = (
    "natural cubic splines of each column with knots at its quantiles "
    f"{', '.join(f'{each:g}' for each in KNOTS)}, and the products of every two columns"
)


def spline_basis(columns: Mapping[str, NDArray[Any]], names: Sequence[str]) -> FloatArray:
    """An orthonormal basis (J, K) of what the columns explain, the constant among it; `BASIS` says what it spans.

    A column with fewer than three different knots enters as it is. Raises `DataError` for a column that is not there,
    NaN or infinity in it, or more directions than half of the jets.
    """
    missing = [name for name in names if name not in columns]
    if missing:
        known = ", ".join(columns) or "none"
        raise DataError(f"the jets have no column {', '.join(missing)}; they have {known}: name others in regress_out")
    parts, lines = [np.ones((len(columns[names[0]]), 1))] if names else [], []
    for name in names:
        column = np.asarray(columns[name], np.float64)
        if not np.isfinite(column).all():
            raise DataError(f"{np.count_nonzero(~np.isfinite(column))} jets have NaN or infinity as {name}")
        spread = column.std()
        line = (column - column.mean()) / spread if spread > 0 else np.zeros_like(column)
        lines.append(line)
        parts += [line[:, None], _curves(line)]
    parts += [(first * second)[:, None] for first, second in combinations(lines, 2)]
    if not parts:
        raise DataError("there is no column to regress out")
    directions, sizes, _ = linalg.svd(np.concatenate(parts, axis=1), full_matrices=False)
    basis: FloatArray = directions[:, sizes > 1e-10 * sizes[0]]
    if 2 * basis.shape[1] > len(basis):
        raise DataError(
            f"regressing out {', '.join(names)} takes {2 * basis.shape[1]} jets, and there are {len(basis)}"
        )
    return basis


def residuals(embedding: NDArray[Any], basis: FloatArray) -> FloatArray:
    """What is left of the embedding (J, D) after least squares on the basis (J, K), float64."""
    rows = np.asarray(embedding, np.float64)
    rows = rows - rows.mean(axis=0)
    left: FloatArray = rows - basis @ (basis.T @ rows)
    return left


def explained(embedding: NDArray[Any], basis: FloatArray) -> float:
    """Share of the embedding's variance (all dimensions together) that the basis explains on the same jets, 0 to 1."""
    rows = np.asarray(embedding, np.float64)
    total = float(np.square(rows - rows.mean(axis=0)).sum())
    if not total > 0:
        raise DataError("the embedding is the same for all jets, so there is nothing to explain")
    return 1 - float(np.square(residuals(embedding, basis)).sum()) / total


def _curves(line: FloatArray) -> FloatArray:
    """The parts of the natural cubic spline beside the straight line, (J, knots - 2); linear beyond the outer knots."""
    knots = np.unique(np.quantile(line, KNOTS))
    if len(knots) < 3:
        return np.empty((len(line), 0))
    *inner, before, last = knots
    beyond = {knot: np.clip(line - knot, 0, None) ** 3 for knot in knots}
    width = last - before
    scale = (last - knots[0]) ** 2
    return np.stack(
        [
            (beyond[k] - beyond[before] * (last - k) / width + beyond[last] * (before - k) / width) / scale
            for k in inner
        ],
        axis=1,
    )
