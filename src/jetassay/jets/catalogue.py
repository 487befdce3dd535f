"""WHICH datasets there are: one TOML file each under `datasets/`, read when asked for."""

import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from glob import escape
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from jetassay.errors import ConfigError, DataError, LeakageError
from jetassay.jets.classes import CLASS_NAMES
from jetassay.jets.dataset import SPLITS, DataFile, Dataset, open_dataset
from jetassay.jets.mapping import Layout, mapped_schema
from jetassay.jets.schema import SCHEMAS, Schema
from jetassay.masking import has_secret
from jetassay.places import cache_folder
from jetassay.progress import Reporter
from jetassay.records import Record, parse_record, read_toml
from jetassay.registry import Registry

_FOLDER = Path(__file__).parent / "datasets"


class SimulationChoice(Record):
    """What the simulation is asked for where a dataset is simulated; a suite may change all but the kind.

    classes:     names of what is simulated
    jets, files: of each class
    mode:        detector; kind: the dataset that is imitated
    """

    classes: tuple[str, ...] = CLASS_NAMES
    jets: int = Field(gt=0)
    files: int = Field(ge=3)
    seed: int = Field(ge=0)
    mode: Literal["delphes", "ideal"] = "delphes"
    kind: Literal["jetclass", "jetclass2"] = "jetclass"


class Source(Record):
    """Where the published files of a dataset are fetched from: a Zenodo record or a Hugging Face data set.

    files:   names that are fetched unless others are asked for; `{0..9}` counts, `*` needs the publisher's listing;
             () for all
    mirrors: further addresses in front of the names, asked after the publisher
    md5:     name -> md5, where it was published elsewhere too; the listing must agree
    """

    zenodo: str | None = Field(default=None, pattern=r"^[0-9]+$")
    huggingface: str | None = Field(default=None, pattern=r"^[\w.-]+/[\w.-]+$")
    files: tuple[str, ...] = ()
    mirrors: tuple[str, ...] = ()
    md5: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_publisher(self) -> "Source":
        if (self.zenodo is None) == (self.huggingface is None):
            raise ValueError("a source is either a `zenodo` record or a `huggingface` data set")
        if any(has_secret(mirror) for mirror in self.mirrors):
            raise ValueError("`mirrors` hold a user name, password or token; credentials do not belong in a card")
        return self


