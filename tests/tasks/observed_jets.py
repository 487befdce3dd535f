"""Made-up jets that also have observed columns, some of which can be read from the embedding, and their probes."""

from dataclasses import replace

import numpy as np

from jetassay.tasks.probe import Probed, probe
from jetassay.tasks.samples import Splits


def with_columns(sample, *, seed=0, scale=1.0):
    """Mass and displaced tracks follow from the embedding; pT, eta and tau do not."""
    stream = np.random.default_rng([seed, len(sample), *sample.keys.files[0].encode()])
    jets, x = len(sample), sample.embedding
    columns = {
        "jet_pt": stream.uniform(500, 1000, jets),
        "jet_eta": stream.uniform(-2, 2, jets),
        "jet_sdmass": 80 + 5 * (x[:, 0] - x[:, 1]),
        "jet_mass": stream.exponential(100, jets),
        "multiplicity": np.round(40 + x[:, 2]),
        "jet_tau1": np.full(jets, 0.5),
        "jet_tau2": stream.uniform(0.1, 0.4, jets),
        "jet_tau3": stream.uniform(0.1, 0.4, jets),
        "n_displaced": np.round(np.abs(x[:, 3])),
    }
    return replace(sample, columns={name: (scale * each).astype(np.float32) for name, each in columns.items()})


def observed(splits, **options):
    return Splits(**{name: with_columns(sample, **options) for name, sample in splits.by_name().items()})


def probed(splits, **options):
    """The samples with columns, and their probes."""
    samples = observed(splits, **options)
    names = {samples.test.names[each] for each in np.unique(samples.test.labels)} - {"QCD"}
    return Probed(samples, probe(samples, backbone="mine", signals=sorted(names)).details)


def without(jets, *names):
    """The same samples and probes without some columns."""
    cut = {
        split: replace(sample, columns={name: each for name, each in sample.columns.items() if name not in names})
        for split, sample in jets.splits.by_name().items()
    }
    return Probed(Splits(**cut), jets.probes)
