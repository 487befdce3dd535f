"""A small network on frozen embeddings finds what a linear model cannot, and the same every time."""

import numpy as np
import pytest
import torch
from test_probe import with_embeddings

from jetassay.errors import ConvergenceError, DataError
from jetassay.tasks.dense_head import HIDDEN, Stack, _differentiate, _losses, _Parts, train_heads
from jetassay.tasks.mlp_probe import dense, mlp_probe, seeds_of
from jetassay.tasks.probe import probe
from jetassay.tasks.trial import Trial


def checkerboard(embedding, labels):
    """Signal where two coordinates have the same sign, background where not."""
    stream = np.random.default_rng(int(abs(embedding[0, 0]) * 1e4))
    points = stream.uniform(0.2, 1, size=(len(labels), 2))
    flip = stream.choice([-1, 1], len(labels))
    return points * np.stack([flip, np.where(labels > 0, flip, -flip)], axis=1)


def trial_of(splits):
    return Trial.of(splits, signal="Hbb", background="QCD", where="made-up")


def test_a_network_tells_apart_what_no_hyperplane_does(splits_of):
    splits = with_embeddings(splits_of(jets=300), checkerboard)
    outcomes = [task(splits, backbone="x", signals=["Hbb"]) for task in (mlp_probe, probe)]
    network, linear = (outcome.scores[0].value for outcome in outcomes)
    assert network > 0.98
    assert 0.4 < linear < 0.6
    (spread,) = (each for each in outcomes[0].scores if each.metric == "auc_over_seeds")
    assert spread.low <= spread.value <= spread.high
    assert spread.interval == "standard deviation over 3 seeds"


def test_where_a_hyperplane_is_best_a_network_comes_close(splits_of):
    splits = splits_of(jets=800)
    network, linear = (task(splits, backbone="x", signals=["Hbb"]).scores[0].value for task in (mlp_probe, probe))
    assert abs(network - linear) < 0.02


def test_two_runs_give_the_same_scores_to_the_bit(splits_of):
    splits = splits_of(jets=100)
    first, again = (mlp_probe(splits, backbone="x", signals=["Hbb"], seed=3).scores for _ in range(2))
    assert first == again


def test_a_seed_sets_the_network_and_more_starts_do_not_move_the_first(splits_of):
    trial = trial_of(splits_of(jets=100))
    one, three, other = dense(trial, starts=1), dense(trial, starts=3), dense(trial, starts=1, seed=1)
    assert three.scores[0] == pytest.approx(one.scores[0], abs=1e-3)
    assert np.abs(three.scores[1] - one.scores[0]).max() > 0.01
    assert np.abs(other.scores[0] - one.scores[0]).max() > 0.01
    assert list(seeds_of(3, seed=5)[:1]) == list(seeds_of(1, seed=5))


def validation_loss(logits, is_signal):
    losses = np.logaddexp(0, np.where(is_signal, -logits, logits))
    return (losses[is_signal].mean() + losses[~is_signal].mean()) / 2


def test_each_network_is_kept_as_it_was_at_its_smallest_validation_loss(monkeypatch):
    """Overtrained for long after that, and trained again for just as many epochs as it took to get there."""
    from jetassay.tasks import dense_head

    stream = np.random.default_rng(3)
    is_signal = np.arange(60) % 2 == 0
    train, held = (
        Stack((stream.normal(size=(1, 60, 20)) + 0.3 * is_signal[None, :, None]).astype(np.float32), is_signal[None])
        for _ in range(2)
    )
    monkeypatch.setattr(dense_head, "PATIENCE", 40)
    found = train_heads(train, held, seeds=np.array([1, 2]))
    for network, loss in enumerate(found.losses):
        assert validation_loss(found.logits(network, held.features[0]), is_signal) == pytest.approx(loss, abs=1e-5)
    first = int(found.epochs.min())
    monkeypatch.setattr(dense_head, "MOST_EPOCHS", first)
    again = train_heads(train, held, seeds=np.array([1, 2]))
    network = int(found.epochs.argmin())
    assert again.losses[network] == found.losses[network]
    monkeypatch.setattr(dense_head, "MOST_EPOCHS", first - 1)
    assert train_heads(train, held, seeds=np.array([1, 2])).losses[network] > found.losses[network]


