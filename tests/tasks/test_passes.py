"""One pass over the jets, against the sums written out jet by jet."""

import numpy as np
import pytest
from scipy import special

from jetassay.tasks import passes
from jetassay.tasks.passes import Labels, Wanted, evaluate

BACKGROUND, OTHER = 7, 3


@pytest.fixture
def table(monkeypatch):
    """300 jets of two signals, a background of which most are, and a label of no part, in chunks of 32."""
    monkeypatch.setattr(passes, "CHUNK", 32)
    stream = np.random.default_rng(4)
    labels = stream.choice([1, 2, BACKGROUND, OTHER], size=300, p=[0.2, 0.1, 0.6, 0.1])
    return Labels(stream.normal(2, 1, (300, 4)).astype(np.float32), labels)


@pytest.fixture
def shift():
    return np.array([2.0, 1.5, 2.5, 2.0])


def written_out(table, signal, parameters, shift):
    """Loss, gradient and Hessian of one signal at one point: means over each class, weighing one half."""
    loss, gradient, hessian = 0.0, np.zeros(5), np.zeros((5, 5))
    for label, sign in ((signal, 1.0), (BACKGROUND, -1.0)):
        rows = np.append(
            table.embedding[table.labels == label] - shift, np.ones((sum(table.labels == label), 1)), axis=1
        )
        for row in rows:
            logit = sign * row @ parameters
            loss -= special.log_expit(logit) / (2 * len(rows))
            gradient -= sign * special.expit(-logit) * row / (2 * len(rows))
            hessian += special.expit(logit) * special.expit(-logit) * np.outer(row, row) / (2 * len(rows))
    return loss, gradient, hessian


def test_losses_and_both_derivatives_are_those_of_signal_and_background(table, shift):
    """Other numbers of points, and other columns whose second derivatives are asked for, of each signal."""
    stream = np.random.default_rng(5)
    points = {2: stream.normal(size=(5, 3)), 1: stream.normal(size=(5, 2))}
    curved = {2: (2, 0), 1: (1,)}
    found = evaluate(table, Wanted(points, curved), background=BACKGROUND, shift=shift)
    assert [*found] == [2, 1]
    for signal, each in found.items():
        assert [*each.hessians] == [*curved[signal]]
        for column, parameters in enumerate(points[signal].T):
            loss, gradient, hessian = written_out(table, signal, parameters, shift)
            assert each.losses[column] == pytest.approx(loss, rel=1e-12)
            assert each.gradients[:, column] == pytest.approx(gradient, rel=1e-10, abs=1e-14)
            if column in each.hessians:
                assert each.hessians[column] == pytest.approx(hessian, rel=1e-10, abs=1e-14)


def test_without_slopes_the_losses_are_the_same(table, shift):
    points = {1: np.random.default_rng(5).normal(size=(5, 2))}
    whole, losses = (
        evaluate(table, Wanted(points, {}), background=BACKGROUND, shift=shift, slopes=slopes)[1].losses
        for slopes in (True, False)
    )
    assert np.array_equal(whole, losses)
