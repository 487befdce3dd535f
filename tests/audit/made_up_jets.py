"""Made-up embeddings and jet columns of known content, clean unless a test breaks them."""

from dataclasses import replace

import numpy as np

from jetassay.jets.classes import CLASS_NAMES
from jetassay.tasks.samples import JetKeys, Sample, Splits

LATENT = 6


def make_sample(stream, mixing, *, jets, classes, separation, columns, nonlinear, file):
    """`jets` of each class in one file, in random order: latent variables, seen through `mixing`."""
    labels = np.repeat([CLASS_NAMES.index(name) for name in classes], jets)
    stream.shuffle(labels)
    latent = stream.normal(size=(len(labels), LATENT))
    latent[:, 0] += separation * (labels > 0)
    latent[:, 1] += 0.2 * labels
    embedding = latent @ mixing + 0.3 * stream.normal(size=(len(labels), mixing.shape[1]))
    embedding = np.tanh(embedding) if nonlinear else embedding
    mass = np.where(labels > 0, stream.normal(120, 15, len(labels)), stream.gamma(3, 25, len(labels)))
    observed = {
        "jet_pt": stream.exponential(120, len(labels)) + 500,
        "jet_eta": stream.normal(0, 1, len(labels)),
        "jet_sdmass": mass,
        "multiplicity": stream.poisson(np.where(labels > 0, 45, 35)),
    }
    found = {name: column.astype(np.float32) for name, column in observed.items()} if columns else {}
    keys = JetKeys((file,), np.zeros(len(labels), np.int64), np.arange(len(labels)))
    return Sample(embedding.astype(np.float32), labels.astype(np.int64), CLASS_NAMES, keys, columns=found)


def make_splits(*, jets=200, classes=("QCD", "Hbb"), separation=2.0, width=12, seed=0, columns=True, nonlinear=False):
    """Three files of independent jets of one seed, through one made-up backbone."""
    stream = np.random.default_rng(seed)
    mixing = stream.normal(size=(LATENT, width))
    options = {"jets": jets, "classes": classes, "separation": separation}
    options |= {"columns": columns, "nonlinear": nonlinear}
    return Splits(*(make_sample(stream, mixing, file=file, **options) for file in ("train", "validation", "test")))


def changed(splits, change):
    """The splits with `change(sample) -> fields to replace` applied to each sample."""
    return Splits(*(replace(sample, **change(sample)) for sample in splits.by_name().values()))
