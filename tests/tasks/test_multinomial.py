"""Multinomial regression ends at the minimum, and that is scikit-learn's."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jetassay.embeddings.scratch import collect
from jetassay.errors import ConvergenceError
from jetassay.tasks import multinomial
from jetassay.tasks.logistic import fit_path
from jetassay.tasks.multinomial import GRADIENT_NORM, fit_multinomial_path

PENALTIES = (1.0, 1e-2, 1e-4, 1e-6)


def problem(seed, *, jets=400, width=8, classes=4, separation=1.0, rank=None):
    """Standardised features of shifted classes, through fewer latent variables than columns where `rank` says so."""
    stream = np.random.default_rng(seed)
    labels = np.arange(jets) % classes
    latent = (
        stream.normal(size=(jets, rank or width)) + separation * stream.normal(size=(classes, rank or width))[labels]
    )
    features = latent @ stream.normal(size=(rank or width, width)) + 1e-4 * stream.normal(size=(jets, width))
    spread = np.maximum(features.std(axis=0), 1e-12)
    return ((features - features.mean(axis=0)) / spread).astype(np.float32), labels


@settings(max_examples=20)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(6, 150),
    st.integers(1, 20),
    st.integers(2, 6),
    st.sampled_from([0.0, 1.0, 30.0]),
)
def test_every_fit_ends_at_a_minimum(seed, jets, width, classes, separation):
    features, labels = problem(seed, jets=jets, width=width, classes=classes, separation=separation)
    for fit in fit_multinomial_path(features, labels, classes=classes, penalties=PENALTIES):
        x = features.astype(np.float64)
        logits = x @ fit.coefficients + fit.intercepts
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        slope = (shares / shares.sum(axis=1, keepdims=True) - np.eye(classes)[labels]) / jets
        assert np.abs(x.T @ slope + fit.penalty * fit.coefficients).max() <= 1.01 * GRADIENT_NORM
        assert np.abs(slope.sum(axis=0)).max() <= 1.01 * GRADIENT_NORM
        assert abs(fit.intercepts.sum()) < 1e-9 * max(1, np.abs(fit.intercepts).max())


@pytest.mark.parametrize(
    "options",
    [{}, {"jets": 60, "width": 30}, {"width": 30, "rank": 5}, {"separation": 20.0}],
    ids=["plain", "few jets", "degenerate", "separable"],
)
def test_fits_agree_with_scikit_learn(options):
    from sklearn.linear_model import LogisticRegression

    features, labels = problem(1, **options)
    for fit in fit_multinomial_path(features, labels, classes=4, penalties=PENALTIES):
        model = LogisticRegression(C=1 / (len(labels) * fit.penalty), solver="newton-cholesky", tol=1e-10, max_iter=500)
        x = features.astype(np.float64)
        expected = model.fit(x, labels).predict_log_proba(x)
        logits = x @ fit.coefficients + fit.intercepts
        ours = logits - np.log(np.exp(logits - logits.max(axis=1, keepdims=True)).sum(axis=1, keepdims=True))
        ours -= logits.max(axis=1, keepdims=True)
        assert ours == pytest.approx(expected, abs=2e-3)


def test_two_classes_are_the_binary_fit_at_half_the_penalty():
    """W_1 = -W_0 = w / 2, so penalty / 2 (|W_0|^2 + |W_1|^2) = penalty / 4 |w|^2."""
    features, labels = problem(2, classes=2)
    (both,) = fit_multinomial_path(features, labels, classes=2, penalties=[1e-2])
    (binary,) = fit_path(features, labels == 1, penalties=[5e-3])
    assert both.coefficients[:, 1] - both.coefficients[:, 0] == pytest.approx(binary.coefficients, abs=1e-5)
    assert both.intercepts[1] - both.intercepts[0] == pytest.approx(binary.intercept, abs=1e-5)


def test_a_hessian_of_some_jets_leads_to_the_minimum_of_all(monkeypatch):
    features, labels = problem(3)
    (expected,) = fit_multinomial_path(features, labels, classes=4, penalties=[1e-4])
    monkeypatch.setattr(multinomial, "_MOST_HESSIAN_JETS", 40)
    (found,) = fit_multinomial_path(features, labels, classes=4, penalties=[1e-4])
    assert found.coefficients == pytest.approx(expected.coefficients, abs=1e-3)
    assert found.gradient_norm <= GRADIENT_NORM


def test_a_fit_that_may_take_no_steps_raises_and_says_how_far_it_got(monkeypatch):
    monkeypatch.setattr(multinomial, "_MOST_STEPS", 1)
    with pytest.raises(ConvergenceError, match=r"penalty 1e-06: 1 Newton steps were not enough; the gradient is \d"):
        fit_multinomial_path(*problem(4, separation=30.0), classes=4, penalties=[1e-6])


def test_blocks_of_jets_from_files_lead_to_the_same_minimum(monkeypatch, tmp_path):
    monkeypatch.setenv("JETASSAY_CACHE", str(tmp_path))
    features, labels = problem(6, jets=500)
    expected = fit_multinomial_path(features, labels, classes=4, penalties=PENALTIES)
    monkeypatch.setattr(multinomial, "_BLOCK", 64)
    monkeypatch.setattr("jetassay.embeddings.scratch.SMALL", 100)
    mapped = collect(np.array_split(features, 7), rows=len(features))
    assert not mapped.flags.writeable
    for one, other in zip(expected, fit_multinomial_path(mapped, labels, classes=4, penalties=PENALTIES), strict=True):
        assert other.coefficients == pytest.approx(one.coefficients, abs=1e-5)
        assert other.intercepts == pytest.approx(one.intercepts, abs=1e-5)
        assert other.gradient_norm <= GRADIENT_NORM
