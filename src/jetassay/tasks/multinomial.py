"""Multinomial logistic regression with an L2 penalty, by Newton's method along a grid of penalties.

Minimised over coefficients W (D, K) and intercepts b (K,), which are not penalised:

    1/J sum_i [ ln sum_c exp(x_i . W_c + b_c) - (x_i . W_y(i) + b_y(i)) ] + penalty / 2 |W|^2

scikit-learn's `LogisticRegression(C=1 / (J penalty))` on more than two classes has the same minimum. Newton's equations
of K (D + 1) unknowns are solved by conjugate gradients, preconditioned with the exact Hessian at the minimum of the
penalty before: 2 to 10 products with the Hessian give a Newton step, however badly conditioned the features are. On
10,000 jets by 128 of ten classes the grid of eight penalties, each to a gradient of 1e-8, takes a third of the time of
Newton's method with a Hessian at each step, and less than L-BFGS in whitened coordinates to 1e-6.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from jetassay.embeddings.scratch import chunks, collect, let_go
from jetassay.errors import ConvergenceError

FloatArray = NDArray[np.float64]

GRADIENT_NORM = 1e-8
"""A fit has converged when no component of the gradient (standardised features) is larger."""

_MOST_STEPS = 50
_MOST_PRODUCTS = 500  # of one Newton step
_MOST_HESSIAN_JETS = 8192  # of the preconditioner, evenly spread; six for each unknown at D = 128
_BLOCK = 1 << 14  # jets in float64 at once: 17 MB at D = 128
_LEAST_SLOPE_SHARE = 1e-4  # Armijo's condition, the usual value
_SHORTEST_STEP = 2.0**-30
_ROUNDING = 1e-14  # relative rise of the objective that is rounding noise


@dataclass(frozen=True, slots=True, kw_only=True)
class MultinomialFit:
    """The minimum at one penalty.

    coefficients: float64 (D, K), of the features as given; intercepts: float64 (K,), which sum to 0
    gradient_norm: the largest component of the gradient that was left, at most `GRADIENT_NORM`
    steps: Newton steps from the minimum at the penalty before
    """

    coefficients: FloatArray
    intercepts: FloatArray
    penalty: float
    gradient_norm: float
    steps: int


@dataclass(frozen=True, slots=True)
class _Point:
    """Parameters (D + 1, K), intercepts last, the objective and its gradient there, and class probabilities (J, K)."""

    parameters: FloatArray
    objective: float
    gradient: FloatArray
    probabilities: FloatArray

    @property
    def norm(self) -> float:
        return float(np.abs(self.gradient).max())


def fit_multinomial_path(
    features: NDArray[np.float32], labels: NDArray[np.int64], *, classes: int, penalties: Sequence[float]
) -> tuple[MultinomialFit, ...]:
    """The minimum at each penalty, in the order given; each starts from the one before, so give falling penalties.

    features:  float32 (J, D), standardised, finite, in memory or mapped from a file; labels: int64 (J,), 0 to
               classes - 1, each present
    penalties: each above 0, which keeps separable jets finite

    Goes over the features `_BLOCK` jets at a time, in float64; class probabilities of many jets lie in files of no
    name. Raises `ConvergenceError` where `GRADIENT_NORM` is not reached.
    """
    data = _Data(features, labels, classes)
    parameters = np.zeros((features.shape[1] + 1, classes))
    fits = []
    for penalty in penalties:
        ridge = np.append(np.full(features.shape[1], penalty), 0.0)[:, None]
        point = data.at(parameters, ridge)
        precondition = data.preconditioner(point, ridge)
        steps = 0
        while point.norm > GRADIENT_NORM:
            if steps == _MOST_STEPS:
                raise _not_converged(penalty, point.norm, f"{steps} Newton steps were not enough")
            point = _newton_step(data, point, ridge, precondition)
            steps += 1
        parameters = point.parameters
        fits.append(
            MultinomialFit(
                coefficients=parameters[:-1],
                intercepts=parameters[-1] - parameters[-1].mean(),
                penalty=penalty,
                gradient_norm=point.norm,
                steps=steps,
            )
        )
    return tuple(fits)


class _Data:
    """The jets, float32 (J, D), and what the objective needs of them; a column of ones goes with them, for intercepts.

    One block of jets is kept as it is computed with; where there are more, each is made again in every pass.
    """

    def __init__(self, features: NDArray[np.float32], labels: NDArray[np.int64], classes: int) -> None:
        self._features, self._labels, self._classes = features, labels, classes
        self._whole = _widened(features) if len(features) <= _BLOCK else None

    def _blocks(self) -> Iterator[tuple[slice, FloatArray]]:
        if self._whole is not None:
            yield slice(0, len(self._whole)), self._whole
            return
        for here, rows in chunks(self._features, _BLOCK):
            yield here, _widened(rows)

    def at(self, parameters: FloatArray, ridge: FloatArray) -> _Point:
        jets, losses, gradient = len(self._features), 0.0, np.zeros_like(parameters)

        def probabilities() -> Iterator[FloatArray]:
            nonlocal losses
            for here, rows in self._blocks():
                own = np.arange(len(rows)), self._labels[here]
                logits = rows @ parameters
                logits -= logits.max(axis=1, keepdims=True)
                of_own = logits[own]
                shares = np.exp(logits, out=logits)
                total = shares.sum(axis=1)
                shares /= total[:, None]
                losses += float((np.log(total) - of_own).sum())
                slope = shares / jets
                slope[own] -= 1 / jets
                np.add(gradient, rows.T @ slope, out=gradient)
                yield shares

        found = collect(probabilities(), rows=jets)
        objective = losses / jets + float((ridge * parameters**2).sum()) / 2
        return _Point(parameters, objective, gradient + ridge * parameters, found)

    def curvature(self, point: _Point, ridge: FloatArray, direction: FloatArray) -> FloatArray:
        """The Hessian times `direction`, both (D + 1, K)."""
        product = np.zeros_like(direction)
        for here, rows in self._blocks():
            probabilities = point.probabilities[here]
            moved = rows @ direction
            moved -= (probabilities * moved).sum(axis=1, keepdims=True)
            moved *= probabilities / len(self._features)
            product += rows.T @ moved
            let_go(probabilities)
        return product + ridge * direction

    def preconditioner(self, point: _Point, ridge: FloatArray) -> Callable[[FloatArray], FloatArray]:
        """Solves with the Hessian at `point`, of at most `_MOST_HESSIAN_JETS` jets."""
        jets = len(self._features)
        kept = np.linspace(0, jets - 1, min(jets, _MOST_HESSIAN_JETS)).astype(np.int64)
        rows, probabilities = _widened(self._features[kept]), point.probabilities[kept]
        let_go(self._features, point.probabilities)
        width = rows.shape[1]
        hessian = np.empty((self._classes, width, self._classes, width))
        for a in range(self._classes):
            for b in range(a + 1):  # a matrix by its own transpose takes half of the operations
                other = 1 - probabilities[:, a] if a == b else probabilities[:, b]
                root = rows * np.sqrt(probabilities[:, a] * other / len(rows))[:, None]
                hessian[a, :, b] = hessian[b, :, a] = (1 if a == b else -1) * (root.T @ root)
        # A number added to all intercepts changes nothing; this fixes it and leaves every other direction alone.
        hessian[:, -1, :, -1] += 1 / self._classes
        square = hessian.reshape(self._classes * width, -1)
        square[np.diag_indices_from(square)] += np.tile(ridge[:, 0], self._classes)
        try:
            factor = linalg.cho_factor(square, overwrite_a=True)
        except linalg.LinAlgError as error:
            raise _not_converged(ridge[0, 0], point.norm, "the Hessian is not positive definite in float64") from error
        return lambda residual: linalg.cho_solve(factor, residual.T.ravel()).reshape(-1, width).T


def _widened(features: NDArray[np.float32]) -> FloatArray:
    return np.column_stack([features, np.ones(len(features))])


def _newton_step(
    data: _Data, point: _Point, ridge: FloatArray, precondition: Callable[[FloatArray], FloatArray]
) -> _Point:
    """The next point: a full Newton step, halved until the objective falls enough."""
    direction = _newton_direction(data, point, ridge, precondition)
    slope = float((point.gradient * direction).sum())
    length = 1.0
    while length > _SHORTEST_STEP:
        following = data.at(point.parameters + length * direction, ridge)
        allowed = _LEAST_SLOPE_SHARE * length * slope + _ROUNDING * abs(point.objective)
        if following.objective <= point.objective + allowed:
            return following
        length /= 2
    raise _not_converged(ridge[0, 0], point.norm, "no step along Newton's direction lowers the objective")


def _newton_direction(
    data: _Data, point: _Point, ridge: FloatArray, precondition: Callable[[FloatArray], FloatArray]
) -> FloatArray:
    """Minus the inverse Hessian times the gradient, by preconditioned conjugate gradients.

    The residual falls below min(0.1, sqrt |gradient|) of the gradient, so that convergence stays superlinear (Nocedal
    and Wright, Numerical Optimization (2006), equation 7.3 and theorem 7.2).
    """
    wanted = min(0.1, float(np.sqrt(point.norm))) * float(np.linalg.norm(point.gradient))
    solution = np.zeros_like(point.gradient)
    residual = -point.gradient
    solved = precondition(residual)
    direction, product = solved, float((residual * solved).sum())
    for _ in range(_MOST_PRODUCTS):
        curved = data.curvature(point, ridge, direction)
        length = product / float((direction * curved).sum())
        solution = solution + length * direction
        residual = residual - length * curved
        if float(np.linalg.norm(residual)) <= wanted:
            break
        solved = precondition(residual)
        following = float((residual * solved).sum())
        direction, product = solved + following / product * direction, following
    return solution


def _not_converged(penalty: float, norm: float, reason: str) -> ConvergenceError:
    return ConvergenceError(
        f"multinomial regression with penalty {penalty:g}: {reason}; the gradient is {norm:.1e}, above "
        f"{GRADIENT_NORM:g}. Look for embedding values that are many orders of magnitude apart."
    )
