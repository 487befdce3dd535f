"""Small samples without physics in them: jets of three labels that any network can tell apart."""

import numpy as np
import pytest

from jetassay.features.batch import InputBatch
from jetassay.jets.classes import CLASS_NAMES
from jetassay.training.recipe import TrainingRecipe
from jetassay.training.sample import LabelledInputs, TrainingSample

WIDTH = 7
LABELS = 3


def make_part(jets: int, seed: int) -> LabelledInputs:
    """Jets of the first three labels, whose features are shifted by the label."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, LABELS, jets)
    lengths = random.integers(1, 12, jets)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    # Of both signs: a shift of all features alike is what the first normalisation of a layer takes away.
    shift = np.repeat(labels, lengths)[:, None] * np.array([1, -1, 1, -1, 1, -1, 1])
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
        train=make_part(300, 1), validation=make_part(90, 2), test=make_part(90, 3), names=CLASS_NAMES, digest="d" * 64
    )


@pytest.fixture(scope="session")
def recipe():
    return TrainingRecipe.model_validate(
        {
            "name": "tiny",
            "title": "Tiny",
            "architecture": "jetassay.backbones.mlp:build",
            "feature_set": "part-kin",
            "embedding_dim": 8,
            "permutation_invariant": False,
            "parameters": {"input_dim": 7, "num_classes": 10, "constituents": 4, "hidden": [16, 8]},
            "sample": {
                "name": "some-jets",
                "kind": "jetclass",
                "seed": 1,
                "train": 1,
                "validation": 1,
                "test": 1,
                "simulated": [{"classes": ["QCD", "Hbb", "Hcc"], "jets": 30, "files": 3}],
            },
            "optimisation": {"epochs": 2, "batch": 32, "micro_batch": 32, "learning_rate": 1e-2, "seed": 1},
        }
    )