class DatasetCard(Record):
    """One dataset.

    schema_name:     `schema` in the file: what its files hold, a name of `schema.SCHEMAS`; or instead
    layouts:         how columns of other names become those of a schema; see `mapping.Layout`
    labels:          with layouts: the names of the labels; each layout says which columns or values they are
    truth:           with layouts: patterns of the files' columns that are truth, beside the labels
    mixed_files:     whether every file holds all classes, so that file names say nothing of them
    splits:          train, validation and test as published, each as patterns of its files' names
    simulation:      for datasets that are simulated; the others need a folder
    folder_variable: environment variable that says where the files lie, where no folder is given
    paper, url:      where it was published and can be had
    source:          what `jetassay fetch` needs
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    title: str
    schema_name: str = Field(alias="schema")
    layouts: tuple[Layout, ...] = ()
    labels: tuple[str, ...] = ()
    truth: tuple[str, ...] = ()
    mixed_files: bool = False
    splits: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    simulation: SimulationChoice | None = None
    folder_variable: str | None = None
    paper: str | None = None
    url: str | None = None
    notes: str = ""
    source: Source | None = None

    @model_validator(mode="before")
    @classmethod
    def _own_schema(cls, table: Any) -> Any:
        """A card with layouts brings a schema of its own name."""
        if isinstance(table, dict) and "layouts" in table and "schema" not in table:
            return {**table, "schema": table.get("name", "")}
        return table

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        mapping = {"labels": self.labels, "truth": self.truth}
        problems = [f"`{key}` needs [[layouts]]" for key, given in mapping.items() if given and not self.layouts]
        if self.layouts and self.schema_name != self.name:
            problems.append("give either `schema` or [[layouts]]")
        if self.splits and set(self.splits) != set(SPLITS):
            problems.append(f"splits: name all of {', '.join(SPLITS)}")
        problems += [
            f"layout '{layout.title}' tells {', '.join(layout.labels.names)} apart, but `labels` lists "
            f"{', '.join(self.labels) or 'none'}; they must be the same names, each once"
            for layout in self.layouts
            if sorted(layout.labels.names) != sorted(self.labels)
        ]
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def make_schema(self) -> Schema:
        """What its files hold. Raises `LeakageError` where a layout maps truth to an observed column."""
        if not self.layouts:
            return SCHEMAS[self.schema_name]
        for layout in self.layouts:
            for each in layout.leaks(self.truth):
                raise LeakageError(
                    f"dataset '{self.name}', layout '{layout.title}': {each} is truth, or named like truth, and can "
                    "never be an input; take it out of `columns`"
                )
        label_columns = tuple(column for layout in self.layouts for column in layout.labels.sources)
        return mapped_schema(
            self.name,
            title=self.title,
            labels=self.labels,
            truth=tuple(dict.fromkeys((*self.truth, *map(escape, label_columns)))),
            layouts=self.layouts,
        )


def read_dataset_card(path: Path) -> DatasetCard:
    """The card in `path`. Raises `ConfigError` naming the file and every wrong or unknown key."""
    card = parse_record(read_toml(path), DatasetCard, path=path)
    if card.name != path.stem:
        raise ConfigError(f"{path}: name is '{card.name}' but the file is '{path.stem}.toml'; make them equal")
    if card.layouts:
        card.make_schema()
    return card


def dataset_cards() -> Registry[DatasetCard]:
    """Every dataset that ships, and those of plug-ins."""
    registry: Registry[DatasetCard] = Registry("dataset", of=DatasetCard)
    for path in sorted(_FOLDER.glob("*.toml")):
        registry.add(path.stem, partial(read_dataset_card, path), origin=str(path))
    return registry


def find_dataset_card(name_or_path: str) -> DatasetCard:
    """A dataset by name, or by the path of a card of one's own."""
    return read_dataset_card(Path(name_or_path)) if name_or_path.endswith(".toml") else dataset_cards()[name_or_path]


def find_schema(name_or_path: str) -> Schema:
    """A schema by name, or that of a dataset card of one's own by its path."""
    return find_dataset_card(name_or_path).make_schema() if name_or_path.endswith(".toml") else SCHEMAS[name_or_path]


def fetched_folder(card: DatasetCard) -> Path:
    """Where the files of a published dataset are put and looked for: what its variable says, else in the cache."""
    named = os.environ.get(card.folder_variable) if card.folder_variable else None
    return Path(named).expanduser() if named else cache_folder() / "datasets" / card.name


def open_card(
    card: DatasetCard,
    *,
    folder: Path | None = None,
    set_aside: Callable[[DataFile, str], None] | None = None,
    reporter: Reporter | None = None,
) -> Dataset:
    """The dataset of a card, from `folder`, from where its environment variable says, or from where it was fetched to.

    set_aside: as of `open_dataset`

    Raises `DataError` where there is none of these, with where the files can be had.
    """
    if folder is None:
        folder = fetched_folder(card)
        named = card.folder_variable is not None and bool(os.environ.get(card.folder_variable))
        if not named and not folder.is_dir():
            ways = [f"`jetassay fetch {card.name}`"] if card.source else []
            ways += ["give the folder of its files"]
            ways += [f"set {card.folder_variable} to it"] if card.folder_variable else []
            source = f"; it is published at {card.url}" if card.url else ""
            raise DataError(f"dataset '{card.name}': {' or '.join(ways)}{source}")
    opened = open_dataset(
        card.name,
        folder,
        schema=card.make_schema(),
        mixed=card.mixed_files,
        set_aside=set_aside,
        reporter=reporter,
    )
    return replace(opened, splits=card.splits)
