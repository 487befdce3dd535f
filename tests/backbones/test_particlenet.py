"""ParticleNet: the published network layer by layer, short jets included."""

import numpy as np
import pytest
import torch
from fixed_weights import fixed_jet, with_fixed_weights
from torch.nn import functional

from jetassay.backbones import particlenet
from jetassay.backbones.catalogue import backbone_cards
from jetassay.backbones.padding import pad
from jetassay.backbones.particlenet import build
from jetassay.errors import ConfigError, DataError

WIDTHS = {"kin": 7, "kinpid": 13, "full": 17}
PUBLISHED = {"num_classes": 10, "points": [-2, -1]}
LAYERS = [[16, [16, 16]], [16, [24, 24]], [16, [24]]]
SMALL = {"input_dim": 7, "num_classes": 5, "points": [-2, -1], "conv_params": LAYERS, "fc_params": [[12, 0.1]]}
SLOTS = 128


@pytest.fixture(autouse=True)
def _seeded():
    """The same first weights in every run."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        yield


def official(*, input_dim, num_classes, points, conv_params=None, fc_params=((256, 0.1),)):
    """weaver-core's own module on 128 slots, watched for what its classifier reads."""
    from weaver.nn.model.ParticleNet import ParticleNet

    conv_params = conv_params or [(16, (64, 64, 64)), (16, (128, 128, 128)), (16, (256, 256, 256))]
    options = {"use_fusion": False, "use_fts_bn": True, "use_counts": True, "trim": False}
    module = ParticleNet(input_dim, num_classes, conv_params, fc_params, **options).eval()
    seen = {}
    module.fc[-1].register_forward_hook(lambda _module, inputs, _output: seen.update(embedding=inputs[0]))

    def run(jets):
        more = SLOTS - jets.mask.shape[1]
        features = functional.pad(jets.features, (0, 0, 0, more)).transpose(1, 2)
        logits = module(features[:, points], features, functional.pad(jets.mask, (0, more))[:, None])
        return seen["embedding"], logits

    return module, run


def run(module, jets):
    with torch.inference_mode():
        return module(jets.features, jets.p4, jets.mask)


def differences(parameters, batches, dtype, moved):
    """The largest difference to weaver in embedding or logits, of each jet."""
    ours = moved(build(**parameters)).to(dtype)
    theirs, run_theirs = official(**parameters)
    theirs.load_state_dict(ours.state_dict(), strict=True)
    theirs.to(dtype)
    found = []
    for batch in batches:
        jets = pad(batch, dtype=dtype)
        with torch.inference_mode():
            pairs = zip(run(ours, jets), run_theirs(jets), strict=True)
            found.append(torch.stack([(one - other).abs().amax(dim=1) for one, other in pairs]).amax(dim=0))
    return torch.cat(found)


def assert_equal_to_weaver(found, dtype):
    """In float32 a neighbour may change places with another that is as far away to the last bits.

    That moves a jet by some 1e-3, in weaver's own module too when it runs in float64.
    """
    if dtype == torch.float64:
        assert found.max() <= 1e-9
    else:
        assert found.max() <= 1e-2
        assert (found > 1e-4).sum() <= len(found) // 40


@pytest.mark.parametrize(("name", "count"), [("kin", 368_216), ("kinpid", 369_380), ("full", 370_156)])
def test_networks_of_the_cards_have_the_published_number_of_parameters(name, count):
    card = backbone_cards()[f"particlenet-{name}"]
    assert sum(parameter.numel() for parameter in build(**card.parameters).parameters()) == count


