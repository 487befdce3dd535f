"""The difference of two numbers with intervals of their own."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jetassay.metrics.unpaired import Bounded, two_sided, unpaired_difference

ONE_SIGMA = 0.6826894921370859
NUMBERS = st.floats(-10, 10)
WIDTHS = st.floats(0.01, 5)


def bounded(value, below, above, level=ONE_SIGMA):
    return Bounded(*(np.array([each], float) for each in (value, value - below, value + above, level)))


def difference(first, second):
    return tuple(float(each[0]) for each in unpaired_difference(first, second))


def test_symmetric_errors_add_in_quadrature():
    assert difference(bounded(1, 3, 3), bounded(6, 4, 4)) == pytest.approx((5, 0, 10, 1))


def test_asymmetric_intervals_stay_asymmetric():
    _, low, high, _ = difference(bounded(0, 4, 3), bounded(0, 4, 3))
    assert (low, high) == pytest.approx((-5, 5))
    change, low, high, _ = difference(bounded(0, 3, 0), bounded(1, 0, 4))
    assert (change - low, high - change) == pytest.approx((0, 5))


@given(a=NUMBERS, b=NUMBERS, widths=st.tuples(WIDTHS, WIDTHS, WIDTHS, WIDTHS))
def test_exchanging_the_two_turns_the_sign(a, b, widths):
    first, second = bounded(a, *widths[:2]), bounded(b, *widths[2:])
    change, low, high, z = difference(first, second)
    assert difference(second, first) == pytest.approx((-change, -high, -low, -z))


def test_a_wider_level_of_the_same_error_gives_the_same_z():
    wide = bounded(1, 1.959963984540054, 1.959963984540054, 0.95)
    assert difference(bounded(0, 1, 1), wide) == pytest.approx(difference(bounded(0, 1, 1), bounded(1, 1, 1)))


def test_a_missing_bound_that_faces_zero_leaves_nothing_significant():
    open_above = Bounded(*(np.array([each]) for each in (5.0, 4.0, np.nan, ONE_SIGMA)))
    assert difference(open_above, bounded(50, 1, 1))[1:] == pytest.approx((-np.inf, 45 + np.sqrt(2), 0))


def test_independent_estimates_are_covered_as_often_as_claimed():
    stream, m = np.random.default_rng(5), 20_000
    values = stream.normal([[1.0], [3.0]], [[0.5], [0.2]], (2, m))
    one, other = (
        Bounded(x, x - sigma, x + sigma, np.full(m, ONE_SIGMA)) for x, sigma in zip(values, (0.5, 0.2), strict=True)
    )
    _, low, high, _ = unpaired_difference(one, other)
    assert np.mean((low <= 2) & (high >= 2)) == pytest.approx(ONE_SIGMA, abs=0.015)


def test_two_standard_deviations_are_one_in_twenty():
    assert two_sided(np.array([0.0, 1.959963984540054, -1.959963984540054])) == pytest.approx([1, 0.05, 0.05])
