"""ParT and Sophon: the published networks, layer by layer, on jets of every multiplicity."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from jetassay.backbones.padding import pad
from jetassay.backbones.part import build
from jetassay.backbones.weights import load_strictly
from jetassay.errors import ConfigError, WeightsError
from jetassay.progress import Reporter

KIN = {"input_dim": 7, "num_classes": 10}
KINPID = {"input_dim": 13, "num_classes": 10}
FULL = {"input_dim": 17, "num_classes": 10}
SOPHON = {"input_dim": 17, "num_classes": 188, "fc_params": [[512, 0.1]], "use_pre_activation_pair": True}
SMALL = {**KIN, "embed_dims": [16, 24], "pair_embed_dims": [8], "num_heads": 4, "num_layers": 2, "num_cls_layers": 2}
TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-5}


def official(parameters):
    """weaver-core's own module, its last normalisation watched for the embedding."""
    from weaver.nn.model.ParticleTransformer import ParticleTransformer

    module = ParticleTransformer(**{"use_pre_activation_pair": False, **parameters}, trim=False).eval()
    seen = {}
    module.norm.register_forward_hook(lambda _module, _inputs, output: seen.update(embedding=output))

    def run(jets):
        logits = module(jets.features.transpose(1, 2), jets.p4.transpose(1, 2), jets.mask[:, None])
        return seen["embedding"], logits

    return module, run


def run_both(parameters, batch, dtype, moved):
    ours = moved(build(**parameters)).to(dtype)
    theirs, run = official(parameters)
    theirs.load_state_dict(ours.state_dict(), strict=True)
    theirs.to(dtype)
    jets = pad(batch, dtype=dtype)
    with torch.inference_mode():
        return ours(jets.features, jets.p4, jets.mask), run(jets)


@pytest.mark.parametrize(
    ("parameters", "count"), [(KIN, 2_142_166), (KINPID, 2_142_958), (FULL, 2_143_486), (SOPHON, 2_304_688)]
)
def test_networks_have_the_published_number_of_parameters(parameters, count):
    assert sum(parameter.numel() for parameter in build(**parameters).parameters()) == count


@pytest.mark.parametrize("parameters", [KIN, KINPID, FULL, SOPHON], ids=["kin", "kinpid", "full", "sophon"])
def test_layers_are_named_and_shaped_as_in_weaver(parameters):
    ours = {name: tensor.shape for name, tensor in build(**parameters).state_dict().items()}
    theirs = {name: tensor.shape for name, tensor in official(parameters)[0].state_dict().items()}
    assert ours == theirs


def assert_equal_to_weaver(parameters, batch, dtype, moved):
    ours, theirs = run_both(parameters, batch, dtype, moved)
    for one, other in zip(ours, theirs, strict=True):
        assert (one - other).abs().max() <= TOLERANCE[dtype]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize(
    "changes", [{}, {"fc_params": [[32, 0.1]], "use_pre_activation_pair": True}], ids=["part", "sophon"]
)
def test_small_networks_equal_weavers_at_every_multiplicity(changes, dtype, make_batch, moved):
    for first in range(1, 129, 32):
        assert_equal_to_weaver({**SMALL, **changes}, make_batch(range(first, first + 32)), dtype, moved)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("parameters", [FULL, SOPHON], ids=["part", "sophon"])
def test_published_networks_equal_weavers(parameters, dtype, make_batch, moved):
    assert_equal_to_weaver(parameters, make_batch([1, 2, 3, 29, 41, 1], width=17), dtype, moved)
    assert_equal_to_weaver(parameters, make_batch([128], width=17), dtype, moved)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("parameters", [FULL, SOPHON], ids=["part", "sophon"])
def test_published_networks_equal_weavers_at_every_multiplicity(parameters, dtype, make_batch, moved):
    for first in range(1, 129, 16):
        assert_equal_to_weaver(parameters, make_batch(range(first, first + 16), width=17), dtype, moved)


@pytest.mark.parametrize("parameters", [KIN, {**SOPHON, "input_dim": 7}], ids=["part", "sophon"])
def test_published_networks_equal_weavers_on_real_jets(parameters, make_batch, moved, real_data):
    stored = np.load(real_data / "jetclass_mixed_dev.npz")
    mask = stored["mask"][::10, 0] > 0
    made_up = make_batch(mask.sum(axis=1))
    batch = replace(made_up, p4=stored["vectors"][::10].transpose(0, 2, 1)[mask])
    assert_equal_to_weaver(parameters, batch, torch.float32, moved)


