import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ortho_group
from sklearn.neighbors import NearestNeighbors
from threadpoolctl import threadpool_limits

from jetassay.errors import DataError
from jetassay.metrics.neighbours import nearest_jets, overlap, overlap_null

seeds = st.integers(0, 2**32 - 1)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """As tasks run in a suite; threads of small matrices wait for one another on a busy machine."""
    with threadpool_limits(1):
        yield


def mutual(x, y, *, k=10):
    return overlap(nearest_jets(x, k=k), nearest_jets(y, k=k))


@pytest.mark.parametrize("jets", [12, 600, 1300])
def test_neighbours_are_those_of_scikit_learn(jets):
    x = np.random.default_rng(jets).normal(size=(jets, 5)) + 40
    reference = NearestNeighbors(n_neighbors=10).fit(x).kneighbors(return_distance=False)
    assert np.array_equal(np.sort(nearest_jets(x), axis=1), np.sort(reference, axis=1))


def test_the_overlap_is_that_of_sets():
    stream = np.random.default_rng(1)
    a, b = (nearest_jets(stream.normal(size=(80, 3)), k=7) for _ in range(2))
    by_sets = np.array([len(set(one) & set(other)) / 7 for one, other in zip(a.tolist(), b.tolist(), strict=True)])
    found = overlap(a, b)
    assert np.array_equal(found.shares, by_sets)
    assert found.shared.sum() == pytest.approx(found.shares.sum())
    assert found.chance == 7 / 79
    assert found.value == pytest.approx((by_sets.mean() - 7 / 79) / (1 - 7 / 79))


@settings(max_examples=25)
@given(seeds, st.floats(1e-3, 1e3), st.floats(-100, 100))
def test_mutual_neighbours_ignore_rotation_scale_and_shift(seed, scale, shift):
    stream = np.random.default_rng(seed)
    x, y = stream.normal(size=(100, 4)), stream.normal(size=(100, 6))
    moved = scale * (y @ ortho_group.rvs(6, random_state=seed) + shift)
    assert mutual(x, moved, k=5).value == pytest.approx(mutual(x, y, k=5).value, abs=0.01)
    assert mutual(y, moved, k=5).value == pytest.approx(1, abs=0.01)


def test_mutual_neighbours_do_not_ignore_stretching_one_direction():
    x = np.random.default_rng(2).normal(size=(300, 6))
    assert mutual(x, x * np.r_[30, np.ones(5)]).value < 0.7


def test_unrelated_embeddings_share_neighbours_by_chance_alone():
    stream = np.random.default_rng(3)
    values = [mutual(stream.normal(size=(60, 4)), stream.normal(size=(60, 8))).value for _ in range(100)]
    assert abs(np.mean(values)) < 3.5 * np.std(values) / 10


def test_local_structure_is_seen_where_distances_between_groups_hide_it():
    """Two groups far apart, unrelated inside: linear CKA is near 1, neighbours are shared no more than in a group."""
    from jetassay.metrics.cka import debiased_cka

    stream = np.random.default_rng(4)
    far = np.repeat([0.0, 30.0], 500)[:, None]
    x, y = (stream.normal(size=(1000, 5)) + far for _ in range(2))
    assert debiased_cka(x, y) > 0.98
    assert mutual(x, y).value < 0.05


def test_the_interval_covers_two_times_in_three_at_least():
    stream = np.random.default_rng(5)

    def draw():
        latent = stream.normal(size=(200, 3))
        return mutual(latent, latent + 0.5 * stream.normal(size=latent.shape))

    overlaps = [draw() for _ in range(300)]
    truth = np.mean([each.value for each in overlaps])
    intervals = [each.interval(level=0.68) for each in overlaps]
    assert 0.63 <= np.mean([each.low <= truth <= each.high for each in intervals]) <= 0.9


def test_a_shuffle_is_the_null():
    stream = np.random.default_rng(6)
    x = stream.normal(size=(300, 4))
    y = x + 0.3 * stream.normal(size=x.shape)
    null = overlap_null(nearest_jets(x), nearest_jets(y), draws=49, seed=1)
    assert null.p_value == 1 / 50
    assert abs(null.values.mean()) < 4 * null.values.std() / 7
    order = np.random.default_rng(1).permutation(300)
    assert null.values[0] == pytest.approx(mutual(x, y[order]).value, abs=1e-12)


@pytest.mark.parametrize(
    ("embedding", "message"),
    [
        (np.ones((50, 3)), "the same for all 50 jets"),
        (np.full((50, 3), np.nan), "NaN or infinity"),
        (np.eye(11), "at least 12 jets, and there are 11"),
    ],
)
def test_embeddings_without_neighbours_are_refused(embedding, message):
    with pytest.raises(DataError, match=message):
        nearest_jets(embedding)


def test_neighbours_of_other_jets_are_not_compared():
    with pytest.raises(DataError, match="cannot be compared"):
        overlap(np.zeros((5, 2), np.int64), np.zeros((6, 2), np.int64))
