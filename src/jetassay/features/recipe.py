"""The input recipe of a backbone as a table: which quantities, in which order, shifted, scaled and clipped how.

A recipe is made of observed columns alone. One that reaches for anything else cannot be built.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from difflib import get_close_matches
from graphlib import CycleError, TopologicalSorter
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jetassay.errors import ConfigError, LeakageError
from jetassay.features.quantities import QUANTITIES, Quantity, columns_of, is_per_constituent, parts_of
from jetassay.jets.schema import SCHEMAS, Schema
from jetassay.registry import Broken

RAW_P4 = ("part_px", "part_py", "part_pz", "part_energy")


@dataclass(frozen=True, slots=True)
class Feature:
    """One input column: (quantity - shift) * scale, then cut to `clip`, all in float32.

    name:   a quantity of the feature set, or an observed column as it stands
    clip:   lowest and highest value, None for no cut
    source: where the numbers come from
    """

    name: str
    shift: float = 0.0
    scale: float = 1.0
    clip: tuple[float, float] | None = None
    source: str = ""

    def __post_init__(self) -> None:
        if self.clip is not None and not self.clip[0] < self.clip[1]:
            raise ConfigError(f"feature '{self.name}': clip {self.clip} must be (lowest, highest)")

    def apply(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """Shift, scale and clip in float32, in weaver's order; a value that needs none of it stays as it is."""
        values = values.astype(np.float32, copy=False)
        if self.shift or self.scale != 1:
            values = (values - np.float32(self.shift)) * np.float32(self.scale)
        if self.clip is not None:
            values = np.clip(values, np.float32(self.clip[0]), np.float32(self.clip[1]))
        return values


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureSet:
    """The ordered recipe of one or more backbones.

    features:     of each constituent, (N, F)
    p4:           quantities that give the four-vector (px, py, pz, E) in GeV, (N, 4)
    jet_features: of each jet, (J, G); most sets have none
    definitions:  the quantities that the set may name; those of `QUANTITIES` unless it brings its own

    Raises `LeakageError` where a quantity is computed from a column that is truth in any schema, or that no
    schema lists as observed; `ConfigError` where jet-level and constituent-level are mixed up, or a
    quantity is defined twice or by way of itself.
    """

    name: str
    title: str
    features: tuple[Feature, ...] = ()
    p4: tuple[str, str, str, str] = RAW_P4
    jet_features: tuple[Feature, ...] = ()
    definitions: tuple[Quantity, ...] = field(default_factory=lambda: tuple(QUANTITIES.values()), repr=False)

    def __post_init__(self) -> None:
        table = self.table
        _require_order(self.definitions, owner=f"feature set '{self.name}'")
        require_observed(self.needs, owner=f"feature set '{self.name}'", known=table)
        per_constituent = {column for schema in known_schemas() for column in schema.constituents}
        for quantity in (*(each.name for each in self.features), *self.p4):
            if not is_per_constituent(quantity, per_constituent, table):
                raise ConfigError(f"feature set '{self.name}': '{quantity}' belongs to jets; move it to `jet_features`")
        for each in self.jet_features:
            if is_per_constituent(each.name, per_constituent, table):
                raise ConfigError(
                    f"feature set '{self.name}': '{each.name}' belongs to constituents; move it to `features`"
                )

    @property
    def table(self) -> Mapping[str, Quantity]:
        """The definitions by name."""
        return MappingProxyType({each.name: each for each in self.definitions})

    @property
    def quantities(self) -> tuple[str, ...]:
        """What the set is made of: features, then four-vector, then jet features."""
        return (
            *(each.name for each in self.features),
            *self.p4,
            *(each.name for each in self.jet_features),
        )

    @property
    def needs(self) -> tuple[str, ...]:
        """The observed columns that the set is computed from, sorted."""
        table = self.table
        return tuple(sorted({column for quantity in self.quantities for column in columns_of(quantity, table)}))

    @property
    def width(self) -> int:
        """F, inputs of each constituent."""
        return len(self.features)

    @property
    def jet_width(self) -> int:
        """G, inputs of each jet."""
        return len(self.jet_features)

    def digest(self) -> str:
        """sha256 hex over everything that can change an input: not titles and sources."""
        table = self.table
        facts = {
            "features": [_facts(each) for each in self.features],
            "p4": self.p4,
            "jet_features": [_facts(each) for each in self.jet_features],
            "quantities": {name: _versions(name, table) for name in self.quantities},
        }
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def known_schemas() -> list[Schema]:
    """Every schema that can be loaded: those that say together what is observed and what is truth."""
    return [each for each in SCHEMAS.survey().values() if not isinstance(each, Broken)]


def require_observed(columns: Iterable[str], *, owner: str, known: Iterable[str] = ()) -> None:
    """Raises `LeakageError` for a column that is truth in any schema, or that no schema lists as observed.

    owner: what asks for the columns; known: further names that the user may have meant
    """
    schemas = known_schemas()
    observed = {name for schema in schemas for name in schema.observed}
    for column in columns:
        for schema in schemas:
            if schema.is_truth(column):
                raise LeakageError(
                    f"{owner}: '{column}' is truth in schema '{schema.name}' and can never be an input; take it out"
                )
        if column not in observed:
            near = get_close_matches(column, [*observed, *known], n=1)
            hint = f" Did you mean '{near[0]}'?" if near else ""
            raise LeakageError(
                f"{owner}: no schema lists '{column}' as observed, so it is no input.{hint} A new observed column "
                f"belongs into a schema (schemas: {', '.join(each.name for each in schemas)})"
            )


def _require_order(definitions: Iterable[Quantity], *, owner: str) -> None:
    """Raises `ConfigError` where a quantity is defined twice, or by way of itself."""
    parts: dict[str, tuple[str, ...]] = {}
    for each in definitions:
        if each.name in parts:
            raise ConfigError(f"{owner}: '{each.name}' is defined twice")
        parts[each.name] = each.of
    try:
        TopologicalSorter(parts).prepare()
    except CycleError as error:
        raise ConfigError(f"{owner}: defined in a circle: {' from '.join(error.args[1])}") from error


def _facts(feature: Feature) -> dict[str, object]:
    return {key: value for key, value in asdict(feature).items() if key != "source"}


def _versions(name: str, table: Mapping[str, Quantity]) -> dict[str, int | str]:
    """Version of the quantity and of all that it is made of."""
    return {part: table[part].version for part in parts_of(name, table) if part in table}