@pytest.mark.parametrize("name", WIDTHS)
def test_layers_are_named_and_shaped_as_in_weaver(name):
    parameters = {**PUBLISHED, "input_dim": WIDTHS[name]}
    ours = {name: tensor.shape for name, tensor in build(**parameters).state_dict().items()}
    assert ours == {name: tensor.shape for name, tensor in official(**parameters)[0].state_dict().items()}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_small_networks_equal_weavers_at_every_multiplicity(dtype, make_batch, moved):
    batches = [make_batch(range(first, first + 16)) for first in range(1, 129, 16)]
    assert_equal_to_weaver(differences(SMALL, batches, dtype, moved), dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_batches_of_short_jets_alone_equal_weavers_on_128_slots(dtype, make_batch, moved):
    batches = [make_batch([3, 5, 1]), make_batch([1]), make_batch([2, 2]), make_batch([15, 16, 17])]
    assert_equal_to_weaver(differences(SMALL, batches, dtype, moved), dtype)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_published_networks_equal_weavers_at_every_multiplicity(dtype, make_batch, moved):
    batches = [make_batch(range(first, first + 16), width=17) for first in range(1, 129, 16)]
    assert_equal_to_weaver(differences({**PUBLISHED, "input_dim": 17}, batches, dtype, moved), dtype)


def test_gradients_equal_those_of_weaver_in_inference_mode(make_batch, moved):
    ours = moved(build(**SMALL)).double()
    theirs, run_theirs = official(**SMALL)
    theirs.load_state_dict(ours.state_dict())
    theirs.double()
    jets = pad(make_batch([1, 5, 20, 33]), dtype=torch.float64)
    labels = torch.tensor([3, 0, 4, 1])
    functional.cross_entropy(ours(jets.features, jets.p4, jets.mask)[1], labels).backward()
    functional.cross_entropy(run_theirs(jets)[1], labels).backward()
    expected = dict(theirs.named_parameters())
    for name, parameter in ours.named_parameters():
        torch.testing.assert_close(parameter.grad, expected[name].grad, rtol=1e-7, atol=1e-12, msg=name)


def test_the_embedding_is_what_the_classifier_reads(make_batch, moved):
    module = moved(build(**SMALL))
    embedding, logits = run(module, pad(make_batch([3, 20])))
    with torch.inference_mode():
        assert torch.equal(module.fc[-1](embedding), logits)
    assert embedding.shape == (2, 12)
    assert (embedding >= 0).all()


def test_neighbours_are_the_nearest_and_empty_slots_fill_up():
    places = torch.tensor([[0.0, 0.0], [0.1, 0.0], [0.0, 0.3], [5.0, 5.0], [5.0, 5.1]])
    mask = torch.tensor([[True, True, True], [True, True, False]])
    found = particlenet.nearest(places, mask, k=3, slots=128)
    assert found.tolist() == [[1, 2, 5], [0, 2, 5], [0, 1, 5], [4, 5, 5], [3, 5, 5]]


def test_the_coordinates_are_the_features_that_the_parameters_name(make_batch, moved):
    module = moved(build(**SMALL))
    jets = pad(make_batch([40]))
    embedding = run(module, jets)[0]
    module.points = [5, 6]
    assert torch.equal(run(module, jets)[0], embedding)
    module.points = [0, 1]
    assert not torch.equal(run(module, jets)[0], embedding)


@pytest.mark.parametrize("garbage", [1e6, float("nan"), float("inf")])
def test_what_stands_in_padded_slots_is_never_read(garbage, make_batch, moved):
    module = moved(build(**SMALL))
    jets = pad(make_batch([3, 20, 1]))
    clean = run(module, jets)
    jets.features[~jets.mask] = garbage
    assert all(torch.equal(one, other) for one, other in zip(clean, run(module, jets), strict=True))


def test_padding_may_stand_between_constituents_and_behind_them(make_batch, moved):
    module = moved(build(**SMALL)).double()
    jets = pad(make_batch([6]), dtype=torch.float64)
    places = torch.tensor([0, 2, 3, 7, 8, 11])
    features, mask = torch.zeros(1, 30, 7, dtype=torch.float64), torch.zeros(1, 30, dtype=torch.bool)
    features[:, places], mask[:, places] = jets.features, True
    with torch.inference_mode():
        loose = module(features, jets.p4, mask)[0]
    torch.testing.assert_close(run(module, jets)[0], loose, rtol=0, atol=1e-9)


def test_the_order_of_constituents_changes_nothing(make_batch, moved):
    module = moved(build(**SMALL)).double()
    jets = pad(make_batch([25, 25]), dtype=torch.float64)
    order = torch.randperm(25, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        other = module(jets.features[:, order], jets.p4[:, order], jets.mask)[0]
    torch.testing.assert_close(run(module, jets)[0], other, rtol=0, atol=1e-9)


def test_blocks_that_bound_memory_change_nothing(make_batch, moved, monkeypatch):
    module = moved(build(**SMALL)).double()
    jets = pad(make_batch([3, 20, 1, 40, 7]), dtype=torch.float64)
    whole = run(module, jets)
    monkeypatch.setattr(particlenet, "_CENTRES_AT_ONCE", 9)
    monkeypatch.setattr(particlenet, "_JETS_AT_ONCE", 2)
    torch.testing.assert_close(run(module, jets), whole, rtol=0, atol=1e-9)


def test_training_reaches_every_parameter(make_batch):
    module = build(**SMALL).train()
    jets = pad(make_batch([3, 20, 1, 40]))
    module(jets.features, jets.p4, jets.mask)[1].square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in module.parameters())


def test_input_statistics_are_those_of_real_constituents_only(make_batch):
    module = build(**SMALL).train()
    batch = make_batch([3, 20, 1, 40])
    jets = pad(batch)
    module.bn_fts.momentum = None  # the mean over all batches, of which there is one
    module(jets.features, jets.p4, jets.mask)
    np.testing.assert_allclose(module.bn_fts.running_mean, batch.features.mean(axis=0), atol=1e-6)


def test_identical_constituents_give_finite_outputs_and_gradients(make_batch, moved):
    module = moved(build(**SMALL))
    jets = pad(make_batch([128]))
    embedding, logits = module(jets.features[:, :1].expand(1, 128, -1), jets.p4, jets.mask)
    logits.sum().backward()
    assert embedding.isfinite().all()
    assert all(parameter.grad.isfinite().all() for parameter in module.parameters())


def test_a_jet_of_more_constituents_than_slots_is_refused(make_batch):
    with pytest.raises(DataError, match="sees 20 slots, but the batch has 21"):
        run(build(**SMALL, length=20), pad(make_batch([3, 21])))


@pytest.mark.parametrize("wrong", [[], [[0, [8]]], [[16, [8]], [128, [8]]], [[16, []]]])
def test_numbers_of_neighbours_that_no_jet_can_have_are_refused(wrong):
    with pytest.raises(ConfigError, match="each k from 1 to 127 and one width or more"):
        build(**{**SMALL, "conv_params": wrong})


@pytest.mark.parametrize("wrong", [[-2, 7], [-8, 1]])
def test_coordinates_that_are_no_features_are_refused(wrong):
    with pytest.raises(ConfigError, match="are not places among 7 features"):
        build(**{**SMALL, "points": wrong})


EMBEDDING = [0.168236968, 0.0, 0.0, 0.053659877, 0.200315792, 0.0371886874]
LOGITS = [0.194904702, 0.194577961, -0.154253486, -0.161908752, 0.115298086]


def test_outputs_of_fixed_weights_are_those_of_the_original():
    """Weights and inputs by formula, outputs of weaver-core's module written down once."""
    layers = [[16, [8, 8]], [4, [12, 12]], [3, [12]]]
    module = with_fixed_weights(build(**{**SMALL, "conv_params": layers, "fc_params": [[6, 0.1]]}))
    embedding, logits = run(module, fixed_jet())
    np.testing.assert_allclose(embedding[0], EMBEDDING, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(logits[0], LOGITS, rtol=1e-6)
