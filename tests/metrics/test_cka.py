import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ortho_group

from jetassay.errors import DataError
from jetassay.metrics.cka import CrossSums, debiased_cka, permutation_null


def hsic_by_gram_matrices(k, level):
    """The unbiased estimator as its formula stands, from n by n matrices."""
    k, level, n = k.copy(), level.copy(), len(k)
    np.fill_diagonal(k, 0)
    np.fill_diagonal(level, 0)
    one = np.ones(n)
    product = np.trace(k @ level) + (one @ k @ one) * (one @ level @ one) / ((n - 1) * (n - 2))
    return (product - 2 / (n - 2) * (one @ k @ level @ one)) / (n * (n - 3))


def cka_by_gram_matrices(x, y):
    k, level = x @ x.T, y @ y.T
    own = hsic_by_gram_matrices(k, k) * hsic_by_gram_matrices(level, level)
    return hsic_by_gram_matrices(k, level) / np.sqrt(own)


def biased_cka(x, y):
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    return np.sum((x.T @ y) ** 2) / np.sqrt(np.sum((x.T @ x) ** 2) * np.sum((y.T @ y) ** 2))


def related(seed, *, jets=200, widths=(6, 9), noise=1.0):
    """Two embeddings of the same latent variables."""
    stream = np.random.default_rng(seed)
    latent = stream.normal(size=(jets, 4))
    return tuple(
        latent @ stream.normal(size=(4, width)) + noise * stream.normal(size=(jets, width)) for width in widths
    )


def in_chunks(x, y, *, size, **options):
    sums = CrossSums({"x": x.shape[1], "y": y.shape[1]}, **options)
    for start in range(0, len(x), size):
        sums.add({"x": x[start : start + size], "y": y[start : start + size]})
    return sums


seeds = st.integers(0, 2**32 - 1)


@settings(max_examples=40)
@given(seeds, st.integers(4, 60), st.integers(1, 20), st.integers(1, 20), st.floats(-3, 3))
def test_sums_give_what_gram_matrices_give(seed, jets, p, q, shift):
    x, y = related(seed, jets=jets, widths=(p, q))
    assert debiased_cka(x + shift, y) == pytest.approx(cka_by_gram_matrices(x, y), rel=1e-7, abs=1e-9)


@settings(max_examples=40)
@given(seeds, st.floats(1e-3, 1e3), st.floats(-100, 100))
def test_cka_ignores_rotation_scale_and_shift(seed, scale, shift):
    x, y = related(seed)
    rotation = ortho_group.rvs(9, random_state=seed)
    assert debiased_cka(x, scale * y @ rotation + shift) == pytest.approx(debiased_cka(x, y), abs=1e-9)


def test_cka_does_not_ignore_stretching_one_direction():
    x, y = related(1)
    assert abs(debiased_cka(x, y * np.r_[10, np.ones(8)]) - debiased_cka(x, y)) > 0.01


@given(seeds)
def test_cka_is_symmetric_and_one_for_the_same_embedding(seed):
    x, y = related(seed, jets=50)
    assert debiased_cka(x, y) == pytest.approx(debiased_cka(y, x), abs=1e-12)
    assert debiased_cka(x, x) == pytest.approx(1, abs=1e-12)


def test_independent_gaussians_are_unlike_where_biased_cka_calls_them_half_alike():
    stream = np.random.default_rng(2)
    pairs = [(stream.normal(size=(128, 128)), stream.normal(size=(128, 128))) for _ in range(20)]
    debiased = np.array([debiased_cka(x, y) for x, y in pairs])
    assert np.mean([biased_cka(x, y) for x, y in pairs]) == pytest.approx(0.5, abs=0.02)
    assert abs(debiased.mean()) < 0.01
    assert debiased.min() < 0 < debiased.max()


def test_a_part_of_an_isotropic_embedding_has_the_known_cka():
    """Population CKA of N(0, 1)^p with its first q dimensions: q / sqrt(p q)."""
    x = np.random.default_rng(3).normal(size=(200_000, 16))
    assert debiased_cka(x, x[:, :4]) == pytest.approx(0.5, abs=0.003)


@pytest.mark.parametrize("size", [1, 7, 64, 10_000])
@pytest.mark.parametrize("blocks", [1, 20])
def test_neither_chunks_nor_blocks_move_cka(size, blocks):
    x, y = related(4)
    assert in_chunks(x, y, size=size, blocks=blocks).cka("x", "y") == pytest.approx(debiased_cka(x, y), abs=1e-12)


def test_embeddings_far_from_zero_lose_no_digits():
    x, y = related(5)
    assert in_chunks(x + 1e6, y - 1e5, size=64).cka("x", "y") == pytest.approx(debiased_cka(x, y), abs=1e-7)


def test_float32_embeddings_are_summed_in_float64():
    x, y = (each.astype(np.float32) for each in related(6, jets=5000))
    assert debiased_cka(x, y) == pytest.approx(debiased_cka(x.astype(np.float64), y.astype(np.float64)), abs=1e-12)


