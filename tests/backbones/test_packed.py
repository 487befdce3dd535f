"""The packed Particle Transformer against the readable one, which is the definition."""

from copy import deepcopy

import numpy as np
import pytest
import torch

from jetassay.backbones.folding import Norm
from jetassay.backbones.packed import PackedTransformer, Sizes
from jetassay.backbones.padding import pad
from jetassay.backbones.part import ParticleTransformer
from jetassay.features.batch import InputBatch

TOLERANCE = 2e-5
FORMS = {
    "ParT": {"num_classes": 10},
    "Sophon": {"num_classes": 188, "use_pre_activation_pair": True, "fc_params": ((512, 0.1),)},
    "small": {"num_classes": 3, "embed_dims": (24, 40), "num_heads": 5, "num_layers": 2, "pair_embed_dims": (8,)},
}


@pytest.fixture(scope="module", params=FORMS)
def module(request, moved):
    with torch.random.fork_rng():
        torch.manual_seed(2)
        return moved(ParticleTransformer(input_dim=7, **FORMS[request.param]))


def readable(module, batch, *, dtype=torch.float32):
    jets = pad(batch, dtype=dtype)
    with torch.inference_mode():
        return module(jets.features, jets.p4, jets.mask)


def packed(module, batch, *, dtype=torch.float32):
    jets = pad(batch, dtype=torch.float64 if dtype == torch.float64 else torch.float32)
    with torch.inference_mode():
        return module.packed(dtype)(jets.features, jets.p4, jets.mask)


def largest_difference(ones, others):
    return max(float((one - other).abs().max()) for one, other in zip(ones, others, strict=True))


def assert_equal(found, expected):
    """Embeddings to the tolerance; logits, which are not normalised, to the same share of the largest."""
    assert largest_difference(found[:1], expected[:1]) < TOLERANCE
    assert largest_difference(found[1:], expected[1:]) < TOLERANCE * max(1.0, float(expected[1].abs().max()))


def test_it_equals_the_readable_network_at_every_multiplicity(module, make_batch):
    for many in ([*range(1, 33)], [*range(64, 33, -1)], [65, 80, 96, 97, 111, 112, 113, 127, 128]):
        batch = make_batch(many)
        assert_equal(packed(module, batch), readable(module, batch))


@pytest.mark.slow
def test_it_equals_the_readable_network_at_all_128_multiplicities_alone(module, make_batch):
    for n in range(1, 129):
        batch = make_batch([n])
        assert_equal(packed(module, batch), readable(module, batch))


@pytest.mark.parametrize("sizes", [Sizes(1 << 16, 1 << 21, 1 << 16), Sizes(64, 50, 7)], ids=["large", "small"])
def test_how_much_is_worked_on_at_once_changes_nothing_but_rounding(module, make_batch, sizes):
    """The large ones are those of an accelerator, whose code is the same."""
    jets = pad(make_batch([60, 17, 17, 2]))
    with torch.inference_mode():
        found = PackedTransformer(module, sizes=sizes)(jets.features, jets.p4, jets.mask)
        expected = PackedTransformer(module)(jets.features, jets.p4, jets.mask)
    assert_equal(found, expected)


def test_the_factor_of_a_normalisation_is_that_of_its_definition():
    rows = torch.randn(50, 64, generator=torch.Generator().manual_seed(1)) * torch.logspace(-3, 3, 50)[:, None] + 0.5
    rows[7] = 4.0  # no spread at all: epsilon alone is left
    norm = Norm(torch.ones(64), torch.zeros(64), 1e-5)
    expected = (rows.double().var(dim=1, correction=0) + 1e-5).rsqrt()[:, None]
    torch.testing.assert_close(norm.factor(rows.double()), expected, rtol=1e-9, atol=0)
    spread = rows.std(dim=1) > 0.05 * rows.mean(dim=1).abs()
    torch.testing.assert_close(norm.factor(rows)[spread].double(), expected[spread], rtol=2e-4, atol=0)


def test_in_float64_it_equals_the_readable_network_to_rounding(module, make_batch):
    batch = make_batch([30, 30, 7, 1])
    twin = ParticleTransformer(input_dim=7, **FORMS_OF[module.fc[-1].out_features]).double().eval()
    twin.load_state_dict(module.state_dict())
    found, expected = packed(twin, batch, dtype=torch.float64), readable(twin, batch, dtype=torch.float64)
    assert largest_difference(found, expected) < 1e-12


FORMS_OF = {form["num_classes"]: form for form in FORMS.values()}


