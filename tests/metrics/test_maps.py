import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import orthogonal_procrustes
from scipy.spatial import procrustes as scipy_procrustes
from scipy.stats import ortho_group
from sklearn.cross_decomposition import CCA
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge
from threadpoolctl import threadpool_limits

from jetassay.errors import DataError
from jetassay.metrics.cka import CrossSums
from jetassay.metrics.maps import FITS, Half, Halves, Judged, Own, ShuffledHalves, fit_regression

seeds = st.integers(0, 2**32 - 1)
every_measure = pytest.mark.parametrize("fit", FITS)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """As tasks run in a suite; threads of small matrices wait for one another on a busy machine."""
    with threadpool_limits(1):
        yield


def halves_of(x, y, *, blocks=10, seed=0):
    sums = CrossSums({"x": x.shape[1], "y": y.shape[1]}, blocks=blocks, seed=seed)
    sums.add({"x": x, "y": y})
    return Halves(sums)


def value(fit, x, y, **options):
    return halves_of(x, y, **options).measure(fit, "x", "y")


def related(seed, *, jets=400, widths=(6, 9), noise=1.0):
    stream = np.random.default_rng(seed)
    latent = stream.normal(size=(jets, 4))
    return tuple(
        latent @ stream.normal(size=(4, width)) + noise * stream.normal(size=(jets, width)) for width in widths
    )


def dealt(x, y, *, seed=0):
    """The two halves, as two blocks of `CrossSums` deal them."""
    order = np.random.default_rng(seed).permutation(len(x))
    return [(x[rows], y[rows]) for rows in np.array_split(order, 2)]


def centred(x):
    return x - x.mean(axis=0)


def by_hand(fit, x, y):
    """Fitted on one half and judged on the other by other people's code."""
    halves = dealt(x, y)
    values = []
    for (x1, y1), (x2, y2) in (halves, halves[::-1]):
        a, b, c, d = (centred(each) for each in (x1, y1, x2, y2))
        if fit == "procrustes":
            width = max(a.shape[1], b.shape[1])
            a, b, c, d = (np.pad(each, ((0, 0), (0, width - each.shape[1]))) for each in (a, b, c, d))
            rotation, _ = orthogonal_procrustes(a, b)
            values.append(np.sum((c @ rotation) * d) / np.linalg.norm(c) / np.linalg.norm(d))
        elif fit == "svcca":
            of_x, of_y = (PCA(0.99, svd_solver="full").fit(each) for each in (a, b))
            k = min(of_x.n_components_, of_y.n_components_)
            cca = CCA(n_components=k, scale=False, max_iter=5000, tol=1e-12).fit(of_x.transform(a), of_y.transform(b))
            u, v = cca.transform(of_x.transform(c), of_y.transform(d))
            values.append(np.mean([np.corrcoef(u[:, i], v[:, i])[0, 1] for i in range(k)]))
        else:
            scale = np.square(a).sum() / len(a) / a.shape[1]
            grid = [10.0**power for power in range(-6, 3)]
            best = min(grid, key=lambda each: generalised_cross_validation(a, b, each * scale))
            model = Ridge(alpha=best * scale * len(a), fit_intercept=False).fit(a, b)
            values.append(1 - np.square(d - model.predict(c)).sum() / np.square(d).sum())
    return np.mean(values)


def generalised_cross_validation(a, b, penalty):
    hat = a @ np.linalg.solve(a.T @ a + penalty * len(a) * np.eye(a.shape[1]), a.T)
    left = np.square(b - hat @ b).sum()
    return left / (1 - (1 + np.trace(hat)) / len(a)) ** 2


@every_measure
def test_measures_are_those_of_other_peoples_code(fit):
    x, y = related(1)
    assert value(fit, x, y, blocks=2) == pytest.approx(by_hand(fit, x, y), abs=2e-4)


def test_procrustes_in_sample_is_the_disparity_of_scipy():
    x, y = related(2, widths=(5, 5))
    assert halves_of(x, y).in_sample("procrustes", "x", "y") == pytest.approx(
        np.sqrt(1 - scipy_procrustes(x, y)[2]), abs=1e-9
    )


