"""Many small fits of `logistic` at once: problems of equal size, every operation on all of them together.

The objective, the convergence and the minima are those of `jetassay.tasks.logistic`. Fits of a few hundred jets spend
their time between operations and not in them; ten draws together cost about as much as one or two alone. Where there
are fewer jets than dimensions, the minimum lies in the space that the jets span, and Newton's method stays in it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from jetassay.errors import ConvergenceError
from jetassay.tasks.logistic import GRADIENT_NORM

FloatArray = NDArray[np.float64]

_MOST_STEPS = 50
_LEAST_SLOPE_SHARE = 1e-4
_SHORTEST_STEP = 2.0**-30
_ROUNDING = 1e-14


@dataclass(frozen=True, slots=True)
class _Batch:
    """B problems: rows (B, J, D + 1) with a column of ones last, sign (B, J) of each jet, weights (B, J)."""

    rows: FloatArray
    sign: FloatArray
    weights: FloatArray

    def take(self, which: NDArray[np.int64]) -> "_Batch":
        return _Batch(self.rows[which], self.sign[which], self.weights[which])

    def objective(self, parameters: FloatArray, ridge: FloatArray) -> FloatArray:
        """(B,) at parameters (B, D + 1)."""
        margins = self.sign * (self.rows @ parameters[:, :, None])[:, :, 0]
        losses = (self.weights * np.logaddexp(0, -margins)).sum(axis=1)
        total: FloatArray = losses + (ridge * parameters**2).sum(axis=1) / 2
        return total

    def gradient(self, parameters: FloatArray, ridge: FloatArray) -> tuple[FloatArray, FloatArray]:
        """The gradient (B, D + 1), and the weight of each jet (B, J) in the Hessian."""
        margins = self.sign * (self.rows @ parameters[:, :, None])[:, :, 0]
        wrong = special.expit(-margins)
        slope = -self.weights * self.sign * wrong
        gradient = (slope[:, None, :] @ self.rows)[:, 0, :] + ridge * parameters
        return gradient, self.weights * wrong * special.expit(margins)


def fit_paths(
    features: FloatArray, is_signal: NDArray[np.bool_], *, penalties: Sequence[float]
) -> tuple[FloatArray, FloatArray]:
    """The minima of B problems at P penalties: coefficients float64 (B, P, D) and intercepts (B, P).

    features:  float64 (B, J, D), standardised, finite; is_signal: bool (B, J), both sides present in each problem
    penalties: falling, each above 0

    Raises `ConvergenceError` where a fit does not reach `GRADIENT_NORM`.
    """
    problems, jets, width = features.shape
    basis = None
    if jets < width:
        basis, triangle = np.linalg.qr(features.transpose(0, 2, 1))  # (B, D, J) and (B, J, J)
        features = triangle.transpose(0, 2, 1)
    signal = is_signal.sum(axis=1, keepdims=True)
    weights = np.where(is_signal, 0.5 / signal, 0.5 / (jets - signal))
    rows = np.concatenate([features, np.ones((problems, jets, 1))], axis=2)
    batch = _Batch(rows, np.where(is_signal, 1.0, -1.0), weights)
    parameters = np.zeros((problems, rows.shape[2]))
    path = []
    for penalty in penalties:
        parameters = _minimise(batch, parameters, penalty)
        path.append(parameters)
    found = np.stack(path, axis=1)
    coefficients = found[:, :, :-1]
    return coefficients if basis is None else coefficients @ basis.transpose(0, 2, 1), found[:, :, -1]


def _minimise(batch: _Batch, parameters: FloatArray, penalty: float) -> FloatArray:
    """Newton's method from `parameters` (B, D + 1); problems that have converged take no part in further steps."""
    ridge = np.append(np.full(parameters.shape[1] - 1, penalty), 0.0)
    parameters = parameters.copy()
    left, todo = np.arange(len(parameters)), batch
    for _ in range(_MOST_STEPS + 1):
        gradient, curvature = todo.gradient(parameters[left], ridge)
        norms = np.abs(gradient).max(axis=1)
        open_ = np.flatnonzero(norms > GRADIENT_NORM)
        if not len(open_):
            return parameters
        if len(open_) < len(left):
            left, todo = left[open_], todo.take(open_)
            gradient, curvature, norms = gradient[open_], curvature[open_], norms[open_]
        root = todo.rows * np.sqrt(curvature)[:, :, None]
        hessian = root.transpose(0, 2, 1) @ root
        hessian[:, np.arange(len(ridge)), np.arange(len(ridge))] += ridge
        try:
            direction = np.linalg.solve(hessian, gradient[:, :, None])[:, :, 0].astype(np.float64, copy=False)
        except np.linalg.LinAlgError as error:
            raise _not_converged(penalty, norms, "a Hessian is singular in float64") from error
        parameters[left] = _step(todo, parameters[left], ridge, gradient=gradient, direction=direction)
    raise _not_converged(penalty, norms, f"{_MOST_STEPS} Newton steps were not enough")


def _step(
    batch: _Batch, parameters: FloatArray, ridge: FloatArray, *, gradient: FloatArray, direction: FloatArray
) -> FloatArray:
    """Full Newton steps, each halved until its objective falls enough."""
    before = batch.objective(parameters, ridge)
    slope = (gradient * direction).sum(axis=1)
    length = np.ones(len(parameters))
    while True:
        following = parameters - length[:, None] * direction
        allowed = -_LEAST_SLOPE_SHARE * length * slope + _ROUNDING * before
        too_high = batch.objective(following, ridge) > before + allowed
        if not too_high.any():
            return following
        length[too_high] /= 2
        if length.min() < _SHORTEST_STEP:
            norms = np.abs(gradient[too_high]).max(axis=1)
            raise _not_converged(ridge[0], norms, "no step along Newton's direction lowers the objective")


def _not_converged(penalty: float, norms: FloatArray, reason: str) -> ConvergenceError:
    return ConvergenceError(
        f"logistic regression with penalty {penalty:g}, {len(norms)} fits at once: {reason}; the largest gradient "
        f"is {norms.max():.1e}, above {GRADIENT_NORM:g}. Look for embedding values many orders of magnitude apart."
    )
