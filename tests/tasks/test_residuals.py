import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression

from jetassay.errors import DataError
from jetassay.tasks.residuals import KNOTS, explained, residuals, spline_basis


def columns_of(seed, *, jets=400):
    stream = np.random.default_rng(seed)
    pt = 500 + 500 * stream.beta(1, 4, size=jets)
    return {
        "jet_pt": pt.astype(np.float32),
        "jet_sdmass": (0.2 * pt * stream.beta(2, 3, size=jets)).astype(np.float32),
        "multiplicity": stream.poisson(45, size=jets).astype(np.float32),
    }


def by_harrell(column, knots):
    """The restricted cubic spline of Harrell's book, equation 2.25, one curve at a time."""
    t, k = knots, len(knots)

    def cube(x):
        return np.maximum(x, 0) ** 3

    return np.stack(
        [
            cube(column - t[j])
            - cube(column - t[k - 2]) * (t[k - 1] - t[j]) / (t[k - 1] - t[k - 2])
            + cube(column - t[k - 1]) * (t[k - 2] - t[j]) / (t[k - 1] - t[k - 2])
            for j in range(k - 2)
        ],
        axis=1,
    )


def test_residuals_are_those_of_scikit_learn_on_harrells_splines():
    columns = columns_of(1)
    names = list(columns)
    scaled = {name: (each.astype(float) - each.mean()) / each.astype(float).std() for name, each in columns.items()}
    parts = [np.column_stack([each, by_harrell(each, np.quantile(each, KNOTS))]) for each in scaled.values()]
    parts.append(np.stack([scaled[a] * scaled[b] for a, b in (names[:2], names[::2], names[1:])], axis=1))
    design = np.hstack(parts)
    embedding = np.random.default_rng(2).normal(size=(400, 5)) + design[:, :5]
    expected = embedding - LinearRegression().fit(design, embedding).predict(design)
    basis = spline_basis(columns, names)
    assert basis.shape[1] == 1 + design.shape[1]
    np.testing.assert_allclose(residuals(embedding, basis), expected, atol=1e-7)
    assert explained(embedding, basis) == pytest.approx(
        LinearRegression().fit(design, embedding).score(design, embedding, None)
        if embedding.shape[1] == 1
        else 1 - np.square(expected).sum() / np.square(embedding - embedding.mean(axis=0)).sum()
    )


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_nothing_of_the_columns_is_left_and_nothing_else_is_taken(seed):
    columns = columns_of(seed)
    basis = spline_basis(columns, list(columns))
    embedding = np.random.default_rng([seed, 1]).normal(size=(400, 4))
    left = residuals(embedding, basis)
    for column in columns.values():
        centred = column.astype(float) - column.astype(float).mean()
        assert np.abs(left.T @ centred).max() < 1e-6 * np.abs(centred).sum()
    np.testing.assert_allclose(residuals(left, basis), left, atol=1e-9)
    np.testing.assert_allclose(basis.T @ basis, np.eye(basis.shape[1]), atol=1e-9)


def test_a_smooth_function_of_pt_is_explained_and_noise_is_not():
    columns = columns_of(3, jets=5000)
    basis = spline_basis(columns, ["jet_pt"])
    smooth = np.log(columns["jet_pt"].astype(float))[:, None]
    assert explained(smooth, basis) > 0.9999
    assert explained(np.random.default_rng(4).normal(size=(5000, 3)), basis) < 0.005


def test_columns_with_few_values_enter_as_they_are():
    columns = {"jet_pt": np.repeat([500.0, 600.0], 50), "constant": np.ones(100)}
    assert spline_basis(columns, ["jet_pt"]).shape == (100, 2)
    assert spline_basis(columns, ["jet_pt", "constant"]).shape == (100, 2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: {"jet_pt": c["jet_pt"]}, "no column jet_sdmass, multiplicity; they have jet_pt"),
        (lambda c: {**c, "jet_pt": np.full(400, np.nan)}, "400 jets have NaN or infinity as jet_pt"),
        (lambda c: {name: each[:20] for name, each in c.items()}, r"takes \d+ jets, and there are 20"),
    ],
)
def test_columns_that_cannot_be_taken_out_are_named(change, message):
    with pytest.raises(DataError, match=message):
        spline_basis(change(columns_of(5)), ["jet_pt", "jet_sdmass", "multiplicity"])


def test_a_constant_embedding_has_nothing_to_explain():
    with pytest.raises(DataError, match="the same for all jets"):
        explained(np.ones((400, 2)), spline_basis(columns_of(6), ["jet_pt"]))
    with pytest.raises(DataError, match="no column to regress out"):
        spline_basis(columns_of(6), [])
