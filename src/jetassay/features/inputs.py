"""From observed jets to what a backbone sees."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jetassay.errors import DataError
from jetassay.features.batch import InputBatch
from jetassay.features.quantities import Quantity, columns_of, is_per_constituent
from jetassay.features.recipe import Feature, FeatureSet
from jetassay.jets.containers import Jets

Values = NDArray[Any]

_BLOCK = 8192


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
    values = QuantityValues(jets, feature_set.table)
    rows, n_jets = int(jets.offsets[-1]), len(jets)
    return InputBatch(
        features=_table(feature_set.features, values, rows),
        p4=_table(tuple(Feature(name) for name in feature_set.p4), values, rows),
        offsets=jets.offsets,
        jet_features=_table(feature_set.jet_features, values, n_jets),
    )


class QuantityValues:
    """Quantities of one set of jets, each computed when first asked for, once, in the type that it comes in."""

    def __init__(self, jets: Jets, table: Mapping[str, Quantity]) -> None:
        self._jets, self._table = jets, table
        columns = {**jets.columns, **jets.constituents}
        self._known: dict[str, Values] = {name: values for name, values in columns.items() if name not in table}

    def __getitem__(self, name: str) -> Values:
        if name not in self._known:
            quantity = self._table[name]
            with np.errstate(all="ignore"):  # what is not finite is reported below, with its place
                if quantity.ragged:
                    parts = [self[part] for part in quantity.of]
                    self._known[name] = quantity.function(*parts, offsets=self._jets.offsets)
                else:
                    self._known[name] = quantity.function(*self._level(quantity))
        return self._known[name]

    def _level(self, quantity: Quantity) -> list[Values]:
        """What an element-by-element quantity is made of, jets' values repeated where constituents' go in too."""
        per_constituent = self._per_constituent(quantity.name)
        return [
            np.repeat(self[part], self._jets.multiplicities)
            if per_constituent and not self._per_constituent(part)
            else self[part]
            for part in quantity.of
        ]

    def finite(self, name: str) -> Values:
        """The quantity in float32; raises `DataError` where it is not finite."""
        with np.errstate(over="ignore"):
            values = self[name].astype(np.float32, copy=False)
        bad = np.flatnonzero(~np.isfinite(values))
        if len(bad):
            raise DataError(self._where(name, int(bad[0]), len(bad)))
        return values

    def _per_constituent(self, name: str) -> bool:
        return is_per_constituent(name, self._jets.constituents, self._table)

    def _where(self, name: str, row: int, count: int) -> str:
        jet, place, rows = row, f"jet {row}", {}
        if self._per_constituent(name):
            jet = int(np.searchsorted(self._jets.offsets, row, side="right")) - 1
            place = f"constituent {row - int(self._jets.offsets[jet])} of jet {jet}"
            rows = dict.fromkeys(self._jets.constituents, row)
        rows |= dict.fromkeys(self._jets.columns, jet)
        made_of = ", ".join(
            f"{column} = {self[column][rows[column]]:g}" for column in columns_of(name, self._table) if column in rows
        )
        return (
            f"{name} is {self[name][row]} for {place} ({made_of}), {count} such in all; drop such jets by a named "
            "rule when reading"
        )


def _table(features: tuple[Feature, ...], values: QuantityValues, rows: int) -> NDArray[np.float32]:
    """Columns side by side, (rows, F); put together in blocks that stay in the cache, in half the time."""
    columns = [feature.apply(values.finite(feature.name)) for feature in features]
    table = np.empty((rows, len(columns)), np.float32)
    for start in range(0, rows, _BLOCK):
        block = slice(start, start + _BLOCK)
        for place, column in enumerate(columns):
            table[block, place] = column[block]
    return table