def test_the_network_of_the_smallest_validation_loss_is_scored(splits_of):
    splits = splits_of(jets=60)
    chosen = set()
    for seed in range(3):
        found = dense(trial_of(splits), seed=seed)
        result = mlp_probe(splits, backbone="x", signals=["Hbb"], seed=seed).details["Hbb"]
        best = int(found.losses.argmin())
        assert np.array_equal(result.signal_scores, found.scores[best][trial_of(splits).test.is_signal])
        chosen.add(best)
    assert chosen != {0}


def test_steps_are_those_of_torchs_adamw():
    from jetassay.tasks.dense_head import DECAY, RATE, _Adam

    torch.manual_seed(0)
    ours = _Parts([torch.randn(2, 3, 4), torch.randn(2, 1, 4)])
    theirs = [each.clone().requires_grad_() for each in ours.each]
    adam = _Adam(ours)
    reference = torch.optim.AdamW(theirs, lr=RATE, weight_decay=DECAY)
    for _ in range(20):
        for each, gradient in zip(theirs, adam.gradients.each, strict=True):
            each.grad = gradient.normal_().clone()
        adam.step()
        reference.step()
    for one, other in zip(ours.each, theirs, strict=True):
        assert torch.allclose(one, other.detach(), atol=1e-6)


def test_networks_side_by_side_do_not_see_each_other():
    stream = np.random.default_rng(0)
    is_signal = np.arange(40) % 2 == 0
    features = (stream.normal(size=(2, 40, 3)) + is_signal[:, None]).astype(np.float32)
    labels = np.stack([is_signal, is_signal])
    together = train_heads(Stack(features, labels), Stack(features, labels), seeds=np.array([1, 2]))
    alone = train_heads(*[Stack(features[1:], labels[1:])] * 2, seeds=np.array([2]))
    assert together.logits(1, features[0]) == pytest.approx(alone.logits(0, features[0]), abs=1e-3)


def test_a_loss_that_is_not_finite_is_an_error():
    stack = Stack(np.full((1, 4, 2), 3e38, np.float32), np.array([[True, False, True, False]]))
    with pytest.raises(ConvergenceError, match="not finite"):
        train_heads(stack, stack, seeds=np.array([0]))


def test_a_constant_embedding_is_an_error(splits_of):
    flat = with_embeddings(splits_of(jets=20), lambda embedding, _: np.ones_like(embedding))
    with pytest.raises(DataError, match="the same for all 40 training jets"):
        dense(trial_of(flat))


def test_of_many_training_jets_some_are_taken_and_every_test_jet_is_scored(splits_of, monkeypatch):
    splits = splits_of(jets=60)
    whole = mlp_probe(splits, backbone="x", signals=["Hbb"], starts=1).details["Hbb"]
    for name in ("mlp_probe._TESTED", "dense_head._HELD"):
        monkeypatch.setattr(f"jetassay.tasks.{name}", 17)
    blocks = mlp_probe(splits, backbone="x", signals=["Hbb"], starts=1).details["Hbb"]
    assert blocks.signal_scores == pytest.approx(whole.signal_scores, abs=1e-3)
    monkeypatch.setattr("jetassay.tasks.mlp_probe.MOST_JETS", 25)
    outcome = mlp_probe(splits, backbone="x", signals=["Hbb"], starts=1)
    assert {(each.n_train, each.n_signal, each.n_background) for each in outcome.scores} == {(50, 60, 60)}


@pytest.mark.parametrize("stacks", [1, 3], ids=["the-same-jets", "jets-of-their-own"])
def test_gradients_by_hand_are_those_of_torchs_graph(stacks):
    stream, generator = np.random.default_rng(1), torch.Generator().manual_seed(1)
    shapes = (3, 5, HIDDEN), (3, 1, HIDDEN), (3, HIDDEN, 1), (3, 1, 1)
    parameters = _Parts([torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes])
    x, y, w = (torch.from_numpy(stream.random(shape)) for shape in ((3, 20, 5), (3, 20), (3, 20)))
    y.round_()
    if stacks == 1:
        x, y, w = (each[:1].expand(3, *each.shape[1:]) for each in (x, y, w))
    gradients = _Parts(parameters.each)
    _differentiate(parameters, gradients, x, y, w)
    leaves = [each.clone().requires_grad_() for each in parameters.each]
    for found, expected in zip(
        gradients.each, torch.autograd.grad(_losses(leaves, x, y, w).sum(), leaves), strict=True
    ):
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)
