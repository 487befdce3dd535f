"""The forward pass of every backbone: fixed batches of jets in random order, and batches as a suite makes them."""

import numpy as np
import pytest

from jetassay.backbones.loading import load_backbone
from jetassay.embeddings.batching import Batching
from jetassay.features.batch import InputBatch
from jetassay.features.cutting import between, sort_by_length, split_sorted
from jetassay.features.inputs import compute_inputs

BATCH_SIZES = (1, 16, 64, 256)
FEWEST_JETS, MOST_JETS = 64, 256  # in a round


@pytest.fixture(scope="module")
def backbone(request):
    """Every backbone that is here, one after the other."""
    return load_backbone(request.param)


@pytest.fixture(scope="module")
def inputs(backbone, read, all_jets):
    """Every jet once."""
    most = backbone.card.max_constituents
    chunks = read(stop=all_jets, needs=backbone.feature_set.needs, max_constituents=most)
    return InputBatch.join([compute_inputs(backbone.feature_set, chunk.jets) for chunk in chunks])


def evenly(inputs, jets):
    """So many jets that stand for all: at even steps of multiplicity, in random order."""
    rising = np.argsort(inputs.multiplicities, kind="stable")
    chosen = rising[((np.arange(jets) + 0.5) * len(inputs) / jets).astype(np.int64)]
    return inputs.take(np.random.default_rng(0).permutation(chosen))


def time_batches(measure, backbone, jets, ranges, **about):
    batches = [between(jets, *each) for each in ranges]

    def run():
        for batch in batches:
            backbone.embed(batch)

    measure(
        run,
        jets=len(jets),
        backbone=backbone.card.name,
        dtype=backbone.dtype,
        device=str(backbone.device),
        mean_constituents=float(jets.multiplicities.mean()),
        **about,
    )


@pytest.mark.parametrize("batch_size", BATCH_SIZES)
def bench_forward(measure, backbone, inputs, batch_size):
    jets = evenly(inputs, max(batch_size, FEWEST_JETS))
    ranges = [(first, first + batch_size) for first in range(0, len(jets), batch_size)]
    time_batches(measure, backbone, jets, ranges, batch_size=batch_size)


def bench_forward_sorted(measure, backbone, inputs):
    jets, _ = sort_by_length(evenly(inputs, MOST_JETS))
    ranges = split_sorted(jets, token_budget=Batching().token_budget)
    time_batches(measure, backbone, jets, ranges, variant="sorted")
