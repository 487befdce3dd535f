"""What a dataset's files hold, and which of it a backbone may see: an allow-list.

A column is observed only if a schema lists it. A name that matches `TRUTH_PATTERNS` can never be listed, whatever
a schema says, so no label and no generator-level column can become an input.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING

from jetassay.errors import ConfigError, DataError, LeakageError
from jetassay.jets.labels import LABEL_LISTS
from jetassay.registry import Registry

if TYPE_CHECKING:
    from jetassay.jets.mapping import Layout

TRUTH_PATTERNS: tuple[str, ...] = ("label_*", "aux_*", "gen*", "jet_label", "*truth*")
"""Names that are truth in every dataset: labels, generator-level and truth-match columns."""

CORE: tuple[str, ...] = ("part_px", "part_py", "part_pz", "part_energy")
"""Four-vectors of the constituents in GeV: read and checked whatever else is asked for."""

DERIVED = MappingProxyType({"jet_mass": ("jet_pt", "jet_eta", "jet_energy")})
"""Observed jet columns that the reader computes, and what they are computed from."""


@dataclass(frozen=True, slots=True)
class Selection:
    """A cut of a dataset's definition: jets with `low < column < high` stay; `rule` names it in counts."""

    rule: str
    column: str
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """What the files of one dataset hold.

    tree:           name of the TTree in ROOT files
    constituents:   observed columns with one value per constituent; must contain `CORE`
    columns:        observed columns with one value per jet
    label_names:    () where the files say nothing of what a jet is
    label_branches: one-hot label branches, in the order of `label_names`; or
    label_branch:   one integer branch, index into `label_names`
    truth_columns:  all further truth columns that such files are known to hold
    truth:          patterns of names that are truth here, beside `TRUTH_PATTERNS`
    selection:      the cuts of the published training, which a dataset applies as named drop rules
    layouts:        for files whose columns have other names: how they become these; see `mapping`

    Raises `LeakageError` where an observed column is truth, `ConfigError` where parts do not fit together.
    """

    name: str
    title: str
    tree: str
    constituents: tuple[str, ...]
    columns: tuple[str, ...]
    label_names: tuple[str, ...]
    label_branches: tuple[str, ...] = ()
    label_branch: str | None = None
    truth_columns: tuple[str, ...] = ()
    truth: tuple[str, ...] = ()
    selection: tuple[Selection, ...] = ()
    layouts: "tuple[Layout, ...]" = field(default=(), hash=False)

    def __post_init__(self) -> None:
        self.require_observed((*self.constituents, *self.columns, *(cut.column for cut in self.selection)))
        if not set(CORE) <= set(self.constituents):
            raise ConfigError(f"schema '{self.name}': constituents must list {', '.join(CORE)}")
        if self.label_branches and len(self.label_branches) != len(self.label_names):
            raise ConfigError(f"schema '{self.name}': each label needs one branch in `label_branches`")
        if bool(self.label_branches) + (self.label_branch is not None) != bool(self.label_names):
            raise ConfigError(f"schema '{self.name}': give either `label_branches` or `label_branch`")
        not_truth = [name for name in (*self.labels, *self.truth_columns) if not self.is_truth(name)]
        if not_truth:
            raise ConfigError(f"schema '{self.name}': {', '.join(not_truth)} must match a pattern in `truth`")

    @property
    def labels(self) -> tuple[str, ...]:
        """The branches that labels are read from."""
        return self.label_branches or ((self.label_branch,) if self.label_branch else ())

    @property
    def derived(self) -> tuple[str, ...]:
        """Observed jet columns that the reader can compute from those of the files, where they do not have them."""
        missing = (name for name in DERIVED if name not in self.columns)
        return tuple(name for name in missing if set(DERIVED[name]) <= set(self.columns))

    @property
    def observed(self) -> tuple[str, ...]:
        """Every name that a feature set may ask for."""
        return (*self.constituents, *self.columns, *self.derived)

    def is_truth(self, name: str) -> bool:
        """Whether `name` is a label or a generator-level column, listed or not, in small letters or capitals."""
        patterns = (*TRUTH_PATTERNS, *self.truth)
        return any(fnmatchcase(name.casefold(), pattern.casefold()) for pattern in patterns)

    def require_observed(self, names: Iterable[str]) -> None:
        """Raises `LeakageError` for a truth column, `ConfigError` for a name that is not listed."""
        for name in names:
            if self.is_truth(name):
                raise LeakageError(
                    f"'{name}' is truth in schema '{self.name}' and can never be an input; "
                    "take it out of the feature set"
                )
            if name not in self.observed:
                raise ConfigError(
                    f"schema '{self.name}' has no observed column '{name}'; it has {', '.join(self.observed)}"
                )

    def require_columns(self, names: Iterable[str], *, owner: str) -> None:
        """Raises `DataError` naming the columns that `owner` needs and no file of the dataset can give."""
        lacks = [name for name in names if name not in self.observed and not self.is_truth(name)]
        if lacks:
            loaded = [each for each in SCHEMAS.survey().values() if isinstance(each, Schema)]
            others = [each.name for each in loaded if set(lacks) <= set(each.observed)]
            raise DataError(
                f"{owner} needs {', '.join(lacks)}, which dataset '{self.name}' lacks; "
                f"datasets that have it: {', '.join(others) or 'none'}"
            )

    def digest(self) -> str:
        """sha256 hex over everything but the title."""
        facts = {name: value for name, value in asdict(self).items() if name not in {"title", "layouts"}}
        if self.layouts:
            facts["layouts"] = [layout.model_dump(mode="json", exclude={"title"}) for layout in self.layouts]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