def test_gradients_equal_those_of_weaver_in_inference_mode(make_batch, moved):
    ours = moved(build(**SMALL)).double()
    theirs, run = official(SMALL)
    theirs.load_state_dict(ours.state_dict())
    theirs.double()
    jets = pad(make_batch([1, 5, 20, 33]), dtype=torch.float64)
    labels = torch.tensor([3, 0, 9, 1])
    torch.nn.functional.cross_entropy(ours(jets.features, jets.p4, jets.mask)[1], labels).backward()
    jets.features.requires_grad_()  # weaver records its encoder only for inputs that want a gradient
    torch.nn.functional.cross_entropy(run(jets)[1], labels).backward()
    expected = dict(theirs.named_parameters())
    for name, parameter in ours.named_parameters():
        torch.testing.assert_close(parameter.grad, expected[name].grad, rtol=1e-7, atol=1e-12, msg=name)


@pytest.mark.parametrize("garbage", [1e6, float("nan"), float("inf")])
def test_what_stands_in_padded_slots_is_never_read(garbage, make_batch, moved):
    module = moved(build(**SMALL))
    jets = pad(make_batch([3, 20, 1]))
    with torch.inference_mode():
        clean = module(jets.features, jets.p4, jets.mask)
        jets.features[~jets.mask] = garbage
        jets.p4[~jets.mask] = garbage
        dirty = module(jets.features, jets.p4, jets.mask)
    assert all(torch.equal(one, other) for one, other in zip(clean, dirty, strict=True))


def test_more_padding_changes_nothing(make_batch, moved):
    module = moved(build(**SMALL))
    jets = pad(make_batch([3, 20, 1]))
    wider = [torch.nn.functional.pad(each, (0, 0, 0, 44)) for each in (jets.features, jets.p4)]
    with torch.inference_mode():
        tight = module(jets.features, jets.p4, jets.mask)
        loose = module(*wider, torch.nn.functional.pad(jets.mask, (0, 44)))
    for one, other in zip(tight, loose, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-5)


def test_padding_may_stand_between_constituents(make_batch, moved):
    module = moved(build(**SMALL))
    jets = pad(make_batch([6]))
    places = torch.tensor([0, 2, 3, 7, 8, 11])
    features, p4, mask = torch.zeros(1, 12, 7), torch.zeros(1, 12, 4), torch.zeros(1, 12, dtype=torch.bool)
    features[:, places], p4[:, places], mask[:, places] = jets.features, jets.p4, True
    with torch.inference_mode():
        tight, loose = module(jets.features, jets.p4, jets.mask)[0], module(features, p4, mask)[0]
    torch.testing.assert_close(tight, loose, rtol=0, atol=1e-5)


