import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jetassay.errors import ConvergenceError
from jetassay.tasks import logistic
from jetassay.tasks.logistic import GRADIENT_NORM, fit_path, log_loss

PENALTIES = (1.0, 1e-2, 1e-4, 1e-6)


def problem(seed, *, jets=500, width=10, share=0.5, separation=1.0, rank=None):
    """Standardised features, correlated through fewer latent variables than columns where `rank` says so."""
    stream = np.random.default_rng(seed)
    is_signal = stream.random(jets) < share
    is_signal[:2] = True, False
    latent = stream.normal(size=(jets, rank or width))
    latent[:, 0] += separation * is_signal
    features = latent @ stream.normal(size=(rank or width, width)) + 1e-4 * stream.normal(size=(jets, width))
    features = (features - features.mean(axis=0)) / features.std(axis=0)
    return features.astype(np.float32), is_signal


def gradient(fit, features, is_signal):
    """Written out from the objective in the module's docstring, for coefficients and intercept."""
    x = features.astype(np.float64)
    sign = np.where(is_signal, 1.0, -1.0)
    weights = np.where(is_signal, 0.5 / is_signal.sum(), 0.5 / (~is_signal).sum())
    slope = -weights * sign / (1 + np.exp(sign * (x @ fit.coefficients + fit.intercept)))
    return np.append(slope @ x + fit.penalty * fit.coefficients, slope.sum())


@settings(max_examples=30)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(4, 200),
    st.integers(1, 30),
    st.floats(0.02, 0.98),
    st.sampled_from([0.0, 2.0, 100.0]),
)
def test_every_fit_ends_at_a_minimum(seed, jets, width, share, separation):
    features, is_signal = problem(seed, jets=jets, width=width, share=share, separation=separation)
    for fit in fit_path(features, is_signal, penalties=PENALTIES):
        assert np.abs(gradient(fit, features, is_signal)).max() <= 1.01 * GRADIENT_NORM
        assert fit.gradient_norm <= GRADIENT_NORM


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"share": 0.03, "jets": 2000},
        {"width": 60, "rank": 5},
        {"jets": 40, "width": 60},
        {"separation": 100.0},
    ],
    ids=["plain", "imbalanced", "degenerate", "more columns than jets", "separable"],
)
def test_fits_agree_with_scikit_learn(options):
    from sklearn.linear_model import LogisticRegression

    features, is_signal = problem(1, **options)
    for fit in fit_path(features, is_signal, penalties=PENALTIES):
        model = LogisticRegression(
            C=1 / (len(features) * fit.penalty),
            class_weight="balanced",
            solver="newton-cholesky",
            tol=1e-10,
            max_iter=1000,
        ).fit(features.astype(np.float64), is_signal)
        ours = features.astype(np.float64) @ fit.coefficients + fit.intercept
        assert ours == pytest.approx(model.decision_function(features.astype(np.float64)), abs=2e-4)
        largest = np.abs(model.coef_).max()
        assert fit.coefficients == pytest.approx(model.coef_[0], rel=1e-4, abs=1e-4 * largest)


def test_a_grid_gives_the_same_fits_as_one_penalty_at_a_time():
    features, is_signal = problem(2)
    for fit in fit_path(features, is_signal, penalties=PENALTIES):
        (alone,) = fit_path(features, is_signal, penalties=[fit.penalty])
        assert fit.coefficients == pytest.approx(alone.coefficients, abs=1e-4)


def test_separable_jets_stay_finite_and_grow_as_the_penalty_falls():
    features, is_signal = problem(3, separation=100.0)
    sizes = [np.abs(fit.coefficients).max() for fit in fit_path(features, is_signal, penalties=PENALTIES)]
    assert np.isfinite(sizes).all()
    assert sizes == sorted(sizes)


def test_the_number_of_jets_of_a_class_does_not_move_the_fit():
    features, is_signal = problem(4)
    (once,) = fit_path(features, is_signal, penalties=[1e-3])
    rows = np.concatenate([np.arange(len(features)), *[np.flatnonzero(is_signal)] * 4])
    (repeated,) = fit_path(features[rows], is_signal[rows], penalties=[1e-3])
    assert repeated.coefficients == pytest.approx(once.coefficients, abs=1e-6)
    assert repeated.intercept == pytest.approx(once.intercept, abs=1e-6)


def test_a_constant_column_gets_no_coefficient():
    features, is_signal = problem(5)
    features[:, 3] = 0
    for fit in fit_path(features, is_signal, penalties=PENALTIES):
        assert fit.coefficients[3] == 0


def test_jets_beyond_one_chunk_count_alike():
    features, is_signal = problem(6, jets=2500)
    order = np.random.default_rng(0).permutation(2500)
    (first,) = fit_path(features, is_signal, penalties=[1e-3])
    (shuffled,) = fit_path(features[order], is_signal[order], penalties=[1e-3])
    assert shuffled.coefficients == pytest.approx(first.coefficients, abs=1e-7)


def test_a_fit_that_may_take_no_steps_raises_and_says_how_far_it_got(monkeypatch):
    monkeypatch.setattr(logistic, "_MOST_STEPS", 1)
    with pytest.raises(ConvergenceError, match=r"penalty 1e-06: 1 Newton steps were not enough; the gradient is \d"):
        fit_path(*problem(7, separation=100.0), penalties=[1e-6])


def test_the_log_loss_of_ignorance_is_ln_2_and_counts_both_classes_alike():
    assert log_loss(np.zeros(10), np.arange(10) < 3) == pytest.approx(np.log(2))
    from sklearn.metrics import log_loss as reference

    logits, is_signal = np.random.default_rng(8).normal(size=90), np.arange(90) < 20
    weights = np.where(is_signal, 1 / 20, 1 / 70)
    expected = reference(is_signal, 1 / (1 + np.exp(-logits)), sample_weight=weights)
    assert log_loss(logits, is_signal) == pytest.approx(expected)
    assert log_loss(np.array([-2000.0, 0.0]), np.array([True, False])) == pytest.approx(1000 + np.log(2) / 2)
