"""P-CNN: the published network on 128 slots, whatever the batch."""

from hashlib import sha256

import numpy as np
import pytest
import torch
from fixed_weights import fixed_jet, with_fixed_weights
from safetensors.torch import save
from torch.nn import functional

from jetassay.backbones.loading import load_backbone
from jetassay.backbones.padding import pad
from jetassay.backbones.pcnn import build
from jetassay.errors import DataError

STAGES = [[8], [8, 12], [12, 12], [16]]
SMALL = {"input_dim": 7, "num_classes": 5, "conv_params": STAGES, "fc_params": [[6, 0.2]]}
TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-9}
CARD = """
architecture = "jetassay.backbones.pcnn:build"
feature_set = "part-kin"
embedding_dim = 512
labels = "jetclass"
permutation_invariant = false
parameters = { input_dim = 7, num_classes = 10 }
weights = { file = "trained.safetensors", sha256 = "SHA256", prefix = "mod.", licence = "MIT" }
"""


@pytest.fixture(autouse=True)
def _seeded():
    """The same first weights in every run."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        yield


def run(module, jets):
    with torch.inference_mode():
        return module(jets.features, jets.p4, jets.mask)


def by_the_book(state, features, mask, *, stages):
    """The network on 128 slots with each convolution written as a product with three neighbouring slots."""
    x = torch.zeros(len(features), 128, features.shape[-1], dtype=features.dtype)
    x[:, : mask.shape[1]] = features * mask[..., None]
    x = convolved(normalised(x, state, "fts_conv.0"), state, "fts_conv.1")
    x = normalised(x, state, "fts_conv.2").clamp(min=0)
    for stage, units in enumerate(stages):
        for unit in range(units):
            name = f"resnet_units.resnet_unit_{stage}.{unit}"
            stride = 2 if stage > 0 and unit == 0 else 1
            shortcut = x
            if f"{name}.conv_sc.weight" in state:
                shortcut = x[:, ::stride] @ state[f"{name}.conv_sc.weight"][..., 0].T
            x = convolved(x, state, f"{name}.conv1")[:, ::stride]
            x = normalised(x, state, f"{name}.bn1").clamp(min=0)
            x = normalised(convolved(x, state, f"{name}.conv2"), state, f"{name}.bn2").clamp(min=0) + shortcut
    hidden = x.mean(dim=1) @ state["fc.0.0.weight"].T + state["fc.0.0.bias"]
    hidden = hidden.clamp(min=0)
    return hidden, hidden @ state["fc.1.weight"].T + state["fc.1.bias"]


def convolved(x, state, name):
    """(J, C, before) to (J, C, after); a slot beyond either end counts as zero."""
    around = functional.pad(x, (0, 0, 1, 1))
    parts = [around[:, k : k + x.shape[1]] @ state[f"{name}.weight"][..., k].T for k in range(3)]
    return sum(parts) + state[f"{name}.bias"]


def normalised(x, state, name):
    mean, var, weight, bias = (state[f"{name}.{each}"] for each in ("running_mean", "running_var", "weight", "bias"))
    return (x - mean) / (var + 1e-5).sqrt() * weight + bias


@pytest.mark.parametrize(("width", "count"), [(7, 353_560), (13, 354_148), (17, 354_540)])
def test_networks_have_the_published_number_of_parameters(width, count):
    assert sum(parameter.numel() for parameter in build(input_dim=width, num_classes=10).parameters()) == count


def test_layers_are_named_as_in_the_original():
    names = list(dict.fromkeys(name.rpartition(".")[0] for name in build(**SMALL).state_dict()))
    assert names == [
        "fts_conv.0", "fts_conv.1", "fts_conv.2",
        *(f"resnet_units.resnet_unit_0.0.{each}" for each in ("conv1", "bn1", "conv2", "bn2")),
        *(f"resnet_units.resnet_unit_0.1.{each}" for each in ("conv1", "bn1", "conv2", "bn2", "conv_sc")),
        *(f"resnet_units.resnet_unit_1.0.{each}" for each in ("conv1", "bn1", "conv2", "bn2", "conv_sc")),
        *(f"resnet_units.resnet_unit_1.1.{each}" for each in ("conv1", "bn1", "conv2", "bn2")),
        *(f"resnet_units.resnet_unit_2.0.{each}" for each in ("conv1", "bn1", "conv2", "bn2", "conv_sc")),
        "fc.0.0", "fc.1",
    ]  # fmt: skip


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_networks_equal_the_original_on_128_slots_at_every_multiplicity(dtype, make_batch, moved):
    module = moved(build(input_dim=7, num_classes=10)).to(dtype)
    state = module.state_dict()
    for first in range(1, 129, 32):
        jets = pad(make_batch(range(first, first + 32)), dtype=dtype)
        expected = by_the_book(state, jets.features, jets.mask, stages=(2, 2, 2))
        for one, other in zip(run(module, jets), expected, strict=True):
            assert (one - other).abs().max() <= TOLERANCE[dtype] * max(1, float(other.abs().max()))


@pytest.mark.parametrize("length", [128, 101, 64])
def test_empty_slots_that_are_not_computed_count_as_if_they_were(length, make_batch, moved):
    """Alone, so that the batch is as long as the jet: some slots are left out, few, one, none."""
    module = moved(build(**SMALL, length=length)).double()
    left_out = set()
    for multiplicity in (1, 2, 3, 4, 5, 37, 38, 39, 40, 41, 63, 64, length):
        jets = pad(make_batch([multiplicity]), dtype=torch.float64)
        left_out.add(module._left_out(multiplicity))
        with torch.inference_mode():
            x = module.fts_conv(functional.pad(jets.features, (0, 0, 0, length - multiplicity)).transpose(1, 2))
            for stage in module.resnet_units.values():
                x = stage(x)
            expected = module.fc.read(x.mean(dim=-1))
        for one, other in zip(run(module, jets), expected, strict=True):
            assert (one - other).abs().max() <= 1e-12 * max(1, float(other.abs().max()))
    assert min(left_out) == 0
    assert (max(left_out) > 5) == (length > 64)


EMBEDDING = [0.22292009, 0.0, 0.0, 0.049646734, 0.144731903, 0.0]
LOGITS = [-0.235076877, -0.170115971, 0.180195445, 0.13563872, -0.133510741]


def test_outputs_of_fixed_weights_are_those_of_the_original():
    """Weights and inputs by formula, outputs of the original network on 128 slots written down once."""
    found = run(with_fixed_weights(build(**SMALL)), fixed_jet())
    for one, expected in zip(found, (EMBEDDING, LOGITS), strict=True):
        torch.testing.assert_close(one[0], torch.tensor(expected, dtype=torch.float64), rtol=1e-6, atol=1e-9)


def test_the_embedding_is_what_the_classifier_reads(make_batch, moved):
    module = moved(build(**SMALL))
    embedding, logits = run(module, pad(make_batch([3, 20])))
    with torch.inference_mode():
        assert torch.equal(module.fc[-1](embedding), logits)
    assert embedding.shape == (2, 6)


@pytest.mark.parametrize("garbage", [1e6, float("nan"), float("inf")])
def test_what_stands_in_padded_slots_is_never_read(garbage, make_batch, moved):
    module = moved(build(**SMALL))
    jets = pad(make_batch([3, 20, 1]))
    clean = run(module, jets)
    jets.features[~jets.mask] = garbage
    assert all(torch.equal(one, other) for one, other in zip(clean, run(module, jets), strict=True))


def test_the_number_of_slots_matters_and_the_length_of_the_batch_does_not(make_batch, moved):
    module = moved(build(**SMALL))
    jets = pad(make_batch([3, 20]))
    one = run(module, jets)[1][:1]
    alone = type(jets)(jets.features[:1, :3], jets.p4[:1, :3], jets.mask[:1, :3], jets.jet_features[:1])
    torch.testing.assert_close(run(module, alone)[1], one, rtol=0, atol=1e-4)
    module.length = 64
    assert (run(module, alone)[1] - one).abs().max() > 1e-3


def test_the_order_of_constituents_matters(make_batch, moved):
    module = moved(build(**SMALL)).double()
    jets = pad(make_batch([20]), dtype=torch.float64)
    with torch.inference_mode():
        other = module(jets.features.flip(1), jets.p4, jets.mask)[1]
    assert (other - run(module, jets)[1]).abs().max() > 1e-6


def test_training_reaches_every_parameter(make_batch):
    module = build(**SMALL).train()
    jets = pad(make_batch([3, 20, 1, 40]))
    module(jets.features, jets.p4, jets.mask)[1].square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in module.parameters())


def test_a_jet_of_more_constituents_than_slots_is_refused(make_batch):
    with pytest.raises(DataError, match="sees 20 slots, but the batch has 21"):
        run(build(**SMALL, length=20), pad(make_batch([3, 21])))


def test_a_card_of_ones_own_makes_a_trained_network_a_backbone(write_card, make_batch, moved):
    module = moved(build(input_dim=7, num_classes=10))
    content = save({f"mod.{name}": tensor for name, tensor in module.state_dict().items()})
    card = write_card(CARD.replace("SHA256", sha256(content).hexdigest()))
    (card.folder / "trained.safetensors").write_bytes(content)
    batch = make_batch([1, 30])
    found = load_backbone(card).embed(batch)
    embedding, logits = run(module, pad(batch))
    np.testing.assert_array_equal(found.embedding, embedding)
    np.testing.assert_array_equal(found.scores, logits.softmax(dim=1))
