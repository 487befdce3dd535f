"""Effective rank against closed forms, and what counts as dead, alike and collapsed."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import entropy

from jetassay.audit.collapse import collapse, dead_dimensions, effective_rank, singular_values


def check(function, embedding, *, role="backbone"):
    backbone = SimpleNamespace(card=SimpleNamespace(role=role))
    (row,) = function(SimpleNamespace(embedding=np.asarray(embedding, np.float32), backbone=backbone))
    return row


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=20))
def test_the_effective_rank_is_the_exponential_of_the_entropy_of_the_singular_values(values):
    values = np.array(values)
    expected = np.exp(entropy(values)) if values.sum() > 0 else 0.0
    assert effective_rank(values) == pytest.approx(expected, rel=1e-9)
    assert 0 <= effective_rank(values) <= len(values) * (1 + 1e-12)


@given(st.integers(2, 12), st.floats(1e-3, 1e3), st.integers(0, 2**32 - 1))
def test_the_spectrum_ignores_rotation_and_shift_and_scales_with_the_embedding(width, scale, seed):
    rng = np.random.default_rng(seed)
    embedding = rng.normal(size=(40, width))
    rotation = np.linalg.qr(rng.normal(size=(width, width)))[0]
    moved = scale * (embedding @ rotation) + rng.normal(size=width)
    np.testing.assert_allclose(singular_values(moved), scale * singular_values(embedding), rtol=1e-8, atol=1e-8 * scale)


@pytest.mark.parametrize("rank", [1, 3, 7])
def test_orthonormal_directions_have_the_effective_rank_of_their_number(rank):
    rng = np.random.default_rng(1)
    directions = rng.normal(size=(200, rank))
    directions = np.linalg.qr(directions - directions.mean(axis=0))[0]
    row = check(collapse, directions @ np.linalg.qr(rng.normal(size=(10, rank)))[0].T * 40)
    assert row.numbers["effective_rank"] == pytest.approx(rank, rel=1e-3)
    assert row.numbers["components_99"] == rank
    assert row.status == ("fail" if rank == 1 else "pass")


def test_an_embedding_of_one_dimension_has_not_collapsed_unless_it_is_constant():
    assert check(collapse, np.random.default_rng(0).normal(size=(30, 1))).status == "pass"
    assert check(collapse, np.full((30, 1), 0.3)).status == "fail"
    assert check(collapse, np.zeros((30, 4))).figure == "constant"


def test_a_constant_far_from_zero_with_rounding_is_constant():
    rng = np.random.default_rng(0)
    embedding = np.float32(1000) + rng.choice([0, 6e-5], (100, 5)).astype(np.float32)
    assert check(collapse, embedding).figure == "constant"


@pytest.mark.parametrize(("dead", "status"), [(0, "pass"), (1, "note"), (4, "note"), (5, "fail"), (10, "fail")])
def test_dead_dimensions_are_counted_and_half_of_them_are_too_many(dead, status):
    embedding = np.random.default_rng(0).normal(size=(50, 10))
    embedding[:, :dead] = np.arange(dead)
    row = check(dead_dimensions, embedding)
    assert (row.numbers["dead"], row.status) == (dead, status)
    control = check(dead_dimensions, embedding, role="control")
    assert control.status == ("note" if dead else "pass")
