"""Small samples without physics in them: two kinds of jets that any network can tell apart."""

import numpy as np
import pytest

from jetassay.features.batch import InputBatch
from jetassay.training.sample import LabelledInputs, TrainingSample

NAMES = ("QCD", "Hbb", "Hcc")
WIDTH = 4


def make_part(jets: int, seed: int) -> LabelledInputs:
    """Jets of three labels whose features are shifted by the label."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, len(NAMES), jets)
    lengths = random.integers(1, 12, jets)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    shift = np.repeat(labels, lengths)[:, None]
    momenta = random.normal(size=(offsets[-1], 3)) * 20
    energy = np.linalg.norm(momenta, axis=1, keepdims=True) + 0.1
    return LabelledInputs(
        InputBatch(
            features=(random.normal(size=(offsets[-1], WIDTH)) + shift).astype(np.float32),
            p4=np.concatenate([momenta, energy], axis=1).astype(np.float32),
            offsets=offsets,
            jet_features=np.zeros((jets, 0), np.float32),
        ),
        labels.astype(np.int64),
    )


@pytest.fixture(scope="session")
def sample() -> TrainingSample:
    return TrainingSample(
        train=make_part(300, 1), validation=make_part(90, 2), test=make_part(90, 3), names=NAMES, digest="d" * 64
    )
