"""The jets of training, validation and test in memory: simulated once, split by file, read, turned into inputs."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jetassay.features.batch import InputBatch
from jetassay.features.inputs import compute_inputs
from jetassay.features.recipe import FeatureSet
from jetassay.features.sets import FEATURE_SETS
from jetassay.jets.dataset import SPLITS, DataFile, Dataset, open_dataset, split_files
from jetassay.progress import Bar, Reporter
from jetassay.simulation.recipe import Recipe, default_output
from jetassay.simulation.sample import simulate
from jetassay.training.recipe import Sample, TrainingRecipe


@dataclass(frozen=True, slots=True)
class LabelledInputs:
    """J jets as a network sees them, and their labels, int64 (J,)."""

    inputs: InputBatch
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSample:
    """Three parts of one dataset that share no file.

    names: labels in the order of the network's outputs; jets of some of them may not occur
    digest: of the dataset that all parts come from
    """

    train: LabelledInputs
    validation: LabelledInputs
    test: LabelledInputs
    names: tuple[str, ...]
    digest: str

    def counts(self) -> dict[str, tuple[int, int, int]]:
        """Label -> jets that train, validate and test, in the order of the outputs."""
        found = [
            np.bincount(part.labels, minlength=len(self.names)) for part in (self.train, self.validation, self.test)
        ]
        return {name: (int(a), int(b), int(c)) for name, a, b, c in zip(self.names, *found, strict=True)}


def load_sample(recipe: TrainingRecipe, *, workers: int | None, reporter: Reporter) -> TrainingSample:
    """The sample of `recipe`; jets that are not in the cache are simulated first, by `workers` processes."""
    dataset = simulated_dataset(recipe.sample, workers=workers, reporter=reporter)
    wanted = recipe.sample
    splits = split_files(
        dataset, seed=wanted.split_seed, train=wanted.train, validation=wanted.validation, test=wanted.test
    )
    feature_set = FEATURE_SETS[recipe.feature_set]
    with reporter.bar(f"reading {dataset.name}", sum(len(splits[name]) for name in SPLITS), unit="files") as bar:
        parts = {
            name: _read(dataset, splits[name], feature_set, max_constituents=recipe.max_constituents, bar=bar)
            for name in SPLITS
        }
    return TrainingSample(**parts, names=dataset.schema.label_names, digest=dataset.digest)


def simulated_dataset(sample: Sample, *, workers: int | None, reporter: Reporter) -> Dataset:
    """The files of all simulations of `sample` as one dataset with the cuts of its schema."""
    files = []
    for each in sample.simulated:
        recipe = Recipe(
            classes=each.classes,
            jets=each.jets,
            files=each.files,
            seed=sample.seed,
            mode=sample.mode,
            kind=sample.kind,
        )
        files += simulate(recipe, output=default_output(recipe), workers=workers, reporter=reporter)
    return open_dataset(sample.name, files, schema=sample.kind, reporter=reporter)


def _read(
    dataset: Dataset, files: Sequence[DataFile], feature_set: FeatureSet, *, max_constituents: int, bar: Bar
) -> LabelledInputs:
    inputs, labels = [], []
    for file in files:
        for chunk in dataset.read(file, needs=feature_set.needs, max_constituents=max_constituents):
            inputs.append(compute_inputs(feature_set, chunk.jets))
            labels.append(chunk.truth.labels)
        bar.advance()
    return LabelledInputs(_joined(inputs), np.concatenate(labels))


def _joined(parts: Sequence[InputBatch]) -> InputBatch:
    lengths = np.concatenate([part.multiplicities for part in parts])
    return InputBatch(
        features=np.concatenate([part.features for part in parts]),
        p4=np.concatenate([part.p4 for part in parts]),
        offsets=np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)]),
        jet_features=np.concatenate([part.jet_features for part in parts]),
    )
