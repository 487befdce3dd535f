"""What architectures share: sums over the constituents of each jet."""

import pytest
import torch

from jetassay.backbones.dense import sum_by_jet

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
