import re
import tracemalloc

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from jetassay.errors import ConvergenceError, DataError
from jetassay.tasks import descent, logistic_grid, passes
from jetassay.tasks.logistic import GRADIENT_NORM, fit_path
from jetassay.tasks.logistic_grid import fit_grids, validation_losses
from jetassay.tasks.passes import Labels

PENALTIES = (1.0, 1e-2, 1e-4, 1e-6)
BACKGROUND, SIGNALS = 0, (1, 2, 4)  # jets of label 3 take no part


@pytest.fixture
def small_samples(monkeypatch):
    """So that hundreds of jets are many, and are passed over."""
    monkeypatch.setattr(logistic_grid, "SAMPLE", 60)
    monkeypatch.setattr(passes, "CHUNK", 128)


def table(seed=0, *, jets=4000, width=12, separation=1.0, offset=3.0):
    """Correlated dimensions with spreads three orders of magnitude apart, and one that is constant."""
    stream = np.random.default_rng(seed)
    labels = stream.choice(5, size=jets, p=[0.4, 0.3, 0.1, 0.1, 0.1])
    latent = stream.normal(size=(jets, width)) * (1 + 0.1 * labels[:, None])
    latent[:, :5] += separation * np.eye(5)[labels]
    mixing = np.random.default_rng(1).normal(size=(width, width)) * np.logspace(-3, 0, width)
    embedding = latent @ mixing + offset
    embedding[:, 0] = 0.1
    return Labels(embedding.astype(np.float32), labels)


def own_jets(of, signal, standardisation):
    kept = np.isin(of.labels, (BACKGROUND, signal))
    features = (of.embedding[kept].astype(np.float64) - standardisation.mean) / standardisation.scale
    return features, of.labels[kept] == signal


def fit(of, signals=SIGNALS):
    return fit_grids(of, signals=signals, background=BACKGROUND, penalties=PENALTIES)


@pytest.mark.usefixtures("small_samples")
@pytest.mark.parametrize("separation", [0.0, 1.0, 8.0], ids=["alike", "overlapping", "separable"])
def test_fits_of_many_passes_agree_with_scikit_learn(separation):
    from sklearn.linear_model import LogisticRegression

    train = table(separation=separation)
    for signal, grid in fit(train).items():
        assert grid.passes > 1
        features, is_signal = own_jets(train, signal, grid.standardisation)
        for each in grid.fits:
            model = LogisticRegression(
                C=1 / (len(features) * each.penalty),
                class_weight="balanced",
                solver="newton-cholesky",
                tol=1e-12,
                max_iter=1000,
            ).fit(features, is_signal)
            ours = features @ each.coefficients + each.intercept
            assert ours == pytest.approx(model.decision_function(features), abs=2e-6 + 2e-8 / each.penalty)


@pytest.mark.usefixtures("small_samples")
def test_the_stated_gradient_is_that_of_all_jets():
    train = table()
    for signal, grid in fit(train).items():
        features, is_signal = own_jets(train, signal, grid.standardisation)
        sign = np.where(is_signal, 1.0, -1.0)
        weights = np.where(is_signal, 0.5 / is_signal.sum(), 0.5 / (~is_signal).sum())
        assert grid.n_train == len(features)
        for each in grid.fits:
            slope = -weights * sign / (1 + np.exp(sign * (features @ each.coefficients + each.intercept)))
            left = np.abs(np.append(slope @ features + each.penalty * each.coefficients, slope.sum())).max()
            assert each.gradient_norm <= GRADIENT_NORM
            assert left == pytest.approx(each.gradient_norm, rel=1e-3, abs=1e-13)


def test_passes_and_the_method_in_memory_have_the_same_minima(monkeypatch):
    train = table(jets=2000)
    whole = fit(train)
    monkeypatch.setattr(logistic_grid, "SAMPLE", 60)
    for signal, grid in fit(train).items():
        assert (whole[signal].passes, grid.passes > 1) == (0, True)
        features, is_signal = own_jets(train, signal, grid.standardisation)
        alone = fit_path(features, is_signal, penalties=PENALTIES)
        for one, other, third in zip(grid.fits, whole[signal].fits, alone, strict=True):
            for each in (other, third):
                logits = features @ (one.coefficients - each.coefficients) + one.intercept - each.intercept
                # Objectives differ by |gradient|^2 / penalty at most, which is what logits may wander in.
                assert np.abs(logits).max() < 1e-6 + 2e-8 / one.penalty
                assert one.coefficients[0] == each.coefficients[0] == 0.0


@pytest.mark.usefixtures("small_samples")
def test_cores_and_memory_maps_change_no_bit(tmp_path, monkeypatch):
    train = table(jets=2000)
    np.save(tmp_path / "table.npy", train.embedding)
    mapped = Labels(np.load(tmp_path / "table.npy", mmap_mode="r"), train.labels)
    expected = fit(train)
    monkeypatch.setattr(passes, "_WORTH_THREADS", 0)
    monkeypatch.setattr(passes, "usable_cores", lambda: 3)
    for signal, grid in fit(mapped).items():
        assert np.array_equal(grid.points, expected[signal].points)


