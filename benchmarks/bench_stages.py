"""The stages around the forward pass, each alone: reading, features, probe, CKA."""

from functools import partial

import numpy as np
import pytest

from jetassay.features.inputs import compute_inputs
from jetassay.features.sets import FEATURE_SETS
from jetassay.metrics.cka import debiased_cka
from jetassay.tasks.probe import probe_signal
from jetassay.tasks.samples import JetKeys, Sample, Splits

WIDTH = 128
PROBED = {"train": 8_000, "validation": 4_000, "test": 4_000}
COMPARED = 20_000


@pytest.fixture(scope="session")
def chunk(read):
    """All of the file in memory."""
    (chunk,) = read(entries_per_chunk=1_000_000)
    return chunk


def bench_reading(measure, read, chunk):
    needs = FEATURE_SETS["part-full"].needs

    def run():
        for _ in read(needs=needs):
            pass

    about = "a ROOT file, columns of part-full"
    measure(run, jets=chunk.n_entries, mean_constituents=float(chunk.jets.multiplicities.mean()), note=about)


@pytest.mark.parametrize("name", FEATURE_SETS)
def bench_features(measure, chunk, name):
    run = partial(compute_inputs, FEATURE_SETS[name], chunk.jets)
    measure(run, jets=len(chunk.jets), mean_constituents=float(chunk.jets.multiplicities.mean()))


def embeddings(jets, seed):
    """float32 (jets, WIDTH) of the same distribution for every seed, with spreads three orders of magnitude apart."""
    mixing = np.random.default_rng(0).normal(size=(WIDTH, WIDTH)) * np.logspace(-3, 0, WIDTH)[:, None]
    return (np.random.default_rng(seed).normal(size=(jets, WIDTH)) @ mixing).astype(np.float32)


def sample(seed, jets):
    """Half QCD, half Hbb, which is shifted by half a standard deviation."""
    labels = np.arange(jets) % 2
    embedding = embeddings(jets, seed)
    embedding += np.float32(0.5) * embedding.std(axis=0) * labels[:, None]
    keys = JetKeys((f"{seed:064d}",), np.zeros(jets, np.int64), np.arange(jets))
    return Sample(embedding.astype(np.float32), labels, ("QCD", "Hbb"), keys)


def bench_probe(measure):
    splits = Splits(**{split: sample(seed, jets) for seed, (split, jets) in enumerate(PROBED.items())})
    run = partial(probe_signal, splits, signal="Hbb", backbone="made-up")
    measure(run, jets=sum(PROBED.values()), note=f"one signal against QCD, {WIDTH}-d, with intervals")


def bench_cka(measure):
    run = partial(debiased_cka, embeddings(COMPARED, 1), embeddings(COMPARED, 2))
    measure(run, jets=COMPARED, note=f"one pair of embeddings, {WIDTH}-d")
