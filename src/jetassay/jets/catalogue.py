"""WHICH datasets there are: one TOML file each under `datasets/`, read when asked for."""

import os
from functools import partial
from pathlib import Path
from typing import Literal

from pydantic import Field

from jetassay.errors import ConfigError, DataError
from jetassay.jets.classes import CLASS_NAMES
from jetassay.jets.dataset import Dataset, open_dataset
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


class DatasetCard(Record):
    """One dataset.

    schema_name:     `schema` in the file: what its files hold, a name of `schema.SCHEMAS`
    simulation:      for datasets that are simulated; the others need a folder
    folder_variable: environment variable that says where the files lie, where no folder is given
    paper, url:      where it was published and can be had
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    title: str
    schema_name: str = Field(alias="schema")
    simulation: SimulationChoice | None = None
    folder_variable: str | None = None
    paper: str | None = None
    url: str | None = None
    notes: str = ""


def read_dataset_card(path: Path) -> DatasetCard:
    """The card in `path`. Raises `ConfigError` naming the file and every wrong or unknown key."""
    card = parse_record(read_toml(path), DatasetCard, path=path)
    if card.name != path.stem:
        raise ConfigError(f"{path}: name is '{card.name}' but the file is '{path.stem}.toml'; make them equal")
    return card


def dataset_cards() -> Registry[DatasetCard]:
    """Every dataset that ships, and those of plug-ins."""
    registry: Registry[DatasetCard] = Registry("dataset", of=DatasetCard)
    for path in sorted(_FOLDER.glob("*.toml")):
        registry.add(path.stem, partial(read_dataset_card, path), origin=str(path))
    return registry


def open_card(card: DatasetCard, *, folder: Path | None = None, reporter: Reporter | None = None) -> Dataset:
    """The dataset of a card, from `folder` or from where its environment variable says.

    Raises `DataError` where neither is given, with where the files can be had.
    """
    if folder is None:
        named = os.environ.get(card.folder_variable) if card.folder_variable else None
        if not named:
            ways = ["give the folder of its files"]
            ways += [f"set {card.folder_variable} to it"] if card.folder_variable else []
            source = f"; it is published at {card.url}" if card.url else ""
            raise DataError(f"dataset '{card.name}': {' or '.join(ways)}{source}")
        folder = Path(named).expanduser()
    return open_dataset(card.name, folder, schema=card.schema_name, reporter=reporter)
