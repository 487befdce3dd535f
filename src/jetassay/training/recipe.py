"""How the weights that ship are made: one TOML file for each network, `models/NAME/training.toml`, and no code.

The file is the only hand-written source; `card.toml`, the weights and the curves beside it are written by training.
"""

import hashlib
import json
from typing import Any, Literal

from pydantic import Field

from jetassay.errors import ConfigError
from jetassay.places import models_folder
from jetassay.records import Record, parse_record, read_toml

RECIPE_FILE = "training.toml"


class Simulated(Record):
    """Jets to simulate, `jets` of each of `classes` in `files` files (see `simulation.recipe.Recipe`)."""

    classes: tuple[str, ...] = Field(min_length=1)
    jets: int = Field(gt=0)
    files: int = Field(ge=3)


class Sample(Record):
    """The jets of training, validation and test: simulated with a seed that no suite uses, split by file.

    kind: the dataset that is imitated; it fixes the schema and the list of labels
    train, validation, test: files of each class, drawn with `split_seed`
    """

    name: str
    kind: Literal["jetclass", "jetclass2"]
    mode: Literal["delphes", "ideal"] = "delphes"
    seed: int = Field(ge=0)
    split_seed: int = Field(default=1, ge=0)
    train: int = Field(gt=0)
    validation: int = Field(gt=0)
    test: int = Field(gt=0)
    simulated: tuple[Simulated, ...] = Field(min_length=1)


class Optimisation(Record):
    """AdamW; the learning rate rises linearly to its peak and falls to zero as a half cosine.

    batch: jets of one step; micro_batch: jets that pass through the network at once, of similar multiplicity
    warm_up: fraction of all steps
    clip: largest norm of the gradient
    class_weight_power: a jet of a label with n training jets weighs n ** -power, on average 1 and at most
        `MAX_CLASS_WEIGHT`; 0 weighs all jets alike
    calibration_jets: jets that the fixed scales of batch normalisations are measured on
    dtype: of the forward pass; bfloat16 is for matrix products alone, while weights and sums stay float32
    """

    epochs: int = Field(gt=0)
    batch: int = Field(gt=0)
    micro_batch: int = Field(gt=0)
    learning_rate: float = Field(gt=0)
    warm_up: float = Field(default=0.05, ge=0, lt=1)
    weight_decay: float = Field(default=0.01, ge=0)
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    clip: float = Field(default=1.0, gt=0)
    class_weight_power: float = Field(default=0.0, ge=0, le=1)
    calibration_jets: int = Field(default=4096, gt=0)
    seed: int = Field(ge=0)
    threads: int = Field(default=1, gt=0)
    dtype: Literal["float32", "bfloat16"] = "float32"


class TrainingRecipe(Record):
    """Everything needed to make one set of weights again; the fields of the network are those of a card."""

    name: str
    title: str
    notes: str = ""
    architecture: str
    parameters: dict[str, Any]
    feature_set: str
    embedding_dim: int = Field(gt=0)
    layers: dict[str, int] = Field(default_factory=dict)
    permutation_invariant: bool = True
    max_constituents: int = Field(default=128, gt=0)
    paper: str | None = None
    sample: Sample
    optimisation: Optimisation

    def content(self) -> dict[str, Any]:
        """What the weights depend on, as plain values: not the words, nor which layers may be taken."""
        return self.model_dump(mode="json", exclude={"title", "notes", "paper", "layers"})

    def digest(self) -> str:
        """sha256 hex over `content`."""
        return hashlib.sha256(json.dumps(self.content(), sort_keys=True).encode()).hexdigest()


def trained_names() -> tuple[str, ...]:
    """Names of the networks that `models/` holds a training recipe of, in alphabetical order."""
    return tuple(sorted(path.parent.name for path in models_folder().glob(f"*/{RECIPE_FILE}")))


def read_training_recipe(name: str) -> TrainingRecipe:
    """The recipe in `models/NAME/training.toml`. Raises `ConfigError` naming the file and every wrong key."""
    if name not in trained_names():
        raise ConfigError(
            f"There is no training recipe '{name}'. Known: {', '.join(trained_names()) or 'none'}. "
            f"A recipe is a file models/NAME/{RECIPE_FILE}."
        )
    path = models_folder() / name / RECIPE_FILE
    recipe = parse_record(read_toml(path), TrainingRecipe, path=path)
    if recipe.name != name:
        raise ConfigError(f"{path}: name is '{recipe.name}' but the folder is '{name}'; make them equal")
    return recipe
