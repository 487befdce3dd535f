"""Pair features: their definition, weaver's very bits in float32, and pairs that are no pairs."""

import numpy as np
import pytest
import torch

from jetassay.backbones.pairs import PairEmbed, _largest_triangle, kinematics, lower_triangle, pair_features


@pytest.fixture
def p4(make_batch):
    return torch.from_numpy(make_batch([60, 40]).p4)


def all_pairs(p4):
    one, other = torch.tril_indices(len(p4), len(p4))
    known = kinematics(p4)
    return pair_features(known[:, one], known[:, other]).T, one, other


def test_features_are_what_the_paper_defines(p4):
    """Equation 3 of arXiv:2202.03772, written out with numpy in float64 on pairs that are far from collinear."""
    found, one, other = all_pairs(p4.double())
    px, py, pz, energy = p4.double().numpy().T
    pt, phi, rapidity = np.hypot(px, py), np.arctan2(py, px), np.arctanh(pz / energy)
    dphi = np.abs(phi[one] - phi[other])
    distance = np.hypot(rapidity[one] - rapidity[other], np.minimum(dphi, 2 * np.pi - dphi))
    softer = np.minimum(pt[one], pt[other])
    total = [component[one] + component[other] for component in (energy, px, py, pz)]
    mass2 = total[0] ** 2 - total[1] ** 2 - total[2] ** 2 - total[3] ** 2
    apart = distance > 1e-3
    expected = np.stack([softer * distance, softer / (pt[one] + pt[other]), distance, mass2], axis=1)
    assert apart.sum() > 4000
    np.testing.assert_allclose(found[apart].numpy(), np.log(expected[apart]), atol=1e-8)


def test_features_have_weavers_bits_in_float32(p4):
    from weaver.nn.model.ParticleTransformer import pairwise_lv_fts_pp

    found, one, other = all_pairs(p4)
    expected = pairwise_lv_fts_pp(p4[one].T[None], p4[other].T[None], num_outputs=4)[0].T
    assert torch.equal(found, expected)


def test_features_have_weavers_bits_on_real_jets(real_data):
    from weaver.nn.model.ParticleTransformer import pairwise_lv_fts_pp

    stored = np.load(real_data / "jetclass_mixed_dev.npz")
    real = stored["mask"][:, 0] > 0
    for jet in range(0, 250, 25):
        p4 = torch.from_numpy(stored["vectors"][jet].T[real[jet]].copy())
        found, one, other = all_pairs(p4)
        expected = pairwise_lv_fts_pp(p4[one].T[None], p4[other].T[None], num_outputs=4)[0].T
        assert torch.equal(found, expected)


def test_a_pair_is_the_same_from_both_sides(p4):
    known = kinematics(p4)
    one, other = torch.triu_indices(len(p4), len(p4), offset=1)
    first, second = known[:, one], known[:, other]
    torch.testing.assert_close(pair_features(first, second), pair_features(second, first))


@pytest.mark.parametrize(
    "p4",
    [
        [0.0, 0.0, 0.0, 0.0],
        [0.0, 0.0, 50.0, 50.0],
        [0.0, 0.0, -50.0, 50.0],
        [1e-20, 0.0, -1e4, 1e4],
        [3.0, 4.0, 0.0, 5.0],
        [3.0, 4.0, 1e3, 1e3],
    ],
)
def test_a_constituent_with_itself_is_finite_whatever_it_is(p4):
    known = kinematics(torch.tensor([p4]))
    assert pair_features(known, known).isfinite().all()


def test_the_bias_is_symmetric_and_zero_in_padded_slots(make_batch, moved):
    from jetassay.backbones.padding import pad

    jets = pad(make_batch([2, 9, 5]))
    bias = moved(PairEmbed((8, 4), last_activation=False))(jets.p4, jets.mask)
    assert bias.shape == (3, 4, 9, 9)
    assert torch.equal(bias, bias.transpose(2, 3))
    pairs = jets.mask[:, None, :, None] & jets.mask[:, None, None, :]
    assert (bias.masked_fill(pairs, 0) == 0).all()
    assert (bias.masked_fill(~pairs, 1) != 0).all()


@pytest.mark.parametrize("n", [1, 2, 15, 16, 17, 127, 128, 129, 300])
def test_every_constituent_and_key_find_their_pair(n):
    keys = -(-n // 16) * 16
    one, other, found = lower_triangle(n, keys, device=torch.device("cpu"))
    assert [*zip(one.tolist(), other.tolist(), strict=True)] == [(i, j) for i in range(n) for j in range(i + 1)]
    found = found.view(n, keys)
    rows, columns = torch.arange(n)[:, None].expand(n, n), torch.arange(n).expand(n, n)
    assert torch.equal(one[found[:, :n]], torch.maximum(rows, columns))
    assert torch.equal(other[found[:, :n]], torch.minimum(rows, columns))
    assert ((found >= 0) & (found < len(one))).all(), (
        "beyond the last constituent any pair is read, and there must be one"
    )


def test_jets_of_all_lengths_share_one_small_table():
    _largest_triangle.cache_clear()
    for n in range(1, 129):
        lower_triangle(n, -(-n // 16) * 16, device=torch.device("cpu"))
    assert _largest_triangle.cache_info().currsize == 1
    storages = [each.untyped_storage() for each in _largest_triangle(128, torch.device("cpu"))]
    assert _largest_triangle.cache_info().currsize == 1
    assert sum({each.data_ptr(): each.nbytes() for each in storages}.values()) < 264_000
