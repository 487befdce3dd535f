"""From observed jets to what a backbone sees."""

import numpy as np
from numpy.typing import NDArray

from jetassay.errors import DataError
from jetassay.features.batch import InputBatch
from jetassay.features.quantities import QUANTITIES, columns_of
from jetassay.features.recipe import Feature, FeatureSet
from jetassay.jets.containers import Jets

Values = NDArray[np.float32]


def compute_inputs(feature_set: FeatureSet, jets: Jets) -> InputBatch:
    """The inputs of `jets` after `feature_set`, float32, in the order of the recipe.

    Raises `DataError` naming the column that the jets lack, or the quantity, jet and constituent where a value is
    not finite (the logarithm of a vanishing momentum, a jet without pT): a network would turn it into nonsense.
    """
    missing = [name for name in feature_set.needs if name not in jets.constituents and name not in jets.columns]
    if missing:
        raise DataError(
            f"feature set '{feature_set.name}' needs {', '.join(missing)}, which these jets do not have; "
            "choose a backbone with a smaller feature set, or a dataset with these columns"
        )
    values = _Values(jets)
    rows, n_jets = int(jets.offsets[-1]), len(jets)
    return InputBatch(
        features=_table(feature_set.features, values, rows),
        p4=_table(tuple(Feature(name) for name in feature_set.p4), values, rows),
        offsets=jets.offsets,
        jet_features=_table(feature_set.jet_features, values, n_jets),
    )


class _Values:
    """Quantities of one set of jets, each computed when first asked for, once."""

    def __init__(self, jets: Jets) -> None:
        self._jets = jets
        self._known: dict[str, Values] = {**jets.columns, **jets.constituents}

    def __getitem__(self, name: str) -> Values:
        if name not in self._known:
            quantity = QUANTITIES[name]
            per_constituent = self._per_constituent(name)
            parts = [
                np.repeat(self[part], self._jets.multiplicities)
                if per_constituent and not self._per_constituent(part)
                else self[part]
                for part in quantity.of
            ]
            with np.errstate(all="ignore"):  # what is not finite is reported below, with its place
                self._known[name] = quantity.function(*parts)
        return self._known[name]

    def finite(self, name: str) -> Values:
        """The quantity; raises `DataError` where it is not finite."""
        values = self[name]
        bad = np.flatnonzero(~np.isfinite(values))
        if len(bad):
            raise DataError(self._where(name, int(bad[0]), len(bad)))
        return values

    def _per_constituent(self, name: str) -> bool:
        return any(column in self._jets.constituents for column in columns_of(name))

    def _where(self, name: str, row: int, count: int) -> str:
        jet, place = row, f"jet {row}"
        if self._per_constituent(name):
            jet = int(np.searchsorted(self._jets.offsets, row, side="right")) - 1
            place = f"constituent {row - int(self._jets.offsets[jet])} of jet {jet}"
        made_of = ", ".join(
            f"{column} = {self[column][row if column in self._jets.constituents else jet]:g}"
            for column in columns_of(name)
        )
        return (
            f"{name} is {self[name][row]} for {place} ({made_of}), {count} such in all; drop such jets by a named "
            "rule when reading"
        )


def _table(features: tuple[Feature, ...], values: _Values, rows: int) -> Values:
    table = np.empty((rows, len(features)), np.float32)
    for column, feature in enumerate(features):
        table[:, column] = _transformed(feature, values.finite(feature.name))
    return table


def _transformed(feature: Feature, values: Values) -> Values:
    """Shift, scale and clip in float32, in weaver's order; a value that needs none of it stays as it is."""
    if feature.shift or feature.scale != 1:
        values = (values - np.float32(feature.shift)) * np.float32(feature.scale)
    if feature.clip is not None:
        values = np.clip(values, np.float32(feature.clip[0]), np.float32(feature.clip[1]))
    return values
