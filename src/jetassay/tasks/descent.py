"""Minimising a convex function that is evaluated elsewhere: L-BFGS that starts from a known curvature.

Nocedal and Wright, Numerical Optimization (2006), algorithm 7.4, with the inverse of a Hessian (of some of the jets, or
of all at a point before) in place of a multiple of the unit matrix. Where that Hessian is near the true one, as few
evaluations as Newton's method needs are enough, and none of them needs a Hessian; how badly conditioned the function is
does not matter.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

FloatArray = NDArray[np.float64]

_PAIRS = 12  # of steps and changes of the gradient that are kept
_LEAST_SLOPE_SHARE = 1e-4  # Armijo's condition, the usual value
_MOST_SLOPE_LEFT = 0.9  # of the slope along a step, where rounding hides whether the function fell
_ROUNDING = 1e-12  # relative rise of the function that may be rounding noise
_SHORTEST_STEP = 2.0**-30


class Descent:
    """One function f(x) + ridge . x^2 / 2 of x (P,), and how far down it we are.

    point, norm: the lowest point so far, and the largest component of the gradient there
    trial: where the function is to be evaluated next; None where no step lowers it
    evaluations, since_curved: so far, and since a Hessian was given
    moved: whether the last trial was gone to
    ridge: float64 (P,), as given
    """

    def __init__(self, point: FloatArray, *, loss: float, gradient: FloatArray, ridge: FloatArray) -> None:
        self.ridge = ridge
        self.point, self._value, self._slope = point, *self._with_ridge(point, loss, gradient)
        self._pairs: list[tuple[FloatArray, FloatArray, float]] = []
        self._length = 1.0
        self.evaluations = self.since_curved = 0
        self.moved = True
        self.trial: FloatArray | None = point

    @property
    def norm(self) -> float:
        """The largest component of the gradient at `point`."""
        return float(np.abs(self._slope).max())

    def curve(self, hessian: FloatArray) -> None:
        """Go on with the Hessian (P, P) of f at or near `point`. Raises `LinAlgError` where it is not convex."""
        self._factor = linalg.cho_factor(hessian + np.diag(self.ridge), overwrite_a=True)
        self._pairs.clear()
        self.since_curved = 0
        self._aim()

    def take(self, loss: float, gradient: FloatArray) -> None:
        """The value and gradient (P,) of f at `trial`: go there where it is low enough, else try half the step."""
        assert self.trial is not None
        self.evaluations += 1
        self.since_curved += 1
        value, slope = self._with_ridge(self.trial, loss, gradient)
        step = self.trial - self.point
        expected = float(self._slope @ step)
        fell = value <= self._value + _LEAST_SLOPE_SHARE * expected
        level = value <= self._value + _ROUNDING * abs(self._value)
        self.moved = fell or (level and abs(float(slope @ step)) <= _MOST_SLOPE_LEFT * abs(expected))
        if self.moved:
            change = slope - self._slope
            if (along := float(step @ change)) > 0:
                self._pairs = [*self._pairs[1 - _PAIRS :], (step, change, 1 / along)]
            self.point, self._value, self._slope = self.trial, value, slope
            self._length = 1.0
        else:
            self._length /= 2
        self._aim()

    def _aim(self) -> None:
        """The next trial: a share of the step that the curvature known so far asks for."""
        if self._length < _SHORTEST_STEP:
            self.trial = None
            return
        rest, shares = self._slope.copy(), []
        for step, change, scale in reversed(self._pairs):
            shares.append(scale * float(step @ rest))
            rest -= shares[-1] * change
        rest = linalg.cho_solve(self._factor, rest)
        for (step, change, scale), share in zip(self._pairs, reversed(shares), strict=True):
            rest += step * (share - scale * float(change @ rest))
        self.trial = self.point - self._length * rest

    def _with_ridge(self, point: FloatArray, loss: float, gradient: FloatArray) -> tuple[float, FloatArray]:
        return loss + float(self.ridge @ point**2) / 2, gradient + self.ridge * point