def test_the_order_of_constituents_changes_nothing(make_batch, moved):
    module = moved(build(**SMALL))
    jets = pad(make_batch([25, 25]))
    order = torch.randperm(25, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        one = module(jets.features, jets.p4, jets.mask)[0]
        other = module(jets.features[:, order], jets.p4[:, order], jets.mask)[0]
    torch.testing.assert_close(one, other, rtol=0, atol=1e-4)


def identical(p4):
    return p4[:1].repeat(len(p4), 1)


def collinear(p4):
    return p4[:1] * torch.linspace(1, 0.01, len(p4))[:, None]


def vanishing(p4):
    return torch.zeros_like(p4)


def along_the_beam(p4):
    beam = torch.tensor([0.0, 0.0, -1.0, 1.0]) * torch.linspace(100, 1, len(p4))[:, None]
    beam[::2, 2] *= -1
    return beam


@pytest.mark.parametrize("degenerate", [identical, collinear, vanishing, along_the_beam])
def test_degenerate_constituents_give_finite_outputs_and_gradients(degenerate, make_batch, moved):
    module = moved(build(**SMALL))
    jets = pad(make_batch([128]))
    embedding, logits = module(jets.features, degenerate(jets.p4[0])[None], jets.mask)
    logits.sum().backward()
    assert embedding.isfinite().all()
    assert logits.isfinite().all()
    assert all(parameter.grad.isfinite().all() for parameter in module.parameters())


def test_training_reaches_every_parameter(make_batch):
    module = build(**SMALL).train()
    jets = pad(make_batch([3, 20, 1, 40]))
    module(jets.features, jets.p4, jets.mask)[1].square().sum().backward()
    idle = [name for name, parameter in module.named_parameters() if parameter.grad is None]
    assert not idle
    assert all(parameter.grad.isfinite().all() for parameter in module.parameters())


def test_input_statistics_are_those_of_real_constituents_only(make_batch):
    module = build(**SMALL).train()
    batch = make_batch([3, 20, 1, 40])
    jets = pad(batch)
    module.embed.input_bn.momentum = None  # the mean over all batches, of which there is one
    module(jets.features, jets.p4, jets.mask)
    np.testing.assert_allclose(module.embed.input_bn.running_mean, batch.features.mean(axis=0), atol=1e-6)


def test_dropout_acts_in_training_only(make_batch):
    module = build(**SMALL, dropout=0.5)
    jets = pad(make_batch([30]))
    inputs = (jets.features, jets.p4, jets.mask)
    module.train()
    assert not torch.equal(module(*inputs)[0], module(*inputs)[0])
    module.eval()
    assert torch.equal(module(*inputs)[0], module(*inputs)[0])


def test_the_last_activation_of_the_pair_net_matters_and_no_weight_tells(make_batch, moved):
    one = moved(build(**SMALL))
    other = build(**SMALL, use_pre_activation_pair=True).eval()
    other.load_state_dict(one.state_dict(), strict=True)
    jets = pad(make_batch([10, 30]))
    with torch.inference_mode():
        difference = one(jets.features, jets.p4, jets.mask)[0] - other(jets.features, jets.p4, jets.mask)[0]
    assert difference.abs().max() > 1e-3


def test_checkpoints_with_the_old_names_of_the_projection_load(make_batch, moved):
    module, copy = moved(build(**SMALL)), build(**SMALL).eval()
    old = {name.replace("in_proj.", "in_proj_"): tensor for name, tensor in module.state_dict().items()}
    assert "blocks.0.attn.in_proj_weight" in old
    load_strictly(copy, old, source="a test", reporter=Reporter())
    jets = pad(make_batch([10]))
    with torch.inference_mode():
        one, other = (each(jets.features, jets.p4, jets.mask)[0] for each in (module, copy))
    assert torch.equal(one, other)


def test_weights_of_another_size_are_refused():
    with pytest.raises(WeightsError, match=r"another architecture.*fc\.0\.weight is \(10, 24\) instead of \(5, 24\)"):
        load_strictly(
            build(**{**SMALL, "num_classes": 5}), build(**SMALL).state_dict(), source="a test", reporter=Reporter()
        )


def test_heads_that_do_not_divide_the_embedding_are_refused():
    with pytest.raises(ConfigError, match="num_heads = 5 does not divide"):
        build(**{**SMALL, "num_heads": 5})


EMBEDDING = [0.0973682311, 0.208077972, -0.15180281, -0.393560727, 0.249916892]
LOGITS = [0.405745883, -0.193788054, 0.485532383, -0.705987679, 0.403087096]


def test_outputs_of_fixed_weights_stay_what_they_were():
    """Weights and inputs by formula, outputs written down once: a change of the network shows without weaver."""
    module = build(**SMALL).eval()
    state = module.state_dict()
    for place, (name, tensor) in enumerate(sorted(state.items())):
        if tensor.is_floating_point():
            wave = 0.3 * torch.cos(torch.arange(tensor.numel(), dtype=torch.float64) * 1.7 + place)
            state[name] = (wave.abs() + 0.5 if name.endswith("running_var") else wave).reshape(tensor.shape)
    module.double().load_state_dict(state, strict=True)
    steps = torch.arange(12, dtype=torch.float64)
    pt, eta, phi = 200 / (1 + steps), 0.3 + 0.2 * torch.sin(3 * steps), 0.2 * torch.cos(5 * steps)
    p4 = torch.stack([pt * phi.cos(), pt * phi.sin(), pt * eta.sinh(), (pt * eta.cosh()).hypot(0.2 * pt)], dim=-1)
    features = torch.sin(steps[:, None] * torch.arange(1, 8, dtype=torch.float64))
    mask = torch.ones(1, 12, dtype=torch.bool)
    with torch.inference_mode():
        embedding, logits = module(features[None], p4[None], mask)
    np.testing.assert_allclose(embedding[0, :5], EMBEDDING, rtol=1e-6)
    np.testing.assert_allclose(logits[0, :5], LOGITS, rtol=1e-6)
