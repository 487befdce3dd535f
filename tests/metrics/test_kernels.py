import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import pdist, squareform
from scipy.stats import ortho_group
from threadpoolctl import threadpool_limits

from jetassay.errors import DataError
from jetassay.metrics.kernels import (
    KernelSums,
    bandwidths,
    batch_edges,
    gaussian_kernel,
    kernel_null,
    kernel_sums,
    median_distance,
)

seeds = st.integers(0, 2**32 - 1)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """As tasks run in a suite; threads of small matrices wait for one another on a busy machine."""
    with threadpool_limits(1):
        yield


def kernel(x, sigma):
    return np.exp(-(squareform(pdist(x)) ** 2) / (2 * sigma**2))


def hsic(k, level):
    """Song et al. 2012, eq. 5, as it stands."""
    k, level, n = k.copy(), level.copy(), len(k)
    np.fill_diagonal(k, 0)
    np.fill_diagonal(level, 0)
    one = np.ones(n)
    product = np.trace(k @ level) + (one @ k @ one) * (one @ level @ one) / ((n - 1) * (n - 2))
    return (product - 2 / (n - 2) * (one @ k @ level @ one)) / (n * (n - 3))


def related(seed, *, jets=200, widths=(6, 9), noise=1.0):
    stream = np.random.default_rng(seed)
    latent = stream.normal(size=(jets, 4))
    return tuple(
        latent @ stream.normal(size=(4, width)) + noise * stream.normal(size=(jets, width)) for width in widths
    )


def cka(x, y, *, fraction=0.5, seed=0):
    pair = {"x": x, "y": y}
    return kernel_sums(pair, widths=bandwidths(pair, fraction=fraction, seed=seed), seed=seed).cka("x", "y")


@settings(max_examples=25)
@given(seeds, st.integers(5, 60), st.integers(1, 12), st.floats(0.3, 3))
def test_one_batch_gives_what_the_formula_gives_from_whole_matrices(seed, jets, width, sigma):
    x, y = related(seed, jets=jets, widths=(width, 3))
    sums = KernelSums({"x": sigma, "y": 2 * sigma})
    sums.add({"x": x + 30, "y": y})
    k, level = kernel(x, sigma), kernel(y, 2 * sigma)
    own = hsic(k, k) * hsic(level, level)
    if min(hsic(k, k), hsic(level, level)) > 1e-9:
        assert sums.cka("x", "y") == pytest.approx(hsic(k, level) / np.sqrt(own), abs=2e-4)


def test_batches_average_numerator_and_denominators_apart():
    x, y = related(1, jets=90)
    sums, parts = KernelSums({"x": 2.0, "y": 3.0}), []
    for rows in np.array_split(np.arange(90), 3):
        sums.add({"x": x[rows], "y": y[rows]})
        k, level = kernel(x[rows], 2.0), kernel(y[rows], 3.0)
        parts.append((hsic(k, level), hsic(k, k), hsic(level, level)))
    cross, own_x, own_y = np.mean(parts, axis=0)
    assert sums.cka("x", "y") == pytest.approx(cross / np.sqrt(own_x * own_y), abs=1e-5)
    assert sums.n_jets == 90


@settings(max_examples=15)
@given(seeds, st.floats(1e-3, 1e3), st.floats(-100, 100))
def test_kernel_cka_ignores_rotation_scale_and_shift(seed, scale, shift):
    x, y = related(seed)
    rotation = ortho_group.rvs(9, random_state=seed)
    assert cka(x, scale * (y @ rotation + shift)) == pytest.approx(cka(x, y), abs=1e-3)


def test_kernel_cka_does_not_ignore_stretching_one_direction():
    x, y = related(1)
    assert abs(cka(x, y * np.r_[10, np.ones(8)]) - cka(x, y)) > 0.01


def test_the_same_embedding_is_one_and_the_order_of_the_two_is_nothing():
    x, y = related(2)
    assert cka(x, x) == pytest.approx(1, abs=1e-6)
    assert cka(x, y) == pytest.approx(cka(y, x), abs=1e-6)


def test_neither_the_mean_over_many_draws_nor_its_sign_depends_on_the_size_of_the_batches():
    """The three means are unbiased for any batch: 16 jets a batch give on average what 240 jets at once give."""
    stream, small, whole, unrelated = np.random.default_rng(3), [], [], []
    for _ in range(40):
        latent = stream.normal(size=(240, 3))
        x, y = latent, latent + 1.5 * stream.normal(size=(240, 3))
        pair = {"x": x, "y": y, "z": stream.normal(size=(240, 3))}
        batches, one = KernelSums({"x": 1.0, "y": 1.8, "z": 1.0}), KernelSums({"x": 1.0, "y": 1.8, "z": 1.0})
        for rows in np.split(np.arange(240), 15):
            batches.add({name: each[rows] for name, each in pair.items()})
        one.add(pair)
        small.append(batches.cka("x", "y"))
        whole.append(one.cka("x", "y"))
        unrelated.append(batches.cka("x", "z"))
    error = np.hypot(np.std(small), np.std(whole)) / np.sqrt(40)
    assert abs(np.mean(small) - np.mean(whole)) < 3.5 * error
    assert abs(np.mean(unrelated)) < 3.5 * np.std(unrelated) / np.sqrt(40)
    assert min(unrelated) < 0 < max(unrelated)


