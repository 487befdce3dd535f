"""What architectures share: sums over the constituents of each jet."""

import pytest
import torch

from jetassay.backbones.dense import Dropout, drop, sum_by_jet

MASK = torch.tensor([[True, True, False], [True, False, False], [True, True, True]])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_the_sum_of_a_jet_is_that_of_its_own_constituents(dtype):
    rows = torch.arange(12, dtype=dtype).view(6, 2)
    expected = torch.stack([rows[0] + rows[1], rows[2], rows[3] + rows[4] + rows[5]])
    assert torch.equal(sum_by_jet(rows, MASK), expected)


def test_sums_of_rounded_numbers_are_not_rounded_at_every_step():
    rows = torch.full((128, 1), 1.0078125, dtype=torch.bfloat16)
    found = sum_by_jet(rows, torch.ones(1, 128, dtype=torch.bool))
    assert found.dtype == torch.float32
    assert found.item() == 129.0


def test_gradients_reach_every_constituent():
    rows = torch.ones(6, 2, requires_grad=True)
    (sum_by_jet(rows, MASK) * torch.tensor([[1.0], [2.0], [3.0]])).sum().backward()
    assert rows.grad[:, 0].tolist() == [1, 1, 2, 3, 3, 3]


def test_a_jet_without_constituents_sums_to_zero():
    assert sum_by_jet(torch.ones(1, 2), torch.tensor([[False], [True]])).tolist() == [[0, 0], [1, 1]]


def test_dropout_keeps_the_mean_and_drops_its_share():
    with torch.random.fork_rng():
        torch.manual_seed(3)
        found = drop(torch.ones(1001, 999), 0.1)
    share = float((found == 0).double().mean())
    assert share == pytest.approx(6554 / 65536, abs=5 * (0.09 / found.numel()) ** 0.5)
    assert float(found.max()) == pytest.approx(65536 / (65536 - 6554), rel=1e-6)
    assert set(found.unique().tolist()) == {0.0, float(found.max())}


def test_elements_that_share_a_random_number_are_dropped_independently():
    with torch.random.fork_rng():
        torch.manual_seed(4)
        kept = (drop(torch.ones(100_000, 4), 0.5) > 0).double()
    correlation = torch.corrcoef(kept.T) - torch.eye(4)
    assert float(correlation.abs().max()) < 5 / 100_000**0.5


def test_dropout_acts_in_training_only_and_its_gradient_is_its_mask():
    module, x = Dropout(0.3), torch.ones(50, 7, requires_grad=True)
    assert module.eval()(x) is x
    with torch.random.fork_rng():
        torch.manual_seed(5)
        found = module.train()(x)
    found.sum().backward()
    assert torch.equal(x.grad, found.detach())
    assert drop(x, 0.0) is x
    assert not drop(x, 1.0).any()
