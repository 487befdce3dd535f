"""Made-up embeddings with known content: latent variables, some shifted by class, seen through a random linear map."""

import numpy as np
import pytest

from jetassay.jets.classes import CLASS_NAMES
from jetassay.tasks.samples import JetKeys, Sample, Splits


def make_sample(file, *, jets=200, classes=("QCD", "Hbb"), separation=2.0, width=12, seed=0, view=0):
    """`jets` of each class. `file` and `seed` fix the jets, `view` the backbone that sees them."""
    stream = np.random.default_rng([seed, *file.encode()])
    labels = np.repeat([CLASS_NAMES.index(name) for name in classes], jets)
    stream.shuffle(labels)
    latent = stream.normal(size=(len(labels), 8))
    latent[:, 0] += separation * (labels > 0)
    latent[:, 1] += 0.1 * labels
    backbone = np.random.default_rng(view)
    embedding = latent @ backbone.normal(size=(8, width)) + 0.3 * backbone.normal(size=(len(labels), width)) + 5
    keys = JetKeys((file,), np.zeros(len(labels), np.int64), np.arange(len(labels)))
    return Sample(embedding.astype(np.float32), labels.astype(np.int64), CLASS_NAMES, keys)


def make_splits(**options):
    return Splits(*(make_sample(file, **options) for file in ("train", "validation", "test")))


@pytest.fixture
def sample_of():
    return make_sample


@pytest.fixture
def splits_of():
    return make_splits
