"""ParticleNet, PFN, P-CNN and an MLP beside the networks as published, on the same jets with the same weights.

`python -m benchmarks.architectures FILE.json`. Both sides run in two ways: 256 jets in random order, padded to the
longest (P-CNN: to its 128 slots); and batches by length under the same budget. Ours begins at the flat inputs, the
peers' batches are padded before the clock starts. Embeddings must agree before anything is timed.
"""

from functools import partial

import numpy as np
import torch
from benchmarks.networks import LENGTH, copy_of, embed_pool, moved, pool_of
from benchmarks.published import PaddedConvolutions, PaddedFlow, PaddedLeading, WeaverParticleNet
from benchmarks.rounds import Way, benchmark, measure, program, quantity

from jetassay.backbones.card import Card
from jetassay.backbones.feature_sets import feature_set_of
from jetassay.backbones.loading import TorchBackbone, build_module
from jetassay.backbones.padding import pad
from jetassay.embeddings.batching import Batching
from jetassay.errors import JetAssayError
from jetassay.features.cutting import between, sort_by_length, split_sorted

POOL = 256
RANDOM = 256
TOLERANCE = 1e-4  # of the largest number in an embedding
_POINTS = {"points": (-2, -1)}
NETWORKS = {
    "ParticleNet": ("jetassay.backbones.particlenet:build", 256, _POINTS),
    "PFN": ("jetassay.backbones.pfn:build", 128, {}),
    "P-CNN": ("jetassay.backbones.pcnn:build", 512, {}),
    "MLP": ("jetassay.backbones.mlp:build", 128, {}),
}
REPEATS = {"ParticleNet": 1, "PFN": 8, "P-CNN": 2, "MLP": 32}  # of the pool in a round, long enough to be timed
PEERS = {"PFN": PaddedFlow, "P-CNN": PaddedConvolutions, "MLP": PaddedLeading}


def card_of(name):
    """A card of the published size with 17 features and ten classes; its weights are made up."""
    architecture, width, parameters = NETWORKS[name]
    return Card(
        name=name.lower(), title=name, architecture=architecture, feature_set="part-full", embedding_dim=width,
        labels="jetclass", untrained_twin_of="published", seed=0, role="control",
        parameters={"input_dim": 17, "num_classes": 10, **parameters},
    )  # fmt: skip


def both_of(name):
    """Our backbone and the peer's module, of one state dictionary."""
    card = card_of(name)
    state = {key: each.clone() for key, each in moved(build_module(card)).state_dict().items()}
    ours = TorchBackbone(card, copy_of(card, state), device=torch.device("cpu"), dtype="float32")
    module = PEERS[name](copy_of(card, state).eval()) if name in PEERS else WeaverParticleNet(card, state)
    return ours, module.eval().requires_grad_(requires_grad=False)


def ready(name, batch):
    """What a peer takes: (J, channels, slots), as many slots as its longest jet has, or all that a P-CNN sees."""
    jets = pad(batch)
    wider = (0, LENGTH - jets.mask.shape[1] if name in ("P-CNN", "ParticleNet") else 0)
    arrays = jets.features.transpose(1, 2), jets.p4.transpose(1, 2), jets.mask[:, None].float()
    return tuple(torch.nn.functional.pad(each, wider).contiguous() for each in arrays)


def run_all(module, batches):
    with torch.inference_mode():
        return [module(*each) for each in batches]


def check_equal(name, ours, module, batch):
    """Raises `JetAssayError` where embeddings differ: what the last linear layer of either side is given."""
    seen = []
    *_, last = (each for each in module.modules() if isinstance(each, torch.nn.Linear))
    watch = last.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))
    run_all(module, [ready(name, batch)])
    watch.remove()
    expected = seen[0].numpy()
    largest = float(np.abs(ours.embed(batch).embedding - expected).max() / np.abs(expected).max())
    print(f"{name}: embeddings of {len(batch)} jets differ from the peer's by {largest:.1e} of the largest", flush=True)
    if not largest <= TOLERANCE:  # also where it is not a number
        raise JetAssayError(f"{name}: an embedding differs from the peer's by {largest:.1e}; nothing was timed")


def ways_of(name, pool):
    """Every way to embed the pool with one architecture."""
    ours, module = both_of(name)
    check_equal(name, ours, module, between(pool, 0, 16))
    ordered, _ = sort_by_length(pool)
    batches = {
        "random": [between(pool, first, min(first + RANDOM, len(pool))) for first in range(0, len(pool), RANDOM)],
        "sorted": [between(ordered, *each) for each in split_sorted(ordered, token_budget=Batching().token_budget)],
    }
    theirs = {way: [ready(name, batch) for batch in each] for way, each in batches.items()}

    once = {
        "sorted": lambda: embed_pool(ours, pool),
        "random-256": lambda: [ours.embed(batch) for batch in batches["random"]],
        "peer-padded-256": lambda: run_all(module, theirs["random"]),
        "peer-sorted": lambda: run_all(module, theirs["sorted"]),
    }
    return {way: Way(partial(repeat, run, REPEATS[name]), REPEATS[name] * len(pool), run) for way, run in once.items()}


def repeat(run, times):
    for _ in range(times):
        run()


def main():
    ways = {}
    for name in NETWORKS:
        pool = between(pool_of(feature_set_of(card_of(name))), 0, POOL)
        ways |= {(name, way): each for way, each in ways_of(name, pool).items()}
    found = measure(ways)
    peers = {name: "published" if name in PEERS else "weaver" for name in NETWORKS}
    pairs = [("sorted", "padded-256"), ("sorted", "sorted"), ("random-256", "padded-256")]
    quantities = [
        quantity(name, f"{own} / {peer}-{other}", found[name, own], found[name, f"peer-{other}"],
                 clock="cpu", unit="jets/s")
        for name, peer in peers.items() for own, other in pairs
    ]  # fmt: skip
    rates = [
        benchmark("architectures", [1 / speed for speed in found[name, way]["cpu"]], variant=way, threads=1,
                  backbone=f"{name.lower()}-random-weights", dtype="float32", device="cpu")
        for name, way in ways
    ]  # fmt: skip
    yield {"benchmarks": rates, "quantities": quantities}


if __name__ == "__main__":
    program(main)