_CONSTITUENTS = (
    *CORE, "part_deta", "part_dphi", "part_d0val", "part_d0err", "part_dzval", "part_dzerr", "part_charge",
    "part_isChargedHadron", "part_isNeutralHadron", "part_isPhoton", "part_isElectron", "part_isMuon",
)  # fmt: skip
_COLUMNS = (
    "jet_pt", "jet_eta", "jet_phi", "jet_energy", "jet_nparticles", "jet_sdmass",
    "jet_tau1", "jet_tau2", "jet_tau3", "jet_tau4",
)  # fmt: skip


def _prefixed(prefix: str, names: str) -> tuple[str, ...]:
    return tuple(prefix + name for name in names.split())


def _jetclass() -> Schema:
    """The 41 branches of JetClass (Zenodo 6619768): 16 part_*, 10 jet_*, 10 label_*, 5 aux_*."""
    return Schema(
        name="jetclass",
        title="JetClass: ten classes, one-hot labels, anti-kT R = 0.8, 500 < pT < 1000 GeV",
        tree="tree",
        constituents=_CONSTITUENTS,
        columns=_COLUMNS,
        label_names=LABEL_LISTS["jetclass"],
        label_branches=tuple(f"label_{name}" for name in LABEL_LISTS["jetclass"]),
        truth_columns=_prefixed("aux_", "genpart_eta genpart_phi genpart_pid genpart_pt truth_match"),
    )


def _jetclass2() -> Schema:
    """The 54 columns of JetClass-II (arXiv:2405.12972); cuts of the published JetClassII_full.yaml."""
    return Schema(
        name="jetclass2",
        title="JetClass-II: 188 labels in one integer branch, 200 < pT < 2500 GeV",
        tree="tree",
        constituents=_CONSTITUENTS,
        columns=_COLUMNS,
        label_names=LABEL_LISTS["jetclass2"],
        label_branch="jet_label",
        truth_columns=(
            *_prefixed("genpart_", "px py pz energy jet_deta jet_dphi x y z t pid"),
            *_prefixed("genjet_", "pt eta phi energy sdmass nparticles"),
            *_prefixed("aux_genpart_", "pt eta phi mass pid isResX isResY isResDecayProd isTauDecayProd isQcdParton"),
        ),
        selection=(
            Selection("jet_pt_outside_200_2500", "jet_pt", 200.0, 2500.0),
            Selection("jet_sdmass_outside_20_500", "jet_sdmass", 20.0, 500.0),
        ),
    )


def _delphes(radius: str) -> Schema:
    """Jets of Delphes events as JetClass-II was made from them; the files hold no label."""
    return Schema(
        name=f"delphes-{radius.lower()}",
        title=f"Delphes events: {radius} PUPPI jets with their particle-flow candidates, without labels",
        tree=f"Delphes:JetPUPPI{radius}",
        constituents=_CONSTITUENTS,
        columns=_COLUMNS,
        label_names=(),
        truth_columns=(f"GenJet{radius}.PT", "Particle.PID", f"JetPUPPI{radius}.Flavor", f"JetPUPPI{radius}.BTag"),
        truth=("Particle.*", "Gen*", "*.Flavor*", "*.BTag*", "*.TauTag", "*.Particles"),
    )


def _from_card(name: str) -> Schema:
    """The schema of a dataset whose card maps its columns."""
    from jetassay.jets.catalogue import dataset_cards

    return dataset_cards()[name].make_schema()


SCHEMAS: Registry[Schema] = Registry("schema", of=Schema)
SCHEMAS.add("jetclass", _jetclass)
SCHEMAS.add("jetclass2", _jetclass2)
for _radius in ("AK8", "AK15"):
    SCHEMAS.add(f"delphes-{_radius.lower()}", partial(_delphes, _radius))
for _name in ("toplandscape", "quarkgluon", "hls4ml", "jetssl"):
    SCHEMAS.add(_name, partial(_from_card, _name))
