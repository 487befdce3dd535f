"""The jets of a suite as far as they can be known without simulating them."""

from collections.abc import Container, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from jetassay.errors import SimulationError
from jetassay.jets.catalogue import find_dataset_card
from jetassay.jets.dataset import DataFile, Dataset, group_of, open_dataset
from jetassay.jets.digests import known_files
from jetassay.jets.schema import SCHEMAS, Schema
from jetassay.progress import Reporter
from jetassay.steps import find_jets, simulation_recipe
from jetassay.suite import DatasetChoice

if TYPE_CHECKING:
    from jetassay.simulation.recipe import Recipe

Files = Mapping[str, tuple[DataFile, ...]]


@dataclass(frozen=True, slots=True)
class PlannedJets:
    """A dataset, or what it will be.

    missing: files that are still to be simulated, or again since they are damaged; where there are any, their digests
             and that of the dataset mean nothing, those of the other files are their own
    """

    dataset: Dataset
    missing: int = 0

    @property
    def there(self) -> bool:
        """Whether all files are there."""
        return not self.missing

    @property
    def size(self) -> int:
        """Bytes of the files that are there."""
        return sum(file.path.stat().st_size for file in self.dataset.files if file.path.is_file())


def planned_jets(choice: DatasetChoice, *, set_aside: bool, reporter: Reporter) -> PlannedJets:
    """The suite's jets; those that are not simulated yet as the recipe describes them. set_aside: as of `find_jets`."""
    recipe = simulation_recipe(choice)
    if recipe is None:
        return PlannedJets(find_jets(choice, set_aside=set_aside, reporter=reporter))
    card = find_dataset_card(choice.card)
    jets = _simulated(recipe, card.name, SCHEMAS[card.schema_name], reporter=reporter)
    return jets if choice.limit is None else replace(jets, dataset=jets.dataset.limited(choice.limit))


def planned_mode(
    choice: DatasetChoice,
    mode: Literal["delphes", "ideal"],
    stops: Mapping[DataFile, int],
    *,
    reporter: Reporter,
) -> PlannedJets | None:
    """The same events in another detector mode; None for jets that are not simulated."""
    recipe = simulation_recipe(choice)
    if recipe is None:
        return None
    card = find_dataset_card(choice.card)
    recipe = replace(recipe, mode=mode, jets=max(stops.values()) * recipe.files)
    names = {file.name for file in stops}
    return _simulated(recipe, f"{card.name}-{mode}", SCHEMAS[card.schema_name], only=names, reporter=reporter)


def _is_whole(path: Path) -> bool:
    """A damaged file is simulated again, so what is in it says nothing of the jets that a suite will have."""
    from jetassay.simulation.writing import check_content, read_facts

    try:
        check_content(path, read_facts(path))
    except SimulationError:
        return False
    return True


def _simulated(
    recipe: "Recipe", name: str, schema: Schema, *, only: Container[str] | None = None, reporter: Reporter
) -> PlannedJets:
    from jetassay.simulation.recipe import default_output, file_name

    folder = default_output(recipe)
    entries = {folder / file_name(group, number): jets for group, number, jets in recipe.shards()}
    wanted = {path: jets for path, jets in entries.items() if only is None or path.name in only}
    known = known_files(list(wanted))
    whole = [path for path in wanted if path in known or _is_whole(path)]
    opened = open_dataset(name, whole, schema=schema, reporter=reporter).files if whole else ()
    there = {file.path: file for file in opened}
    files = (there.get(path) or _to_come(path, jets) for path, jets in wanted.items())
    ordered = tuple(sorted(files, key=lambda file: (file.group, file.name)))
    return PlannedJets(Dataset(name, schema, ordered, schema.selection), len(wanted) - len(whole))


def _to_come(path: Path, jets: int) -> DataFile:
    return DataFile(path, group_of(path), jets, f"{path.name}, not simulated yet")
