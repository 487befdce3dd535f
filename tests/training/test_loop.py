from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from jetassay.backbones import mlp, part
from jetassay.backbones.padding import pad
from jetassay.errors import ConvergenceError
from jetassay.progress import Reporter
from jetassay.training.loop import (
    MAX_CLASS_WEIGHT,
    class_weights,
    fix_normalisations,
    learning_rate,
    predict,
    train,
    training_mode,
)
from jetassay.training.recipe import Optimisation
from jetassay.training.sample import LabelledInputs

BUILDERS = {
    "part": partial(
        part.build,
        input_dim=7,
        num_classes=10,
        embed_dims=[8, 8],
        pair_embed_dims=[4],
        num_heads=2,
        num_layers=1,
        num_cls_layers=1,
        ffn_ratio=1,
        fc_params=[(8, 0.1)],
        dropout=0.1,
    ),
    "mlp": partial(mlp.build, input_dim=7, num_classes=10, constituents=4, hidden=[16, 8], dropout=0.1),
}
SETTINGS = Optimisation(epochs=3, batch=32, micro_batch=16, learning_rate=3e-3, calibration_jets=100, seed=5)


@pytest.fixture(params=BUILDERS)
def build(request):
    return BUILDERS[request.param]


def run(build, sample, path, **changes):
    settings = SETTINGS.model_copy(update=changes)
    return train(build, sample, settings, checkpoint=path, reporter=Reporter(quiet=True))


