"""Calibration: against scikit-learn, identities of the Brier score, and simulations with known calibration."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from jetassay.errors import DataError
from jetassay.metrics.calibration import calibration
from jetassay.metrics.intervals import clopper_pearson


def simulated(jets=900, *, seed=0, shift=0.0, sharpness=1.5):
    """Probabilities and outcomes; calibrated where `shift` is 0, else overconfident of the signal."""
    stream = np.random.default_rng(seed)
    logit = sharpness * stream.normal(size=jets)
    return 1 / (1 + np.exp(-logit - shift)), stream.random(jets) < 1 / (1 + np.exp(-logit))


def measured(p, y, **options):
    return calibration(p, y, **{"level": 0.68, "draws": 100, **options})


def test_curve_and_brier_score_are_those_of_scikit_learn():
    p, y = simulated()
    found = measured(p, y, bins=9)
    fraction, mean = calibration_curve(y, p, n_bins=9, strategy="quantile")
    assert found.curve.fraction == pytest.approx(fraction)
    assert found.curve.probability == pytest.approx(mean)
    assert found.numbers["brier"] == pytest.approx(brier_score_loss(y, p))
    assert found.curve.jets.tolist() == [100] * 9
    ece = np.sum(found.curve.jets / 900 * np.abs(mean - fraction))
    assert found.numbers["ece"] == pytest.approx(ece)


def test_fractions_have_clopper_pearson_intervals():
    curve = measured(*simulated(200), bins=4).curve
    for fraction, low, high, jets in zip(
        curve.fraction, curve.fraction_low, curve.fraction_high, curve.jets, strict=True
    ):
        expected = clopper_pearson(round(fraction * jets), int(jets), level=0.68)
        assert (low, high) == pytest.approx((expected.low, expected.high))


few = st.lists(st.tuples(st.sampled_from([0, 0.1, 0.25, 0.5, 0.9, 1.0]), st.booleans()), min_size=1, max_size=60)


@given(few, st.integers(1, 12))
def test_the_parts_add_up_to_the_brier_score_with_what_is_left_within_bins(jets, bins):
    p, y = np.array([each[0] for each in jets]), np.array([each[1] for each in jets])
    found = measured(p, y, bins=bins, draws=3)
    curve, n = found.curve, found.numbers
    assert curve.jets.sum() == len(jets)
    assert (curve.low[1:] > curve.high[:-1]).all(), "equal probabilities stay in one bin"
    where = np.searchsorted(curve.low, p, side="right") - 1
    spread = p - curve.probability[where]
    within = np.mean(spread**2 - 2 * spread * (y - curve.fraction[where]))
    total = n["brier_reliability"] - n["brier_resolution"] + n["brier_uncertainty"] + within
    assert n["brier"] == pytest.approx(total, abs=1e-12)
    assert 0 <= n["ece"] <= 1


def test_calibrated_probabilities_are_found_calibrated_as_often_as_chance_says():
    p_values = np.array([measured(*simulated(400, seed=seed), seed=seed).p_value for seed in range(200)])
    assert np.mean(p_values <= 0.1) == pytest.approx(0.1, abs=0.06)
    assert p_values.mean() == pytest.approx(0.5, abs=0.08)


def test_the_null_is_what_repeated_calibrated_samples_show():
    p, _ = simulated(400)
    stream = np.random.default_rng(9)
    repeated = [measured(p, stream.random(400) < p, draws=2).numbers["ece"] for _ in range(200)]
    null = measured(p, stream.random(400) < p, draws=400).null
    assert null.mean() == pytest.approx(np.mean(repeated), rel=0.06)
    assert null.std() == pytest.approx(np.std(repeated), rel=0.2)
    assert null.mean() > 0.02, "a perfect ECE of finitely many jets is not 0"


def test_overconfidence_is_found():
    found = measured(*simulated(2000, shift=1.0))
    assert found.p_value == pytest.approx(1 / 101)
    assert found.numbers["ece"] > 5 * found.null.mean()


@pytest.mark.parametrize("name", ["ece", "brier", "brier_reliability", "brier_resolution", "brier_uncertainty"])
def test_intervals_are_as_wide_as_the_scatter_of_repetitions(name):
    found = [measured(*simulated(600, seed=seed, shift=0.7), seed=seed) for seed in range(120)]
    scatter = np.std([each.numbers[name] for each in found])
    width = np.mean([(each.intervals[name].high - each.intervals[name].low) / 2 for each in found])
    # Of outcomes near one half, y (1 - y) hardly moves, and its linear error is not all of it.
    assert width == pytest.approx(scatter, rel=0.35)


@pytest.mark.parametrize("name", ["ece", "brier_reliability", "brier_resolution"])
def test_intervals_lie_around_the_value_though_resamples_lie_above_it(name):
    found = [measured(*simulated(300, seed=seed), seed=seed) for seed in range(40)]
    middles = [(each.intervals[name].low + each.intervals[name].high) / 2 - each.numbers[name] for each in found]
    width = np.mean([each.intervals[name].high - each.intervals[name].low for each in found])
    assert abs(np.mean(middles)) < 0.15 * width


def test_one_jet_one_class_and_constant_probabilities_are_measured():
    assert measured(np.array([0.25]), np.array([True])).numbers["ece"] == pytest.approx(0.75)
    certain = measured(np.ones(50), np.ones(50, bool))
    assert (certain.numbers["ece"], certain.numbers["brier"], certain.p_value) == (0, 0, 1)
    constant = measured(np.full(50, 0.5), np.arange(50) % 2 == 0)
    assert len(constant.curve.jets) == 1
    assert constant.numbers["ece"] == 0


@pytest.mark.parametrize("bad", [[], [0.5, np.nan], [0.5, 1.5]])
def test_what_is_no_probability_is_refused(bad):
    with pytest.raises(DataError, match="probability from 0 to 1"):
        measured(np.array(bad), np.ones(len(bad), bool))


def test_the_same_seed_gives_the_same_numbers():
    first, again = (measured(*simulated(), seed=4) for _ in range(2))
    assert first.intervals == again.intervals
    assert np.array_equal(first.null, again.null)
