"""Going down a function whose curvature is known, or known badly."""

import numpy as np
import pytest
from scipy import linalg

from jetassay.tasks.descent import Descent

RIDGE = np.array([3.0, 0.5, 0.0])


@pytest.fixture
def bowl():
    """x'Ax / 2 - b'x, and its minimum with `RIDGE`."""
    root = np.random.default_rng(2).normal(size=(3, 3))
    hessian, slope = root @ root.T + np.eye(3), np.array([1.0, -2.0, 0.5])

    def at(point):
        return float(point @ hessian @ point / 2 - slope @ point), hessian @ point - slope

    return at, hessian, linalg.solve(hessian + np.diag(RIDGE), slope)


def descent_of(at, hessian):
    start = np.array([1.0, 1.0, 1.0])
    loss, gradient = at(start)
    descent = Descent(start, loss=loss, gradient=gradient, ridge=RIDGE)
    descent.curve(hessian)
    return descent


def test_with_the_whole_hessian_and_the_ridge_one_evaluation_is_enough(bowl):
    at, hessian, lowest = bowl
    descent = descent_of(at, hessian.copy())
    descent.take(*at(descent.trial))
    assert descent.moved
    assert descent.point == pytest.approx(lowest, rel=1e-12)
    assert descent.norm < 1e-13


def test_half_of_the_hessian_costs_more_evaluations_and_ends_at_the_same_point(bowl):
    """As where only one of two classes were counted: the step is too long, and what was seen on the way mends it."""
    at, hessian, lowest = bowl
    descent = descent_of(at, hessian / 2)
    while descent.norm > 1e-12:
        descent.take(*at(descent.trial))
    assert 3 <= descent.evaluations <= 10
    assert descent.point == pytest.approx(lowest, rel=1e-10)


def test_with_a_new_hessian_the_next_step_is_newtons_whatever_was_seen_before():
    """Of the sum of cosh x, whose curvature changes: steps seen before say how it was on average, not how it is."""

    def at(point):
        return float(np.cosh(point).sum()), np.sinh(point)

    descent = descent_of(at, np.eye(3))
    descent.take(*at(descent.trial))
    assert descent.moved
    point = descent.point
    descent.curve(np.diag(np.cosh(point)))
    assert descent.since_curved == 0
    newtons = (np.sinh(point) + RIDGE * point) / (np.cosh(point) + RIDGE)
    assert descent.trial == pytest.approx(point - newtons, rel=1e-12)
