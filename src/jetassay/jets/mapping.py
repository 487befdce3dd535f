"""Layouts: how the columns of a file become the observed columns of a schema, and which of them is the label.

A layout is a table of a dataset card. It can name what is observed and what is the label; nothing that a card calls
truth, that is a label, or that is named like one can be mapped to an observed column.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Literal, Self

from pydantic import Field, model_validator

from jetassay.jets.identities import FLAGS
from jetassay.jets.schema import CORE, TRUTH_PATTERNS, Schema
from jetassay.jets.sources import Format
from jetassay.records import Record

LABEL = "jet_label"
"""The label column of every mapped file: index into the schema's label names, -1 where none of them fits."""

LABEL_LIKE: tuple[str, ...] = ("*label*", "is_*signal*", "*_signal*", "signal", "target*", "*truth*", "*class*", "gen*")
"""Names of other people's labels and truth columns, compared without case; none of them can be an observed column."""

CONSTITUENTS: tuple[str, ...] = (
    *CORE, "part_deta", "part_dphi", "part_d0val", "part_d0err", "part_dzval", "part_dzerr", "part_charge",
    *FLAGS, "part_pid",
)  # fmt: skip
COLUMNS: tuple[str, ...] = (
    "jet_pt", "jet_eta", "jet_phi", "jet_energy", "jet_mass", "jet_nparticles", "jet_sdmass",
    "jet_tau1", "jet_tau2", "jet_tau3", "jet_tau4",
)  # fmt: skip
PARTS: tuple[str, ...] = ("part_pt", "part_eta", "part_rapidity", "part_phi", "part_mass", "part_code")
"""What is no column of a schema but is what others are computed from; `part_code` is explained by `codes`."""

UNITS: Mapping[str, float] = {"GeV": 1.0, "MeV": 1e-3, "TeV": 1e3}
SCALED: tuple[str, ...] = (*CORE, "part_pt", "part_mass", "jet_pt", "jet_energy", "jet_mass", "jet_sdmass")
"""What the unit applies to."""

DERIVED_LISTS = ("part_deta", "part_dphi")
DERIVED_COLUMNS = ("jet_pt", "jet_eta", "jet_phi", "jet_energy", "jet_mass", "jet_nparticles")


class Labels(Record):
    """Which label a jet has: `values` of one `column`, by name, or one-hot `columns`, by name."""

    column: str | None = None
    values: dict[str, int] = Field(default_factory=dict)
    columns: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if (self.column is None) == (not self.columns) or (self.column is None) != (not self.values):
            raise ValueError("give either `column` with `values` (name = number), or one-hot `columns` (name = column)")
        given = list(self.columns.values() or self.values.values())
        doubles = sorted({str(each) for each in given if given.count(each) > 1})
        if doubles:
            raise ValueError(f"two labels cannot share {', '.join(doubles)}")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """The labels that are told apart."""
        return tuple(self.columns or self.values)

    @property
    def sources(self) -> tuple[str, ...]:
        """The file's columns that they are read from."""
        return tuple(self.columns.values()) or (str(self.column),)