def same_bits(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def without_time(progress):
    return [replace(row, time_s=0.0) for row in progress.curves]


def test_training_learns_what_there_is_to_learn(build, sample, tmp_path):
    curves = run(build, sample, tmp_path / "state.pt", epochs=5, learning_rate=1e-2).curves
    assert curves[-1].train_loss < 0.8 * curves[0].train_loss
    assert curves[-1].validation_accuracy > 0.5
    assert curves[-1].validation_auc > 0.75


def test_in_bfloat16_it_learns_as_much_and_weights_stay_float32(build, sample, tmp_path):
    exact = run(build, sample, tmp_path / "a", epochs=4)
    short = run(build, sample, tmp_path / "b", epochs=4, dtype="bfloat16")
    assert {value.dtype for value in short.best_weights.values() if value.is_floating_point()} == {torch.float32}
    assert not same_bits(short.best_weights, exact.best_weights)
    assert short.best.validation_loss == pytest.approx(exact.best.validation_loss, rel=0.1)


def test_the_same_seed_gives_the_same_bits(build, sample, tmp_path):
    first, second = (run(build, sample, tmp_path / name) for name in ("a.pt", "b.pt"))
    assert same_bits(first.best_weights, second.best_weights)
    assert without_time(first) == without_time(second)


def test_another_seed_gives_other_weights(build, sample, tmp_path):
    first, second = (run(build, sample, tmp_path / f"{seed}.pt", seed=seed) for seed in (5, 6))
    assert not same_bits(first.best_weights, second.best_weights)


def test_a_training_that_was_stopped_ends_as_one_that_was_not(build, sample, tmp_path):
    class Stopping(Reporter):
        def line(self, text):
            if text.startswith("epoch 2"):
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(build, sample, SETTINGS, checkpoint=tmp_path / "state.pt", reporter=Stopping(quiet=True))
    resumed = run(build, sample, tmp_path / "state.pt")
    whole = run(build, sample, tmp_path / "other.pt")
    assert same_bits(resumed.best_weights, whole.best_weights)
    assert without_time(resumed) == without_time(whole)


def test_a_finished_training_is_not_repeated(sample, tmp_path):
    first = run(BUILDERS["mlp"], sample, tmp_path / "state.pt")
    assert run(BUILDERS["mlp"], sample, tmp_path / "state.pt").curves == first.curves


def test_the_best_epoch_is_the_one_of_lowest_validation_loss(sample, tmp_path):
    progress = run(BUILDERS["mlp"], sample, tmp_path / "state.pt", learning_rate=0.3)
    assert progress.best.validation_loss == min(row.validation_loss for row in progress.curves)
    module = BUILDERS["mlp"]()
    module.load_state_dict(progress.best_weights)
    right = predict(module, sample.validation).argmax(axis=1) == sample.validation.labels
    assert right.mean() == progress.best.validation_accuracy


def test_a_training_that_diverges_says_so(sample, tmp_path):
    with pytest.raises(ConvergenceError, match="Lower `learning_rate`"):
        run(BUILDERS["mlp"], sample, tmp_path / "state.pt", learning_rate=1e30)


def test_torch_is_left_as_it_was(sample, tmp_path):
    torch.manual_seed(1)
    before = torch.get_rng_state(), torch.get_num_threads()
    run(BUILDERS["mlp"], sample, tmp_path / "state.pt", epochs=1)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert torch.get_num_threads() == before[1]


def test_normalisations_are_those_of_the_training_jets_and_stay(sample, tmp_path):
    progress = run(BUILDERS["part"], sample, tmp_path / "state.pt", epochs=1, calibration_jets=300, batch=300)
    mean = progress.best_weights["embed.input_bn.running_mean"].numpy()
    assert np.allclose(mean, sample.train.inputs.features.mean(axis=0), atol=1e-5)


def test_a_jet_is_seen_alike_in_training_and_in_inference(sample):
    module = BUILDERS["part"](dropout=0.0, fc_params=[])
    fix_normalisations(module, sample.train, SETTINGS)
    jets = pad(sample.train.inputs.take(np.arange(20)))
    training_mode(module)
    with torch.no_grad():
        trained = module(jets.features, jets.p4, jets.mask)[1]
        inferred = module.eval()(jets.features, jets.p4, jets.mask)[1]
    torch.testing.assert_close(trained, inferred, atol=1e-5, rtol=0)


def test_normalisations_keep_their_momentum(sample):
    module = BUILDERS["part"]()
    before = [each.momentum for each in module.modules() if isinstance(each, nn.BatchNorm1d)]
    fix_normalisations(module, sample.train, SETTINGS)
    after = [each.momentum for each in module.modules() if isinstance(each, nn.BatchNorm1d)]
    assert before == after
    assert None not in after


def test_predictions_stand_in_the_order_of_the_jets(build, sample):
    module = build()
    together = predict(module, sample.test)
    for jet in (0, 17, 89):
        alone = LabelledInputs(sample.test.inputs.take(np.array([jet])), sample.test.labels[[jet]])
        assert np.allclose(predict(module, alone)[0], together[jet], atol=1e-5)
    assert np.allclose(together.sum(axis=1), 1, atol=1e-5)


def test_the_learning_rate_rises_to_its_peak_and_falls_to_nothing():
    rates = [learning_rate(step, steps=100, settings=SETTINGS) for step in range(100)]
    assert max(rates) == rates[4] == SETTINGS.learning_rate
    assert (np.diff(rates[:5]) > 0).all()
    assert (np.diff(rates[5:]) <= 0).all()
    assert rates[-1] < 1e-3 * SETTINGS.learning_rate


def test_class_weights_lift_rare_labels_up_to_a_cap():
    labels = np.repeat([0, 1, 2], [10_000, 2_500, 1])
    weights = class_weights(labels, classes=4, power=0.5).numpy()
    assert weights[1] == pytest.approx(2 * weights[0])
    assert weights[2] == MAX_CLASS_WEIGHT
    assert weights[3] == 0


def test_class_weights_are_one_on_average_or_all_one():
    labels = np.repeat([0, 1], [300, 100])
    assert class_weights(labels, classes=2, power=0.5).numpy()[labels].mean() == pytest.approx(1)
    assert class_weights(labels, classes=2, power=0.0).tolist() == [1, 1]
