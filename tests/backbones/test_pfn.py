"""Particle Flow Networks: the published networks, on jets of every multiplicity."""

from hashlib import sha256

import numpy as np
import pytest
import torch
from fixed_weights import fixed_jet, with_fixed_weights
from safetensors.torch import save
from torch.nn import functional

from jetassay.backbones.loading import load_backbone
from jetassay.backbones.padding import pad
from jetassay.backbones.pfn import build

SMALL = {"input_dim": 7, "num_classes": 5, "phi_sizes": [8, 12], "f_sizes": [10, 6]}
TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-9}
CARD = """
architecture = "jetassay.backbones.pfn:build"
feature_set = "part-kin"
embedding_dim = 128
labels = "jetclass"
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


def by_the_book(state, features, mask, *, layers):
    """F(sum of Phi) of one jet of C slots, (C, F): equation 2.7 of arXiv:1810.05165, in plain matrix products."""
    x = features
    if "input_bn.weight" in state:
        x = normalised(x, state, "input_bn")
    for layer in range(layers[0]):
        x = x @ state[f"phi.{layer}.0.weight"][..., 0].T + state[f"phi.{layer}.0.bias"]
        if f"phi.{layer}.1.weight" in state:
            x = normalised(x, state, f"phi.{layer}.1")
        x = x.clamp(min=0)
    x = (x * mask[:, None]).sum(dim=0)
    for layer in range(layers[1]):
        x = (state[f"fc.{layer}.0.weight"] @ x + state[f"fc.{layer}.0.bias"]).clamp(min=0)
    return x, state[f"fc.{layers[1]}.weight"] @ x + state[f"fc.{layers[1]}.bias"]


def normalised(x, state, name):
    mean, var, weight, bias = (state[f"{name}.{each}"] for each in ("running_mean", "running_var", "weight", "bias"))
    return (x - mean) / (var + 1e-5).sqrt() * weight + bias


@pytest.mark.parametrize(("width", "count"), [(7, 84_874), (13, 85_642), (17, 86_154)])
def test_networks_have_the_published_number_of_parameters(width, count):
    assert sum(parameter.numel() for parameter in build(input_dim=width, num_classes=10).parameters()) == count


def test_layers_are_named_as_in_the_original():
    assert list(build(**SMALL).state_dict()) == [
        "phi.0.0.weight", "phi.0.0.bias", "phi.1.0.weight", "phi.1.0.bias", "fc.0.0.weight", "fc.0.0.bias",
        "fc.1.0.weight", "fc.1.0.bias", "fc.2.weight", "fc.2.bias",
    ]  # fmt: skip
    assert build(**SMALL).state_dict()["phi.1.0.weight"].shape == (12, 8, 1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("use_bn", [False, True], ids=["published", "normalised"])
def test_networks_equal_the_equation_at_every_multiplicity(use_bn, dtype, make_batch, moved):
    module = moved(build(input_dim=7, num_classes=10, use_bn=use_bn)).to(dtype)
    state = module.state_dict()
    for first in range(1, 129, 32):
        jets = pad(make_batch(range(first, first + 32)), dtype=dtype)
        embedding, logits = run(module, jets)
        for jet in range(32):
            expected = by_the_book(state, jets.features[jet], jets.mask[jet], layers=(3, 3))
            for one, other in zip((embedding[jet], logits[jet]), expected, strict=True):
                assert (one - other).abs().max() <= TOLERANCE[dtype] * max(1, float(other.abs().max()))


OUTPUTS = {
    False: (
        [0.0, 0.0, 2.27011206, 1.10656658, 0.0, 0.373590757],
        [-0.742194258, 0.965631207, -0.344045033, -0.320111176, 0.468444102],
    ),
    True: (
        [0.0, 0.0, 3.60922801, 0.0, 0.0, 2.38195811],
        [-0.333239604, 1.39797981, -1.3706232, 0.714039272, 0.0177059844],
    ),
}


@pytest.mark.parametrize("use_bn", [False, True], ids=["published", "normalised"])
def test_outputs_of_fixed_weights_are_those_of_the_original(use_bn):
    """Weights and inputs by formula, outputs of the original network written down once."""
    found = run(with_fixed_weights(build(**SMALL, use_bn=use_bn)), fixed_jet())
    for one, expected in zip(found, OUTPUTS[use_bn], strict=True):
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


def test_neither_order_nor_company_nor_padding_changes_a_jet(make_batch, moved):
    module = moved(build(**SMALL))
    jets = pad(make_batch([3, 20]))
    one = run(module, jets)[1][:1]
    mask = functional.pad(jets.mask[:1, :3].flip(1), (9, 4))
    features = functional.pad(jets.features[:1, :3].flip(1), (0, 0, 9, 4))
    with torch.inference_mode():
        other = module(features, jets.p4, mask)[1]
    torch.testing.assert_close(one, other, rtol=0, atol=1e-5)


def test_training_reaches_every_parameter(make_batch):
    module = build(**SMALL, use_bn=True).train()
    jets = pad(make_batch([3, 20, 1, 40]))
    module(jets.features, jets.p4, jets.mask)[1].square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in module.parameters())


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
