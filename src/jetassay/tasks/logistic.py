"""Logistic regression with an L2 penalty, by Newton's method along a grid of penalties, in memory.

Minimised over coefficients w (D,) and intercept b, which is not penalised:

    sum_i weight_i ln(1 + exp(-s_i (x_i . w + b))) + penalty / 2 |w|^2,    s_i = +1 for signal, -1 for background,

with weights that sum to 1/2 over the jets of each class, so that a class counts the same however many jets it has.
scikit-learn's `LogisticRegression(class_weight="balanced", C=1 / (n penalty))` has the same minimum. Newton's method
with the exact Hessian in float64 needs one to six steps from one penalty to the next, however badly conditioned the
features are; lbfgs needs hundreds and stops further away. On 200,000 jets by 128 the whole grid of eight penalties
costs about as much as two single fits of scikit-learn.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, special

from jetassay.errors import ConvergenceError

FloatArray = NDArray[np.float64]

GRADIENT_NORM = 1e-8
"""A fit has converged when no component of the gradient (standardised features) is larger."""

_MOST_STEPS = 50
_CHUNK = 1024  # rows that stay in the cache between the passes over them: 1 MiB at 128 columns
_LEAST_SLOPE_SHARE = 1e-4  # Armijo's condition, the usual value
_SHORTEST_STEP = 2.0**-30
_ROUNDING = 1e-14  # relative rise of the objective that is rounding noise


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """The minimum at one penalty.

    coefficients: float64 (D,), of the features as given
    gradient_norm: the largest component of the gradient that was left, at most `GRADIENT_NORM`
    steps: Newton steps from the minimum at the penalty before
    """

    coefficients: FloatArray
    intercept: float
    penalty: float
    gradient_norm: float
    steps: int


@dataclass(frozen=True, slots=True)
class Point:
    """Parameters (D + 1,), intercept last, and the data's part of the objective there with its two derivatives."""

    parameters: FloatArray
    loss: float
    gradient: FloatArray
    hessian: FloatArray


def fit_path(features: NDArray[Any], is_signal: NDArray[np.bool_], *, penalties: Sequence[float]) -> tuple[Fit, ...]:
    """The minimum at each penalty, in the order given; each starts from the one before, so give falling penalties.

    features:  float (J, D), standardised, finite; is_signal: bool (J,), both classes present
    penalties: each above 0, which keeps separable jets finite

    Raises `ConvergenceError` where `GRADIENT_NORM` is not reached.
    """
    path = newton_path(features, is_signal, penalties=penalties, gradient_norm=GRADIENT_NORM)
    return tuple(
        Fit(
            coefficients=point.parameters[:-1],
            intercept=float(point.parameters[-1]),
            penalty=penalty,
            gradient_norm=norm,
            steps=steps,
        )
        for penalty, (point, norm, steps) in zip(penalties, path, strict=True)
    )


def newton_path(
    features: NDArray[Any], is_signal: NDArray[np.bool_], *, penalties: Sequence[float], gradient_norm: float
) -> Iterator[tuple[Point, float, int]]:
    """For each penalty the point, with its derivatives, where no component of the gradient exceeds `gradient_norm`.

    Beside it what was left of the gradient and the Newton steps from the point before; else as `fit_path`.
    """
    weights = np.where(is_signal, 0.5 / is_signal.sum(), 0.5 / (~is_signal).sum())
    point = _evaluate(np.zeros(features.shape[1] + 1), features, is_signal, weights)
    for penalty in penalties:
        ridge = np.append(np.full(features.shape[1], penalty), 0.0)
        steps = 0
        while (norm := float(np.abs(point.gradient + ridge * point.parameters).max())) > gradient_norm:
            if steps == _MOST_STEPS:
                raise not_converged(penalty, norm, f"{steps} Newton steps were not enough")
            point = _newton_step(point, ridge, features, is_signal, weights)
            steps += 1
        yield point, norm, steps


def log_loss(logits: FloatArray, is_signal: NDArray[np.bool_]) -> float:
    """Mean of -ln p of the true class in each class, averaged over the two classes; ln 2 for logits of 0."""
    surprise = np.logaddexp(0, np.where(is_signal, -logits, logits))
    return float(surprise[is_signal].mean() + surprise[~is_signal].mean()) / 2


def _newton_step(
    point: Point,
    ridge: FloatArray,
    features: NDArray[Any],
    is_signal: NDArray[np.bool_],
    weights: FloatArray,
) -> Point:
    """The next point: a full Newton step, halved until the objective falls enough."""
    gradient = point.gradient + ridge * point.parameters
    try:
        direction = linalg.cho_solve(linalg.cho_factor(point.hessian + np.diag(ridge)), gradient)
    except linalg.LinAlgError as error:
        reason = "the Hessian is not positive definite in float64"
        raise not_converged(ridge[0], np.abs(gradient).max(), reason) from error
    objective = point.loss + ridge @ point.parameters**2 / 2
    length = 1.0
    while length > _SHORTEST_STEP:
        following = _evaluate(point.parameters - length * direction, features, is_signal, weights)
        lower = following.loss + ridge @ following.parameters**2 / 2
        if lower <= objective - _LEAST_SLOPE_SHARE * length * (gradient @ direction) + _ROUNDING * objective:
            return following
        length /= 2
    raise not_converged(ridge[0], np.abs(gradient).max(), "no step along Newton's direction lowers the objective")


def _evaluate(
    parameters: FloatArray, features: NDArray[Any], is_signal: NDArray[np.bool_], weights: FloatArray
) -> Point:
    """Loss, gradient and Hessian of the data in one pass, chunk by chunk, in float64."""
    width = len(parameters)
    loss, gradient, hessian = 0.0, np.zeros(width), np.zeros((width, width))
    rows = np.ones((_CHUNK, width))
    for start in range(0, len(features), _CHUNK):
        chunk = slice(start, start + _CHUNK)
        x = rows[: len(weights[chunk])]
        x[:, :-1] = features[chunk]
        logits = x @ parameters
        loss += float(weights[chunk] @ np.logaddexp(0, np.where(is_signal[chunk], -logits, logits)))
        probability = special.expit(logits)
        gradient += (weights[chunk] * (probability - is_signal[chunk])) @ x
        root = x * np.sqrt(weights[chunk] * probability * special.expit(-logits))[:, None]
        hessian += root.T @ root
    return Point(parameters, loss, gradient, hessian)


def not_converged(penalty: float, norm: float, reason: str) -> ConvergenceError:
    """The error of a fit that stopped above the gradient it should have reached."""
    return ConvergenceError(
        f"logistic regression with penalty {penalty:g}: {reason}; the gradient is {norm:.1e}, above {GRADIENT_NORM:g}. "
        "Look for embedding values that are many orders of magnitude apart."
    )