@every_measure
@settings(max_examples=20)
@given(seeds, st.floats(1e-2, 1e2), st.floats(-50, 50))
def test_measures_ignore_rotation_scale_and_shift(fit, seed, scale, shift):
    x, y = related(seed)
    moved = scale * (y @ ortho_group.rvs(9, random_state=seed) + shift)
    assert value(fit, x, moved) == pytest.approx(value(fit, x, y), abs=1e-6)
    assert halves_of(moved, x).measure(fit, "x", "y") == pytest.approx(halves_of(y, x).measure(fit, "x", "y"), abs=1e-6)
    assert value(fit, y, moved) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("fit", ["procrustes", "svcca"])
def test_these_measures_have_no_direction(fit):
    halves = halves_of(*related(3))
    assert halves.measure(fit, "x", "y") == pytest.approx(halves.measure(fit, "y", "x"), abs=1e-9)


def test_regression_has_a_direction():
    """A part follows from the whole, and not the whole from a part."""
    x = np.random.default_rng(4).normal(size=(4000, 8))
    halves = halves_of(x, x[:, :2])
    assert halves.measure("cross_r2", "x", "y") == pytest.approx(1, abs=1e-4)
    assert halves.measure("cross_r2", "y", "x") == pytest.approx(2 / 8, abs=0.03)


def test_no_measure_ignores_every_invertible_linear_map():
    """What each of them sees of one: a direction stretched so far that it alone is left of the variance."""
    x, y = related(5)
    stretched = y * np.r_[300.0, np.ones(8)]
    for fit in FITS:
        assert abs(value(fit, x, stretched) - value(fit, x, y)) > 0.02


def test_canonical_correlations_ignore_a_linear_map_that_keeps_all_components():
    x, y = related(6, noise=2.0)
    stretched = y * np.linspace(1, 1.5, 9)
    assert value("svcca", x, stretched) == pytest.approx(value("svcca", x, y), abs=1e-9)


def test_regression_hardly_sees_how_its_inputs_are_mixed_where_jets_are_many():
    x, y = related(18, jets=4000)
    mixed = x @ np.random.default_rng(18).normal(size=(6, 6))
    assert value("cross_r2", mixed, y) == pytest.approx(value("cross_r2", x, y), abs=0.002)
    assert abs(value("cross_r2", y, mixed) - value("cross_r2", y, x)) > 0.02


@every_measure
def test_unrelated_embeddings_are_unlike_where_the_usual_estimate_calls_them_alike(fit):
    stream = np.random.default_rng(7)
    held_out, usual = [], []
    for _ in range(12):
        halves = halves_of(stream.normal(size=(300, 40)), stream.normal(size=(300, 40)))
        held_out.append(halves.measure(fit, "x", "y"))
        usual.append(halves.in_sample(fit, "x", "y"))
    assert abs(np.mean(held_out)) < 0.03
    if fit != "cross_r2":  # whose penalty protects it
        assert np.mean(usual) > 0.25


@pytest.mark.parametrize(("fit", "expected"), [("procrustes", 4 / 16), ("svcca", 4 / 16), ("cross_r2", 4 / 16)])
def test_a_shared_subspace_of_known_size_gives_its_share(fit, expected):
    """x and y isotropic in 16 dimensions, 4 of them the same: every measure is 4 / 16 with infinitely many jets."""
    stream = np.random.default_rng(8)
    shared = stream.normal(size=(60_000, 4))
    x, y = (np.hstack([shared, stream.normal(size=(60_000, 12))]) for _ in range(2))
    rotated = y @ ortho_group.rvs(16, random_state=1)
    assert value(fit, x, rotated) == pytest.approx(expected, abs=0.012)


def test_one_correlated_direction_gives_its_correlation():
    """y = r x + sqrt(1 - r^2) noise in one dimension: procrustes and svcca are r, cross_r2 is r^2."""
    stream = np.random.default_rng(9)
    x = stream.normal(size=(60_000, 1))
    y = 0.6 * x + 0.8 * stream.normal(size=x.shape)
    found = {fit: value(fit, x, y) for fit in FITS}
    assert found == pytest.approx({"procrustes": 0.6, "svcca": 0.6, "cross_r2": 0.36}, abs=0.015)