class Layout(Record):
    """One form in which files of a dataset exist.

    formats:       of the files
    tree:          TTree of ROOT files; group or table of HDF5 files, where not the whole file is meant
    units:         of every energy, momentum and mass
    columns:       our name -> the file's column. `E_{}` stands for E_0, E_1, ...; `X[0]` for the first column of an
                   array; `X[NAME]` for the column of that name
    labels:        which label a jet has
    feature_names: array -> array that holds the names of its columns
    padding:       "zero" where unused places of a list hold zeros: those without energy or pT are left out
    mask:          column that is not 0 for used places
    mass:          "zero" or "pdg" (by part_pid): of the constituents where the file gives neither energy nor mass
    codes:         PDG number of each value 0, 1, ... of `part_code`; any with the right charge and kind will do
    mirrored:      whether part_deta carries the sign of jet_eta, as in JetClass
    """

    title: str
    formats: tuple[Format, ...] = Field(min_length=1)
    tree: str = "tree"
    units: Literal["GeV", "MeV", "TeV"] = "GeV"
    columns: dict[str, str]
    labels: Labels
    feature_names: dict[str, str] = Field(default_factory=dict)
    padding: Literal["none", "zero"] = "none"
    mask: str | None = None
    mass: Literal["zero", "pdg"] | None = None
    codes: tuple[int, ...] = ()
    mirrored: bool = True

    @model_validator(mode="after")
    def _complete(self) -> Self:
        problems = [*self._unknown(), *self._incomplete()]
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _unknown(self) -> Iterator[str]:
        known = (*CONSTITUENTS, *COLUMNS, *PARTS)
        unknown = [name for name in self.columns if name not in known]
        if unknown:
            yield f"columns: {', '.join(unknown)}: no observed column; there are {', '.join(known)}"

    def _incomplete(self) -> Iterator[str]:
        given = set(self.columns)
        cartesian, polar = {"part_px", "part_py", "part_pz"} <= given, "part_pt" in given
        if not cartesian and not (polar and self._has_direction(given)):
            yield (
                "columns: the constituents need part_px, part_py, part_pz, or part_pt with part_eta (or part_rapidity, "
                "or part_deta and jet_eta) and part_phi (or part_dphi and jet_phi)"
            )
        if not {"part_energy", "part_mass"} & given and self.mass is None:
            yield 'columns: the constituents need part_energy or part_mass, or `mass = "zero"` or "pdg"'
        if self.mass == "pdg" and "part_pid" not in given:
            yield 'mass = "pdg" needs part_pid'
        if ("part_code" in given) != bool(self.codes):
            yield "part_code and `codes` belong together"
        if self.padding != "none" and self.mask is not None:
            yield "give either `padding` or `mask`"

    @staticmethod
    def _has_direction(given: set[str]) -> bool:
        eta = "part_eta" in given or "part_rapidity" in given or {"part_deta", "jet_eta"} <= given
        return eta and ("part_phi" in given or {"part_dphi", "jet_phi"} <= given)

    @property
    def constituents(self) -> tuple[str, ...]:
        """The observed columns of constituents that files in this layout give."""
        given = {*self.columns, *CORE, *DERIVED_LISTS}
        if given & {"part_pid", "part_code"}:
            given |= {"part_charge", *FLAGS}
        return tuple(name for name in CONSTITUENTS if name in given)

    @property
    def jet_columns(self) -> tuple[str, ...]:
        """The observed columns of jets that files in this layout give."""
        given = {*self.columns, *DERIVED_COLUMNS}
        return tuple(name for name in COLUMNS if name in given)

    def leaks(self, truth: Iterable[str]) -> list[str]:
        """Observed columns that are mapped to a label, to what matches `truth`, or to what is named like a label."""
        patterns = (*TRUTH_PATTERNS, *LABEL_LIKE, *truth)
        of_jets = (*patterns, "is_*", "*_is_*")  # of a constituent, `is_electron` is an observation
        sources = {**self.columns, **({"mask": self.mask} if self.mask else {})}
        return [
            f"{name} = '{source}'"
            for name, source in sources.items()
            if source in self.labels.sources
            or any(
                fnmatchcase(part.lower(), pattern.lower())
                for part in name_parts(source)
                for pattern in (of_jets if name.startswith("jet_") else patterns)
            )
        ]


def mapped_schema(
    name: str, *, title: str, labels: tuple[str, ...], truth: tuple[str, ...], layouts: tuple[Layout, ...]
) -> Schema:
    """The schema of a dataset whose files come in `layouts`. Raises as `Schema` does."""
    constituents = {column for layout in layouts for column in layout.constituents}
    columns = {column for layout in layouts for column in layout.jet_columns}
    return Schema(
        name=name,
        title=title,
        tree="",
        constituents=tuple(column for column in CONSTITUENTS if column in constituents),
        columns=tuple(column for column in COLUMNS if column in columns),
        label_names=labels,
        label_branch=LABEL,
        truth=truth,
        layouts=layouts,
    )


def name_parts(source: str) -> tuple[str, ...]:
    """A column, the array that it is in, and its name there."""
    return (source, *(part for part in re.split(r"[\[\]./]", source) if part))
