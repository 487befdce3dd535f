import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import pdist

from jetassay.errors import DataError
from jetassay.metrics.shift import embedding_shift


def gaussian(jets=400, width=6, seed=0):
    return np.random.default_rng(seed).normal(3, 2, (jets, width)).astype(np.float32)


def test_a_shift_is_the_distance_moved_over_the_distance_of_two_jets():
    before, after = gaussian(60), gaussian(60, seed=1)
    moved = np.sqrt(((after - before).astype(float) ** 2).sum(axis=1).mean())
    apart = np.sqrt((pdist(before.astype(float)) ** 2).mean())
    centred = [each.astype(float) - before.astype(float).mean(axis=0) for each in (before, after)]
    cosines = [a @ b / np.linalg.norm(a) / np.linalg.norm(b) for a, b in zip(*centred, strict=True)]
    found = embedding_shift(before, after, level=0.68)
    assert found.relative == pytest.approx(moved / apart, rel=1e-6)
    assert found.cosine == pytest.approx(np.mean(cosines), rel=1e-6)


def test_jets_that_stay_have_not_moved():
    found = embedding_shift(gaussian(), gaussian(), level=0.68)
    assert (found.relative, found.relative_interval.low, found.relative_interval.high) == (0, 0, 0)
    assert found.cosine == pytest.approx(1)


def test_embeddings_that_swap_jets_have_moved_by_one():
    before = gaussian(20_000)
    found = embedding_shift(before, np.random.default_rng(2).permutation(before), level=0.68)
    assert found.relative == pytest.approx(1, abs=0.02)
    assert found.cosine == pytest.approx(0, abs=0.02)


@given(st.integers(0, 50), st.floats(0.01, 100))
def test_rotation_scale_and_origin_of_the_embedding_do_not_matter(seed, scale):
    rng = np.random.default_rng(seed)
    rotation = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    before, after = gaussian(), gaussian() + 0.3 * gaussian(seed=1)
    turned = [(scale * (each @ rotation) + 7 * scale).astype(np.float32) for each in (before, after)]
    first, second = embedding_shift(before, after, level=0.68), embedding_shift(*turned, level=0.68)
    assert first.relative == pytest.approx(second.relative, rel=1e-3)
    assert first.cosine == pytest.approx(second.cosine, abs=1e-3)


def test_intervals_cover_as_they_should():
    inside = np.zeros(2)
    for seed in range(400):
        rng = np.random.default_rng(seed)
        before = rng.normal(0, 1, (100, 10))
        after = before + 0.5 * rng.normal(0, 1, (100, 10))
        found = embedding_shift(before.astype(np.float32), after.astype(np.float32), level=0.68)
        # E |z' - z|^2 = 0.25 D, E |z_i - z_j|^2 = 2 D
        truth = np.sqrt(0.25 / 2), MEAN_COSINE
        for each, (value, interval) in enumerate(
            zip(truth, (found.relative_interval, found.cosine_interval), strict=True)
        ):
            inside[each] += interval.low <= value <= interval.high
    assert inside / 400 == pytest.approx(0.68, abs=0.09)


_Z = np.random.default_rng(1).normal(size=(2, 200_000, 10))
MEAN_COSINE = float(
    (
        (_Z[0] * (_Z[0] + 0.5 * _Z[1])).sum(axis=1)
        / np.linalg.norm(_Z[0], axis=1)
        / np.linalg.norm(_Z[0] + 0.5 * _Z[1], axis=1)
    ).mean()
)


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        (gaussian(3), gaussian(4), "expected the same"),
        (gaussian(1), gaussian(1), "J >= 2"),
        (np.ones((5, 3), np.float32), gaussian(5, 3), "the same for all 5 jets"),
    ],
)
def test_embeddings_that_cannot_be_compared_are_refused(before, after, message):
    with pytest.raises(DataError, match=message):
        embedding_shift(before, after, level=0.68)