def test_independent_gaussians_of_128_dimensions_are_unlike_at_128_jets():
    stream = np.random.default_rng(4)
    values = [cka(stream.normal(size=(128, 128)), stream.normal(size=(128, 128))) for _ in range(20)]
    assert abs(np.mean(values)) < 0.02


def test_a_wide_kernel_gives_linear_cka():
    """exp(-d^2 / 2s^2) tends to 1 - d^2 / 2s^2, which is the linear kernel after centring (Kornblith et al. 2019)."""
    from jetassay.metrics.cka import debiased_cka

    x, y = related(5, jets=250)
    sums = KernelSums({"x": 60.0, "y": 60.0})
    sums.add({"x": x, "y": y})
    assert sums.cka("x", "y") == pytest.approx(debiased_cka(x, y), abs=0.005)


def test_a_curved_image_is_seen_by_the_kernel_and_not_by_linear_cka():
    from jetassay.metrics.cka import debiased_cka

    x = np.random.default_rng(6).normal(size=(2000, 1))
    y = x**2
    assert abs(debiased_cka(x, y)) < 0.1
    assert cka(x, y) > 0.2


def test_the_median_is_that_of_all_pairs():
    x, _ = related(7, jets=150)
    assert median_distance(x + 1e4) == pytest.approx(np.median(pdist(x)), rel=1e-6)


@pytest.mark.parametrize("jets", [4, 15, 16, 100, 127, 1000, 10_000])
def test_batches_hold_every_jet_once_and_enough_of_them(jets):
    edges = batch_edges(jets)
    sizes = np.diff(edges)
    assert (edges[0], edges[-1]) == (0, jets)
    assert sizes.min() >= min(16, jets)
    assert len(sizes) >= min(8, max(jets // 16, 1))
    assert sizes.max() <= 2 * 256


def test_the_jackknife_interval_covers_two_times_in_three():
    stream = np.random.default_rng(8)
    mix = stream.normal(size=(3, 5))

    def draw(jets):
        latent = stream.normal(size=(jets, 3))
        return {"x": latent + 0.5 * stream.normal(size=latent.shape), "y": latent @ mix}

    def sums_of(pair, jets):
        sums = KernelSums({"x": 2.0, "y": 3.0})
        for start in range(0, jets, 32):
            sums.add({name: each[start : start + 32] for name, each in pair.items()})
        return sums

    truth = sums_of(draw(40_000), 40_000).cka("x", "y")
    intervals = [sums_of(draw(320), 320).interval("x", "y", level=0.68) for _ in range(200)]
    assert 0.58 <= np.mean([each.low <= truth <= each.high for each in intervals]) <= 0.78
    assert sums_of(draw(32), 32).interval("x", "y", level=0.68) is None


def test_a_shuffle_within_batches_is_the_null():
    x, y = related(9, jets=512)
    pair = {"x": x, "y": y}
    null = kernel_null(pair, widths=bandwidths(pair, fraction=0.5, seed=1), draws=49, seed=1)
    assert null.observed == pytest.approx(cka(x, y, seed=1), abs=1e-5)
    assert abs(null.values.mean()) < 4 * null.values.std() / 7
    assert null.p_value == 1 / 50


def test_p_values_of_unrelated_embeddings_are_uniform():
    stream = np.random.default_rng(10)
    p_values = []
    for _ in range(200):
        pair = {"x": stream.normal(size=(80, 4)), "y": stream.normal(size=(80, 6))}
        p_values.append(kernel_null(pair, widths={"x": 1.4, "y": 1.7}, draws=19).p_value)
    assert np.mean(p_values) == pytest.approx(0.525, abs=0.07)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x, y: (x, np.full_like(y, 1.1)), "embedding 'y': half of all pairs of jets have the same embedding"),
        (lambda x, y: (np.where(np.arange(200)[:, None] == 17, np.nan, x), y), "embedding 'x': .* NaN or infinity"),
        (lambda x, y: (x, y[:-1]), "the same jets"),
        (lambda x, y: (x[:3], y[:3]), "at least 4 jets, and there are 3"),
        (lambda x, y: (x[:1], y[:1]), "a distance needs two jets, and there are 1"),
    ],
)
def test_embeddings_without_a_kernel_are_refused(change, message):
    with pytest.raises(DataError, match=message):
        cka(*change(*related(11)))


def test_batches_of_other_jets_or_too_few_are_refused():
    x, y = related(12)
    sums = KernelSums({"x": 1.0, "y": 1.0})
    with pytest.raises(DataError, match="expected the same jets"):
        sums.add({"x": x, "y": y[1:]})
    with pytest.raises(DataError, match="at least 4 jets a batch"):
        sums.add({"x": x[:3], "y": y[:3]})
    with pytest.raises(DataError, match="no jets"):
        sums.cka("x", "y")
    with pytest.raises(DataError, match="positive fraction"):
        bandwidths({"x": x}, fraction=0.0)
    with pytest.raises(DataError, match="'x': 1 jets of a batch hold NaN"):
        gaussian_kernel(np.where(np.arange(200)[:, None] == 3, np.inf, x), 1.0, name="x")
