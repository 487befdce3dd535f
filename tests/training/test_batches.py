import numpy as np
import pytest

from jetassay.training.batches import by_multiplicity, epoch_steps, steps_per_epoch

SIZES = {"batch": 32, "micro_batch": 8}


@pytest.fixture
def multiplicities():
    return np.random.default_rng(0).integers(1, 100, 1300)


def micro_batches(multiplicities, **options):
    return [
        part for step in epoch_steps(multiplicities, **{**SIZES, "seed": 1, "epoch": 0, **options}) for part in step
    ]


def test_an_epoch_holds_every_jet_exactly_once(multiplicities):
    found = np.concatenate(micro_batches(multiplicities))
    assert sorted(found.tolist()) == list(range(len(multiplicities)))


@pytest.mark.parametrize("jets", [1, 7, 8, 32, 511, 512, 513, 1300])
@pytest.mark.parametrize("sizes", [SIZES, {"batch": 32, "micro_batch": 32}, {"batch": 8, "micro_batch": 32}])
def test_the_number_of_steps_is_known_in_advance(jets, sizes):
    steps = list(epoch_steps(np.ones(jets, np.int64), **sizes, seed=1, epoch=0))
    assert len(steps) == steps_per_epoch(jets, **sizes)


def test_the_order_follows_from_seed_and_epoch(multiplicities):
    first, again = micro_batches(multiplicities), micro_batches(multiplicities)
    assert all(np.array_equal(one, other) for one, other in zip(first, again, strict=True))
    for other in ({"epoch": 1}, {"seed": 2}):
        assert not np.array_equal(np.concatenate(first), np.concatenate(micro_batches(multiplicities, **other)))


def test_micro_batches_hold_little_padding(multiplicities):
    parts = micro_batches(multiplicities)
    padded = sum(len(part) * multiplicities[part].max() for part in parts)
    assert padded < 1.06 * multiplicities.sum()


def test_steps_are_not_sorted_by_multiplicity(multiplicities):
    """Means of steps scatter like means of random samples of micro-batches, far less than micro-batches do."""
    steps = list(epoch_steps(multiplicities, batch=64, micro_batch=4, seed=1, epoch=0))
    means = [multiplicities[np.concatenate(step)].mean() for step in steps[:-1]]
    assert np.std(means) < 1.5 * multiplicities.std() / np.sqrt(16)


def test_inference_batches_hold_every_jet_once_from_few_constituents_to_many(multiplicities):
    order = np.concatenate(by_multiplicity(multiplicities, size=64))
    assert sorted(order.tolist()) == list(range(len(multiplicities)))
    assert (np.diff(multiplicities[order]) >= 0).all()
