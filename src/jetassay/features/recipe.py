"""The input recipe of a backbone as a table: which quantities, in which order, shifted, scaled and clipped how.

A recipe is made of observed columns alone. One that reaches for anything else cannot be built.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from difflib import get_close_matches

from jetassay.errors import ConfigError, LeakageError
from jetassay.features.quantities import QUANTITIES, columns_of
from jetassay.jets.schema import SCHEMAS, Schema
from jetassay.registry import Broken

RAW_P4 = ("part_px", "part_py", "part_pz", "part_energy")


@dataclass(frozen=True, slots=True)
class Feature:
    """One input column: (quantity - shift) * scale, then cut to `clip`, all in float32.

    name:   a quantity in `QUANTITIES`, or an observed column as it stands
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


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureSet:
    """The ordered recipe of one or more backbones.

    features:     of each constituent, (N, F)
    p4:           quantities that give the four-vector (px, py, pz, E) in GeV, (N, 4)
    jet_features: of each jet, (J, G); most sets have none

    Raises `LeakageError` where a quantity is computed from a column that is truth in any schema, or that no
    schema lists as observed; `ConfigError` where jet-level and constituent-level are mixed up.
    """

    name: str
    title: str
    features: tuple[Feature, ...] = ()
    p4: tuple[str, str, str, str] = RAW_P4
    jet_features: tuple[Feature, ...] = ()

    def __post_init__(self) -> None:
        schemas = [each for each in SCHEMAS.survey().values() if not isinstance(each, Broken)]
        for column in self.needs:
            _require_observed(column, schemas=schemas, feature_set=self.name)
        per_constituent = {column for schema in schemas for column in schema.constituents}
        for quantity in (*(each.name for each in self.features), *self.p4):
            if per_constituent.isdisjoint(columns_of(quantity)):
                raise ConfigError(f"feature set '{self.name}': '{quantity}' belongs to jets; move it to `jet_features`")
        for each in self.jet_features:
            if not per_constituent.isdisjoint(columns_of(each.name)):
                raise ConfigError(
                    f"feature set '{self.name}': '{each.name}' belongs to constituents; move it to `features`"
                )

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
        return tuple(sorted({column for quantity in self.quantities for column in columns_of(quantity)}))

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
        facts = {
            "features": [_facts(each) for each in self.features],
            "p4": self.p4,
            "jet_features": [_facts(each) for each in self.jet_features],
            "quantities": {name: _versions(name) for name in self.quantities},
        }
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _require_observed(column: str, *, schemas: list[Schema], feature_set: str) -> None:
    for schema in schemas:
        if schema.is_truth(column):
            raise LeakageError(
                f"feature set '{feature_set}': '{column}' is truth in schema '{schema.name}' and can never be an "
                "input; take it out"
            )
    observed = {name for schema in schemas for name in schema.observed}
    if column not in observed:
        near = get_close_matches(column, [*observed, *QUANTITIES], n=1)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        raise LeakageError(
            f"feature set '{feature_set}': no schema lists '{column}' as observed, so it is no input.{hint} "
            f"A new observed column belongs into a schema (schemas: {', '.join(each.name for each in schemas)})"
        )


def _facts(feature: Feature) -> dict[str, object]:
    return {key: value for key, value in asdict(feature).items() if key != "source"}


def _versions(name: str) -> dict[str, int]:
    """Version of the quantity and of all that it is made of."""
    if name not in QUANTITIES:
        return {}
    own = {name: QUANTITIES[name].version}
    return own | {key: value for part in QUANTITIES[name].of for key, value in _versions(part).items()}