@pytest.mark.parametrize("jets", [900, 4000], ids=["whole", "sampled"])
def test_threads_of_blas_change_no_bit(jets):
    train, found = table(jets=jets, width=128), []
    for threads in (1, 2):
        with threadpool_limits(threads):
            grids = fit(train)
            found.append([grids[s].points for s in SIGNALS] + [*validation_losses(train, grids, background=0).values()])
    assert all(np.array_equal(one, other) for one, other in zip(*found, strict=True))


@pytest.mark.usefixtures("small_samples")
def test_memory_does_not_grow_with_the_jets(tmp_path, monkeypatch):
    monkeypatch.setattr(logistic_grid, "MOST_SAMPLED", 60)
    peaks = {}
    for jets in (4000, 32000):
        train = table(jets=jets, width=40)
        np.save(tmp_path / f"{jets}.npy", train.embedding)
        mapped = Labels(np.load(tmp_path / f"{jets}.npy", mmap_mode="r"), train.labels)
        tracemalloc.start()
        grids = fit(mapped)
        validation_losses(mapped, grids, background=BACKGROUND)
        peaks[jets] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peaks[32000] - peaks[4000] < 0.1 * (32000 - 4000) * 40 * 4


@pytest.mark.usefixtures("small_samples")
def test_the_validation_loss_is_the_mean_surprise_of_both_classes():
    from sklearn.metrics import log_loss

    train, held = table(), table(5, jets=1000)
    grids = fit(train)
    for signal, losses in validation_losses(held, grids, background=BACKGROUND).items():
        features, is_signal = own_jets(held, signal, grids[signal].standardisation)
        weights = np.where(is_signal, 0.5 / is_signal.sum(), 0.5 / (~is_signal).sum())
        probabilities = 1 / (1 + np.exp(-(features @ grids[signal].points[:-1] + grids[signal].points[-1])))
        expected = [log_loss(is_signal, column, sample_weight=weights) for column in probabilities.T]
        assert losses == pytest.approx(expected, rel=1e-12)


@pytest.mark.usefixtures("small_samples")
def test_jets_that_cannot_be_fitted_stop_their_own_signal_only():
    train = table()
    train.embedding[np.flatnonzero(train.labels == 2)[3], 5] = -np.inf
    train.embedding[np.flatnonzero(train.labels == 3)[0], 5] = np.nan
    found = fit(train)
    assert isinstance(found[2], DataError)
    assert found[1].fits
    assert found[4].fits


@pytest.mark.parametrize("label", [2, 3], ids=["another-signal", "of-no-part"])
@pytest.mark.parametrize("whole", [True, False], ids=["whole", "sampled"])
def test_jets_of_other_labels_far_away_move_no_fit(monkeypatch, label, whole):
    if not whole:
        monkeypatch.setattr(logistic_grid, "SAMPLE", 60)
    clean, train = table(jets=2000), table(jets=2000)
    train.embedding[np.flatnonzero(train.labels == label)[0], 5] = 1e20
    expected, found = fit(clean, signals=(2, 1)), fit(train, signals=(2, 1))
    assert found[1].standardisation.scale == pytest.approx(expected[1].standardisation.scale, rel=1e-10)
    losses = [
        validation_losses(train, {s: each[s] for s in (2, 1)}, background=BACKGROUND) for each in (found, expected)
    ]
    assert losses[0][1] == pytest.approx(losses[1][1], rel=1e-6)
    for one, other in zip(found[1].fits, expected[1].fits, strict=True):
        features, _ = own_jets(clean, 1, expected[1].standardisation)
        assert np.abs(features @ (one.coefficients - other.coefficients)).max() < 1e-5 + 2e-8 / one.penalty


@pytest.mark.usefixtures("small_samples")
@pytest.mark.parametrize(("stale", "call"), [(7, 1), (0, 13)], ids=["of-the-sample", "of-all-jets"])
def test_a_hessian_that_cannot_be_used_stops_its_own_signal_only(monkeypatch, stale, call):
    calls = []

    class Counted(descent.Descent):
        def curve(self, hessian):
            calls.append(1)
            super().curve(-hessian if len(calls) == call else hessian)

    monkeypatch.setattr(logistic_grid, "Descent", Counted)
    monkeypatch.setattr(logistic_grid, "_STALE", stale)
    found = fit(table(separation=8.0))
    assert [type(found[signal]) for signal in SIGNALS] == [ConvergenceError, logistic_grid.Grid, logistic_grid.Grid]
    assert re.search(r"penalty (1|0\.01): the Hessian is not positive", str(found[1]))


def test_a_fit_that_ends_early_is_an_error(monkeypatch):
    monkeypatch.setattr(logistic_grid, "SAMPLE", 60)
    monkeypatch.setattr(logistic_grid, "_MOST_PASSES", 3)
    assert all(isinstance(each, ConvergenceError) for each in fit(table()).values())