@every_measure
def test_fewer_jets_make_a_value_smaller_and_not_larger(fit):
    stream = np.random.default_rng(10)
    mix = [stream.normal(size=(6, 30)) for _ in range(2)]

    def draw(jets):
        latent = stream.normal(size=(jets, 6))
        return [latent @ each + 3 * stream.normal(size=(jets, 30)) for each in mix]

    few = [value(fit, *draw(150)) for _ in range(10)]
    assert np.mean(few) < value(fit, *draw(20_000)) + 0.01


@pytest.mark.slow
@every_measure
def test_the_interval_covers_the_mean_over_samples_of_the_same_size(fit):
    stream = np.random.default_rng(11)
    mix = [stream.normal(size=(5, width)) for width in (8, 12)]

    def draw():
        latent = stream.normal(size=(1000, 5))
        return halves_of(*(latent @ each + stream.normal(size=(1000, each.shape[1])) for each in mix))

    samples = [draw() for _ in range(300)]
    truth = np.mean([each.measure(fit, "x", "y") for each in samples])
    intervals = [each.measure_with_interval(fit, "x", "y", level=0.68)[1] for each in samples]
    assert 0.5 <= np.mean([each.low <= truth <= each.high for each in intervals]) <= 0.8


@every_measure
def test_the_interval_lies_around_the_value_and_needs_two_blocks_a_half(fit):
    x, y = related(12)
    found, interval = halves_of(x, y).measure_with_interval(fit, "x", "y", level=0.68)
    assert found == value(fit, x, y)
    assert interval.low < found < interval.high
    found, interval = halves_of(x, y, blocks=2).measure_with_interval(fit, "x", "y", level=0.68)
    assert (found, interval) == (value(fit, x, y, blocks=2), None)


def test_a_shuffle_within_halves_is_the_null():
    x, y = related(13)
    found = ShuffledHalves({"x": x, "y": y}, seed=3).null("x", "y", draws=29)
    assert {fit for fit, _ in found} == set(FITS)
    assert [back for fit, back in found if fit == "cross_r2"] == [False, True]
    for (fit, back), null in found.items():
        assert null.p_value == 1 / 30
        assert abs(null.values.mean()) < 0.06
        order = np.random.default_rng(np.random.SeedSequence(3)).permutation(len(x))
        a, b = (y, x) if back else (x, y)
        halves = [(a[rows], b[rows]) for rows in np.array_split(order, 2)]
        sums = [half(*each) for each in halves]
        by_hand = np.mean([FITS[fit](one)(judged(other)) for one, other in (sums, sums[::-1])])
        assert null.observed == pytest.approx(by_hand, abs=1e-3)


def half(x, y):
    x, y = centred(x), centred(y)
    n = len(x)
    return Half(Own.of(x.T @ x / n, "x"), Own.of(y.T @ y / n, "y"), x.T @ y / n, n)


def judged(each):
    return Judged(each.cross, each.x.covariance, each.y.covariance)


def test_p_values_of_unrelated_embeddings_are_uniform():
    stream = np.random.default_rng(14)
    p_values = {fit: [] for fit in FITS}
    for seed in range(150):
        pair = {"x": stream.normal(size=(60, 5)), "y": stream.normal(size=(60, 7))}
        found = ShuffledHalves(pair, seed=seed).null("x", "y", draws=19)
        for fit in FITS:
            p_values[fit].append(found[fit, False].p_value)
    for fit in FITS:
        assert np.mean(p_values[fit]) == pytest.approx(0.525, abs=0.09)


def test_more_dimensions_than_jets_are_no_error():
    x, y = related(15, jets=40, widths=(60, 80))
    for fit in FITS:
        assert -1 <= value(fit, x, y, blocks=4) <= 1


def test_a_regression_on_noise_gives_nothing_and_not_less():
    stream = np.random.default_rng(16)
    one, other = (half(stream.normal(size=(200, 50)), stream.normal(size=(200, 50))) for _ in range(2))
    assert -0.05 < fit_regression(one)(judged(other)) < 0.02


def test_a_constant_embedding_is_named():
    x, y = related(17)
    with pytest.raises(DataError, match="'y' is the same for all jets"):
        value("svcca", x, np.ones_like(y))