def test_later_changes_of_the_module_do_not_reach_it(module, make_batch):
    twin, jets = deepcopy(module), pad(make_batch([12, 3]))
    form = twin.packed(torch.float32)
    with torch.inference_mode():
        before = form(jets.features, jets.p4, jets.mask)
        for parameter in twin.parameters():
            parameter.zero_()
        twin.train()
        after = form(jets.features, jets.p4, jets.mask)
    assert largest_difference(after, before) == 0


def test_a_float32_network_packed_in_float64_is_the_float64_network(module, make_batch):
    batch = make_batch([30, 30, 7, 1])
    found, expected = (packed(each, batch, dtype=torch.float64) for each in (module, deepcopy(module).double()))
    assert {each.dtype for each in found} == {torch.float64}
    assert largest_difference(found, expected) == 0


def test_a_layer_of_another_kind_is_not_passed_over(module):
    twin = deepcopy(module)
    twin.blocks[0] = torch.nn.Identity()
    with pytest.raises(AssertionError):
        twin.packed(torch.float32)


def test_bfloat16_stays_near(module, make_batch):
    batch = make_batch([40, 40, 12])
    found, expected = packed(module, batch, dtype=torch.bfloat16)[0], readable(module, batch)[0]
    assert found.dtype == torch.float32
    assert float((found - expected).norm() / expected.norm()) < 0.03
    assert float((found - expected).abs().max()) > 0


def test_every_layer_equals_that_of_the_readable_network(module, make_batch):
    batch = make_batch([20, 20, 9])
    jets = pad(batch)
    inputs = jets.features, jets.p4, jets.mask
    with torch.inference_mode():
        expected = module.embed_layers(jets.features, jets.p4, jets.mask)
        form = module.packed(torch.float32)
        found = form.embed_layers(*inputs)
        assert set(found) == set(module.layers)
        for name in module.layers:
            scale = max(1.0, float(expected[name].abs().max()))  # inner layers are not normalised
            assert largest_difference([found[name]], [expected[name]]) < TOLERANCE * scale
            assert torch.equal(form.embed_at(name, *inputs), found[name])


@pytest.mark.parametrize(
    "p4",
    [
        np.tile([[30.0, 40.0, 0.0, 50.0]], (128, 1)),  # 128 identical, massless and collinear
        np.tile([[0.0, 0.0, 0.0, 0.0]], (5, 1)),
        np.array([[0.0, 0.0, 70.0, 70.0], [0.0, 0.0, -70.0, 70.0]]),  # along the beam
        np.array([[1e-6, 0.0, 0.0, 1e-6], [3e4, 0.0, 1e5, 1.1e5]]),
        np.array([[30.0, 40.0, 0.0, 50.0]]),
    ],
    ids=["identical", "vanishing", "beam", "far-apart", "one"],
)
def test_degenerate_momenta_give_finite_and_equal_numbers(module, p4):
    rows = np.random.default_rng(1).normal(size=(len(p4), 7))
    batch = InputBatch(
        rows.astype(np.float32), p4.astype(np.float32), np.array([0, len(p4)]), np.zeros((1, 0), np.float32)
    )
    found = packed(module, batch)
    assert all(bool(each.isfinite().all()) for each in found)
    assert_equal(found, readable(module, batch))


def test_what_the_rows_beyond_a_jet_hold_never_matters(module, make_batch):
    """Keys are read beyond the end of a jet: what follows there, even a jet of enormous numbers, changes nothing."""
    alone, after = make_batch([17]), make_batch([17, 3])
    loud = InputBatch(after.features.copy(), after.p4, after.offsets, after.jet_features)
    loud.features[:17], loud.p4[:17] = alone.features, alone.p4
    loud.features[17:] = 1e6
    assert largest_difference([packed(module, loud)[0][:1]], [packed(module, alone)[0]]) < TOLERANCE


def test_memory_that_nothing_was_written_to_never_matters(module, make_batch):
    """Keys are read beyond the last jet too; torch fills what is left uninitialised with NaN here."""
    batch = make_batch([17, 3])
    expected = packed(module, batch)
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        assert torch.empty(3).isnan().all()
        found = packed(module, batch)
    finally:
        torch.use_deterministic_algorithms(False)
    assert largest_difference(found, expected) == 0


def test_real_jets_get_the_same_embedding(module, real_data):
    file = np.load(real_data / "jetclass_mixed_dev.npz")
    mask = file["mask"][:64, 0].astype(bool)
    p4 = np.moveaxis(file["vectors"][:64], 1, -1)[mask]
    offsets = np.concatenate([[0], np.cumsum(mask.sum(axis=1))]).astype(np.int64)
    rows = np.random.default_rng(4).normal(size=(len(p4), 7)).astype(np.float32)
    batch = InputBatch(rows, p4.astype(np.float32), offsets, np.zeros((64, 0), np.float32))
    assert_equal(packed(module, batch), readable(module, batch))
