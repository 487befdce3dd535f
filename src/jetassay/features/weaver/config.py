"""What a weaver data configuration says, after reading."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from jetassay.errors import ConfigError, DataError
from jetassay.features.expressions.parsing import Expression
from jetassay.features.inputs import QuantityValues
from jetassay.features.quantities import Quantity, columns_of
from jetassay.features.recipe import Feature, FeatureSet
from jetassay.jets.containers import Jets

PadMode = Literal["constant", "wrap"]


@dataclass(frozen=True, slots=True)
class Variable:
    """One line of `vars`: (name - center) * scale, cut to [low, high]; untouched where center is None.

    pad_value: what padded slots hold where the input is padded with a constant
    """

    name: str
    center: float | None
    scale: float
    low: float
    high: float
    pad_value: float


@dataclass(frozen=True, slots=True)
class Input:
    """One entry of `inputs`: a tensor (J, len(variables), length); length None where nothing is padded."""

    name: str
    length: int | None
    pad_mode: PadMode
    variables: tuple[Variable, ...]


@dataclass(frozen=True, slots=True)
class DropRule:
    """One condition of a selection: jets that do not meet it are dropped, and counted under `name`.

    definitions: `name` as a quantity of jets, and all that it is made of
    """

    name: str
    definitions: tuple[Quantity, ...]

    @property
    def needs(self) -> tuple[str, ...]:
        """The columns that the rule looks at, truth columns among them where the file says so, sorted."""
        return tuple(sorted(columns_of(self.name, {each.name: each for each in self.definitions})))

    def keeps(self, jets: Jets) -> NDArray[np.bool_]:
        """Which jets meet the condition, bool (J,). Raises `DataError` naming columns that the jets lack."""
        missing = [name for name in self.needs if name not in jets.constituents and name not in jets.columns]
        if missing:
            raise DataError(f"the rule '{self.name}' needs {', '.join(missing)}, which these jets do not have")
        values = QuantityValues(jets, {each.name: each for each in self.definitions})
        return values[self.name].astype(np.bool_)


@dataclass(frozen=True, slots=True)
class Labels:
    """simple: one formula of 0 and 1 for each class, exactly one of which is 1; custom: any formulas, by name."""

    kind: Literal["simple", "custom"]
    formulas: Mapping[str, Expression]


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """How training jets are weighted: a description, nothing here computes weights.

    branches:   precomputed weights that are multiplied; empty where histograms are used
    method:     "flat" in the two variables, or "ref", like the first class
    bins:       edges of the two variables, rising
    base:       a weight that comes on top
    threshold:  per cent of the bins, see weaver's WeightMaker
    histograms: (bins of the first, bins of the second variable) for each class, where weaver has made them
    """

    branches: tuple[str, ...] = ()
    method: Literal["flat", "ref"] | None = None
    bins: Mapping[str, tuple[float, ...]]
    classes: tuple[str, ...] = ()
    class_weights: tuple[float, ...] = ()
    base: Expression | None = None
    threshold: float = 10
    discard_outside: bool = True
    histograms: Mapping[str, tuple[tuple[float, ...], ...]] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WeaverConfig:
    """A weaver data configuration.

    Only `feature_set` and `points` reach a network, and both are made of observed columns. Labels, observers, weights
    and selections may name truth columns; they are descriptions for whoever reads data, apart from the inputs.

    feature_set:         features, four-vectors and jet features, each from the input of that kind
    points:              coordinates in the plane for networks that look for neighbours; often none
    inputs:              every input with its length and padding, as the file gives them
    selection:           what training jets had to meet, one rule for each part that `&` joins
    test_time_selection: the same for evaluation; equal to `selection` where the file gives none
    variables:           all new variables
    file_variables:      variables that weaver sets by patterns of file names: name -> pattern -> value
    renamed:             parts of names in the configuration and what stands for them in files (`branch_magic`)
    bucketing:           the variable by which batches are sorted in training, and edges or number of its bins
    """

    path: Path
    tree: str | None
    feature_set: FeatureSet
    points: tuple[Feature, ...]
    inputs: tuple[Input, ...]
    selection: tuple[DropRule, ...]
    test_time_selection: tuple[DropRule, ...]
    variables: Mapping[str, Expression]
    labels: Labels
    observers: tuple[str, ...]
    monitor_variables: tuple[str, ...]
    weights: Weights | None
    file_variables: Mapping[str, Mapping[str, float]]
    renamed: Mapping[str, str]
    bucketing: tuple[str, tuple[float, ...] | int] | None

    @property
    def max_constituents(self) -> int | None:
        """C, the length to which constituents are cut; None where no input holds constituents."""
        return max((each.length for each in self.inputs if each.length is not None), default=None)

    @property
    def point_columns(self) -> tuple[int, ...]:
        """Which columns of the features are the points.

        Raises `ConfigError` where a point is no feature, or is one after another shift or scale.
        """
        features = self.feature_set.features
        absent = [point.name for point in self.points if point not in features]
        if absent:
            raise ConfigError(
                f"{self.path}: the points {', '.join(absent)} are not among the features as they stand; a network "
                "that needs them elsewhere cannot be fed"
            )
        return tuple(features.index(point) for point in self.points)

    def columns_behind(self, formula: Expression) -> tuple[str, ...]:
        """The columns of a file, truth among them, that a formula of this configuration is computed from, sorted."""
        found: set[str] = set()
        columns: set[str] = set()
        waiting = list(formula.names)
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                if name in self.variables:
                    waiting.extend(self.variables[name].names)
                else:
                    columns.add(renamed(name, self.renamed))
        return tuple(sorted(columns))


def renamed(name: str, changes: Mapping[str, str]) -> str:
    """The name of a column in files: each part that `changes` names is replaced, in order."""
    for part, replacement in changes.items():
        name = name.replace(part, replacement)
    return name
