"""Ridge regression by streamed sums, against scikit-learn."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from jetassay.errors import DataError
from jetassay.tasks.ridge import fit_ridge

PENALTIES = (1.0, 1e-2, 1e-6)


@pytest.fixture
def jets():
    stream = np.random.default_rng(1)
    embedding = (stream.normal(size=(9000, 6)) @ stream.normal(size=(6, 6)) + 40).astype(np.float32)
    targets = embedding[:, :3] @ stream.normal(size=(3, 2)) + stream.normal(size=(9000, 2)) + [1000, -3]
    return embedding, targets


@pytest.mark.parametrize("number", range(len(PENALTIES)))
def test_every_fit_is_that_of_scikit_learn(jets, number):
    embedding, targets = jets
    fitted = fit_ridge(embedding, targets, penalties=PENALTIES)
    scaled = StandardScaler().fit_transform(embedding.astype(np.float64))
    theirs = Ridge(alpha=len(targets) * PENALTIES[number]).fit(scaled, targets)
    assert pytest.approx(theirs.coef_, rel=1e-5, abs=1e-8) == fitted.coefficients[number].T
    assert fitted.intercepts == pytest.approx(theirs.intercept_)
    at = np.full(2, number)
    assert fitted.predict(embedding, at=at) == pytest.approx(theirs.predict(scaled), rel=1e-6)


def test_each_target_has_its_own_penalty_and_errors_are_those_of_the_predictions(jets):
    embedding, targets = jets
    fitted = fit_ridge(embedding, targets, penalties=PENALTIES)
    errors = fitted.squared_errors(embedding, targets)
    mixed = fitted.predict(embedding, at=np.array([0, 2]))
    assert ((mixed - targets) ** 2).mean(axis=0) == pytest.approx([errors[0, 0], errors[2, 1]])


def test_a_constant_dimension_changes_nothing(jets):
    embedding, targets = jets
    wider = np.concatenate([embedding, np.full((len(embedding), 1), 7, np.float32)], axis=1)
    one, other = (fit_ridge(each, targets, penalties=PENALTIES) for each in (embedding, wider))
    assert other.coefficients[:, :-1] == pytest.approx(one.coefficients, rel=1e-6)
    assert np.abs(other.coefficients[:, -1]).max() < 1e-9


def test_fewer_jets_than_dimensions_are_fitted():
    stream = np.random.default_rng(2)
    fitted = fit_ridge(stream.normal(size=(5, 20)).astype(np.float32), stream.normal(size=(5, 1)), penalties=(1e-8,))
    assert np.isfinite(fitted.coefficients).all()


def test_an_embedding_that_does_not_vary_is_refused():
    with pytest.raises(DataError, match="same for all 9 training jets"):
        fit_ridge(np.ones((9, 3), np.float32), np.arange(9.0)[:, None], penalties=(1.0,))
