"""Many small fits at once end where each of them ends alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jetassay.errors import ConvergenceError
from jetassay.tasks import logistic_batch
from jetassay.tasks.logistic import GRADIENT_NORM, fit_path
from jetassay.tasks.logistic_batch import fit_paths

PENALTIES = (1.0, 1e-2, 1e-4, 1e-6)


def problems(seed, *, count=5, jets=40, width=10, separation=1.0):
    stream = np.random.default_rng(seed)
    is_signal = stream.permuted(np.tile(np.arange(jets) % 2 == 0, (count, 1)), axis=1)
    features = stream.normal(size=(count, jets, width))
    features[:, :, 0] += separation * is_signal
    features -= features.mean(axis=1, keepdims=True)
    return (features / features.std(axis=1, keepdims=True)).astype(np.float32), is_signal


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(4, 60), st.integers(1, 40), st.sampled_from([0.0, 2.0, 50.0]))
def test_every_fit_of_a_batch_ends_at_a_minimum(seed, jets, width, separation):
    features, is_signal = problems(seed, jets=jets, width=width, separation=separation)
    features = np.nan_to_num(features)
    coefficients, intercepts = fit_paths(features.astype(np.float64), is_signal, penalties=PENALTIES)
    for k, x in enumerate(features.astype(np.float64)):
        sign = np.where(is_signal[k], 1.0, -1.0)
        weights = np.where(is_signal[k], 0.5 / is_signal[k].sum(), 0.5 / (~is_signal[k]).sum())
        for p, penalty in enumerate(PENALTIES):
            margins = np.clip(sign * (x @ coefficients[k, p] + intercepts[k, p]), -700, 700)
            slope = -weights * sign / (1 + np.exp(margins))
            assert np.abs(slope @ x + penalty * coefficients[k, p]).max() <= 1.1 * GRADIENT_NORM
            assert abs(slope.sum()) <= 1.1 * GRADIENT_NORM


@pytest.mark.parametrize("width", [5, 80], ids=["more jets than dimensions", "fewer jets than dimensions"])
def test_a_batch_gives_the_fits_of_its_problems_alone(width):
    features, is_signal = problems(1, width=width)
    coefficients, intercepts = fit_paths(features.astype(np.float64), is_signal, penalties=PENALTIES[:3])
    for k, (x, labels) in enumerate(zip(features, is_signal, strict=True)):
        for p, fit in enumerate(fit_path(x, labels, penalties=PENALTIES[:3])):
            assert coefficients[k, p] == pytest.approx(fit.coefficients, abs=2e-4)
            assert intercepts[k, p] == pytest.approx(fit.intercept, abs=2e-4)


def test_a_batch_that_may_take_no_steps_raises_and_says_how_far_it_got(monkeypatch):
    monkeypatch.setattr(logistic_batch, "_MOST_STEPS", 1)
    features, is_signal = problems(2, separation=50.0)
    with pytest.raises(ConvergenceError, match=r"5 fits at once: 1 Newton steps were not enough; the largest gradient"):
        fit_paths(features.astype(np.float64), is_signal, penalties=[1e-6])