def test_the_jackknife_interval_covers_two_times_in_three():
    stream = np.random.default_rng(7)
    mix = [stream.normal(size=(4, width)) for width in (6, 9)]

    def draw(jets):
        latent = stream.normal(size=(jets, 4))
        return [latent @ each + stream.normal(size=(jets, each.shape[1])) for each in mix]

    truth = debiased_cka(*draw(200_000))
    intervals = [in_chunks(*draw(400), size=400, seed=seed).interval("x", "y", level=0.68) for seed in range(200)]
    assert 0.58 <= np.mean([each.low <= truth <= each.high for each in intervals]) <= 0.78


def test_jets_sorted_by_class_do_not_widen_the_interval():
    x, y = related(8, jets=4000)
    far = np.repeat([0.0, 20.0], 2000)[:, None]
    by_class = in_chunks(x + far, y + far, size=4000).interval("x", "y", level=0.68)
    order = np.random.default_rng(0).permutation(4000)
    mixed = in_chunks((x + far)[order], (y + far)[order], size=4000).interval("x", "y", level=0.68)
    assert by_class.high - by_class.low == pytest.approx(mixed.high - mixed.low, rel=0.6)


@pytest.mark.parametrize(("jets", "blocks"), [(4, 4), (100, 1)])
def test_there_is_no_interval_without_blocks_to_delete(jets, blocks):
    assert in_chunks(*related(9, jets=jets), size=50, blocks=blocks).interval("x", "y", level=0.68) is None


def test_the_permutation_null_of_independent_embeddings_is_centred_on_zero():
    stream = np.random.default_rng(10)
    null = permutation_null(stream.normal(size=(300, 20)), stream.normal(size=(300, 20)), draws=200, seed=1)
    assert abs(null.values.mean()) < 3 * null.values.std() / np.sqrt(200)


def test_a_permutation_value_is_the_cka_of_the_shuffled_jets():
    x, y = related(11)
    null = permutation_null(x + 50, y, draws=3, seed=4)
    stream = np.random.default_rng(4)
    by_hand = [debiased_cka(x, y[stream.permutation(len(y))]) for _ in range(3)]
    assert null.values.tolist() == pytest.approx(by_hand, abs=1e-5)
    assert null.observed == pytest.approx(debiased_cka(x, y), abs=1e-12)


def test_p_values_of_unrelated_embeddings_are_uniform():
    stream = np.random.default_rng(12)
    p_values = [
        permutation_null(stream.normal(size=(60, 5)), stream.normal(size=(60, 7)), draws=39, seed=seed).p_value
        for seed in range(200)
    ]
    assert np.mean(p_values) == pytest.approx(0.5, abs=0.07)
    assert np.mean(np.array(p_values) <= 0.05) == pytest.approx(0.05, abs=0.045)


def test_related_embeddings_have_the_smallest_p_value_and_it_is_not_zero():
    assert permutation_null(*related(13), draws=49).p_value == 1 / 50


def test_one_seed_gives_one_null():
    x, y = related(14)
    first, again, other = (permutation_null(x, y, draws=5, seed=seed).values for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("measure", [debiased_cka, permutation_null])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x, y: (x, np.full_like(y, 1.1)), "'second': it is the same for all 200 jets"),
        (lambda x, y: (np.where(np.arange(200)[:, None] == 17, np.nan, x), y), "1 jets hold NaN .* is jet 17"),
        (lambda x, y: (x, np.where(np.arange(200)[:, None] > 197, np.inf, y)), "'second': 2 jets hold NaN or infinity"),
        (lambda x, y: (x, y[:-1]), "the same jets"),
        (lambda x, y: (x[:3], y[:3]), "at least 4 jets, and there are 3"),
        (lambda x, y: (x[:0], y[:0]), "at least 4 jets, and there are 0"),
    ],
)
def test_embeddings_that_cannot_be_compared_are_refused(measure, change, message):
    with pytest.raises(DataError, match=message):
        measure(*change(*related(15)))


def test_sums_refuse_other_names_and_other_widths():
    x, _ = related(16)
    sums = CrossSums({"x": 6, "y": 9})
    with pytest.raises(DataError, match="expected"):
        sums.add({"x": x})
    with pytest.raises(DataError, match=r"'y': expected \(jets, 9\), got \(200, 6\)"):
        sums.add({"x": x, "y": x})


def test_a_null_without_draws_is_refused():
    with pytest.raises(DataError, match="at least one draw"):
        permutation_null(*related(17), draws=0)


def test_no_interval_of_a_similarity_reaches_beyond_1():
    stream = np.random.default_rng(3)
    x = stream.standard_normal((64, 6)) * stream.exponential(3, size=(64, 1))
    sums = CrossSums({"x": 6, "y": 6}, blocks=4)
    sums.add({"x": x, "y": x + 0.02 * stream.standard_normal((64, 6)) * stream.exponential(9, size=(64, 1))})
    interval, value = sums.interval("x", "y", level=0.9999), sums.cka("x", "y")
    assert interval.low < value < interval.high == 1.0
